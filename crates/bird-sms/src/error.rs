use std::fmt;
use std::io;
use std::time::Duration;

use crate::{
    ConnectorId, ErrorResponse, MalformedResponse, ParseIdError, SmsChannel, TransportError,
    WorkspaceId,
};

/// Why there is no channel, by what that means for the connector.
///
/// | variant | a connector exists | its id | then |
/// |---|---|---|---|
/// | [`Configuration`](Self::Configuration) | no | | mend the input |
/// | [`Refused`](Self::Refused) | no (not by us) | | mend the request |
/// | [`Unreachable`](Self::Unreachable) | no | | try again |
/// | [`OutcomeUnknown`](Self::OutcomeUnknown) | maybe | unknown | look in the dashboard before trying again |
/// | [`CreatedIdUnknown`](Self::CreatedIdUnknown) | yes | unknown | look in the dashboard |
/// | [`NotReady`](Self::NotReady) | yes | known | go on waiting |
/// | [`Read`](Self::Read) | yes, as far as is known | known | mend the cause, go on waiting |
/// | [`Journal`](Self::Journal) | the error tells | the error tells | mend the record, go on from it |
///
/// # Troubleshooting
///
/// Each variant says in its `Display` what failed, what that means for the connector, and what to do.
/// To act on it, ask [`connector_id`](Self::connector_id) (go on with
/// [`Workspace::pending_channel`](crate::Workspace::pending_channel)) and then
/// [`connector_may_exist`](Self::connector_may_exist) (do not create it again without a look).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input makes no sense. Nothing was sent: no connector exists.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Bird, or a proxy before it, refused: this call created no connector. After a 409 one exists that
    /// somebody created before.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// The last attempt did not get as far as sending the request, or there was none because the rate limit
    /// left no permit; those before it were refused by a rate limit or not sent either. No connector exists.
    #[error(transparent)]
    Unreachable(Box<Unreachable>),
    /// The request was sent, and what became of it is not known: a connector may exist. It is not sent
    /// again, because that could create a second one.
    #[error(transparent)]
    OutcomeUnknown(Box<OutcomeUnknown>),
    /// Bird said that it created a connector, in a response that does not tell its id: a connector exists.
    #[error(transparent)]
    CreatedIdUnknown(Box<CreatedIdUnknown>),
    /// The deadline came before the channel did, or a batch was stopped: the connector exists.
    #[error(transparent)]
    NotReady(Box<NotReady>),
    /// The connector could not be read: after an install it exists, otherwise as far as its id is right.
    #[error(transparent)]
    Read(Box<ReadError>),
    /// What happened could not be recorded, in an install of a batch that keeps a record. Before the POST
    /// that means that nothing was sent; after it [`JournalError`] tells what exists.
    #[error(transparent)]
    Journal(Box<JournalError>),
}

impl Error {
    /// Whether a connector may exist because of the call that failed, or exists for certain. False means
    /// that the same call can be made again without creating anything twice.
    #[must_use]
    pub fn connector_may_exist(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::Refused(_) | Self::Unreachable(_) => false,
            Self::OutcomeUnknown(_)
            | Self::CreatedIdUnknown(_)
            | Self::NotReady(_)
            | Self::Read(_) => true,
            Self::Journal(error) => error.connector_may_exist,
        }
    }

    /// The id of the connector, whenever it is known. Go on from it with
    /// [`Workspace::pending_channel`](crate::Workspace::pending_channel).
    #[must_use]
    pub fn connector_id(&self) -> Option<ConnectorId> {
        match self {
            Self::NotReady(error) => Some(error.connector_id),
            Self::Read(error) => Some(error.connector_id),
            Self::Journal(error) => error.connector_id,
            _ => None,
        }
    }

    /// The last response of the server that was not a success, when there was one.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Refused(error) => Some(&error.response),
            Self::OutcomeUnknown(error) => error.response.as_ref(),
            Self::NotReady(error) => error.last.as_ref().and_then(ReadFailure::response),
            Self::Read(error) => error.cause.response(),
            _ => None,
        }
    }

    /// How many requests were sent or tried, and the time that they took with the waits in between.
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
}

