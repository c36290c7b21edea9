use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretSlice;

use crate::ConfigurationError;

type Configure = dyn FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send;

/// The settings of the HTTP client.
pub(super) struct HttpSettings {
    pub(super) connect_timeout: Duration,
    /// PEM.
    pub(super) root_certificates: Option<Vec<u8>>,
    /// PEM, with the private key.
    pub(super) client_certificate: Option<SecretSlice<u8>>,
    pub(super) configure: Box<Configure>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            root_certificates: None,
            client_certificate: None,
            configure: Box::new(|http| http),
        }
    }
}

impl HttpSettings {
    /// Builds the HTTP client, which follows no redirects, retries nothing, sends no referer and speaks HTTP/1.1.
    pub(super) fn build(self, loopback: bool) -> Result<reqwest::Client, ConfigurationError> {
        let mut http =
            reqwest::Client::builder().connect_timeout(self.connect_timeout).referer(false);
        if loopback {
            // On another machine, a proxy would connect to its own loopback.
            http = http.no_proxy();
        }
        let certificates = (self.root_certificates.as_deref(), self.client_certificate.as_ref());
        #[cfg(feature = "__rustls")]
        {
            let (roots, client) = certificates;
            http = http.tls_backend_preconfigured(crate::transport::tls::config(roots, client)?);
        }
        #[cfg(not(feature = "__rustls"))]
        if !matches!(certificates, (None, None)) {
            let problem = "bird-sms was built with neither aws-lc-rs nor ring";
            return Err(ConfigurationError::Tls(problem.to_owned()));
        }
        // HTTP/2 is offered by default if any crate of the program switches on its feature of reqwest.
        (self.configure)(http)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .build()
            .map_err(|error| ConfigurationError::Tls(error.to_string()))
    }
}

/// Checks the environment variables from which the HTTP client takes its proxy. The HTTP client ignores a malformed
/// URL and connects directly.
pub(super) fn check_proxy_environment(
    base_url: &Url,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(), ConfigurationError> {
    const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    if is_loopback(base_url) {
        return Ok(());
    }
    for name in if base_url.scheme() == "http" { HTTP } else { HTTPS } {
        let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
        let is_proxy = |text: &str| {
            let uri = text.parse::<http::Uri>().ok()?;
            let scheme = uri.scheme_str().unwrap_or("http");
            (uri.authority().is_some() && matches!(scheme, "http" | "https")).then_some(())
        };
        return value.to_str().and_then(is_proxy).ok_or(ConfigurationError::Proxy(name));
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
            "is that of the website or the dashboard; Bird's API is at https://api.bird.com",
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

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault 52.
    #[test]
    fn a_malformed_proxy_of_the_environment_is_refused() {
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
        // A proxy that is not used is not checked.
        assert!(check(bird, "HTTP_PROXY", "ftp://proxy").is_ok());
        assert!(check("http://127.0.0.1:1", "HTTP_PROXY", "ftp://proxy").is_ok());
    }
}
