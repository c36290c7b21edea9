use std::error::Error as StdError;

use bird_api::{ExchangeError, ExchangeErrorKind};

use crate::{TransportError, TransportErrorKind};

/// Distinguishes the failures that are handled differently or have different hints.
impl From<ExchangeError> for TransportError {
    fn from(source: ExchangeError) -> Self {
        let kind = match source.kind() {
            ExchangeErrorKind::Connect => kind_of_connect_error(&source),
            ExchangeErrorKind::TimedOut => TransportErrorKind::TimedOut,
            ExchangeErrorKind::Redirected => TransportErrorKind::Redirected,
            _ => TransportErrorKind::Disconnected,
        };
        Self::new(kind, source)
    }
}

/// Returns what failed before a connection was established. Compares messages, because the error types of hyper-util
/// are private, and only the HTTP client depends on rustls. Each kind has a test that fails if the message changes.
fn kind_of_connect_error(error: &(dyn StdError + 'static)) -> TransportErrorKind {
    let mut kind = TransportErrorKind::Connect;
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.ends_with("proxy authorization required") {
            return TransportErrorKind::ProxyAuthentication;
        }
        if let Some(problem) = text.strip_prefix("invalid peer certificate: ") {
            return kind_of_certificate_error(problem);
        }
        // The error of a proxy contains the error of the connection to the proxy.
        if text.starts_with("tunnel error") {
            kind = TransportErrorKind::Proxy;
        } else if text == "dns error" && kind == TransportErrorKind::Connect {
            kind = TransportErrorKind::Dns;
        }
        next = error.source();
    }
    kind
}

/// Compares the message of a `rustls::CertificateError`. The verifiers of some platforms leave the times out of it.
fn kind_of_certificate_error(problem: &str) -> TransportErrorKind {
    let is_out_of_date = problem.starts_with("certificate expired")
        || problem.starts_with("certificate not valid yet")
        || matches!(problem, "Expired" | "NotValidYet");
    if is_out_of_date {
        TransportErrorKind::CertificateExpired
    } else {
        TransportErrorKind::Certificate
    }
}
