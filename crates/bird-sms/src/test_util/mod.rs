//! Workspaces, results and errors for the tests of a program, with the feature `test-util`.
//!
//! ```
//! use bird_sms::{ConnectorState, Error, TransportErrorKind, test_util};
//!
//! /// The code under test.
//! fn advice(error: &Error) -> &'static str {
//!     match error.connector_state() {
//!         ConnectorState::NotCreated if error.is_retryable() => "try again later",
//!         ConnectorState::NotCreated => "correct the input",
//!         ConnectorState::Exists(_) => "the channel comes later",
//!         ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => "call support",
//!     }
//! }
//!
//! let refused = test_util::response(422, r#"{"code": "InvalidPayload"}"#);
//! assert_eq!(advice(&test_util::create_error(refused)), "correct the input");
//! let timeout = test_util::no_response(TransportErrorKind::TimedOut, true);
//! assert_eq!(advice(&test_util::create_error(timeout)), "call support");
//! ```
//!
//! [`workspace`] sends its requests to a sandbox in memory. The other functions create errors without a request. They classify
//! the last attempt as an install does, so the state, hint and JSON of the errors are real:
//!
//! | | [`Error`] | [`ConnectorState`] |
//! |---|---|---|
//! | [`create_error`]`(`[`response`]`(422, "{}"))` | `Refused` | `NotCreated` |
//! | `create_error(`[`no_response`]`(TransportErrorKind::Connect, false))` | `Unreachable` | `NotCreated` |
//! | `create_error(no_response(TransportErrorKind::TimedOut, true))` | `OutcomeUnknown` | `Unknown` |
//! | [`outcome_unknown`]`(UnknownReason::AlreadyExists)` | `OutcomeUnknown` | `ExistsIdUnknown` |
//! | `create_error(response(201, "not JSON"))` | `CreatedIdUnknown` | `ExistsIdUnknown` |
//! | [`not_ready`]`(id)` | `NotReady` | `Exists(id)` |
//! | [`read_error`]`(id, response(403, "{}"))` | `Read` | `Exists(id)` |
//! | [`journal_error`]`(state, io_error)` | `Journal` | `state` |
//!
//! [`check_journal`] checks your own [`Journal`](crate::Journal).
//!
//! You can create an [`Error::Configuration`], [`Warning`](crate::Warning) or [`Event`](crate::Event) directly. You can also
//! change the public fields of an error, for example to add a warning.

use std::io;
mod journal;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bird_api::transport::Transport;
use bird_api::{ExchangeError, ExchangeErrorKind};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::time::Instant;

pub use self::journal::{JournalStore, JournalViolation, MemoryJournal, check_journal};
use crate::transport::{Runtime, Sleep, lock};
use crate::workflow::{Tolerance, create_failed, is_retryable_get};
use crate::{
    AccessKey, AttemptError, Attempts, BatchOutcome, ChannelId, ClientBuilder, Connector,
    ConnectorId, ConnectorState, Error, ErrorResponse, Failure, JournalEntry, JournalError,
    NotReadyReason, RowState, SmsChannel, SmsConnectorRequest, TransportError, TransportErrorKind,
    UnknownReason, Workspace, WorkspaceId,
};

/// Returns a workspace whose requests go to this transport, such as a `bird_sandbox::Sandbox` in memory.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), bird_sms::Error> {
/// use bird_sms::{test_util, uuid::Uuid};
///
/// let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// let transport = sandbox.transport();
/// let key = sandbox.access_key();
/// let id = sandbox.workspace_id();
/// let workspace = test_util::workspace(transport, key, id);
/// workspace.install_sms_channel("My SMS channel", Uuid::from_u128(1).into()).await?;
/// assert_eq!(sandbox.post_count(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Use [`ClientBuilder::transport`] for a client with other settings.
///
/// # Panics
///
/// Panics if the key cannot be sent in a header.
#[must_use]
pub fn workspace(
    transport: Arc<dyn Transport>,
    access_key: &str,
    workspace_id: impl Into<WorkspaceId>,
) -> Workspace {
    let key = AccessKey::new(access_key).expect("the key is valid");
    let client = ClientBuilder::default().access_key(key).transport(transport).build();
    client.expect("the default settings are valid").workspace(workspace_id.into())
}

