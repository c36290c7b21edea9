//! What the loops take from the world outside: time and chance. Tests bring their own.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// The monotonic clock, which deadlines hold by.
    fn now(&self) -> Instant;
    /// The clock on the wall, which `Retry-After` dates are read by.
    fn system_time(&self) -> SystemTime;
    fn sleep(&self, duration: Duration) -> Sleep;
    /// A number in `0..1`.
    fn random(&self) -> f64;
}

#[derive(Debug)]
pub(crate) struct TokioRuntime;

impl Runtime for TokioRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration.is_zero() {
            // A timer would take up to a millisecond.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(tokio::time::sleep(duration))
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }
}
