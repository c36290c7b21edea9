//! The steps of an install (create the connector, look it up, wait for its channel), and reads.

mod call;
mod check;
mod create;
mod look_up;
mod numbers;
mod read;
mod retry;
mod span;
mod wait;

pub(crate) use call::Call;
pub use check::Access;
#[cfg(feature = "test-util")]
pub(crate) use create::create_failed;
pub(crate) use create::{check_timeout, create, create_alone};
pub(crate) use look_up::LookUp;
pub(crate) use retry::RESERVE;
#[cfg(feature = "test-util")]
pub(crate) use retry::{Tolerance, is_retryable_get};
pub(crate) use span::{install_span, record_outcome};
pub use wait::PendingChannel;
