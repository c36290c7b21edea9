//! The command `bird-sms`, as a library so that its arguments can be documented and its parts tested.
//!
//! stdout carries the result alone. Progress, advice and errors go to stderr. The exit codes are those of
//! [`exit::Code`].

pub mod args;
pub mod exit;

mod batch;
mod commands;
mod interrupt;
mod progress;
mod report;
mod settings;

pub use commands::{refuse, run};
