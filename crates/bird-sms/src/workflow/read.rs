//! Reads: one GET of a connector for a poll, and GETs that are retried.

use bird_api::Response;
use reqwest::Request;
use tracing::Instrument;

use super::retry::{Purpose, Retry, RetryError, SendError, Tolerance, is_retryable_get, send};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::model::ConnectorStatus;
use crate::transport::Slot;
use crate::{AttemptError, Connector, ConnectorId, Error, MalformedResponse, ReadError};

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
        read(self, Route::Get, || self.get_request(id), decode).await.map_err(|failed| {
            Error::Read(Box::new(ReadError {
                connector_id: id,
                cause: failed.error,
                attempts: failed.attempts,
                retryable: failed.retryable,
                warning: None,
            }))
        })
    }
}

/// Sends a GET and decodes its response. Transient failures are retried until the install timeout of the client.
pub(super) async fn read<T>(
    workspace: &Workspace,
    route: Route,
    request: impl Fn() -> Request,
    decode: impl Fn(&Response) -> Result<T, Box<AttemptError>>,
) -> Result<T, RetryError> {
    let (turn, events) = (workspace.get_turn(), EventSink::default());
    let deadline = workspace.deadline(None);
    let mut retry = Retry::new(workspace.client(), &turn, &events, deadline, Purpose::Read);
    let mut slot = retry.start().await?;
    loop {
        let sent = send(workspace, route, request(), retry.attempts().count, slot).await;
        let failed = match sent.map(|response| decode(&response)) {
            Ok(Ok(read)) => return Ok(read),
            Ok(Err(error)) => (*error).into(),
            Err(failed) => failed,
        };
        let retryable = is_retryable_get(&failed.error, Tolerance::default());
        slot = retry.again(failed, retryable, None).await?.0;
    }
}

/// Sends one GET, decodes the response, and checks that it is about the requested connector.
pub(super) async fn get(
    workspace: &Workspace,
    id: ConnectorId,
    number: u32,
    slot: Slot,
) -> Result<(ConnectorStatus, Response), SendError> {
    let request = workspace.get_request(id);
    let response = send(workspace, Route::Get, request, number, slot).await?;
    let status = check(workspace, id, &response).map_err(|error| *error)?;
    Ok((status, response))
}

/// Decodes the connector that was asked for.
pub(super) fn decode_connector(
    workspace: &Workspace,
    id: ConnectorId,
    response: &Response,
) -> Result<Connector, Box<AttemptError>> {
    check(workspace, id, response)?;
    Connector::decode(&response.body, workspace.client().key())
        .map_err(|problem| malformed(workspace, response, &problem))
}

fn check(
    workspace: &Workspace,
    id: ConnectorId,
    response: &Response,
) -> Result<ConnectorStatus, Box<AttemptError>> {
    let status = ConnectorStatus::decode(&response.body)
        .map_err(|problem| malformed(workspace, response, &problem))?;
    if status.id != id {
        return Err(Box::new(AttemptError::OtherConnector(status.id)));
    }
    if let Some(other) = status.workspace_id.filter(|id| *id != workspace.id()) {
        return Err(Box::new(AttemptError::OtherWorkspace(other)));
    }
    Ok(status)
}

pub(super) fn malformed(
    workspace: &Workspace,
    response: &Response,
    problem: &str,
) -> Box<AttemptError> {
    let key = workspace.client().key();
    Box::new(AttemptError::Malformed(MalformedResponse::new(response, problem, key)))
}
