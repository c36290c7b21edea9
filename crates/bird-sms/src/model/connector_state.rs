use crate::ConnectorId;

/// What is known about a connector after a call.
///
/// ```
/// use bird_sms::{ConnectorState, TransportErrorKind, test_util};
///
/// // An install whose only attempt timed out:
/// let timeout = test_util::no_response(TransportErrorKind::TimedOut, true);
/// let error = test_util::create_error(timeout);
/// assert_eq!(error.connector_state(), ConnectorState::Unknown);
/// assert!(error.connector_state().may_exist());
/// ```
///
/// Exit codes, journal entries and summaries are derived from this value, not from a status code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConnectorState {
    /// No connector was created. It is safe to call again.
    #[default]
    NotCreated,
    /// The request was sent and its outcome is unknown. A second request may create a second connector.
    Unknown,
    /// A connector exists, but no response contained its id.
    ExistsIdUnknown,
    /// This connector exists.
    Exists(ConnectorId),
}

impl ConnectorState {
    /// Returns whether a connector exists or may exist, that is, whether the state is not [`NotCreated`](Self::NotCreated).
    #[must_use]
    pub fn may_exist(self) -> bool {
        self != Self::NotCreated
    }

    /// Returns `not-created`, `unknown`, `exists-id-unknown` or `exists`, as in JSON.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NotCreated => "not-created",
            Self::Unknown => "unknown",
            Self::ExistsIdUnknown => "exists-id-unknown",
            Self::Exists(_) => "exists",
        }
    }

    /// Returns the id of the connector, if it is known.
    #[must_use]
    pub fn connector_id(self) -> Option<ConnectorId> {
        match self {
            Self::Exists(id) => Some(id),
            Self::NotCreated | Self::Unknown | Self::ExistsIdUnknown => None,
        }
    }
}
