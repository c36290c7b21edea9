//! Maps the state of a connector to a status, an exit code and a description.

use bird_sms::{ConnectorState, Error, NotReadyReason};
use serde::Serialize;

use crate::exit::Code;

/// The status of a row in the outcome file of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Ready,
    /// The connector exists, but its channel is not ready.
    NotReady,
    /// The connector exists, but the batch stopped before its channel was ready.
    Stopped,
    /// A connector may exist.
    Unknown,
    /// A connector exists, but its id is not known.
    Exists,
    /// Bird refused the request, or the request cannot be sent.
    Refused,
    /// No connector was created, because Bird could not be reached or the journal could not be written.
    Unreachable,
}

impl Status {
    /// Returns the status of an install that is not ready. `None` as the error means that the batch was stopped.
    pub(crate) fn of(state: ConnectorState, error: Option<&Error>) -> Self {
        match (state, error) {
            (ConnectorState::Exists(_), None) => Self::Stopped,
            (ConnectorState::Exists(_), Some(Error::NotReady(_, reason, _)))
                if *reason != NotReadyReason::Deadline =>
            {
                Self::Stopped
            }
            (ConnectorState::Exists(_), _) => Self::NotReady,
            (ConnectorState::ExistsIdUnknown, _) => Self::Exists,
            (ConnectorState::Unknown, _) => Self::Unknown,
            (ConnectorState::NotCreated, Some(Error::Refused(_) | Error::Configuration(_))) => {
                Self::Refused
            }
            (ConnectorState::NotCreated, _) => Self::Unreachable,
        }
    }

    pub(crate) fn code(self) -> Code {
        match self {
            Self::Ready => Code::Done,
            Self::NotReady | Self::Stopped => Code::NotReady,
            Self::Unknown | Self::Exists => Code::IdUnknown,
            Self::Refused => Code::Refused,
            Self::Unreachable => Code::Unreachable,
        }
    }

    /// Describes the rows with this status, for a summary.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "exist without a channel; run the same command to continue waiting",
            Self::Stopped => {
                "stopped, but their connectors exist; run the same command to continue"
            }
            Self::Unknown => {
                "unknown: a connector may exist; check the Bird dashboard, then give --adopt or --retry-unknown"
            }
            Self::Exists => {
                "exist, but the id of their connector is not known; find it in the Bird dashboard and give --adopt"
            }
            Self::Refused => "refused, no connector created",
            Self::Unreachable => "failed, no connector created",
        }
    }
}
