//! The install of one channel: creating the connector, and waiting for its channel.

mod create;
mod install;
mod poll_schedule;
mod read;
mod retry;
mod wait;

pub(crate) use create::{CreateStart, create};
pub use install::InstallSmsChannel;
pub(crate) use poll_schedule::{PAUSE, poll_delay};
pub(crate) use read::GetHistory;
pub(crate) use retry::{Cancellation, LastAttempt};
pub use wait::PendingChannel;
