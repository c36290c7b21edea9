//! The errors of an install: of its creation, its wait and its journal.

use std::time::Duration;
use std::{fmt, io};

use serde::Serialize;

use super::attempt::PROXY_AUTHENTICATION;
use super::check::OTHER_PRODUCT;
use super::{AttemptError, Attempts, Error, ErrorResponse, MalformedResponse, TransportError};
use crate::{ConnectorId, ConnectorState, PhoneNumberId, SmsChannel, Warning};

/// The details of [`Error::Refused`](crate::Error::Refused).
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The response that refused the request.
    pub response: ErrorResponse,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// Whether the call ran out of time or attempts, rather than hitting a final error.
    pub(crate) retryable: bool,
    /// The SMS connectors that the phone number shows, after a 409.
    pub existing: Vec<ConnectorId>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was refused, and no connector was created")?;
        write_existing(f, &self.existing)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.response)
    }
}

impl Refused {
    pub(super) fn hint(&self) -> &'static str {
        match self.response.status {
            300..=399 => {
                "Check the API URL. Redirects are not followed, because the access key would be sent to another host."
            }
            401 if self.response.other_product => OTHER_PRODUCT,
            401 => "Check the access key, and that its role may use the API.",
            403 => {
                "The access key's policy must allow `create` on /workspaces/{workspaceId}/connectors."
            }
            404 => "Check the workspace id.",
            407 => PROXY_AUTHENTICATION,
            409 if !self.existing.is_empty() => {
                "A connector for this phone number exists already: wait for its channel."
            }
            409 => {
                "A connector for this phone number exists already. The Bird dashboard shows its id."
            }
            422 if self.response.is_about("useCaseId") => {
                "Give the id of a use case. https://docs.bird.com/api/channels-api/supported-channels/programmable-sms/installing-an-sms-channel/sms-use-cases describes use cases."
            }
            422 if self.response.is_about("phoneNumberId") => {
                "Check the phone number id. https://docs.bird.com/api/numbers-api/api-reference/long-code-numbers describes numbers."
            }
            429 => "The workspace is over its rate limit. Retry later.",
            _ => "Correct the request and retry.",
        }
    }
}

/// The details of [`Error::Unreachable`](crate::Error::Unreachable).
#[derive(Debug, thiserror::Error)]
#[error("Bird was not reached after {attempts}, and no connector was created")]
#[non_exhaustive]
pub struct Unreachable {
    /// The error of the last attempt.
    #[source]
    pub cause: TransportError,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// Whether the call ran out of time or attempts, rather than hitting a final error.
    pub(crate) retryable: bool,
}

/// The details of [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Debug)]
#[non_exhaustive]
pub struct OutcomeUnknown {
    /// Why the outcome is unknown.
    pub reason: UnknownReason,
    /// The error of the last attempt, or `None` if it was abandoned.
    pub last: Option<AttemptError>,
    /// The error response to an earlier attempt, which may have created a connector.
    pub earlier: Option<ErrorResponse>,
    /// The SMS connectors that the phone number shows. None of them is certain to be the one of this request: its name
    /// differs, it is older, or more than one agrees.
    pub existing: Vec<ConnectorId>,
    /// The attempts that were made.
    pub attempts: Attempts,
}

impl OutcomeUnknown {
    pub(crate) fn new(reason: UnknownReason) -> Self {
        let attempts = Attempts::default();
        Self { reason, last: None, earlier: None, existing: Vec::new(), attempts }
    }

    /// Returns the error of an install whose connector seems to belong to another phone number.
    pub(crate) fn of_other(
        connector_id: ConnectorId,
        phone_number_id: PhoneNumberId,
        attempts: Attempts,
    ) -> Error {
        let reason = UnknownReason::OtherPhoneNumber { connector_id, phone_number_id };
        Error::OutcomeUnknown(Box::new(Self { attempts, ..Self::new(reason) }))
    }

    /// Returns the response to the last attempt, or else the response to an earlier attempt.
    pub(super) fn response(&self) -> Option<&ErrorResponse> {
        self.last.as_ref().and_then(AttemptError::response).or(self.earlier.as_ref())
    }
}

impl fmt::Display for OutcomeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if self.attempts.count > 0 {
            write!(f, " (after {}", self.attempts)?;
            if let Some(earlier) = &self.earlier {
                write!(f, ", an earlier response was {earlier}")?;
            }
            f.write_str(")")?;
        }
        write_existing(f, &self.existing)
    }
}

impl std::error::Error for OutcomeUnknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last.as_ref().map(|last| last as _)
    }
}

/// Why an outcome is unknown. `Display` writes it as one clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// There was no response, or one that leaves open what became of the request, such as a 408 or a 303.
    #[error(
        "the request was sent and no response says what became of it, so a connector may exist"
    )]
    NoResponse,
    /// Bird responded with a server error, and may have created a connector all the same.
    #[error("the server responded with an error, so a connector may exist")]
    ServerError,
    /// A gateway responded with 502, 504 or 520–530, and may have forwarded the request.
    #[error(
        "a gateway responded with an error and may have forwarded the request, so a connector may exist"
    )]
    GatewayError,
    /// Bird responded with a conflict, probably because an earlier attempt, whose outcome is unknown, created the connector.
    #[error("a connector for this phone number exists, probably created by an earlier attempt")]
    AlreadyExists,
    /// The last attempt created nothing, but an attempt of an earlier run may have created a connector.
    #[error("the outcome of an earlier attempt is still unknown, so a connector may exist")]
    EarlierAttempt,
    /// The response names a connector of another phone number.
    #[error(
        "the connector exists, and its id is not known: the response names connector {connector_id}, which belongs to \
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

