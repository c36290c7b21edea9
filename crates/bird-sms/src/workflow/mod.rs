//! The install of one channel: creating the connector, and waiting for its channel.

mod check;
mod create;
mod install;
mod look_up;
mod numbers;
mod read;
mod retry;
mod wait;

pub use check::Access;
pub(crate) use create::create;
#[cfg(feature = "test-util")]
pub(crate) use create::create_failed;
pub use install::InstallSmsChannel;
pub(crate) use install::{install_span, record_outcome};
pub(crate) use look_up::LookUp;
pub(crate) use retry::RESERVE;
#[cfg(feature = "test-util")]
pub(crate) use retry::{Tolerance, is_retryable_get};
pub use wait::PendingChannel;
