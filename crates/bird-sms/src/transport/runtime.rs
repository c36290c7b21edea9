use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Clock, sleep and randomness: the only inputs that the workflow takes from its process. Tests inject their own.
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// Returns the monotonic time, by which deadlines are measured.
    fn now(&self) -> Instant;
    /// Returns the system time, with which the dates of `Retry-After` are compared.
    fn system_time(&self) -> SystemTime;
    fn sleep(&self, duration: Duration) -> Sleep;
    /// Returns a random number in `0..1`.
    fn random(&self) -> f64;
}

/// The runtime of a program: Tokio's timers, a thread-local random number generator, and the function that returns the
/// system time.
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
            // Even the shortest timer takes up to a millisecond.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(tokio::time::sleep(duration))
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }
}
