use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bird_api::{RequestContext, Response};
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::rate_limiter::Permit;
use crate::runtime::{Runtime, TokioRuntime};
use crate::workspace_state::WorkspaceState;
use crate::{
    AccessKey, ConfigurationError, PollPolicy, RateLimits, RetryPolicy, TransportError, Workspace,
    WorkspaceId,
};

/// From here on the workspaces that nobody uses are forgotten, with what was learned of them.
const KNOWN_WORKSPACES: usize = 1024;

/// A client of Bird's connectors API.
///
/// Cheap to clone, `Send + Sync`; all clones share one pool of connections.
///
/// ```no_run
/// # fn example() -> Result<(), bird_sms::ConfigurationError> {
/// let client = bird_sms::Client::from_env()?;
/// let workspace = client.workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    raw: bird_api::Client,
    key: AccessKey,
    base_url: String,
    settings: Settings,
    state: Mutex<HashMap<WorkspaceId, Arc<WorkspaceState>>>,
}

#[derive(Clone, Debug)]
struct Settings {
    attempt_timeout: Duration,
    install_timeout: Duration,
    retry: RetryPolicy,
    poll: PollPolicy,
    limits: RateLimits,
    runtime: Arc<dyn Runtime>,
}

impl Client {
    /// The API of the vendor.
    pub const DEFAULT_BASE_URL: &str = "https://api.bird.com";

    /// A client with the access key of `BIRD_ACCESS_KEY` and, when it is set, the base URL of
    /// `BIRD_API_URL`.
    ///
    /// # Errors
    ///
    /// When `BIRD_ACCESS_KEY` is not set, or one of the two makes no sense.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::builder().from_env()?.build()
    }

    /// A client that is configured by hand.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A workspace, in which the rest happens. Nothing is sent.
    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Workspace {
        Workspace::new(self.clone(), id, self.state(id))
    }

    /// The generated client: both operations with all their fields, and none of the rules of an install.
    #[must_use]
    pub fn raw(&self) -> &bird_api::Client {
        &self.inner.raw
    }

    /// Where requests go.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    fn state(&self, id: WorkspaceId) -> Arc<WorkspaceState> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.len() >= KNOWN_WORKSPACES {
            state.retain(|_, state| Arc::strong_count(state) > 1);
        }
        let new = || Arc::new(WorkspaceState::new(self.limits(), self.runtime().now()));
        Arc::clone(state.entry(id).or_insert_with(new))
    }

    pub(crate) fn limits(&self) -> RateLimits {
        self.inner.settings.limits
    }

    pub(crate) fn key(&self) -> &AccessKey {
        &self.inner.key
    }

    pub(crate) fn retry(&self) -> &RetryPolicy {
        &self.inner.settings.retry
    }

    pub(crate) fn poll(&self) -> &PollPolicy {
        &self.inner.settings.poll
    }

    pub(crate) fn runtime(&self) -> &dyn Runtime {
        &*self.inner.settings.runtime
    }

    pub(crate) fn install_timeout(&self) -> Duration {
        self.inner.settings.install_timeout
    }

    /// One request and what came of it, within the time of an attempt and what is left of the deadline.
    pub(crate) async fn attempt(
        &self,
        request: reqwest::Request,
        left: Duration,
        _permit: Permit,
    ) -> Result<Response, TransportError> {
        let timeout = self.inner.settings.attempt_timeout.min(left);
        // In a box: it is by far the largest part of an install, which is there only now and then.
        Ok(Box::pin(self.inner.raw.exchange(request, timeout)).await?)
    }
}

/// Shows where the requests go, and no key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.inner.base_url)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// Configures a [`Client`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    key: Option<AccessKey>,
    base_url: String,
    allow_http: bool,
    user_agent_suffix: Option<String>,
    body_limit: usize,
    connect_timeout: Duration,
    root_certificates: Option<Vec<u8>>,
    http: Option<reqwest::Client>,
    settings: Settings,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            key: None,
            base_url: Client::DEFAULT_BASE_URL.to_owned(),
            allow_http: false,
            user_agent_suffix: None,
            body_limit: RequestContext::DEFAULT_BODY_LIMIT,
            connect_timeout: Duration::from_secs(10),
            root_certificates: None,
            http: None,
            settings: Settings {
                attempt_timeout: Duration::from_secs(30),
                install_timeout: Duration::from_mins(2),
                retry: RetryPolicy::default(),
                poll: PollPolicy::default(),
                limits: RateLimits::default(),
                runtime: Arc::new(TokioRuntime),
            },
        }
    }
}

