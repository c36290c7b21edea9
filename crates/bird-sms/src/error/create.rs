//! The errors of a creation.

use std::fmt;

use super::{AttemptError, Attempts, ErrorResponse, MalformedResponse, TransportError};

/// The details of [`Error::Refused`](crate::Error::Refused).
#[derive(Debug, thiserror::Error)]
#[error("the request was refused, and no connector was created")]
#[non_exhaustive]
pub struct Refused {
    /// The response that refused the request.
    #[source]
    pub response: ErrorResponse,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// Whether there would have been another attempt with more time, or with more attempts.
    pub(crate) retryable: bool,
}

impl Refused {
    pub(super) fn help(&self) -> &'static str {
        match self.response.status {
            300..=399 => {
                "Check the API URL. Redirects are not followed, because the access key would be sent to another host."
            }
            401 => "Check the access key, and that its role may use the API.",
            403 => {
                "The access key's policy must allow `create` on /workspaces/{workspaceId}/connectors."
            }
            404 => "Check the workspace id.",
            407 => "Check the URL of the proxy: it requires a user name and a password.",
            409 => {
                "A connector for this phone number exists already. The Bird dashboard shows its id."
            }
            422 if self.response.is_about("useCaseId") => {
                "Give the id of a use case. docs/scenarios.md says which senders need which, and where its id comes \
                 from."
            }
            422 if self.response.is_about("phoneNumberId") => {
                "Check the phone number id. docs/scenarios.md says where it comes from."
            }
            429 => "The workspace is over its rate limit. Retry later.",
            _ => "Correct the request and retry.",
        }
    }
}

/// The details of [`Error::Unreachable`](crate::Error::Unreachable).
#[derive(Debug, thiserror::Error)]
#[error("Bird was not reached after {attempts}, and no connector was created")]
#[non_exhaustive]
pub struct Unreachable {
    /// The error of the last attempt.
    #[source]
    pub cause: TransportError,
    /// The attempts that were made.
    pub attempts: Attempts,
    /// Whether there would have been another attempt with more time, or with more attempts.
    pub(crate) retryable: bool,
}

/// The details of [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Debug)]
#[non_exhaustive]
pub struct OutcomeUnknown {
    /// Why the outcome is unknown.
    pub reason: UnknownReason,
    /// The error of the last attempt. `None` if the attempt was abandoned.
    pub last: Option<AttemptError>,
    /// The error response to an earlier attempt that may have created a connector.
    pub earlier: Option<ErrorResponse>,
    /// The attempts that were made.
    pub attempts: Attempts,
}

impl OutcomeUnknown {
    pub(crate) fn new(reason: UnknownReason) -> Self {
        let attempts = Attempts::default();
        Self { reason, last: None, earlier: None, attempts }
    }

    /// Returns the response to the last attempt, or else the response to an earlier attempt.
    pub(super) fn response(&self) -> Option<&ErrorResponse> {
        self.last.as_ref().and_then(AttemptError::response).or(self.earlier.as_ref())
    }
}

impl fmt::Display for OutcomeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {}", self.reason, self.attempts)?;
        if let Some(earlier) = &self.earlier {
            write!(f, ", an earlier response was {earlier}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for OutcomeUnknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last.as_ref().map(|last| last as _)
    }
}

/// The reason why an outcome is unknown. `Display` writes the reason as one clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The request was sent, and there was no response or a 408.
    #[error(
        "the request was sent and no response says what became of it, so a connector may exist"
    )]
    NoResponse,
    /// Bird responded with a server error, to the last attempt or to an earlier attempt, which may have created a
    /// connector nevertheless.
    #[error("the server responded with an error, so a connector may exist")]
    ServerError,
    /// A gateway responded with 502, 504 or 520–530, and may have forwarded the request.
    #[error(
        "a gateway responded with an error and may have forwarded the request, so a connector may exist"
    )]
    GatewayError,
    /// Bird responded with a conflict after an attempt whose outcome is unknown, and which probably created the
    /// connector.
    #[error("a connector for this phone number exists, probably created by an earlier attempt")]
    AlreadyExists,
    /// The last attempt created nothing, and an attempt of an earlier run may have created a connector.
    #[error("the outcome of an earlier attempt is still unknown, so a connector may exist")]
    EarlierAttempt,
    /// The install was abandoned after its request was sent.
    #[error("the install was abandoned after its request was sent, so a connector may exist")]
    Abandoned,
}

/// The details of [`Error::CreatedIdUnknown`](crate::Error::CreatedIdUnknown).
#[derive(Debug, thiserror::Error)]
#[error("the connector exists, and its id is not known because the response cannot be read")]
#[non_exhaustive]
pub struct CreatedIdUnknown {
    /// The response that reported the creation.
    #[source]
    pub response: MalformedResponse,
    /// The attempts that were made.
    pub attempts: Attempts,
}