/// How much was tried before giving up: to create the connector, or after that to see its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many requests were sent, or tried to be sent.
    pub count: u32,
    /// How long that took, with the waits in between.
    pub elapsed: Duration,
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} attempt{plural} in {seconds:.1} s", self.count)
    }
}

/// Input that makes no sense. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// There is no access key.
    #[error("there is no access key; set BIRD_ACCESS_KEY")]
    NoAccessKey,
    /// The access key cannot be one.
    #[error("the access key {0}")]
    AccessKey(&'static str),
    /// The base URL cannot be one.
    #[error("the API's URL {0}")]
    BaseUrl(&'static str),
    /// The user agent cannot be sent in a header.
    #[error("the user agent contains a character that cannot be sent in a header")]
    UserAgent,
    /// An id is not a UUID.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// A connector needs a name.
    #[error("the name is empty; a connector needs one")]
    EmptyName,
    /// A message type was given, but no text.
    #[error("the channel message type is empty; give a value such as `promotional`, or none")]
    EmptyChannelMessageType,
    /// A rate limit of zero would never send anything.
    #[error("a rate limit is zero; give at least one request a second")]
    ZeroRateLimit,
    /// A time that must not be zero is zero.
    #[error("{0} is zero")]
    ZeroDuration(&'static str),
    /// TLS or the HTTP client could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}

/// See [`Error::Refused`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The response.
    pub response: ErrorResponse,
    /// What was tried.
    pub attempts: Attempts,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bird refused to create the connector: {}. ", self.response)?;
        f.write_str(match self.response.status {
            300..=399 => {
                "Nothing was created. Redirects are not followed, so that the access key stays where it \
                 belongs; check the API's URL"
            }
            401 => "Nothing was created. Check the access key, and that its role may use the API",
            403 => {
                "Nothing was created. The access key's policy must allow `create` on \
                 /workspaces/{workspaceId}/connectors"
            }
            404 => "Nothing was created. Check the workspace id",
            407 => "Nothing was created. The proxy wants to be told who asks; check the proxy's URL",
            409 => {
                "Nothing was created now: a connector for this phone number exists already. Its id is in \
                 the dashboard"
            }
            429 => "Nothing was created. The workspace is over its rate limit; try again later",
            _ => "Nothing was created. Mend the request and try again",
        })
    }
}

impl std::error::Error for Refused {}

/// See [`Error::Unreachable`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Unreachable {
    /// What happened to the last attempt.
    pub cause: TransportError,
    /// What was tried.
    pub attempts: Attempts,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bird was not reached: {} ({}). Nothing was created; it is safe to try again",
            self.cause, self.attempts
        )
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// See [`Error::OutcomeUnknown`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OutcomeUnknown {
    /// Why it is not known.
    pub reason: UnknownReason,
    /// The last response; when none came to the last attempt, the server error that came before, if any.
    pub response: Option<ErrorResponse>,
    /// What happened to the last attempt, when there was no response.
    pub cause: Option<TransportError>,
    /// What was tried.
    pub attempts: Attempts,
}

/// Why it is not known whether a connector was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The request was sent and no response came, or a 408.
    NoResponse,
    /// Bird answered 5xx, to the end or before an attempt that failed otherwise. It may have created
    /// the connector all the same.
    ServerError,
    /// Bird answered 5xx and then, to the next attempt, that a connector exists: probably the one that
    /// the attempt before created.
    AlreadyExists,
}

impl fmt::Display for OutcomeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            UnknownReason::NoResponse => "The request was sent but not answered",
            UnknownReason::ServerError => "Bird answered the request with a server error",
            UnknownReason::AlreadyExists => {
                "A connector for this phone number exists, probably created by an attempt that Bird \
                 answered with a server error"
            }
        })?;
        if let Some(response) = &self.response {
            let which = if self.cause.is_some() { "an earlier" } else { "the last" };
            write!(f, "; {which} response was {response}")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, "; the last attempt ended so: {cause}")?;
        }
        write!(
            f,
            " ({}). A connector may exist, and its id is not known: look for it in the dashboard before \
             trying again",
            self.attempts
        )
    }
}

