use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clock, the timers and the random numbers of the workflow. Tests replace them to make a run repeatable.
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// Returns the monotonic time. Deadlines use it.
    fn now(&self) -> Instant;
    /// Returns the system time. The dates in `Retry-After` and the times of creations are compared with it.
    fn system_time(&self) -> SystemTime;
    /// Returns a future that completes after the duration, or at once if the duration is zero.
    fn sleep(&self, duration: Duration) -> Sleep;
    /// Returns a random number in `0..1`.
    fn random(&self) -> f64;
}

/// The default runtime: Tokio's timers, a thread-local random number generator, and a function that returns the system
/// time. `ClientBuilder::system_time` replaces the function.
#[derive(Debug)]
pub(crate) struct TokioRuntime(pub(crate) fn() -> SystemTime);

impl Runtime for TokioRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        (self.0)()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration.is_zero() {
            // Even the shortest timer takes up to a millisecond, so none is used.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(tokio::time::sleep(duration))
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }
}
