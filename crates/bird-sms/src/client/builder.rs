use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bird_api::RequestContext;
use bird_api::transport::Transport;
use reqwest::header::HeaderValue;

use super::http::{
    Configured, HttpSettings, check_base_url, check_proxy_environment, check_root_file_environment,
};
use super::{Client, Inner};
use crate::transport::{Runtime, TokioRuntime};
use crate::{AccessKey, ConfigurationError, PollPolicy, RateLimits, RetryPolicy};

/// The shortest install timeout. With less time, many attempts would end before their response, and the outcome would be
/// unknown.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings of installs, waits and reads.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) attempt_timeout: Duration,
    pub(crate) install_timeout: Duration,
    /// The shortest `install_timeout` that is accepted. Tests lower it.
    pub(crate) min_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) poll: PollPolicy,
    pub(crate) limits: RateLimits,
    pub(crate) look_up: bool,
    pub(crate) runtime: Arc<dyn Runtime>,
}

/// Configures a [`Client`].
///
/// ```
/// use std::time::Duration;
///
/// use bird_sms::{AccessKey, Client, RateLimits};
///
/// # let transport = bird_sandbox::Sandbox::builder().in_memory().transport();
/// let client = Client::builder()
///     .access_key(AccessKey::new("the-key-from-the-dashboard")?)
///     .user_agent_suffix("my-service/1.2")
///     .install_timeout(Duration::from_secs(300))
///     .rate_limits(RateLimits { gets_per_second: 20, ..Default::default() })
/// #     .transport(transport)
///     .build()?;
/// # Ok::<(), bird_sms::ConfigurationError>(())
/// ```
///
/// # Environment
///
/// [`from_env`](Self::from_env) reads `BIRD_ACCESS_KEY` and `BIRD_API_URL`. The HTTP client reads these variables, unless
/// [`http_client`](Self::http_client) replaces it:
///
/// | variable | |
/// |---|---|
/// | `HTTPS_PROXY`, `ALL_PROXY` | the proxy for `https://`, such as `http://user:password@host:port` |
/// | `HTTP_PROXY`, `ALL_PROXY` | the proxy for `http://` |
/// | `NO_PROXY` | hosts to reach without a proxy, separated by commas; loopback never uses a proxy |
/// | `SSL_CERT_FILE`, `SSL_CERT_DIR` | on Linux and the BSDs, the root certificates to trust instead of the platform's |
///
/// The proxy variables also work in lower case.
///
/// `root_certificates_pem` adds trusted certificates on every platform except Android.
#[must_use]
pub struct ClientBuilder {
    key: Option<AccessKey>,
    base_url: String,
    allow_http: bool,
    user_agent_suffix: Option<String>,
    body_limit: usize,
    http: HttpSettings,
    http_client: Option<reqwest::Client>,
    transport: Option<Arc<dyn Transport>>,
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
            http: HttpSettings::default(),
            http_client: None,
            transport: None,
            settings: Settings {
                attempt_timeout: Duration::from_secs(30),
                install_timeout: Duration::from_secs(120),
                min_timeout: MIN_TIMEOUT,
                retry: RetryPolicy::default(),
                poll: PollPolicy::default(),
                limits: RateLimits::default(),
                look_up: true,
                runtime: Arc::new(TokioRuntime(SystemTime::now)),
            },
        }
    }
}

impl ClientBuilder {
    /// Uses the access key in `BIRD_ACCESS_KEY` and the base URL in `BIRD_API_URL`, if they are set.
    ///
    /// # Errors
    ///
    /// Fails if the access key cannot be sent in a header.
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

    /// Sets whether a connector is looked up by its phone number if the outcome of its creation is unknown. Default: true.
    ///
    /// A lookup reads the phone number, and up to five of the connectors that Bird lists for it. It is not retried, and its
    /// requests take at most 5 s. If exactly one connector has the template, phone number and name of the request, and is
    /// not older than the first POST, the install continues with it. Otherwise
    /// [`Error::existing`](crate::Error::existing) lists the connectors. A lookup never leads to another POST, because a
    /// connector may exist even if Bird lists none.
    ///
    /// A policy of the access key must allow `view` on `/workspaces/{workspaceId}/numbers-long-code/*`.
    pub fn look_up(mut self, look_up: bool) -> Self {
        self.settings.look_up = look_up;
        self
    }

