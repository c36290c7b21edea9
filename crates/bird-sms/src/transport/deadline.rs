use std::time::Duration;

use tokio::time::Instant;

/// The deadline of a call: its start by the monotonic clock, and its timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    started: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn start(started: Instant, timeout: Duration) -> Self {
        Self { started, timeout }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Returns the time until the deadline. Zero after the deadline.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.timeout.saturating_sub(self.elapsed(now))
    }
}
