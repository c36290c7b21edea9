//! The state that all steps of one call share.

use std::time::Duration;

use bird_api::Response;
use reqwest::Request;

use super::retry::{SendError, send};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::transport::{Alone, Deadline, Runtime, Slot, Turn};
use crate::{AttemptError, TransportError};

/// A call: the workspace of its requests, its deadline, where its events go, and where its requests wait for their
/// turn.
pub(crate) struct Call<'a, T> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) deadline: Deadline,
    pub(crate) events: &'a EventSink,
    pub(crate) turn: T,
}

impl Workspace {
    /// Starts a call outside of a batch. Without a `timeout`, it has the install timeout of the client.
    pub(crate) fn call<'a>(
        &'a self,
        timeout: Option<Duration>,
        events: &'a EventSink,
    ) -> Call<'a, Alone<'a>> {
        let deadline = self.deadline(timeout);
        Call { workspace: self, deadline, events, turn: self.turn(Route::Get) }
    }
}

impl<T: Turn> Call<'_, T> {
    pub(crate) fn runtime(&self) -> &dyn Runtime {
        self.workspace.client().runtime()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.deadline.elapsed(self.runtime().now())
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.remaining(self.runtime().now())
    }

    /// Sends a GET once. Its response must come before the deadline of the call. With a budget, it must come within the
    /// budget instead, which is then shortened by the time of the exchange, but not by the wait for the turn.
    pub(crate) async fn send_once(
        &self,
        route: Route,
        request: Request,
        budget: Option<&mut Duration>,
    ) -> Result<Response, SendError> {
        let left = budget.as_deref().copied();
        let now = self.runtime().now();
        let deadline =
            Deadline::start(now, self.deadline.remaining(now).max(left.unwrap_or_default()));
        let slot = self.turn.take(Duration::ZERO, deadline.remaining(now), deadline).await;
        let sent = self.runtime().now();
        let timeout = left.unwrap_or_else(|| deadline.remaining(sent));
        let Some(slot) = slot.filter(|_| !timeout.is_zero()) else {
            return Err(AttemptError::Transport(TransportError::rate_limited()).into());
        };
        let slot = Slot { deadline: Deadline::start(sent, timeout), ..slot };
        let result = send(self.workspace, route, request, 1, slot).await;
        if let Some(budget) = budget {
            let taken = self.runtime().now().saturating_duration_since(sent);
            *budget = timeout.saturating_sub(taken);
        }
        result
    }
}
