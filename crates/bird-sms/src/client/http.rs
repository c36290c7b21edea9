use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use crate::ConfigurationError;
use crate::error::chain;

/// The builder of the HTTP client, or the setting that can't be used.
pub(super) type Configured = Result<reqwest::ClientBuilder, ConfigurationError>;
type Configure = dyn FnOnce(reqwest::ClientBuilder) -> Configured + Send;

/// The settings of the HTTP client.
pub(super) struct HttpSettings {
    pub(super) connect_timeout: Duration,
    pub(super) configure: Option<Box<Configure>>,
    /// True if a transport replaces the HTTP client.
    pub(super) unused: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), configure: None, unused: false }
    }
}

impl HttpSettings {
    /// Builds the HTTP client, which follows no redirects, retries nothing, sends no `Referer` and speaks HTTP/1.1.
    pub(super) fn build(self, base_url: &Url) -> Result<reqwest::Client, ConfigurationError> {
        let mut http =
            reqwest::Client::builder().connect_timeout(self.connect_timeout).referer(false);
        if is_loopback(base_url) {
            // A proxy on another machine would connect to its own loopback address.
            http = http.no_proxy();
        }
        #[cfg(feature = "rustls-no-provider")]
        {
            http = http.tls_backend_rustls();
            // Plain HTTP needs no root certificates, and reading them takes nearly all of the 3 ms of this function. A
            // proxy that `configure` sets may need them.
            let plain = base_url.scheme() == "http" && is_loopback(base_url);
            if self.unused || plain && self.configure.is_none() {
                http = http.tls_certs_only([]);
            }
        }
        if let Some(configure) = self.configure {
            http = configure(http)?;
        }
        // Without `http1_only`, HTTP/2 is offered if any crate in the program enables reqwest's feature `http2`.
        http.redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .build()
            .map_err(|error| build_error(&error))
    }
}

/// Classifies the error of an HTTP client that can't be built. Missing root certificates have no error type of their own
/// in rustls-platform-verifier, so the text of the error is compared. A test fails if the text changes.
fn build_error(error: &reqwest::Error) -> ConfigurationError {
    let text = chain(error);
    if text.contains("No CA certificates were loaded") {
        return ConfigurationError::NoTrustedRoots;
    }
    ConfigurationError::Tls(text)
}

