use std::error::Error as StdError;

use bird_api::{ExchangeError, ExchangeErrorKind};

use super::tls::no_trust;
use crate::{TransportError, TransportErrorKind};

/// Classifies the failures that the workflow treats differently: a refused certificate is final, and another failure to
/// connect is not.
impl From<ExchangeError> for TransportError {
    fn from(source: ExchangeError) -> Self {
        let kind = match source.kind() {
            ExchangeErrorKind::Connect if refused_by_proxy(&source) => {
                TransportErrorKind::ProxyAuthentication
            }
            ExchangeErrorKind::Connect => no_trust(&source).unwrap_or(TransportErrorKind::Connect),
            ExchangeErrorKind::TimedOut => TransportErrorKind::TimedOut,
            ExchangeErrorKind::Redirected => TransportErrorKind::Redirected,
            _ => TransportErrorKind::Disconnected,
        };
        Self::new(kind, source)
    }
}

/// Returns whether the proxy responded with 407 to a CONNECT. The text is compared, because hyper-util's error type is
/// private; a test fails if the text changes.
fn refused_by_proxy(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().ends_with("proxy authorization required") {
            return true;
        }
        next = error.source();
    }
    false
}