impl ClientBuilder {
    /// Takes the access key of `BIRD_ACCESS_KEY` and the base URL of `BIRD_API_URL`, where they are set.
    ///
    /// # Errors
    ///
    /// When the access key cannot be one.
    pub fn from_env(mut self) -> Result<Self, ConfigurationError> {
        if let Some(key) = std::env::var_os("BIRD_ACCESS_KEY") {
            let key = key.into_string().map_err(|_| {
                ConfigurationError::AccessKey("contains a character that is not visible ASCII")
            })?;
            self.key = Some(AccessKey::new(key)?);
        }
        if let Some(url) = std::env::var_os("BIRD_API_URL") {
            self.base_url = url.to_string_lossy().into_owned();
        }
        Ok(self)
    }

    /// The access key. Required.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Where the API is. Default: [`Client::DEFAULT_BASE_URL`]. `http://` is refused except for loopback.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Allows `http://` to other hosts than loopback. The access key then travels in the clear.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// What to add to the `User-Agent`, such as `my-service/1.2`.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent_suffix = Some(suffix.into());
        self
    }

    /// The largest body of a response that is read, in bytes. Default: 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a connection may take to come about. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one HTTP attempt may take, from the connection to the last byte. Default: 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = timeout;
        self
    }

    /// How long an install, a wait or a read may take with all its attempts. Default: 2 minutes.
    pub fn install_timeout(mut self, timeout: Duration) -> Self {
        self.settings.install_timeout = timeout;
        self
    }

    /// When a failed attempt is made again.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// How a connector is watched until its channel is there.
    pub fn poll_policy(mut self, policy: PollPolicy) -> Self {
        self.settings.poll = policy;
        self
    }

    /// How many requests a second the workspaces take. Each workspace has a budget of its own.
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Certificates to trust beside those of the platform, as PEM: for a proxy that inspects TLS, or a
    /// server of one's own.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// A ready HTTP client, instead of one that is made here. It should not follow redirects: one that
    /// did is reported as an error. Connect timeout and root certificates are its own.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    #[cfg(test)]
    pub(crate) fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.settings.runtime = runtime;
        self
    }

    /// The client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// When there is no access key, the base URL or the user agent makes no sense, a time that must pass
    /// is zero, or TLS cannot be set up.
    pub fn build(self) -> Result<Client, ConfigurationError> {
        let key = self.key.ok_or(ConfigurationError::NoAccessKey)?;
        let base_url = check_base_url(&self.base_url, self.allow_http)?;
        for (what, duration) in [
            ("the timeout of a connection", self.connect_timeout),
            ("the timeout of an attempt", self.settings.attempt_timeout),
            ("the timeout of an install", self.settings.install_timeout),
            ("the first wait between attempts", self.settings.retry.backoff.initial),
            ("the longest wait between attempts", self.settings.retry.backoff.max),
            ("the interval of the polls", self.settings.poll.backoff.initial),
            ("the longest interval of the polls", self.settings.poll.backoff.max),
        ] {
            if duration.is_zero() {
                return Err(ConfigurationError::ZeroDuration(what));
            }
        }
        let RateLimits { posts_per_second, gets_per_second } = self.settings.limits;
        if posts_per_second == 0 || gets_per_second == 0 {
            return Err(ConfigurationError::ZeroRateLimit);
        }
        let mut user_agent = concat!("bird-sms/", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(suffix) = &self.user_agent_suffix {
            user_agent.push(' ');
            user_agent.push_str(suffix);
        }
        let user_agent = Some(user_agent)
            .filter(|user_agent| user_agent.is_ascii())
            .and_then(|user_agent| HeaderValue::try_from(user_agent).ok())
            .ok_or(ConfigurationError::UserAgent)?;
        let context = RequestContext::new(key.authorization()?)
            .user_agent(user_agent)
            .body_limit(self.body_limit);
        let http = match self.http {
            Some(http) => http,
            None => http_client(
                self.connect_timeout,
                self.root_certificates.as_deref(),
                is_loopback(&base_url),
            )?,
        };
        let base_url = base_url.as_str().trim_end_matches('/').to_owned();
        let raw = bird_api::Client::new_with_client(&base_url, http, context);
        Ok(Client {
            inner: Arc::new(Inner {
                raw,
                key,
                base_url,
                settings: self.settings,
                state: Mutex::default(),
            }),
        })
    }
}

