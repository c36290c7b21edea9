//! Tests that run `bird-sms` as a process.

mod batch;
mod check;
#[cfg(target_os = "linux")]
mod crash_at_calls;
mod disk;
#[cfg(unix)]
mod files;
mod harness;
mod help;
mod install;
mod numbers;
mod readme;
mod sandbox;
mod secrets;
mod signals;
mod terminal;
