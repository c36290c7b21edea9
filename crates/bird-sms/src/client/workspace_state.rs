use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::transport::RateLimiter;

/// The two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Create,
    Get,
}

impl Route {
    /// Returns the method and the path, as the contract has them.
    pub(crate) fn template(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("POST", "/workspaces/{workspaceId}/connectors"),
            Self::Get => ("GET", "/workspaces/{workspaceId}/connectors/{connectorId}"),
        }
    }
}

/// The state that all installs of a client in one workspace share.
#[derive(Debug)]
pub(crate) struct WorkspaceState {
    posts: RateLimiter,
    gets: RateLimiter,
    /// When the first and the last response came of those since which every response was a 429.
    throttled: Mutex<Option<(Instant, Instant)>>,
}

impl WorkspaceState {
    pub(super) fn new(client: &Client) -> Self {
        let (limits, now) = (client.limits(), client.runtime().now());
        let limiter = |limit| RateLimiter::new(limit, now, Arc::clone(client.first_response()));
        Self {
            posts: limiter(limits.posts_per_second),
            gets: limiter(limits.gets_per_second),
            throttled: Mutex::default(),
        }
    }

    pub(crate) fn limiter(&self, route: Route) -> &RateLimiter {
        match route {
            Route::Create => &self.posts,
            Route::Get => &self.gets,
        }
    }

    /// Takes note of a response, and of whether it was a 429.
    pub(crate) fn observe(&self, throttled: bool, now: Instant) {
        let mut times = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        *times = throttled.then(|| (times.map_or(now, |(first, _)| first), now));
    }

    /// Returns for how long every response was a 429, up to the last one.
    pub(crate) fn throttled_for(&self) -> Duration {
        let times = *self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        times.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
    }
}
