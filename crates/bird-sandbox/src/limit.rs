//! The rate limit of one method.

use std::time::Duration;

use tokio::time::Instant;

/// Allows a number of requests in each window of a second. The windows follow tokio's clock, so that tests can
/// pause it.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    window: Instant,
    used: u32,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, window: Instant::now(), used: 0 }
    }

    /// Counts a request and returns whether it is within the limit.
    pub(crate) fn allow(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.window) >= Duration::from_secs(1) {
            self.window = now;
            self.used = 0;
        }
        self.used += 1;
        self.used <= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_second_allows_as_many_requests_as_the_limit() {
        let mut limit = RateLimit::new(2);
        assert!(limit.allow() && limit.allow() && !limit.allow());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limit.allow() && limit.allow() && !limit.allow());
    }
}
