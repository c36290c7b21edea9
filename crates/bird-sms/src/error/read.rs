//! The errors of a wait and of a read.

use std::fmt;
use std::time::Duration;

use super::{AttemptError, Attempts};
use crate::{ConnectorId, Warning};

/// The details of [`Error::NotReady`](crate::Error::NotReady).
#[derive(Debug)]
#[non_exhaustive]
pub struct NotReady {
    /// The connector to [resume](crate::Workspace::pending_channel) with.
    pub connector_id: ConnectorId,
    /// The time from the start of the wait to its end.
    pub waited: Duration,
    /// The number of GETs that were sent.
    pub polls: u32,
    /// Whether a response contained the connector, such as that to its creation. Without one, a wait that was resumed
    /// from an id does not show that the connector exists.
    pub seen: bool,
    /// Set when an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    /// The error of the last poll, if the poll failed.
    pub last: Option<AttemptError>,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, seconds, polls) = (self.connector_id, self.waited.as_secs_f64(), self.polls);
        let plural = if polls == 1 { "" } else { "s" };
        let what =
            if self.seen { "exists, and its channel is not ready" } else { "could not be read" };
        write!(f, "connector {id} {what} after {seconds:.1} s and {polls} poll{plural}")
    }
}

impl NotReady {
    pub(super) fn help(&self) -> &'static str {
        match &self.last {
            Some(last) if !self.seen => help_of_read(last),
            _ => "Continue to wait for the connector; do not create it again.",
        }
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last.as_ref().map(|last| last as _)
    }
}

/// The details of [`Error::Read`](crate::Error::Read).
#[derive(Debug, thiserror::Error)]
#[error("connector {connector_id} could not be read after {attempts}")]
#[non_exhaustive]
pub struct ReadError {
    /// The connector to [resume](crate::Workspace::pending_channel) with.
    pub connector_id: ConnectorId,
    /// The error of the last attempt.
    #[source]
    pub cause: AttemptError,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// Whether there would have been another attempt with more time, or with more attempts.
    pub(crate) retryable: bool,
    /// Set when an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
}

impl ReadError {
    pub(super) fn help(&self) -> &'static str {
        help_of_read(&self.cause)
    }
}

/// Returns what to do after a GET that failed.
fn help_of_read(cause: &AttemptError) -> &'static str {
    match cause {
        AttemptError::Response(response) => match response.status {
            401 => "Check the access key, and that its role may use the API.",
            403 => {
                "The access key's policy must allow `view` on /workspaces/{workspaceId}/connectors/{connectorId}."
            }
            404 => "Check the connector id and the workspace id.",
            407 => "Check the URL of the proxy: it requires a user name and a password.",
            300..=399 => "Check the API URL. Redirects are not followed.",
            _ => "Retry later; do not create the connector again.",
        },
        AttemptError::Transport(error) => error.help(),
        AttemptError::Malformed(_)
        | AttemptError::OtherConnector(_)
        | AttemptError::OtherWorkspace(_) => {
            "Check that the API URL is Bird's; do not create the connector again."
        }
    }
}
