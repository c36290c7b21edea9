//! The errors of the crate. Their variants differ in what is known about the connector.

mod attempt;
mod check;
mod hint;
mod install;
mod numbers;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub use attempt::{AttemptError, ErrorResponse, TransportError, TransportErrorKind};
pub use check::{CheckError, CheckProblem};
use hint::{Step, after_attempt};
pub use install::{Failure, JournalError, NotReadyReason, UnknownReason};
pub use numbers::{NumbersError, NumbersRead};
use serde::{Serialize, Serializer};

use crate::{ConfigurationError, ConnectorId, ConnectorState, PhoneNumberId, Warning};

/// Why an install, a wait, a read or a row of a batch failed. Each variant tells what is known about the connector.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().fault("get:403".parse()?).in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
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
/// | [`NotReady`](Self::NotReady) | `Exists` | keep waiting |
/// | [`Read`](Self::Read) | `Exists` | correct the cause, keep waiting |
/// | [`Journal`](Self::Journal) | the state when the journal failed | repair the journal, resume |
///
/// `Display` writes one clause that includes the state. [`source`](std::error::Error::source) returns the cause,
/// [`chain`](Self::chain) both on one line, and [`hint`](Self::hint) what to do next.
///
/// Serializes as a JSON object: the variant as `error`, the whole chain as `message`, what to do next as `hint`, the
/// state as `connectorState` and `connectorId`, `retryable`, and what is known of the last response and the attempts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be used. Nothing was sent.
    Configuration(ConfigurationError),
    /// Bird, or a proxy in front of it, refused the request: this call created no connector. After a 409, one from an
    /// earlier call exists.
    Refused(Box<Failure>),
    /// No attempt was processed: there was no connection, or the rate limit allowed no request in time.
    Unreachable(Box<Failure>),
    /// The request was sent, but its outcome is unknown. It is not sent again, because that may create a second
    /// connector.
    OutcomeUnknown(UnknownReason, Box<Failure>),
    /// Bird reported that it created the connector, but the response has no usable id.
    CreatedIdUnknown(Box<Failure>),
    /// The connector exists, but the deadline passed before its channel was ready, or the batch was shut down.
    NotReady(ConnectorId, NotReadyReason, Box<Failure>),
    /// The connector could not be read. After an install it exists; otherwise, it exists if the id is correct.
    Read(ConnectorId, Box<Failure>),
    /// The journal could not be read or written. If that was before the POST, nothing was sent. See
    /// [`JournalError::state`].
    Journal(Box<JournalError>),
}

impl Error {
    pub(crate) fn unknown(reason: UnknownReason) -> Self {
        Self::OutcomeUnknown(reason, Box::default())
    }

    /// Returns the error of an install whose connector seems to belong to another phone number.
    pub(crate) fn of_other(
        connector_id: ConnectorId,
        phone_number_id: PhoneNumberId,
        attempts: Attempts,
        warning: Option<Warning>,
    ) -> Self {
        let reason = UnknownReason::OtherPhoneNumber { connector_id, phone_number_id };
        Self::OutcomeUnknown(reason, Box::new(Failure { attempts, warning, ..Failure::default() }))
    }

