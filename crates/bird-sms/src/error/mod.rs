//! The errors of the crate, by what is known about the connector.

mod attempt;
mod check;
mod install;
mod numbers;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use attempt::{
    AttemptError, ErrorResponse, MalformedResponse, TransportError, TransportErrorKind,
};
pub use check::{CheckError, CheckProblem};
pub use install::{
    CreatedIdUnknown, JournalError, NotReady, NotReadyReason, OutcomeUnknown, ReadError, Refused,
    UnknownReason, Unreachable,
};
pub use numbers::{NumbersError, NumbersRead};
use serde::{Serialize, Serializer};

use crate::{ConfigurationError, ConnectorId, ConnectorState, Warning};

/// Why an install, a wait, a read or a row of a batch failed. Each variant tells what is known about the connector.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().fault("get:403".parse()?).in_memory();
/// # let (transport, key, id) = (sandbox.transport(), sandbox.access_key(), sandbox.workspace_id());
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use bird_sms::ConnectorState;
///
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// if let Err(error) = workspace.install_sms_channel("My SMS channel", number).await {
///     eprintln!("{}", error.chain()); // `{error}` hides the cause
///     match error.connector_state() {
///         ConnectorState::NotCreated => eprintln!("correct the cause, and call again"),
///         ConnectorState::Exists(id) => eprintln!("continue with pending_channel({id})"),
///         ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
///             eprintln!("look in the dashboard: the number shows {:?}", error.existing());
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// | variant | [`connector_state`](Self::connector_state) | what to do |
/// |---|---|---|
/// | [`Configuration`](Self::Configuration) | `NotCreated` | correct the input |
/// | [`Refused`](Self::Refused) | `NotCreated` | correct the request |
/// | [`Unreachable`](Self::Unreachable) | `NotCreated` | call again |
/// | [`OutcomeUnknown`](Self::OutcomeUnknown) | `Unknown`, or `ExistsIdUnknown` after a conflict | look in the dashboard before you call again |
/// | [`CreatedIdUnknown`](Self::CreatedIdUnknown) | `ExistsIdUnknown` | find the id in the dashboard |
/// | [`NotReady`](Self::NotReady) | `Exists` | continue to wait |
/// | [`Read`](Self::Read) | `Exists` | correct the cause, continue to wait |
/// | [`Journal`](Self::Journal) | the state when the journal failed | repair the journal, resume |
///
/// `Display` writes one clause that includes the state. [`source`](std::error::Error::source) returns the cause,
/// [`chain`](Self::chain) both on one line, and [`hint`](Self::hint) what to do next.
///
/// Serializes as a JSON object: the variant as `error`, the whole chain as `message`, what to do next as `hint`, the state as
/// `connectorState` and `connectorId`, `retryable`, and what is known of the last response and the attempts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be used. Nothing was sent.
    #[error("the input cannot be used, and no connector was created")]
    Configuration(#[from] ConfigurationError),
    /// Bird, or a proxy in front of it, refused the request: this call created no connector. After a 409, one from an
    /// earlier call exists.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// No attempt was processed: there was no connection, or the rate limit left no permit in time.
    #[error(transparent)]
    Unreachable(Box<Unreachable>),
    /// The request was sent and its outcome is unknown. It is not sent again, because that may create a second connector.
    #[error(transparent)]
    OutcomeUnknown(Box<OutcomeUnknown>),
    /// Bird reported a creation in a response without a usable id: a connector exists.
    #[error(transparent)]
    CreatedIdUnknown(Box<CreatedIdUnknown>),
    /// The connector exists, but the deadline passed before its channel was ready, or the batch was shut down. See
    /// [`NotReady::reason`].
    #[error(transparent)]
    NotReady(Box<NotReady>),
    /// The connector could not be read. After an install it exists; otherwise, it exists if the id is correct.
    #[error(transparent)]
    Read(Box<ReadError>),
    /// The journal could not be read or written. If that was before the POST, nothing was sent. See
    /// [`JournalError::state`].
    #[error(transparent)]
    Journal(Box<JournalError>),
}

