use std::error::Error as StdError;

use bird_api::{ExchangeError, ExchangeErrorKind};

use super::tls::no_trust;
use crate::{TransportError, TransportErrorKind};

/// Classifies the failures that the workflow or their advice treats differently.
impl From<ExchangeError> for TransportError {
    fn from(source: ExchangeError) -> Self {
        let kind = match source.kind() {
            ExchangeErrorKind::Connect => {
                no_trust(&source).unwrap_or_else(|| kind_of_connect_error(&source))
            }
            ExchangeErrorKind::TimedOut => TransportErrorKind::TimedOut,
            ExchangeErrorKind::Redirected => TransportErrorKind::Redirected,
            _ => TransportErrorKind::Disconnected,
        };
        Self::new(kind, source)
    }
}

/// Returns what failed before a connection was established. The texts are compared, because hyper-util's error types
/// are private; a test of each kind fails if its text changes.
fn kind_of_connect_error(error: &(dyn StdError + 'static)) -> TransportErrorKind {
    let mut kind = TransportErrorKind::Connect;
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.ends_with("proxy authorization required") {
            return TransportErrorKind::ProxyAuthentication;
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
