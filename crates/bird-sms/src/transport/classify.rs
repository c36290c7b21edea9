use bird_api::{ExchangeError, ExchangeErrorKind};

use super::tls::no_trust;
use crate::{TransportError, TransportErrorKind};

/// Tells apart the failures that the workflow treats differently: a certificate that is refused is final,
/// another failure to connect is not.
impl From<ExchangeError> for TransportError {
    fn from(source: ExchangeError) -> Self {
        let kind = match source.kind() {
            ExchangeErrorKind::Connect => no_trust(&source).unwrap_or(TransportErrorKind::Connect),
            ExchangeErrorKind::TimedOut => TransportErrorKind::TimedOut,
            ExchangeErrorKind::Redirected => TransportErrorKind::Redirected,
            _ => TransportErrorKind::Disconnected,
        };
        Self::new(kind, source)
    }
}