impl Error {
    /// Returns what is known about the connector.
    ///
    /// # Troubleshooting
    ///
    /// - `NotCreated`: correct the cause and call again.
    /// - `Exists(id)`: continue with [`Workspace::pending_channel`](crate::Workspace::pending_channel). Don't create it again.
    /// - `Unknown`: usually a timeout or a gateway error. The connector may appear later, so look in the dashboard before you call
    ///   again; [`existing`](Self::existing) lists what the number shows.
    /// - `ExistsIdUnknown`: the dashboard shows its id. [`Workspace::adopt`](crate::Workspace::adopt) adds it to a journal.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        match self {
            Self::Configuration(_) | Self::Refused(_) | Self::Unreachable(_) => {
                ConnectorState::NotCreated
            }
            Self::OutcomeUnknown(error) => match error.reason {
                UnknownReason::AlreadyExists | UnknownReason::OtherPhoneNumber { .. } => {
                    ConnectorState::ExistsIdUnknown
                }
                _ => ConnectorState::Unknown,
            },
            Self::CreatedIdUnknown(_) => ConnectorState::ExistsIdUnknown,
            Self::NotReady(error) => ConnectorState::Exists(error.connector_id),
            Self::Read(error) => ConnectorState::Exists(error.connector_id),
            Self::Journal(error) => error.state,
        }
    }

    /// Returns whether a connector exists or may exist. If not, the same call can't create anything twice.
    #[must_use]
    pub fn connector_may_exist(&self) -> bool {
        self.connector_state().may_exist()
    }

    /// Returns the id of the connector, if it is known.
    #[must_use]
    pub fn connector_id(&self) -> Option<ConnectorId> {
        self.connector_state().connector_id()
    }

    /// Returns the SMS connectors that the phone number shows, after a 409 or a [lookup](crate::ClientBuilder::look_up)
    /// that did not find the connector of the request.
    #[must_use]
    pub fn existing(&self) -> &[ConnectorId] {
        match self {
            Self::Refused(error) => &error.existing,
            Self::OutcomeUnknown(error) => &error.existing,
            Self::CreatedIdUnknown(error) => &error.existing,
            _ => &[],
        }
    }

    pub(crate) fn set_existing(&mut self, existing: Vec<ConnectorId>) {
        match self {
            Self::Refused(error) => error.existing = existing,
            Self::OutcomeUnknown(error) => error.existing = existing,
            Self::CreatedIdUnknown(error) => error.existing = existing,
            _ => {}
        }
    }

    /// Returns the warning that an earlier attempt of this creation may have created another connector.
    pub(crate) fn earlier_warning(&self) -> Option<Warning> {
        match self {
            Self::OutcomeUnknown(error) => {
                let status = error.earlier.as_ref()?.status;
                Some(Warning::PossibleDuplicate { status: Some(status) })
            }
            Self::CreatedIdUnknown(error) => error.warning,
            _ => None,
        }
    }

    /// Returns the last response whose status was not 2xx.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Refused(error) => Some(&error.response),
            Self::OutcomeUnknown(error) => error.response(),
            Self::NotReady(error) => error.last.as_ref().and_then(AttemptError::response),
            Self::Read(error) => error.cause.response(),
            Self::Journal(error) => match &error.ended {
                Some(Err(error)) => error.response(),
                _ => None,
            },
            Self::Configuration(_) | Self::Unreachable(_) | Self::CreatedIdUnknown(_) => None,
        }
    }

    /// Returns the HTTP status of the last response. It is a 2xx if the response could not be decoded.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let malformed = || self.malformed().map(|response| response.status);
        self.response().map(|response| response.status).or_else(malformed)
    }

    /// Returns the last response whose status was 2xx and whose body cannot be decoded, if that was the error.
    pub(crate) fn malformed(&self) -> Option<&MalformedResponse> {
        match self {
            Self::CreatedIdUnknown(error) => Some(&error.response),
            Self::NotReady(error) => error.last.as_ref().and_then(AttemptError::malformed),
            Self::Read(error) => error.cause.malformed(),
            _ => None,
        }
    }

    /// Returns whether repeating the same step later may succeed: the call, if no connector was created, or the wait, if
    /// one exists.
    ///
    /// # Troubleshooting
    ///
    /// `true` means that this call ran out of time or attempts: Bird was slow, unreachable or over its rate limit. Try again
    /// in a minute, or with a longer timeout. `false` means that something must be corrected first, or that a second call
    /// may create a second connector: see [`hint`](Self::hint).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(error) => error.retryable,
            Self::Unreachable(error) => error.retryable,
            Self::NotReady(_) => true,
            Self::Read(error) => error.retryable,
            Self::Configuration(_)
            | Self::OutcomeUnknown(_)
            | Self::CreatedIdUnknown(_)
            | Self::Journal(_) => false,
        }
    }

    /// Returns the variant in kebab case, such as `not-ready`, as JSON has it. It makes a good label for a counter.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "configuration",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::OutcomeUnknown(_) => "outcome-unknown",
            Self::CreatedIdUnknown(_) => "created-id-unknown",
            Self::NotReady(_) => "not-ready",
            Self::Read(_) => "read",
            Self::Journal(_) => "journal",
        }
    }

    /// Returns whether the access key was refused: the last response was a 401 or a 403.
    ///
    /// # Troubleshooting
    ///
    /// A 401 is a wrong or revoked key, a key of another product of Bird, or a role that may not use the API. After a 403,
    /// no policy of the role allows the request. [`Workspace::check`](crate::Workspace::check) tells more.
    #[must_use]
    pub fn is_access_refused(&self) -> bool {
        self.response().is_some_and(|response| matches!(response.status, 401 | 403))
    }

    /// Returns the warning of the creation: another connector may exist.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        match self {
            Self::NotReady(error) => error.warning,
            Self::Read(error) => error.warning,
            Self::Journal(error) => error.warning,
            _ => None,
        }
    }

    /// Returns how many attempts were made, and how long they took.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        match self {
            Self::Configuration(_) | Self::Journal(_) => Attempts::default(),
            Self::Refused(error) => error.attempts,
            Self::Unreachable(error) => error.attempts,
            Self::OutcomeUnknown(error) => error.attempts,
            Self::CreatedIdUnknown(error) => error.attempts,
            Self::NotReady(error) => Attempts { count: error.polls, elapsed: error.waited },
            Self::Read(error) => error.attempts,
        }
    }

    /// Returns the error and its causes on one line, as `{:#}` of anyhow prints them.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Configuration(_) => None,
            Self::Refused(error) => Some(error.hint()),
            Self::Unreachable(error) => Some(error.cause.hint()),
            Self::OutcomeUnknown(_) => Some(
                "Check the Bird dashboard for the connector before you retry: a second request may create a \
                 second connector.",
            ),
            Self::CreatedIdUnknown(_) => {
                Some("Find the connector in the Bird dashboard, and do not create it again.")
            }
            Self::NotReady(error) => Some(error.hint()),
            Self::Read(error) => Some(error.hint()),
            Self::Journal(error) => Some(error.hint()),
        }
    }
}

