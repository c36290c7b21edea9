//! The error of a search for a connector.

use std::fmt;
use std::sync::Arc;

use super::{AttemptError, chain};

/// The error of [`Workspace::find_connector`](crate::Workspace::find_connector). It says nothing about the connector.
#[derive(Clone, Debug)]
pub struct SearchError(Problem);

#[derive(Clone, Debug)]
enum Problem {
    Attempt(Arc<AttemptError>),
    TimedOut,
    RepeatedPage,
}

impl SearchError {
    pub(crate) fn new(cause: AttemptError) -> Self {
        Self(Problem::Attempt(Arc::new(cause)))
    }

    pub(crate) fn timed_out() -> Self {
        Self(Problem::TimedOut)
    }

    pub(crate) fn repeated_page() -> Self {
        Self(Problem::RepeatedPage)
    }

    /// Returns whether every other search would fail in the same way: the access key may not list connectors, or the
    /// API does not have the endpoint in the form that the contract describes.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match &self.0 {
            Problem::Attempt(error) => match &**error {
                AttemptError::Response(response) => {
                    response.status < 500 && !matches!(response.status, 408 | 429)
                        || matches!(response.status, 501 | 505)
                }
                AttemptError::Malformed(_) => true,
                _ => false,
            },
            Problem::TimedOut => false,
            Problem::RepeatedPage => true,
        }
    }

    /// Returns the error and its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.0 {
            Problem::TimedOut => "Search again with a longer timeout.",
            Problem::Attempt(ref error)
                if error
                    .response()
                    .is_some_and(|response| matches!(response.status, 401 | 404)) =>
            {
                "Check the access key, the workspace id and the API URL; the endpoint is unproven, and may be absent."
            }
            _ if self.is_permanent() => {
                "The access key's policy must allow `list` on /workspaces/{workspaceId}/connectors. \
                 The endpoint is unproven: look the connector up in the Bird dashboard."
            }
            _ => "Search again later.",
        }
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Attempt(_) => "the connectors could not be listed",
            Problem::TimedOut => "the connectors could not be listed in time",
            Problem::RepeatedPage => "a page of the connectors refers to a page before it",
        })
    }
}

impl std::error::Error for SearchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Problem::Attempt(error) => Some(&**error),
            Problem::TimedOut | Problem::RepeatedPage => None,
        }
    }
}
