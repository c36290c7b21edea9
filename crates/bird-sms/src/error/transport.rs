use std::error::Error as StdError;
use std::fmt;

use bird_api::ExchangeError;

/// The error of an attempt without a response.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<ExchangeError>,
}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection was established: TCP or TLS failed.
    Connect,
    /// The name of the server could not be resolved.
    Dns,
    /// The proxy was not reached, or did not connect to the server.
    Proxy,
    /// The server's certificate is not trusted, or not for this host. Never retried.
    Certificate,
    /// The server's certificate has expired or is not valid yet, by the clock of this machine. Never retried.
    CertificateExpired,
    /// The proxy refused to connect without a user name and a password (407). Never retried.
    ProxyAuthentication,
    /// No response came within the attempt timeout.
    TimedOut,
    /// The connection was lost, or the peer did not speak HTTP.
    Disconnected,
    /// The rate limiter of the workspace had no permit in time: before the deadline, or before the shutdown of the batch.
    /// Nothing was sent.
    RateLimited,
    /// The caller's `reqwest::Client` followed a redirect, and sent the access key with it. Never retried.
    Redirected,
}

impl TransportErrorKind {
    /// Returns whether every later attempt would fail in the same way.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::Certificate
                | Self::CertificateExpired
                | Self::ProxyAuthentication
                | Self::Redirected
        )
    }
}

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, source: ExchangeError) -> Self {
        Self { kind, source: Some(source) }
    }

    pub(crate) fn rate_limited() -> Self {
        Self { kind: TransportErrorKind::RateLimited, source: None }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the server may have acted on the request. `false` is certain: the request did not leave.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.source.as_ref().is_some_and(ExchangeError::may_have_been_sent)
    }

    pub(super) fn help(&self) -> &'static str {
        match self.kind {
            TransportErrorKind::Dns => {
                "Check the host in the API URL, and that this machine can resolve names; it is safe to retry."
            }
            TransportErrorKind::Proxy => {
                "Check the proxy in HTTPS_PROXY or ALL_PROXY; NO_PROXY lists the hosts that need none. It is safe to \
                 retry."
            }
            TransportErrorKind::Certificate => {
                "Check the API URL. If a proxy inspects TLS, trust its CA certificate: on Linux, set SSL_CERT_FILE."
            }
            TransportErrorKind::CertificateExpired => {
                "Check the clock of this machine. If the clock is right, the certificate has to be renewed."
            }
            TransportErrorKind::ProxyAuthentication => {
                "Put the user name and the password into the URL of the proxy, as in http://user:password@host:port."
            }
            TransportErrorKind::RateLimited => {
                "Retry later, or with a longer timeout: the requests before this one use up the rate limit."
            }
            TransportErrorKind::Connect => {
                "Check the API URL and the network; it is safe to retry."
            }
            _ => "It is safe to retry.",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, &self.source) {
            (TransportErrorKind::Dns, _) => "the name of the server could not be resolved",
            (TransportErrorKind::Proxy, _) => {
                "the proxy was not reached, or did not connect to the server"
            }
            (TransportErrorKind::Certificate, _) => "the certificate of the server was refused",
            (TransportErrorKind::CertificateExpired, _) => {
                "the certificate of the server has expired or is not valid yet"
            }
            (TransportErrorKind::ProxyAuthentication, _) => {
                "the proxy requires a user name and a password"
            }
            (_, Some(source)) => return source.fmt(f),
            (_, None) => "the rate limit left no permit in time",
        })
    }
}

impl StdError for TransportError {
    /// Returns the root cause. The errors in between only say "client error" and the like.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let mut cause = self.source.as_ref()?.source()?;
        while let Some(next) = cause.source() {
            cause = next;
        }
        Some(cause)
    }
}