impl std::error::Error for OutcomeUnknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// See [`Error::CreatedIdUnknown`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CreatedIdUnknown {
    /// The response that says so.
    pub response: MalformedResponse,
    /// What was tried.
    pub attempts: Attempts,
}

impl fmt::Display for CreatedIdUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bird created the connector, but its response cannot be read: {}. The connector exists and its \
             id is not known: look for it in the dashboard, and do not create it again",
            self.response
        )
    }
}

impl std::error::Error for CreatedIdUnknown {}

/// See [`Error::NotReady`].
#[derive(Debug)]
#[non_exhaustive]
pub struct NotReady {
    /// The connector.
    pub connector_id: ConnectorId,
    /// How long its channel was waited for.
    pub waited: Duration,
    /// How often it was looked at.
    pub polls: u32,
    /// What the last look failed with, if it failed.
    pub last: Option<ReadFailure>,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, seconds, polls) = (self.connector_id, self.waited.as_secs_f64(), self.polls);
        let plural = if polls == 1 { "" } else { "s" };
        write!(
            f,
            "Connector {id} exists, but its channel is not there after {seconds:.1} s and {polls} \
             look{plural}"
        )?;
        if let Some(last) = &self.last {
            write!(f, "; the last look failed: {last}")?;
        }
        write!(f, ". Go on waiting for connector {id}; do not create it again")
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last.as_ref().and_then(ReadFailure::transport).map(|cause| cause as _)
    }
}

/// See [`Error::Read`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadError {
    /// The connector.
    pub connector_id: ConnectorId,
    /// Why it could not be read.
    pub cause: ReadFailure,
    /// What was tried.
    pub attempts: Attempts,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.connector_id;
        write!(f, "Connector {id} could not be read: {}. ", self.cause)?;
        f.write_str(match self.cause.response().map(|response| response.status) {
            Some(401) => "Check the access key, then go on from its id",
            Some(403) => {
                "The access key's policy must allow `view` on \
                 /workspaces/{workspaceId}/connectors/{connectorId}; then go on from its id"
            }
            Some(404) => "Check the workspace id and the connector id",
            Some(408 | 429 | 500..) => "That may pass: go on from its id later",
            _ => "Mend the cause, then go on from its id",
        })
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.transport().map(|cause| cause as _)
    }
}

/// See [`Error::Journal`].
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// The connector, when it exists and its id is known.
    pub connector_id: Option<ConnectorId>,
    /// Whether a connector may exist.
    pub connector_may_exist: bool,
    /// How the install ended, when that is what could not be recorded.
    pub ended: Option<Result<SmsChannel, Error>>,
    /// What the record failed with.
    pub source: io::Error,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "What happened could not be recorded: {}. ", self.source)?;
        match (&self.ended, self.connector_id, self.connector_may_exist) {
            (Some(Err(error)), ..) => error.fmt(f),
            (Some(Ok(SmsChannel { id, connector_id, .. })), ..) => {
                write!(f, "Connector {connector_id} exists and has channel {id}; note their ids")
            }
            (None, Some(id), _) => write!(f, "Connector {id} exists; note its id"),
            (None, None, true) => f.write_str(
                "A connector may exist, and its id is not known: look for it in the dashboard before \
                 trying again",
            ),
            (None, None, false) => f.write_str("Nothing was created"),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a connector could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadFailure {
    /// Bird, or a proxy before it, answered with an error.
    Response(ErrorResponse),
    /// There was no response.
    NoResponse(TransportError),
    /// The response cannot be read.
    Malformed(MalformedResponse),
    /// The response is about another connector.
    OtherConnector(ConnectorId),
    /// The response is about a connector of another workspace.
    OtherWorkspace(WorkspaceId),
}

impl ReadFailure {
    /// The response, when it was an error of the server.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Response(response) => Some(response),
            _ => None,
        }
    }

    /// What happened instead of a response.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::NoResponse(cause) => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(response) => response.fmt(f),
            Self::NoResponse(cause) => cause.fmt(f),
            Self::Malformed(response) => response.fmt(f),
            Self::OtherConnector(id) => write!(f, "Bird answered about another connector, {id}"),
            Self::OtherWorkspace(id) => {
                write!(f, "Bird answered about a connector of another workspace, {id}")
            }
        }
    }
}
