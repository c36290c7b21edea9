//! The layers below the workflow: the rate limiter, the deadline and the runtime.

mod classify;
mod deadline;
mod rate_limiter;
mod retry_after;
mod runtime;
mod turn;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use deadline::Deadline;
pub(crate) use rate_limiter::{Permit, RateLimiter};
pub(crate) use retry_after::retry_after;
#[cfg(any(test, feature = "test-util"))]
pub(crate) use runtime::Sleep;
pub(crate) use runtime::{Runtime, TokioRuntime};
pub(crate) use turn::{Alone, Slot, Turn};

/// Locks a mutex, even if another thread panicked while it held the lock: no invariant spans two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
