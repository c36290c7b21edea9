//! The error of reading numbers, requirements or use cases.

use super::hint::{Step, after_attempt};
use super::{AttemptError, Attempts, ErrorResponse, chain};

/// The list or number that a [`NumbersError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumbersRead {
    /// The long code numbers.
    Numbers,
    /// One long code number.
    Number,
    /// The short codes.
    ShortCodes,
    /// The alphanumeric senders.
    AlphanumericSenders,
    /// The requirements of a number.
    Requirements,
    /// The use cases.
    UseCases,
}

impl NumbersRead {
    /// Returns the path, as it is in the contract.
    pub(crate) fn template(self) -> &'static str {
        match self {
            Self::Numbers => "/workspaces/{workspaceId}/numbers-long-code",
            Self::Number => "/workspaces/{workspaceId}/numbers-long-code/{longCodeNumberId}",
            Self::ShortCodes => "/workspaces/{workspaceId}/numbers-short-code",
            Self::AlphanumericSenders => "/workspaces/{workspaceId}/numbers-alpha",
            Self::Requirements => {
                "/workspaces/{workspaceId}/endpoints/{endpointId}/compliance-requirements"
            }
            Self::UseCases => "/workspaces/{workspaceId}/use-cases",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Numbers => "the numbers",
            Self::Number => "the number",
            Self::ShortCodes => "the short codes",
            Self::AlphanumericSenders => "the alphanumeric senders",
            Self::Requirements => "the requirements of the number",
            Self::UseCases => "the use cases",
        }
    }
}

/// Why numbers, requirements or use cases could not be read. Nothing was created or changed.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be read after {attempts}", .read.name())]
#[non_exhaustive]
pub struct NumbersError {
    /// The list or number that was read.
    pub read: NumbersRead,
    /// The error of the last attempt.
    #[source]
    pub cause: AttemptError,
    /// The attempts that were made.
    pub attempts: Attempts,
    pub(crate) retryable: bool,
}

impl NumbersError {
    /// Returns the last response, if there was one.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        self.cause.response()
    }

    /// Returns whether the same read may succeed later, because it ran out of time or attempts.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Returns the error and its causes on one line, like anyhow's `{:#}`.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> String {
        if self.response().is_some_and(|response| response.status == 403) {
            // In a policy, `*` stands for one segment of a path.
            let segments = self.read.template().split('/');
            let segments = segments.map(|it| if it.starts_with('{') { "*" } else { it });
            let path = segments.collect::<Vec<_>>().join("/");
            return format!("The access key's policy must allow `view` on {path}.");
        }
        after_attempt(Step::Numbers(self.read), &self.cause).to_owned()
    }
}
