//! Batches against a server in memory.

mod abandon;
mod deadlines;
mod duplicates;
mod server;
mod speed;
