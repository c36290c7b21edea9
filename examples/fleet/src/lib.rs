//! Installs SMS channels in many workspaces with many processes, on one machine or several. The jobs and the journal
//! are in PostgreSQL. README.md says how the parts work together.

mod jobs;
mod lease;
mod worker;

pub use jobs::{SCHEMA, enqueue};
pub use lease::{Lease, PgJournal, connect};
pub use worker::{Credentials, Worker};
