use super::RowState;
use crate::{ConnectorState, Error, SmsChannel, SmsConnectorRequest};

/// What a batch does for one phone number. Made from a request, or by [`resume`](Self::resume).
#[derive(Clone, Debug, PartialEq)]
pub struct BatchItem {
    pub(super) request: SmsConnectorRequest,
    pub(super) state: RowState,
}

impl BatchItem {
    /// Continues where an earlier run stopped: takes the [next step](RowState::next) of the row.
    ///
    /// A connector that exists is waited for. A row whose outcome is unknown is created again, and its result says that
    /// an earlier attempt may have created a connector, too.
    #[must_use]
    pub fn resume(request: SmsConnectorRequest, state: impl Into<RowState>) -> Self {
        Self { request, state: state.into() }
    }
}

/// Installs the channel from the start.
impl From<SmsConnectorRequest> for BatchItem {
    fn from(request: SmsConnectorRequest) -> Self {
        Self { request, state: RowState::default() }
    }
}

/// The end of one install of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The request of the install.
    pub request: SmsConnectorRequest,
    /// The channel, or why there is none.
    pub result: Result<SmsChannel, Error>,
    /// What is known of the row now, from this run and the runs before it.
    pub state: RowState,
    /// Whether this run created the connector.
    pub created: bool,
}

impl BatchOutcome {
    /// Returns what is known of the connector of the row.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        self.state.connector_state()
    }
}