/// Returns a channel without a warning, with the response that contained it.
#[must_use]
pub fn sms_channel(
    id: ChannelId,
    connector_id: ConnectorId,
    workspace_id: WorkspaceId,
) -> SmsChannel {
    let body = json!({
        "id": connector_id,
        "workspaceId": workspace_id,
        "name": "My SMS channel",
        "createdAt": "2025-01-21T01:43:10.940Z",
        "channel": { "channelId": id },
    });
    SmsChannel::new(id, connector_id, workspace_id, &body.to_string().into(), &key())
}

/// Returns the connector that this JSON describes.
///
/// # Panics
///
/// Panics if the JSON is not a connector. It must have at least `id`, `name` and `createdAt`.
#[must_use]
pub fn connector(json: &str) -> Connector {
    let connector = Connector::decode(json.as_bytes(), &key());
    connector.unwrap_or_else(|problem| panic!("not a connector: {problem}"))
}

/// Returns the error of an attempt that got this response: [`AttemptError::Malformed`] for a 2xx, otherwise
/// [`AttemptError::Response`].
///
/// # Panics
///
/// Panics if the status is not between 100 and 999.
#[must_use]
pub fn response(status: u16, body: &str) -> AttemptError {
    let status = StatusCode::from_u16(status).expect("a valid HTTP status");
    let body = Bytes::copy_from_slice(body.as_bytes());
    let response = bird_api::Response::new(status, HeaderMap::new(), body);
    if status.is_success() {
        let malformed = ErrorResponse::malformed(&response, "not a connector", &key());
        AttemptError::Malformed(Box::new(malformed))
    } else {
        AttemptError::Response(Box::new(ErrorResponse::new(&response, &key())))
    }
}

/// Returns the error of an attempt without a response. `may_have_been_sent` is `false` if the request did not leave.
#[must_use]
pub fn no_response(kind: TransportErrorKind, may_have_been_sent: bool) -> AttemptError {
    let exchange = match kind {
        TransportErrorKind::TimedOut => ExchangeErrorKind::TimedOut,
        TransportErrorKind::Disconnected => ExchangeErrorKind::Disconnected,
        TransportErrorKind::Redirected => ExchangeErrorKind::Redirected,
        TransportErrorKind::RateLimited => {
            return AttemptError::Transport(TransportError::rate_limited());
        }
        _ => ExchangeErrorKind::Connect,
    };
    let source = ExchangeError::new(exchange, may_have_been_sent);
    AttemptError::Transport(TransportError::new(kind, source))
}

/// Returns the error of an install whose only POST ended with this error.
///
/// ```
/// use bird_sms::{ConnectorState, test_util};
///
/// let error = test_util::create_error(test_util::response(504, "<html>"));
/// assert_eq!(error.connector_state(), ConnectorState::Unknown);
/// ```
#[must_use]
pub fn create_error(attempt: AttemptError) -> Error {
    match attempt {
        AttemptError::Malformed(_) => {
            Error::CreatedIdUnknown(Box::new(Failure::new(attempt, one_attempt(), false)))
        }
        attempt => create_failed(attempt, one_attempt()),
    }
}

/// Returns the error of an install whose outcome is unknown for this reason.
#[must_use]
pub fn outcome_unknown(reason: UnknownReason) -> Error {
    Error::unknown(reason)
}

/// Returns the error of a wait that ended at its deadline, after the connector was seen.
#[must_use]
pub fn not_ready(connector_id: ConnectorId) -> Error {
    let attempts = Attempts { count: 1, elapsed: Duration::from_secs(120) };
    let failure = Failure { attempts, retryable: true, ..Failure::default() };
    Error::NotReady(connector_id, NotReadyReason::Deadline, Box::new(failure))
}

/// Returns the error of a read or a wait whose only attempt ended with this error.
#[must_use]
pub fn read_error(connector_id: ConnectorId, attempt: AttemptError) -> Error {
    let retryable = is_retryable_get(&attempt, Tolerance::default());
    Error::Read(connector_id, Box::new(Failure::new(attempt, one_attempt(), retryable)))
}

