use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::select;
use tokio::sync::Notify;

use super::Runtime;

/// The longest time for which the other requests wait for the first one: enough for the handshakes and the request over
/// a round trip of 250 ms.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Holds the other requests of a client back until the first one has ended, each for [`MAX_WAIT`] at most.
///
/// Until the first TLS handshake ends, the HTTP client does not know whether the server speaks HTTP/2, and would open a
/// connection for each request that is sent meanwhile.
#[derive(Debug)]
pub(crate) struct FirstResponse {
    begun: AtomicBool,
    ended: AtomicBool,
    waiters: Notify,
}

impl FirstResponse {
    /// `is_awaited` is whether the connections may speak HTTP/2.
    pub(crate) fn new(is_awaited: bool) -> Self {
        Self {
            begun: AtomicBool::new(!is_awaited),
            ended: AtomicBool::new(!is_awaited),
            waiters: Notify::new(),
        }
    }

    /// Returns whether the first request has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for the end of the first request, but not longer than `timeout` and [`MAX_WAIT`]. Returns at once for the
    /// first request.
    pub(crate) async fn wait(&self, runtime: &dyn Runtime, timeout: Duration) {
        let mut end = pin!(self.waiters.notified());
        end.as_mut().enable();
        if !self.has_ended() && self.begun.swap(true, Ordering::AcqRel) {
            select(end, runtime.sleep(MAX_WAIT.min(timeout))).await;
        }
    }

    /// Lets the other requests go, after a response or an error.
    pub(crate) fn end(&self) {
        if !self.has_ended() && !self.ended.swap(true, Ordering::AcqRel) {
            self.waiters.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use futures_util::future::join;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::transport::TokioRuntime;

    const RUNTIME: TokioRuntime = TokioRuntime(SystemTime::now);

    #[tokio::test(start_paused = true)]
    async fn the_others_wait_for_the_end_of_the_first_request_for_a_second_at_most() {
        for (response, wait) in [(Some(300), 300), (Some(5000), 1000), (None, 1000)] {
            let first = FirstResponse::new(true);
            let began = Instant::now();
            first.wait(&RUNTIME, Duration::MAX).await;
            assert_eq!(began.elapsed(), Duration::ZERO);
            let other = async {
                first.wait(&RUNTIME, Duration::MAX).await;
                began.elapsed()
            };
            let respond = async {
                if let Some(time) = response {
                    sleep(Duration::from_millis(time)).await;
                    first.end();
                }
            };
            assert_eq!(join(other, respond).await.0, Duration::from_millis(wait));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_after_the_first_response_or_where_http2_is_not_possible() {
        for first in [FirstResponse::new(true), FirstResponse::new(false)] {
            first.end();
            let began = Instant::now();
            for _ in 0..3 {
                first.wait(&RUNTIME, Duration::MAX).await;
            }
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }
}