/// Checks `SSL_CERT_FILE`, which names a file of root certificates on Linux and the BSDs. The HTTP client would ignore a
/// file that can't be read.
pub(super) fn check_root_file_environment(
    base_url: &Url,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(), ConfigurationError> {
    const IGNORED: bool = cfg!(any(windows, target_vendor = "apple", target_os = "android"));
    if IGNORED || base_url.scheme() == "http" {
        return Ok(());
    }
    let Some(path) = variable("SSL_CERT_FILE") else { return Ok(()) };
    let opened = File::open(&path).and_then(|file| {
        let is_dir = file.metadata()?.is_dir();
        if is_dir { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    });
    opened.map_err(|error| ConfigurationError::RootFile {
        path: path.into(),
        problem: error.to_string(),
    })
}

/// Checks the environment variables that configure a proxy. The HTTP client would ignore a malformed URL and connect
/// directly.
pub(super) fn check_proxy_environment(
    base_url: &Url,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(), ConfigurationError> {
    const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let no_proxy = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    // The HTTP client applies `NO_PROXY` with the same matcher.
    let matcher =
        Matcher::builder().all("http://proxy").no(no_proxy.to_string_lossy().into_owned()).build();
    let has_proxy = |uri: Uri| matcher.intercept(&uri).is_some();
    if is_loopback(base_url) || !base_url.as_str().parse().is_ok_and(has_proxy) {
        return Ok(());
    }
    for name in if base_url.scheme() == "http" { HTTP } else { HTTPS } {
        let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
        let uri = value.to_str().and_then(|text| text.parse::<Uri>().ok());
        let uri = uri.filter(|uri| uri.authority().is_some());
        return match uri.as_ref().map(|uri| uri.scheme_str().unwrap_or("http")) {
            Some("http" | "https") => Ok(()),
            Some(scheme) if scheme.to_ascii_lowercase().starts_with("socks") => {
                Err(ConfigurationError::SocksProxy(name))
            }
            _ => Err(ConfigurationError::Proxy(name)),
        };
    }
    Ok(())
}

/// Parses a base URL, or returns why requests cannot be sent to it.
pub(super) fn check_base_url(text: &str, allow_http: bool) -> Result<Url, ConfigurationError> {
    let problem = |problem| Err(ConfigurationError::BaseUrl(problem));
    let Ok(url) = Url::parse(text) else {
        return problem("is not a URL such as https://api.bird.com");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return problem("does not start with https://");
    }
    if matches!(url.host_str(), Some("bird.com" | "www.bird.com" | "app.bird.com")) {
        return problem(
            "is Bird's website or dashboard; the URL of the API is https://api.bird.com",
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("contains a user name or a password; remove it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return problem("contains a `?` or `#`; give only the part before it");
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return problem(
            "starts with http://, which would send the access key without encryption; use https://",
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

    #[test]
    fn a_malformed_proxy_in_the_environment_is_refused() {
        let check = |url: &str, set: &'static str, value: &'static str| {
            let url = Url::parse(url).unwrap();
            check_proxy_environment(&url, |name| (name == set).then(|| value.into()))
        };
        let bird = "https://api.bird.com";
        for malformed in
            ["http://", "http:// proxy", "ftp://proxy:21", "://proxy", "htp:/proxy:3128"]
        {
            let error = check(bird, "HTTPS_PROXY", malformed);
            assert_eq!(error, Err(ConfigurationError::Proxy("HTTPS_PROXY")), "{malformed}");
        }
        for proxy in ["", "proxy:3128", "http://proxy", "https://user:password@proxy:8443/"] {
            assert_eq!(check(bird, "https_proxy", proxy), Ok(()), "{proxy}");
        }
        assert!(check(bird, "all_proxy", "ftp://proxy").is_err());
        assert!(check("http://10.0.0.1", "HTTP_PROXY", "ftp://proxy").is_err());
        for socks in ["socks5://proxy:1080", "SOCKS5h://proxy:1080", "socks4://user@proxy"] {
            let error = check(bird, "ALL_PROXY", socks);
            assert_eq!(error, Err(ConfigurationError::SocksProxy("ALL_PROXY")), "{socks}");
        }
        // A variable that does not apply to the URL is not checked.
        assert!(check(bird, "HTTP_PROXY", "ftp://proxy").is_ok());
        assert!(check("http://127.0.0.1:1", "HTTP_PROXY", "ftp://proxy").is_ok());
    }

    #[test]
    fn a_proxy_is_not_checked_for_hosts_in_no_proxy() {
        let check = |no_proxy: &'static str| {
            let url = Url::parse("https://api.bird.com").unwrap();
            check_proxy_environment(&url, |name| match name {
                "HTTPS_PROXY" => Some("ftp://proxy".into()),
                "no_proxy" => Some(no_proxy.into()),
                _ => None,
            })
        };
        for host in ["api.bird.com", "localhost, .bird.com", "*"] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        assert!(check("bird.example").is_err() && check("").is_err());
    }

    #[cfg(not(any(windows, target_vendor = "apple", target_os = "android")))]
    #[test]
    fn an_unreadable_root_file_is_refused_for_https() {
        let check = |url: &str, path: &'static str| {
            let url = Url::parse(url).unwrap();
            check_root_file_environment(&url, |name| (name == "SSL_CERT_FILE").then(|| path.into()))
        };
        for (path, problem) in [("/nowhere/ca.pem", "No such file"), ("/", "is a directory")] {
            let error = check("https://api.bird.com", path).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(problem), "{error}");
            assert_eq!(check("http://127.0.0.1:1", path), Ok(()));
        }
        assert_eq!(check("https://api.bird.com", "/dev/null"), Ok(()));
    }
}
