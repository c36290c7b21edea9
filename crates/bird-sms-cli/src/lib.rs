//! The command `bird-sms`. It is a library so that its arguments can be documented and its parts tested.
//!
//! Only the result is printed to stdout. Progress, hints and errors are printed to stderr. The exit codes are those of
//! [`exit::Code`].

pub mod args;
pub mod exit;

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

pub use commands::{parse, refuse, run};
