//! Batches against a server in memory.

mod abandon;
mod server;
mod speed;
