//! The command `bird-sms`. It is a library because an example generates the man pages from its arguments.
//!
//! Only the result is printed to stdout. Progress, hints and errors are printed to stderr. [`exit::Code`] lists the
//! exit codes.

pub mod exit;

mod args;
mod batch;
mod commands;
mod display;
mod error;
mod help;
mod json;
mod numbers;
mod output;
mod progress;
mod sandbox;
mod secret;
mod signal;
mod status;
mod workspace;

pub use commands::main;

/// Returns the arguments of the command.
#[must_use]
pub fn arguments() -> clap::Command {
    <args::Args as clap::CommandFactory>::command()
}
