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
    /// No connection was established: DNS, TCP, a proxy or TLS failed.
    Connect,
    /// The server's certificate is not trusted, not for this host, or expired. Never retried.
    Certificate,
    /// No root certificates were found, as in a container without them. Never retried.
    NoTrustedRoots,
    /// The proxy refused to connect without a user name and a password (407). Never retried.
    ProxyAuthentication,
    /// No response came within the attempt timeout.
    TimedOut,
    /// The connection was lost, or the peer did not speak HTTP.
    Disconnected,
    /// The rate limiter of the workspace had no permit left before the deadline. Nothing was sent.
    RateLimited,
    /// The caller's `reqwest::Client` followed a redirect, and sent the access key with it. Never retried.
    Redirected,
}

impl TransportErrorKind {
    /// Returns whether every later attempt would fail in the same way.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::Certificate | Self::NoTrustedRoots | Self::ProxyAuthentication | Self::Redirected
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

    /// Returns whether the server may have acted on the request. `false` is certain: the request did not leave, or the
    /// server said that it did not process it.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.source.as_ref().is_some_and(ExchangeError::may_have_been_sent)
    }

    pub(super) fn help(&self) -> &'static str {
        match self.kind {
            TransportErrorKind::NoTrustedRoots => {
                "Install the CA certificates of the platform, or set SSL_CERT_FILE to a file of CA certificates."
            }
            TransportErrorKind::Certificate => {
                "Check the API URL. If a proxy inspects TLS, trust its CA certificate."
            }
            TransportErrorKind::ProxyAuthentication => {
                "Put the user name and the password into the URL of the proxy, as in http://user:password@host:port."
            }
            TransportErrorKind::RateLimited => {
                "Try again later, or with a longer timeout: the rate limit is used up until after the deadline."
            }
            _ => "It is safe to try again.",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.source) {
            (TransportErrorKind::Certificate, _) => {
                f.write_str("the certificate of the server was refused")
            }
            (TransportErrorKind::NoTrustedRoots, _) => {
                f.write_str("no root certificates were found")
            }
            (TransportErrorKind::ProxyAuthentication, _) => {
                f.write_str("the proxy requires a user name and a password")
            }
            (_, Some(source)) => source.fmt(f),
            (_, None) => f.write_str("the rate limit left no permit before the deadline"),
        }
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
