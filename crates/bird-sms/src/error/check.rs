//! The error of a check of the settings.

use super::hint::{OTHER_PRODUCT, PROXY_AUTHENTICATION, after_transport};
use super::{AttemptError, ErrorResponse, chain};

/// Why [`Workspace::check`](crate::Workspace::check) failed: what is wrong with the settings or the connection, as far
/// as one response shows. Nothing was created.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct CheckError {
    /// What is wrong.
    pub problem: CheckProblem,
    /// The response, or why there was none.
    #[source]
    pub cause: AttemptError,
}

/// What a check can find wrong. `Display` writes it as one clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckProblem {
    /// 401. Bird documents it for an unknown key, and for a key whose role may not use the API.
    #[error("the access key is refused: it is wrong or revoked, or its role may not use the API")]
    AccessKey,
    /// 401, and the key begins like one for another product of Bird: `bk_` for the platform API, `test_` for the older
    /// REST API.
    #[error("the access key is refused: its prefix belongs to another product of Bird")]
    OtherProduct,
    /// 401 or 403, and the response mentions the role of the key.
    #[error("the access key is known, but its role gives no access")]
    Role,
    /// 403. No policy of the key's role allows `view` on a connector of this workspace.
    #[error("the access key is known, but may not view connectors in this workspace")]
    Policy,
    /// 404, and the response mentions the workspace.
    #[error("the workspace does not exist, or belongs to another organization than the access key")]
    Workspace,
    /// The response can't come from Bird's API: it is a web page or a redirect, for example.
    #[error("the server at the API URL is not Bird's API")]
    NotBird,
    /// There was no response, or only one from a proxy. [`CheckError::cause`] has the
    /// [`TransportErrorKind`](crate::TransportErrorKind).
    #[error("Bird was not reached")]
    Unreachable,
    /// Another status, such as 429 or 503, which does not show whether the settings are right.
    #[error("the settings could not be checked")]
    Unavailable,
}

impl CheckError {
    /// Returns the response, if there was one.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        self.cause.response()
    }

    /// Returns the error and its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.problem {
            CheckProblem::AccessKey => {
                "Copy the access key again from the organization settings of Bird, and check that it has a role."
            }
            CheckProblem::OtherProduct => OTHER_PRODUCT,
            CheckProblem::Role => {
                "Give the role of the access key a policy that allows `create` and `view` on \
                 /workspaces/{workspaceId}/connectors/**."
            }
            CheckProblem::Policy => {
                "Add `view` on /workspaces/{workspaceId}/connectors/{connectorId} to a policy of the access key's \
                 role, and `create` on /workspaces/{workspaceId}/connectors; check the workspace id as well."
            }
            CheckProblem::Workspace => {
                "Check the workspace id: the dashboard shows it in its address after /workspaces/."
            }
            CheckProblem::NotBird => "Check the API URL: Bird's is https://api.bird.com.",
            CheckProblem::Unreachable => match self.cause.transport() {
                Some(error) => after_transport(error.kind()),
                None => PROXY_AUTHENTICATION,
            },
            CheckProblem::Unavailable => {
                "Retry later: the response does not show whether the settings are right."
            }
        }
    }
}