    /// Returns what is known about the connector.
    ///
    /// # Troubleshooting
    ///
    /// - `NotCreated`: correct the cause and call again.
    /// - `Exists(id)`: continue with [`Workspace::pending_channel`](crate::Workspace::pending_channel). Don't create it
    ///   again.
    /// - `Unknown`: usually a timeout or a gateway error. The connector may appear later, so look in the dashboard
    ///   before you call again; [`existing`](Self::existing) lists what the number shows.
    /// - `ExistsIdUnknown`: the dashboard shows the id of the connector. [`Workspace::adopt`](crate::Workspace::adopt)
    ///   adds it to a journal.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        match self {
            Self::Configuration(_) | Self::Refused(_) | Self::Unreachable(_) => {
                ConnectorState::NotCreated
            }
            Self::OutcomeUnknown(
                UnknownReason::AlreadyExists | UnknownReason::OtherPhoneNumber { .. },
                _,
            )
            | Self::CreatedIdUnknown(_) => ConnectorState::ExistsIdUnknown,
            Self::OutcomeUnknown(..) => ConnectorState::Unknown,
            Self::NotReady(id, ..) | Self::Read(id, _) => ConnectorState::Exists(*id),
            Self::Journal(error) => error.state,
        }
    }

    /// Returns the id of the connector, if it is known.
    #[must_use]
    pub fn connector_id(&self) -> Option<ConnectorId> {
        self.connector_state().connector_id()
    }

    /// Returns how the requests of the call failed. `None` if the input or the journal is at fault.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure)
            | Self::Unreachable(failure)
            | Self::OutcomeUnknown(_, failure)
            | Self::CreatedIdUnknown(failure)
            | Self::NotReady(.., failure)
            | Self::Read(_, failure) => Some(failure),
            Self::Configuration(_) | Self::Journal(_) => None,
        }
    }

    /// Returns the error of the last attempt.
    #[must_use]
    pub fn cause(&self) -> Option<&AttemptError> {
        self.failure()?.cause.as_ref()
    }

    /// Returns the SMS connectors that the phone number shows, after a 409 or a [lookup](crate::ClientBuilder::look_up)
    /// that did not find the connector of the request.
    #[must_use]
    pub fn existing(&self) -> &[ConnectorId] {
        self.failure().map_or(&[], |failure| failure.existing.as_slice())
    }

    pub(crate) fn set_existing(&mut self, existing: Vec<ConnectorId>) {
        if let Self::Refused(failure)
        | Self::OutcomeUnknown(_, failure)
        | Self::CreatedIdUnknown(failure) = self
        {
            failure.existing = existing;
        }
    }

    /// Returns the last response that was an error: its status was not 2xx, or its body could not be decoded.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        if let Self::Journal(error) = self {
            return error.ended.as_ref()?.as_ref().err()?.response();
        }
        let failure = self.failure()?;
        let last = failure.cause.as_ref().and_then(AttemptError::response);
        last.or(failure.earlier.as_ref())
    }

    /// Returns the HTTP status of the last response. It is a 2xx if the response could not be decoded.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// Returns whether repeating the same step later may succeed: the call, if no connector was created, or the wait,
    /// if one exists.
    ///
    /// # Troubleshooting
    ///
    /// `true` means that this call ran out of time or attempts: Bird was slow, unreachable or over its rate limit. Try
    /// again in a minute, or with a longer timeout. `false` means that something must be corrected first, or that a
    /// second call may create a second connector: see [`hint`](Self::hint).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.failure().is_some_and(|failure| failure.retryable)
    }

    /// Returns the variant in kebab case, such as `not-ready`, as in the JSON. It makes a good label for a counter.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "configuration",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::OutcomeUnknown(..) => "outcome-unknown",
            Self::CreatedIdUnknown(_) => "created-id-unknown",
            Self::NotReady(..) => "not-ready",
            Self::Read(..) => "read",
            Self::Journal(_) => "journal",
        }
    }

    /// Returns whether the access key was refused: the last response was a 401 or a 403.
    ///
    /// # Troubleshooting
    ///
    /// A 401 means that the key is wrong or revoked, that it is for another product of Bird, or that its role may not
    /// use the API. A 403 means that no policy of the role allows the request. Call
    /// [`Workspace::check`](crate::Workspace::check) for details.
    #[must_use]
    pub fn is_access_refused(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Returns the warning that another connector may exist, if there is one.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        match self {
            Self::Journal(error) => error.warning,
            _ => self.failure()?.warning,
        }
    }

    /// Returns how many attempts were made, and how long they took.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        self.failure().map(|failure| failure.attempts).unwrap_or_default()
    }

    /// Returns the error and its causes on one line, like anyhow's `{:#}`.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let after = |step| self.cause().map(|cause| after_attempt(step, cause));
        Some(match self {
            Self::Configuration(_) => return None,
            Self::Refused(failure) if !failure.existing.is_empty() => {
                "A connector for this phone number already exists: wait for its channel."
            }
            Self::Refused(_) | Self::Unreachable(_) => return after(Step::Create),
            Self::Read(..) => return after(Step::Read),
            Self::OutcomeUnknown(..) => {
                "Check the Bird dashboard for the connector before you retry: a second request may create a second \
                 connector."
            }
            Self::CreatedIdUnknown(_) => {
                "Find the connector in the Bird dashboard; do not create it again."
            }
            Self::NotReady(..) => {
                "Keep waiting for the channel; do not create the connector again."
            }
            Self::Journal(error) => match error.state {
                ConnectorState::NotCreated => {
                    "Correct the cause of the journal error and run again. Nothing is lost."
                }
                ConnectorState::Exists(_) if error.ended.is_some() => {
                    "Correct the cause of the journal error and run again: the journal has the id of the connector."
                }
                ConnectorState::Exists(_) => {
                    "Note the id of the connector, because the journal does not have it."
                }
                ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
                    "Check the Bird dashboard for the connector before you retry."
                }
            },
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempts { count, elapsed } = self.attempts();
        match self {
            Self::Configuration(_) => {
                f.write_str("the input cannot be used, and no connector was created")?;
            }
            Self::Refused(_) => {
                f.write_str("the request was refused, and no connector was created")?;
            }
            Self::Unreachable(failure) => {
                let attempts = failure.attempts;
                write!(f, "Bird was not reached after {attempts}, and no connector was created")?;
            }
            Self::OutcomeUnknown(reason, failure) => {
                write!(f, "{reason}")?;
                if count > 0 {
                    write!(f, " (after {}", failure.attempts)?;
                    if let Some(earlier) = &failure.earlier {
                        write!(f, ", an earlier response was {earlier}")?;
                    }
                    f.write_str(")")?;
                }
            }
            Self::CreatedIdUnknown(_) => f.write_str(
                "the connector exists, but its id is not known because the response cannot be read",
            )?,
            Self::NotReady(id, reason, _) => {
                write!(f, "connector {id} exists, but its channel is not ready")?;
                if count > 0 {
                    let plural = if count == 1 { "" } else { "s" };
                    write!(f, " after {:.1} s and {count} poll{plural}", elapsed.as_secs_f64())?;
                }
                f.write_str(match reason {
                    NotReadyReason::Deadline => "",
                    NotReadyReason::Shutdown => ": the batch was shut down",
                    NotReadyReason::AccessRefused => {
                        ": the batch was shut down because the access key is refused"
                    }
                })?;
            }
            Self::Read(id, failure) => {
                write!(f, "connector {id} could not be read after {}", failure.attempts)?;
            }
            Self::Journal(error) => error.fmt(f)?,
        }
        for (nth, id) in self.existing().iter().enumerate() {
            let before = if nth == 0 { "; the phone number has connector " } else { ", " };
            write!(f, "{before}{id}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Configuration(error) => Some(error),
            Self::Journal(error) => Some(&error.source),
            _ => self.cause().map(|cause| cause as _),
        }
    }
}

impl From<ConfigurationError> for Error {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(error)
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
        let response = self.response();
        Json {
            error: self.kind(),
            message: self.chain(),
            hint: self.hint(),
            connector_state: self.connector_state().kind(),
            connector_id: self.connector_id(),
            existing: self.existing(),
            retryable: self.is_retryable(),
            reason: match self {
                Self::NotReady(_, reason, _) => Some(*reason),
                _ => None,
            },
            warning: self.warning(),
            status: self.status(),
            code: response.and_then(|response| response.code.as_deref()),
            details: response
                .map(|response| &response.details)
                .filter(|details| !details.is_empty()),
            request_id: response.and_then(|response| response.request_id.as_deref()),
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
    /// How many requests were sent or could not be sent.
    pub count: u32,
    /// The time since the start of the call, including the delays between attempts.
    pub elapsed: Duration,
}

/// For example, `3 attempts in 2.1 s`.
impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} attempt{plural} in {seconds:.1} s", self.count)
    }
}
