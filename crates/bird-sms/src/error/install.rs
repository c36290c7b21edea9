//! The parts of the errors of an install.

use std::{fmt, io};

use serde::Serialize;

use super::{AttemptError, Attempts, Error, ErrorResponse};
use crate::{ConnectorId, ConnectorState, PhoneNumberId, SmsChannel, Warning};

/// How the requests of a call failed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Failure {
    /// The error of the last attempt. `None` if there was none, or if it was abandoned.
    pub cause: Option<AttemptError>,
    /// The error response to an earlier attempt that may have created a connector.
    pub earlier: Option<ErrorResponse>,
    /// The attempts that were made. For a wait, these are its polls.
    pub attempts: Attempts,
    /// Whether the call ran out of time or attempts, rather than hitting a final error.
    pub(crate) retryable: bool,
    /// After an unknown outcome or a 409, the connectors of the phone number, except those that are not for SMS. None
    /// of them is certain to be the connector of the request: its name differs, it is older, it could not be read, or
    /// more than one connector matches.
    pub existing: Vec<ConnectorId>,
    /// Present if an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
}

impl Failure {
    pub(crate) fn new(cause: AttemptError, attempts: Attempts, retryable: bool) -> Self {
        Self { cause: Some(cause), attempts, retryable, ..Self::default() }
    }
}

/// Why an outcome is unknown. `Display` writes it as one clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// There was no response, or a response that leaves the outcome open, such as a 408 or a 303.
    #[error("the request was sent, but its outcome is not known, so a connector may exist")]
    NoResponse,
    /// Bird responded with a server error, and may have created a connector all the same.
    #[error("the server responded with an error, so a connector may exist")]
    ServerError,
    /// A gateway responded with 502, 504 or 520–530, and may have forwarded the request.
    #[error(
        "a gateway responded with an error and may have forwarded the request, so a connector may exist"
    )]
    GatewayError,
    /// Bird responded with a conflict, probably because an earlier attempt, whose outcome is unknown, created the
    /// connector.
    #[error("a connector for this phone number exists, probably created by an earlier attempt")]
    AlreadyExists,
    /// The last attempt created nothing, but an attempt of an earlier run may have created a connector.
    #[error("the outcome of an earlier attempt is still unknown, so a connector may exist")]
    EarlierAttempt,
    /// The response names a connector of another phone number.
    #[error(
        "the connector exists, but its id is not known: the response names connector {connector_id}, which belongs to \
         phone number {phone_number_id}"
    )]
    OtherPhoneNumber {
        /// The connector of the response.
        connector_id: ConnectorId,
        /// The phone number that the connector belongs to.
        phone_number_id: PhoneNumberId,
    },
    /// The install was abandoned after its request was sent.
    #[error("the install was abandoned after its request was sent, so a connector may exist")]
    Abandoned,
}

/// Why a wait ended before the channel was ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NotReadyReason {
    /// The deadline passed.
    #[default]
    Deadline,
    /// The batch was shut down or abandoned.
    Shutdown,
    /// The access key was refused to another request of the batch.
    AccessRefused,
}

/// The details of [`Error::Journal`].
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// The state of the connector.
    pub state: ConnectorState,
    /// The warning that an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    /// The result of the install, if writing this result to the journal failed.
    pub ended: Option<Result<SmsChannel, Error>>,
    /// The error of the journal.
    pub source: io::Error,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ended, self.state) {
            (Some(Ok(SmsChannel { id, connector_id, .. })), _) => {
                write!(f, "channel {id} of connector {connector_id} is ready")?;
            }
            (Some(Err(error)), _) => f.write_str(&error.chain())?,
            (None, ConnectorState::Exists(id)) => write!(f, "connector {id} exists")?,
            (None, ConnectorState::NotCreated) => f.write_str("no connector was created")?,
            (None, _) => f.write_str("a connector may exist")?,
        }
        f.write_str(", and the journal failed")
    }
}
