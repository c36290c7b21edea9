//! The install of one channel: creating the connector, and waiting for its channel.

mod check;
mod create;
mod install;
mod poll_schedule;
mod read;
mod retry;
mod wait;

pub use check::Access;
#[cfg(feature = "test-util")]
pub(crate) use create::create_failed;
pub(crate) use create::{CreateStart, create};
pub use install::InstallSmsChannel;
pub(crate) use install::install_span;
pub(crate) use poll_schedule::{PAUSE, poll_delay};
pub(crate) use read::GetHistory;
pub(crate) use retry::{Cancellation, LastAttempt};
#[cfg(feature = "test-util")]
pub(crate) use retry::{Tolerance, is_retryable_get};
pub use wait::PendingChannel;
