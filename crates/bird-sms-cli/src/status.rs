//! The mapping from the state of a connector to a status, an exit code and a description.

use bird_sms::{ConnectorState, Error, NotReadyReason};
use serde::Serialize;

use crate::exit::Code;

/// The status of a row in the outcomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Ready,
    /// The connector exists, and its channel is not ready.
    NotReady,
    /// The connector exists, and the batch stopped before its channel was ready.
    Stopped,
    /// A connector may exist.
    Unknown,
    /// A connector exists, and its id is not known.
    Exists,
    /// Bird refused the request, or the request cannot be sent.
    Refused,
    /// No connector was created: Bird was not reached, or the journal could not be written.
    Unreachable,
}

impl Status {
    /// Returns the status of an install that is not ready. Without an error, its batch stopped.
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

    /// Returns the description of rows with this status in a summary.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "exist without their channel; the same command continues to wait",
            Self::Stopped => "stopped, and their connectors exist; the same command continues",
            Self::Unknown => {
                "unknown: a connector may exist; check the Bird dashboard, then give --adopt or --retry-unknown"
            }
            Self::Exists => {
                "exist, and the id of their connector is not known; find it in the Bird dashboard and give --adopt"
            }
            Self::Refused => "refused, no connector created",
            Self::Unreachable => "failed, no connector created",
        }
    }
}