/// Returns the error of an install whose journal failed. `state` is the state of the connector at that time.
#[must_use]
pub fn journal_error(state: ConnectorState, source: io::Error) -> Error {
    Error::Journal(Box::new(JournalError { state, warning: None, ended: None, source }))
}

/// Returns the outcome of a row that this run began.
#[must_use]
pub fn batch_outcome(
    request: SmsConnectorRequest,
    result: Result<SmsChannel, Error>,
) -> BatchOutcome {
    let mut state = RowState::default();
    state.apply(&JournalEntry::Intent { name: request.name().to_owned() }, None);
    state.apply(&JournalEntry::ended(&result), None);
    let created = state.connector_state().connector_id().is_some();
    BatchOutcome { request, result, state, created, from_journal: false }
}

fn one_attempt() -> Attempts {
    Attempts { count: 1, elapsed: Duration::ZERO }
}

/// Returns an access key that no response contains.
fn key() -> AccessKey {
    AccessKey::new("key-of-test-util").expect("the key is valid")
}

impl ClientBuilder {
    /// Seeds the jitter of delays, so a test is reproducible. Default: a random seed for each thread.
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn seed(self, seed: u64) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        self.replace_runtime(|inner| Arc::new(Seeded { inner, random }))
    }
}

/// A runtime that takes its random numbers from a seed, and everything else from another runtime.
#[derive(Debug)]
struct Seeded {
    inner: Arc<dyn Runtime>,
    random: Mutex<fastrand::Rng>,
}

impl Runtime for Seeded {
    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn system_time(&self) -> SystemTime {
        self.inner.system_time()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.inner.sleep(duration)
    }

    fn random(&self) -> f64 {
        lock(&self.random).f64()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id<T: From<Uuid>>(n: u128) -> T {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn each_function_returns_the_documented_error() {
        use ConnectorState::{Exists, ExistsIdUnknown, NotCreated, Unknown};
        let io_error = || io::ErrorKind::StorageFull.into();
        let without_response =
            |kind, may_have_been_sent| create_error(no_response(kind, may_have_been_sent));
        let connect = without_response(TransportErrorKind::Connect, false);
        let certificate = without_response(TransportErrorKind::Certificate, false);
        let timeout = without_response(TransportErrorKind::TimedOut, true);
        let conflict = outcome_unknown(UnknownReason::AlreadyExists);
        for (error, variant, state, retryable) in [
            (create_error(response(422, "{}")), "Refused", NotCreated, false),
            (create_error(response(429, "{}")), "Refused", NotCreated, true),
            (connect, "Unreachable", NotCreated, true),
            (certificate, "Unreachable", NotCreated, false),
            (timeout, "OutcomeUnknown", Unknown, false),
            (create_error(response(504, "")), "OutcomeUnknown", Unknown, false),
            (conflict, "OutcomeUnknown", ExistsIdUnknown, false),
            (create_error(response(201, "x")), "CreatedIdUnknown", ExistsIdUnknown, false),
            (not_ready(id(1)), "NotReady", Exists(id(1)), true),
            (read_error(id(1), response(403, "{}")), "Read", Exists(id(1)), false),
            (read_error(id(1), response(503, "{}")), "Read", Exists(id(1)), true),
            (journal_error(Unknown, io_error()), "Journal", Unknown, false),
        ] {
            assert!(format!("{error:?}").starts_with(variant), "{error:?}");
            assert_eq!(error.connector_state(), state, "{error:?}");
            assert_eq!(error.is_retryable(), retryable, "{error:?}");
            let row = batch_outcome(SmsConnectorRequest::new("n", id(2)), Err(error));
            assert_eq!(row.connector_state(), state);
        }
    }

    #[test]
    fn a_test_channel_contains_its_connector() {
        let channel = sms_channel(id(1), id(2), id(3));
        let decoded = channel.connector().unwrap();
        assert_eq!((decoded.channel_id, decoded.id), (Some(channel.id), channel.connector_id));
        assert_eq!(connector(decoded.json()), decoded);
        let row = batch_outcome(SmsConnectorRequest::new("n", id(4)), Ok(channel));
        assert_eq!(row.state.channel_id(), Some(id(1)));
        assert!(row.created);
    }
}
