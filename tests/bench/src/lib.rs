//! The server and the hand-written client that `cargo xtask bench` compares bird-sms with.
//!
//! An *install* is a POST with the response 201 without a channel, and a GET with the response that has the
//! channel, over a connection that is kept alive on loopback.

#![expect(clippy::missing_errors_doc, reason = "an error ends the program")]

pub mod hand_written;
pub mod server;
