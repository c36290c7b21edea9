use super::RowState;
use crate::{ConnectorState, Error, SmsChannel, SmsConnectorRequest};

/// The outcome of one install of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The request of the install.
    pub request: SmsConnectorRequest,
    /// The channel, or why there is none.
    pub result: Result<SmsChannel, Error>,
    /// The state of the row after this run and earlier ones.
    pub state: RowState,
    /// Whether this run created the connector.
    pub created: bool,
    /// Whether the outcome only repeats the journal: the channel was ready before, or the outcome is unknown and no
    /// lookup was possible.
    pub from_journal: bool,
}

impl BatchOutcome {
    /// Returns what is known about the connector of the row.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        self.state.connector_state()
    }

    /// Returns `ready`, or the [kind](Error::kind) of the error. It makes a good label for a counter.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.result.as_ref().map_or_else(Error::kind, |_| "ready")
    }
}
