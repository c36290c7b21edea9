//! The layers below the workflow: the rate limiter, the deadline and the runtime.

mod classify;
mod deadline;
mod rate_limiter;
mod retry_after;
mod runtime;
mod turn;

pub(crate) use deadline::Deadline;
pub(crate) use rate_limiter::{Permit, RateLimiter};
pub(crate) use retry_after::retry_after;
#[cfg(any(test, feature = "test-util"))]
pub(crate) use runtime::Sleep;
pub(crate) use runtime::{Runtime, TokioRuntime};
pub(crate) use turn::{Alone, Slot, Turn};
