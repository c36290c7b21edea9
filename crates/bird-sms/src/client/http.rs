use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use crate::ConfigurationError;

/// Builds the HTTP client: no redirects, no retries and no referer of its own.
pub(super) fn http_client(
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
        // The loopback of a proxy is another machine's.
        http = http.no_proxy();
    }
    #[cfg(feature = "rustls")]
    {
        let roots =
            root_certificates.map(crate::transport::tls::roots).transpose()?.unwrap_or_default();
        http = http.tls_backend_preconfigured(crate::transport::tls::config(roots)?);
    }
    #[cfg(not(feature = "rustls"))]
    if root_certificates.is_some() {
        return Err(ConfigurationError::Tls("bird-sms was built without TLS".to_owned()));
    }
    http.build().map_err(|error| ConfigurationError::Tls(error.to_string()))
}

/// Parses a base URL, or says why requests cannot be sent to it.
pub(super) fn check_base_url(text: &str, allow_http: bool) -> Result<Url, ConfigurationError> {
    let problem = |problem| Err(ConfigurationError::BaseUrl(problem));
    let Ok(url) = Url::parse(text) else {
        return problem("is not a URL such as https://api.bird.com");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return problem("does not start with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("contains a user name or a password; remove it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return problem("contains a `?` or `#`; give only the part before it");
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return problem(
            "starts with http://, which would send the access key in the clear; use https://",
        );
    }
    Ok(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
