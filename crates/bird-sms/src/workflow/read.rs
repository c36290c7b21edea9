//! The GET of a connector.

use bird_api::Response;
use tracing::Instrument;

use super::retry::{Purpose, Retry, SendError, Tolerance, is_retryable_get, send};
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
        let (client, deadline) = (self.client(), self.deadline());
        let (turn, events) = (self.get_turn(), EventSink::default());
        let mut retry = Retry::new(client, &turn, &events, deadline, Purpose::Read);
        let mut next = retry.start().await;
        loop {
            let slot = next.map_err(|exhausted| {
                Error::Read(Box::new(ReadError {
                    connector_id: id,
                    cause: exhausted.error,
                    attempts: exhausted.attempts,
                    retryable: exhausted.retryable,
                    warning: None,
                }))
            })?;
            let read = match get(self, id, retry.attempts().count, slot).await {
                Ok((_, response)) => Connector::decode(&response.body, client.key())
                    .map_err(|problem| malformed(self, &response, &problem)),
                Err(failed) => Err(failed),
            };
            match read {
                Ok(connector) => return Ok(connector),
                Err(failed) => {
                    let retryable = is_retryable_get(&failed.error, Tolerance::default());
                    next = retry.again(failed, retryable, None).await.map(|(slot, _)| slot);
                }
            }
        }
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
    let status = ConnectorStatus::decode(&response.body)
        .map_err(|problem| malformed(workspace, &response, &problem))?;
    if status.id != id {
        return Err(AttemptError::OtherConnector(status.id).into());
    }
    if let Some(other) = status.workspace_id.filter(|id| *id != workspace.id()) {
        return Err(AttemptError::OtherWorkspace(other).into());
    }
    Ok((status, response))
}

fn malformed(workspace: &Workspace, response: &Response, problem: &str) -> SendError {
    let key = workspace.client().key();
    AttemptError::Malformed(MalformedResponse::new(response, problem, key)).into()
}
