//! The install of one channel: creating the connector, and waiting for its channel.

mod create;
mod install;
mod poll_schedule;
mod read;
mod retry;
mod wait;

pub(crate) use create::{CreateStart, create};
pub use install::InstallSmsChannel;
pub(crate) use install::install_span;
pub(crate) use poll_schedule::PollSchedule;
pub(crate) use retry::Cancellation;
pub use wait::PendingChannel;