/// An error as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    connector_state: &'static str,
    connector_id: Option<ConnectorId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    existing: &'a [ConnectorId],
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<NotReadyReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Warning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    attempts: u32,
    elapsed_seconds: f64,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (response, malformed) = (self.response(), self.malformed());
        let request_id = response
            .and_then(|response| response.request_id.as_deref())
            .or_else(|| malformed?.request_id.as_deref());
        Json {
            error: self.kind(),
            message: self.chain(),
            hint: self.hint(),
            connector_state: self.connector_state().kind(),
            connector_id: self.connector_id(),
            existing: self.existing(),
            retryable: self.is_retryable(),
            reason: match self {
                Self::NotReady(error) => Some(error.reason),
                _ => None,
            },
            warning: self.warning(),
            status: self.status(),
            code: response.and_then(|response| response.code.as_deref()),
            details: response
                .map(|response| &response.details)
                .filter(|details| !details.is_empty()),
            request_id,
            attempts: self.attempts().count,
            elapsed_seconds: self.attempts().elapsed.as_secs_f64(),
        }
        .serialize(serializer)
    }
}

/// Returns an error and its causes on one line, separated by colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// How many attempts a call made, and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many requests were sent, or could not be sent.
    pub count: u32,
    /// The time from the start of the call, with the delays between attempts.
    pub elapsed: Duration,
}

/// `3 attempts in 2.1 s`
impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} attempt{plural} in {seconds:.1} s", self.count)
    }
}
