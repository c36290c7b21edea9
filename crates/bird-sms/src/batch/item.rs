use super::{RowState, UnknownRows};
use crate::{ConnectorState, Error, SmsChannel, SmsConnectorRequest};

/// The request for one phone number, and the state of its row. Made from a request, or by [`resume`](Self::resume).
#[derive(Clone, Debug, PartialEq)]
pub struct BatchItem {
    pub(super) request: SmsConnectorRequest,
    pub(super) state: RowState,
    pub(super) unknown: UnknownRows,
}

impl BatchItem {
    /// Creates an item that continues where an earlier run stopped, with the [next step](RowState::next) of the row.
    ///
    /// If the connector exists, the batch waits for its channel. A row whose outcome is unknown is left alone, and ends
    /// with [`Error::OutcomeUnknown`] without a request: see [`unknown_rows`](Self::unknown_rows).
    #[must_use]
    pub fn resume(request: SmsConnectorRequest, state: impl Into<RowState>) -> Self {
        Self { request, state: state.into(), unknown: UnknownRows::default() }
    }

    /// Sets what happens if the outcome of the row is unknown. With [`UnknownRows::Retry`] the batch creates the
    /// connector again, and the result warns that an earlier attempt may have created a connector, too.
    #[must_use]
    pub fn unknown_rows(self, unknown: UnknownRows) -> Self {
        Self { unknown, ..self }
    }
}

/// Creates an item whose first step is the creation.
impl From<SmsConnectorRequest> for BatchItem {
    fn from(request: SmsConnectorRequest) -> Self {
        Self::resume(request, RowState::default())
    }
}

/// The outcome of one install of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The request of the install.
    pub request: SmsConnectorRequest,
    /// The channel, or why there is none.
    pub result: Result<SmsChannel, Error>,
    /// What is known about the row, from this run and from earlier runs.
    pub state: RowState,
    /// Whether this run created the connector.
    pub created: bool,
}

impl BatchOutcome {
    /// Returns what is known about the connector of the row.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        self.state.connector_state()
    }
}
