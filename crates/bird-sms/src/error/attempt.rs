use super::{ErrorResponse, MalformedResponse, TransportError};
use crate::{ConnectorId, WorkspaceId};

/// The error of one attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// Bird, or a proxy in front of Bird, responded with a status that is not 2xx.
    #[error(transparent)]
    Response(ErrorResponse),
    /// There was no response.
    #[error(transparent)]
    Transport(TransportError),
    /// The status of the response is 2xx, and its body cannot be decoded.
    #[error(transparent)]
    Malformed(MalformedResponse),
    /// The response is about another connector.
    #[error("the response is about another connector, {0}")]
    OtherConnector(ConnectorId),
    /// The response is about a connector of another workspace.
    #[error("the response is about a connector of another workspace, {0}")]
    OtherWorkspace(WorkspaceId),
}

impl AttemptError {
    /// Returns the response, if its status was not 2xx.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Response(response) => Some(response),
            _ => None,
        }
    }

    /// Returns the 2xx response, if its body cannot be decoded.
    #[must_use]
    pub fn malformed(&self) -> Option<&MalformedResponse> {
        match self {
            Self::Malformed(response) => Some(response),
            _ => None,
        }
    }

    /// Returns the transport error, if there was no response.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) => Some(error),
            _ => None,
        }
    }
}