    /// Sets the access key. Required.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the URL of the API. Default: [`Client::DEFAULT_BASE_URL`]. `http://` is refused except for loopback.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Allows `http://` for hosts other than loopback. The access key is then sent without encryption.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Appends a product to the `User-Agent`, such as `my-service/1.2`.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent_suffix = Some(suffix.into());
        self
    }

    /// Sets the maximum length of a response body, in bytes. Default: 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets how long connecting may take. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Sets how long one HTTP attempt may take, from the connection to the last byte. Default: 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = timeout;
        self
    }

    /// Sets how long an install, a wait or a read may take, with all its attempts. Default: 2 minutes. Minimum: 1 s.
    ///
    /// The last poll is sent 1 s before the deadline. A [lookup](Self::look_up) may take 5 s more.
    pub fn install_timeout(mut self, timeout: Duration) -> Self {
        self.settings.install_timeout = timeout;
        self
    }

    /// Sets when a failed attempt is retried, and after how long.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets how a connector is polled until its channel is ready.
    pub fn poll_policy(mut self, policy: PollPolicy) -> Self {
        self.settings.poll = policy;
        self
    }

    /// Sets how many requests per second are sent to a workspace. Each workspace has its own budget.
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Configures the HTTP client further, for example its proxy or its name resolution.
    ///
    /// `configure` receives a builder that already has the settings of this crate. It can't make the HTTP client follow
    /// redirects, retry requests or speak HTTP/2: these settings are applied last.
    ///
    /// ```
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use bird_sms::reqwest::Proxy;
    ///
    /// let proxy = Proxy::https("http://proxy.example:3128")?.basic_auth("user", "password");
    /// let client = bird_sms::Client::builder()
    ///     .from_env()?
    ///     .configure_http(|http| http.proxy(proxy))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn configure_http(
        self,
        configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + 'static,
    ) -> Self {
        self.try_configure_http(|http| Ok(configure(http)))
    }

    pub(super) fn try_configure_http(
        mut self,
        configure: impl FnOnce(reqwest::ClientBuilder) -> Configured + Send + 'static,
    ) -> Self {
        self.http.configure = Some(match self.http.configure.take() {
            Some(before) => Box::new(|http| configure(before(http)?)),
            None => Box::new(configure),
        });
        self
    }

    /// Uses this HTTP client unchanged. The settings of this builder for connections, proxies and certificates have no
    /// effect.
    ///
    /// It should not follow redirects: a redirect that was followed is reported as an error. It may speak HTTP/2, but then
    /// the outcome of a POST is unknown if the server refuses its stream.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http_client = Some(http);
        self
    }

    /// Sends requests through this transport: for example, a sandbox in memory, or one that records requests.
    ///
    /// The settings for connections, proxies and certificates have no effect on a transport, and it limits the length of
    /// bodies itself. The operations of [`Client::raw`] still use the HTTP client. That client then trusts no root
    /// certificates, so tests run on machines without any.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self.http.unused = true;
        self
    }

    /// Sets the function that returns the system time. The dates of `Retry-After` headers and of stored
    /// creations are compared with it.
    ///
    /// Default: [`SystemTime::now`], which keeps running when a test pauses Tokio's clock.
    pub fn system_time(mut self, now: fn() -> SystemTime) -> Self {
        self.settings.runtime = Arc::new(TokioRuntime(now));
        self
    }

    #[cfg(test)]
    pub(crate) fn min_timeout(mut self, timeout: Duration) -> Self {
        self.settings.min_timeout = timeout;
        self
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn replace_runtime(
        mut self,
        replace: impl FnOnce(Arc<dyn Runtime>) -> Arc<dyn Runtime>,
    ) -> Self {
        self.settings.runtime = replace(self.settings.runtime);
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Fails if
    ///
    /// - there is no access key,
    /// - the base URL, the user agent or a proxy from the environment can't be used,
    /// - a duration or a rate limit is zero, or the install timeout is shorter than 1 s, or
    /// - TLS can't be set up, for example because the machine has no root certificates. `http://` to loopback needs none.
    ///
    /// # Panics
    ///
    /// Panics with the feature `rustls-no-provider` if the program installed no crypto provider, unless reqwest's feature
    /// `rustls` is enabled.
    pub fn build(self) -> Result<Client, ConfigurationError> {
        let key = self.key.ok_or(ConfigurationError::NoAccessKey)?;
        if key.is_in(&self.base_url) {
            return Err(ConfigurationError::AccessKeyIn("API URL"));
        }
        let base_url = check_base_url(&self.base_url, self.allow_http)?;
        for (what, duration) in [
            ("the connect timeout", self.http.connect_timeout),
            ("the attempt timeout", self.settings.attempt_timeout),
            ("the install timeout", self.settings.install_timeout),
            ("the initial delay between attempts", self.settings.retry.backoff.initial),
            ("the maximum delay between attempts", self.settings.retry.backoff.max),
        ]
        .into_iter()
        .chain(self.settings.poll.interval.map(|interval| ("the poll interval", interval)))
        {
            if duration.is_zero() {
                return Err(ConfigurationError::ZeroDuration(what));
            }
        }
        if self.settings.install_timeout < self.settings.min_timeout {
            let min = self.settings.min_timeout;
            return Err(ConfigurationError::TooShort("the install timeout", min));
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
        let mut context = RequestContext::new(key.authorization()?)
            .user_agent(user_agent)
            .body_limit(self.body_limit);
        if let Some(transport) = self.transport {
            context = context.transport(transport);
        }
        let http = if let Some(http) = self.http_client {
            http
        } else {
            if !self.http.unused {
                check_proxy_environment(&base_url, |name| std::env::var_os(name))?;
                check_root_file_environment(&base_url, |name| std::env::var_os(name))?;
            }
            self.http.build(&base_url)?
        };
        let base_url = base_url.as_str().trim_end_matches('/').to_owned();
        let raw = bird_api::Client::new_with_client(&base_url, http, context);
        Ok(Client {
            inner: Arc::new(Inner {
                raw,
                key,
                base_url,
                settings: self.settings,
                workspaces: Mutex::default(),
            }),
        })
    }
}

/// Omits the access key and the client certificate.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bird_test_peer::{Peer, Reply};

    use super::*;

    fn builder() -> ClientBuilder {
        Client::builder().access_key(AccessKey::new("secret").unwrap())
    }

    fn error(builder: ClientBuilder) -> ConfigurationError {
        builder.build().unwrap_err()
    }

    #[test]
    fn building_a_client_without_a_key_fails() {
        assert_eq!(error(Client::builder()), ConfigurationError::NoAccessKey);
    }

    #[test]
    fn plain_http_needs_loopback_or_allow_http() {
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
    fn a_base_url_that_cannot_be_used_is_refused() {
        for url in [
            "",
            "api.bird.com",
            "ftp://x",
            "https://u:p@x",
            "https://app.bird.com/workspaces/x",
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

    #[test]
    fn a_zero_duration_or_too_short_timeout_is_refused() {
        let zero = Duration::ZERO;
        let poll = PollPolicy { interval: Some(zero), ..Default::default() };
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
        let short = builder().install_timeout(Duration::from_millis(999));
        assert!(matches!(error(short), ConfigurationError::TooShort(..)));
        assert!(builder().install_timeout(Duration::from_secs(1)).build().is_ok());
        let longest = Duration::MAX;
        assert!(builder().attempt_timeout(longest).install_timeout(longest).build().is_ok());
    }

    #[test]
    fn a_rate_limit_of_zero_is_refused() {
        for limits in [
            RateLimits { posts_per_second: 0, ..Default::default() },
            RateLimits { gets_per_second: 0, ..Default::default() },
        ] {
            assert_eq!(error(builder().rate_limits(limits)), ConfigurationError::ZeroRateLimit);
        }
    }

    #[tokio::test]
    async fn a_configured_proxy_is_used_but_redirects_are_not_followed() {
        let moved = Reply::with_headers(307, &["location: http://elsewhere.example/"], "");
        let proxy = Peer::script([moved]).await.unwrap();
        let to_proxy = reqwest::Proxy::all(proxy.base_url()).unwrap();
        let workspace = builder()
            .base_url("http://bird.example")
            .allow_http()
            .configure_http(|http| http.redirect(reqwest::redirect::Policy::limited(5)))
            .configure_http(|http| http.proxy(to_proxy))
            .build()
            .unwrap()
            .workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse().unwrap());
        let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse().unwrap();
        let error = workspace.install_sms_channel("n", number).await.unwrap_err();
        assert_eq!(error.response().unwrap().status, 307);
        let [request] = &proxy.requests()[..] else { panic!("expected one request") };
        assert!(request.path.starts_with("http://bird.example/workspaces/"), "{}", request.path);
    }

    #[test]
    fn a_user_agent_that_cannot_be_sent_is_refused() {
        for suffix in ["a\r\nb: c", "a\0", "é"] {
            assert_eq!(error(builder().user_agent_suffix(suffix)), ConfigurationError::UserAgent);
        }
    }
}
