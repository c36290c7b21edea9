//! The GET, which is an attempt of a read or a poll.

use bird_api::Response;
use tokio::time::Instant;
use tracing::Instrument;

use super::retry::{Attempt, FailedAttempt, Retry, Tolerance, is_retryable_get, send};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::model::DecodeConnector;
use crate::transport::{Deadline, Permit};
use crate::{AccessKey, AttemptError, Connector, ConnectorId, Error, MalformedResponse, ReadError};

impl Workspace {
    /// Reads a connector. Transient failures are retried until the install timeout of the client.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Read`].
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a GET changes nothing.
    pub async fn connector(&self, id: ConnectorId) -> Result<Connector, Error> {
        let span = tracing::info_span!(
            "read_connector",
            workspace_id = %self.id(),
            connector_id = %id
        );
        self.read_connector(id).instrument(span).await
    }

    async fn read_connector(&self, id: ConnectorId) -> Result<Connector, Error> {
        let (deadline, events) = (self.deadline(), EventSink::default());
        let retry = Retry::read(self, &events, deadline);
        let mut history = GetHistory::default();
        let mut attempt = GetAttempt {
            workspace: self,
            id,
            deadline,
            history: &mut history,
            decode: Connector::decode,
            purpose: Purpose::Read,
        };
        match retry.run(None, &mut attempt).await {
            Ok((connector, _)) => Ok(connector),
            Err(exhausted) => Err(Error::Read(Box::new(ReadError {
                connector_id: id,
                cause: exhausted.error,
                attempts: exhausted.attempts,
                retryable: exhausted.retryable,
                warning: None,
            }))),
        }
    }
}

/// The history of the GETs of one connector.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GetHistory {
    /// The number of GETs that were sent.
    pub(crate) sent: u32,
    /// When the last GET was sent.
    pub(crate) last_sent: Option<Instant>,
    /// Whether a response contained the connector.
    pub(crate) seen: bool,
    /// The number of consecutive malformed responses.
    pub(crate) malformed: u32,
}

/// The operation that a GET belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Read,
    /// A wait. A 404 is tolerated during the grace period from this time on: the creation, or the start of the wait.
    Poll {
        not_found_since: Instant,
    },
}

/// One GET of a connector, decoded as `T`.
pub(super) struct GetAttempt<'a, T> {
    pub(super) workspace: &'a Workspace,
    pub(super) id: ConnectorId,
    pub(super) deadline: Deadline,
    pub(super) history: &'a mut GetHistory,
    pub(super) decode: fn(&[u8], &AccessKey) -> Result<T, String>,
    pub(super) purpose: Purpose,
}

impl<T: DecodeConnector> GetAttempt<'_, T> {
    fn tolerance(&self) -> Tolerance {
        let Purpose::Poll { not_found_since } = self.purpose else { return Tolerance::default() };
        let client = self.workspace.client();
        let policy = client.poll();
        let age = client.runtime().now().saturating_duration_since(not_found_since);
        Tolerance {
            not_found: !self.history.seen && age < policy.not_found_grace,
            malformed: self.history.malformed < policy.max_malformed,
        }
    }

    /// Decodes the response, and checks that it is about the requested connector.
    #[expect(
        clippy::result_large_err,
        reason = "the error of an attempt is rare, and kept as it is"
    )]
    fn decode(&mut self, response: &Response) -> Result<T, AttemptError> {
        let workspace = self.workspace;
        let key = workspace.client().key();
        let decoded = (self.decode)(&response.body, key).map_err(|problem| {
            AttemptError::Malformed(MalformedResponse::new(response, &problem, key))
        });
        match &decoded {
            Err(AttemptError::Malformed(response)) if response.truncated => {}
            Err(_) => self.history.malformed += 1,
            Ok(_) => self.history.malformed = 0,
        }
        let decoded = decoded?;
        let (id, workspace_id) = decoded.ids();
        if id != self.id {
            return Err(AttemptError::OtherConnector(id));
        }
        if let Some(other) = workspace_id.filter(|id| *id != workspace.id()) {
            return Err(AttemptError::OtherWorkspace(other));
        }
        self.history.seen = true;
        Ok(decoded)
    }
}

impl<T: DecodeConnector> Attempt for GetAttempt<'_, T> {
    type Output = (T, Response);

    async fn send(&mut self, number: u32, permit: Permit) -> Result<Self::Output, FailedAttempt> {
        let workspace = self.workspace;
        self.history.sent = self.history.sent.saturating_add(1);
        self.history.last_sent = Some(workspace.client().runtime().now());
        let request = workspace.get_request(self.id);
        match send(workspace, request, number, self.deadline, permit).await {
            Ok(response) => Ok((self.decode(&response)?, response)),
            Err(failed) => {
                self.history.malformed = 0;
                Err(failed)
            }
        }
    }

    fn is_retryable(&mut self, error: &AttemptError) -> bool {
        is_retryable_get(error, self.tolerance())
    }
}