/// The details of [`Error::CreatedIdUnknown`](crate::Error::CreatedIdUnknown).
#[derive(Debug)]
#[non_exhaustive]
pub struct CreatedIdUnknown {
    /// The response that reported the creation.
    pub response: MalformedResponse,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// The SMS connectors that the phone number shows.
    pub existing: Vec<ConnectorId>,
    /// The warning that an earlier attempt may have created another connector.
    pub(crate) warning: Option<Warning>,
}

impl fmt::Display for CreatedIdUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the connector exists, and its id is not known because the response cannot be read",
        )?;
        write_existing(f, &self.existing)
    }
}

impl std::error::Error for CreatedIdUnknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.response)
    }
}

/// Writes the connectors of the phone number.
fn write_existing(f: &mut fmt::Formatter<'_>, existing: &[ConnectorId]) -> fmt::Result {
    for (nth, id) in existing.iter().enumerate() {
        let before = if nth == 0 { "; the phone number has connector " } else { ", " };
        write!(f, "{before}{id}")?;
    }
    Ok(())
}

/// The details of [`Error::NotReady`](crate::Error::NotReady).
#[derive(Debug)]
#[non_exhaustive]
pub struct NotReady {
    /// The connector to [resume](crate::Workspace::pending_channel) with.
    pub connector_id: ConnectorId,
    /// How long the wait took.
    pub waited: Duration,
    /// How many GETs were sent.
    pub polls: u32,
    /// Whether a response, such as the one to the creation, contained the connector. If not, the id may be wrong.
    pub seen: bool,
    /// Why the wait ended.
    pub reason: NotReadyReason,
    /// The warning that an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    /// The error of the last poll, if the poll failed.
    pub last: Option<AttemptError>,
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

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, seconds, polls) = (self.connector_id, self.waited.as_secs_f64(), self.polls);
        let what =
            if self.seen { "exists, and its channel is not ready" } else { "could not be read" };
        write!(f, "connector {id} {what}")?;
        if polls > 0 {
            let plural = if polls == 1 { "" } else { "s" };
            write!(f, " after {seconds:.1} s and {polls} poll{plural}")?;
        }
        match self.reason {
            NotReadyReason::Deadline => Ok(()),
            NotReadyReason::Shutdown => f.write_str(": the batch was shut down"),
            NotReadyReason::AccessRefused => {
                f.write_str(": the batch was stopped because the access key is refused")
            }
        }
    }
}

impl NotReady {
    pub(super) fn hint(&self) -> &'static str {
        match &self.last {
            Some(last) if !self.seen => hint_of_read(last),
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
    /// Whether the call ran out of time or attempts, rather than hitting a final error.
    pub(crate) retryable: bool,
    /// The warning that an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
}

impl ReadError {
    pub(super) fn hint(&self) -> &'static str {
        hint_of_read(&self.cause)
    }
}

/// Returns what to do after a GET that failed.
fn hint_of_read(cause: &AttemptError) -> &'static str {
    match cause {
        AttemptError::Response(response) => match response.status {
            401 if response.other_product => OTHER_PRODUCT,
            401 => "Check the access key, and that its role may use the API.",
            403 => {
                "The access key's policy must allow `view` on /workspaces/{workspaceId}/connectors/{connectorId}."
            }
            404 => "Check the connector id and the workspace id.",
            407 => PROXY_AUTHENTICATION,
            300..=399 => "Check the API URL. Redirects are not followed.",
            _ => "Retry later; do not create the connector again.",
        },
        AttemptError::Transport(error) => error.hint(),
        AttemptError::OtherTemplate(_) => {
            "Look at the connector in the Bird dashboard: it has no SMS channel. If an install created it, do not create it \
             again."
        }
        AttemptError::Malformed(_)
        | AttemptError::OtherPhoneNumber(_)
        | AttemptError::OtherConnector(_)
        | AttemptError::OtherWorkspace(_) => {
            "Check that the API URL is Bird's; do not create the connector again."
        }
    }
}

/// The details of [`Error::Journal`].
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// The state of the connector.
    pub state: ConnectorState,
    /// The warning that an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    /// The result of the install, if it is the entry that could not be written.
    pub ended: Option<Result<SmsChannel, Error>>,
    /// The error of the journal.
    pub source: io::Error,
}

impl JournalError {
    pub(super) fn hint(&self) -> &'static str {
        match self.state {
            ConnectorState::NotCreated => {
                "Correct the cause of the journal error and run again. Nothing is lost."
            }
            ConnectorState::Exists(_) if self.ended.is_some() => {
                "Correct the cause of the journal error and run again: the journal has the id of the connector."
            }
            ConnectorState::Exists(_) => {
                "Note the id of the connector, because the journal does not have it."
            }
            ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
                "Check the Bird dashboard for the connector before you retry."
            }
        }
    }
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

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
