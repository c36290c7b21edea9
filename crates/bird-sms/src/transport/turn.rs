//! The turn of a request: the wait before it is sent.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::{Deadline, Permit, RateLimiter, Runtime};
use crate::{ConnectorId, PhoneNumberId, Warning};

/// The right to send one request now, and the deadline of its response.
#[derive(Debug)]
#[must_use]
pub(crate) struct Slot {
    pub(crate) permit: Permit,
    pub(crate) deadline: Deadline,
    /// Counts the request as in flight until the slot is dropped. `None` if the number of such requests is not limited.
    pub(crate) _in_flight: Option<OwnedSemaphorePermit>,
}

/// Where the requests of one call wait for their turn.
pub(crate) trait Turn: Sync {
    /// Waits for `delay`, and then for the turn of a request, up to `timeout` in total. Returns `None` if the turn
    /// comes later or never.
    fn take(
        &self,
        delay: Duration,
        timeout: Duration,
        deadline: Deadline,
    ) -> impl Future<Output = Option<Slot>> + Send;

    /// Records the connector that was created or found. If it belongs to another phone number, fails with that number.
    fn created(&self, _: ConnectorId, _: Option<Warning>) -> Result<(), PhoneNumberId> {
        Ok(())
    }
}

/// The turn of a call outside of a batch: it waits only for the rate limiter.
pub(crate) struct Alone<'a> {
    pub(crate) runtime: &'a dyn Runtime,
    pub(crate) limiter: &'a RateLimiter,
}

impl Turn for Alone<'_> {
    async fn take(&self, delay: Duration, timeout: Duration, deadline: Deadline) -> Option<Slot> {
        let wait = Deadline::start(self.runtime.now(), timeout);
        self.runtime.sleep(delay).await;
        // A sleep takes up to a millisecond longer than requested.
        let timeout = wait.remaining(self.runtime.now());
        let permit = self.limiter.acquire(self.runtime, timeout).await?;
        Some(Slot { permit, deadline, _in_flight: None })
    }
}
