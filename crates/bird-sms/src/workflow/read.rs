//! Reads: GETs that are retried, and the check that a response is about the requested connector.

use bird_api::Response;
use reqwest::Request;
use tracing::Instrument;

use super::retry::{Purpose, Retry, RetryError, Tolerance, is_retryable_get, send};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::model::ConnectorStatus;
use crate::{AttemptError, Connector, ConnectorId, Error, ErrorResponse};

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
        let decode = |response: &Response| decode_connector(self, id, response);
        let read = read(self, Route::Get, || self.state().get_request(id), decode).await;
        read.map_err(|failed| Error::Read(id, Box::new(failed.into())))
    }
}

/// Sends a GET and decodes its response. Transient failures are retried until the install timeout of the client.
pub(super) async fn read<T>(
    workspace: &Workspace,
    route: Route,
    request: impl Fn() -> Request,
    decode: impl Fn(&Response) -> Result<T, AttemptError>,
) -> Result<T, RetryError> {
    let events = EventSink::default();
    let call = workspace.call(None, &events);
    let mut retry = Retry::new(&call, Purpose::Read);
    let mut slot = retry.start().await?;
    loop {
        let sent = send(workspace, route, request(), retry.attempts().count, slot).await;
        let failed = match sent.map(|response| decode(&response)) {
            Ok(Ok(read)) => return Ok(read),
            Ok(Err(error)) => error.into(),
            Err(failed) => failed,
        };
        let retryable = is_retryable_get(&failed.error, Tolerance::default());
        slot = retry.again(failed, retryable, None).await?.0;
    }
}

/// Decodes a connector, and checks that it is the requested one.
pub(super) fn decode_connector(
    workspace: &Workspace,
    id: ConnectorId,
    response: &Response,
) -> Result<Connector, AttemptError> {
    let status = decode_status(workspace, response)?;
    check(workspace, id, &status)?;
    Connector::decode(&response.body, workspace.client().key())
        .map_err(|problem| malformed(workspace, response, &problem))
}

/// Decodes the fields of a connector that a wait needs.
pub(super) fn decode_status(
    workspace: &Workspace,
    response: &Response,
) -> Result<ConnectorStatus, AttemptError> {
    ConnectorStatus::decode(&response.body)
        .map_err(|problem| malformed(workspace, response, &problem))
}

/// Checks that a response is about the requested connector.
pub(super) fn check(
    workspace: &Workspace,
    id: ConnectorId,
    status: &ConnectorStatus,
) -> Result<(), AttemptError> {
    if status.id != id {
        return Err(AttemptError::OtherConnector(status.id));
    }
    match status.workspace_id.filter(|id| *id != workspace.id()) {
        Some(other) => Err(AttemptError::OtherWorkspace(other)),
        None => Ok(()),
    }
}

pub(super) fn malformed(workspace: &Workspace, response: &Response, problem: &str) -> AttemptError {
    let key = workspace.client().key();
    AttemptError::Malformed(Box::new(ErrorResponse::malformed(response, problem, key)))
}
