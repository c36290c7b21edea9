//! The rate limits.

use std::time::Duration;

use tokio::time::Instant;

/// At most so many requests a second, by windows of a second. On tokio's clock, so that paused time works.
#[derive(Debug)]
pub(crate) struct Limit {
    per_second: u32,
    window: Instant,
    used: u32,
}

impl Limit {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, window: Instant::now(), used: 0 }
    }

    /// Takes one, or says that there is none left in this second.
    pub(crate) fn take(&mut self) -> bool {
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
    async fn so_many_pass_each_second() {
        let mut limit = Limit::new(2);
        assert!(limit.take() && limit.take() && !limit.take());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limit.take() && limit.take() && !limit.take());
    }
}