fn http_client(
    connect_timeout: Duration,
    root_certificates: Option<&[u8]>,
    loopback: bool,
) -> Result<reqwest::Client, ConfigurationError> {
    let mut http = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false);
    if loopback {
        // A proxy has another loopback.
        http = http.no_proxy();
    }
    #[cfg(feature = "rustls")]
    {
        let roots = root_certificates.map(crate::tls::roots).transpose()?.unwrap_or_default();
        http = http.tls_backend_preconfigured(crate::tls::config(roots)?);
    }
    #[cfg(not(feature = "rustls"))]
    if root_certificates.is_some() {
        return Err(ConfigurationError::Tls("bird-sms was built without TLS".to_owned()));
    }
    http.build().map_err(|error| ConfigurationError::Tls(error.to_string()))
}

fn check_base_url(text: &str, allow_http: bool) -> Result<Url, ConfigurationError> {
    let problem = |problem| Err(ConfigurationError::BaseUrl(problem));
    let Ok(url) = Url::parse(text) else {
        return problem("is not a URL such as https://api.bird.com");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return problem("does not start with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("contains a user name or password; take it out");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return problem("contains a `?` or `#`; give only the part before it");
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return problem(
            "starts with http://, which would show the access key on the way; use https://",
        );
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> ClientBuilder {
        Client::builder().access_key(AccessKey::new("secret").unwrap())
    }

    fn error(builder: ClientBuilder) -> ConfigurationError {
        builder.build().unwrap_err()
    }

    #[test]
    fn a_client_without_a_key_is_refused() {
        assert_eq!(error(Client::builder()), ConfigurationError::NoAccessKey);
    }

    #[test]
    fn http_is_refused_except_for_loopback_or_by_name() {
        for url in
            ["http://localhost:1", "http://127.0.0.1:1", "http://127.9.9.9/", "http://[::1]:1"]
        {
            assert!(builder().base_url(url).build().is_ok(), "{url}");
        }
        for url in ["http://api.bird.com", "http://localhost.evil.com", "http://10.0.0.1"] {
            assert!(
                matches!(error(builder().base_url(url)), ConfigurationError::BaseUrl(_)),
                "{url}"
            );
        }
        assert!(builder().base_url("http://10.0.0.1").allow_http().build().is_ok());
    }

    #[test]
    fn a_base_url_that_makes_no_sense_is_refused() {
        for url in [
            "",
            "api.bird.com",
            "ftp://x",
            "https://u:p@x",
            "https://x?y",
            "https://x#y",
            "https://",
        ] {
            assert!(
                matches!(error(builder().base_url(url)), ConfigurationError::BaseUrl(_)),
                "{url}"
            );
        }
    }

    // Fault 10.
    #[test]
    fn a_time_of_zero_is_refused_and_the_longest_is_not() {
        let zero = Duration::ZERO;
        let mut poll = PollPolicy::default();
        poll.backoff.initial = zero;
        let mut retry = RetryPolicy::default();
        retry.backoff.max = zero;
        for builder in [
            builder().attempt_timeout(zero),
            builder().install_timeout(zero),
            builder().connect_timeout(zero),
            builder().poll_policy(poll),
            builder().retry_policy(retry),
        ] {
            assert!(matches!(error(builder), ConfigurationError::ZeroDuration(_)));
        }
        let longest = Duration::MAX;
        assert!(builder().attempt_timeout(longest).install_timeout(longest).build().is_ok());
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        for limits in [
            RateLimits { posts_per_second: 0, ..Default::default() },
            RateLimits { gets_per_second: 0, ..Default::default() },
        ] {
            assert_eq!(error(builder().rate_limits(limits)), ConfigurationError::ZeroRateLimit);
        }
    }

    #[test]
    fn clones_share_the_budgets_of_a_workspace_and_workspaces_do_not() {
        let client = builder().build().unwrap();
        let ids: Vec<_> =
            (0..3000_u128).map(|n| WorkspaceId::from(uuid::Uuid::from_u128(n))).collect();
        let held = client.workspace(ids[0]);
        let same = client.clone().workspace(ids[0]);
        assert!(Arc::ptr_eq(held.state(), same.state()));
        for id in &ids[1..] {
            assert!(!Arc::ptr_eq(held.state(), client.workspace(*id).state()));
        }
        assert!(Arc::ptr_eq(held.state(), client.workspace(ids[0]).state()));
        assert!(client.inner.state.lock().unwrap().len() <= KNOWN_WORKSPACES);
    }

    // Fault 28.
    #[test]
    fn a_user_agent_that_cannot_be_a_header_is_refused() {
        for suffix in ["a\r\nb: c", "a\0", "é"] {
            assert_eq!(error(builder().user_agent_suffix(suffix)), ConfigurationError::UserAgent);
        }
    }

    #[test]
    fn no_debug_shows_the_key() {
        let client = builder().build().unwrap();
        let workspace = client.workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse().unwrap());
        let shown = format!("{:?} {client:?} {workspace:?} {:?}", builder(), client.raw());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
