//! The journal, and workers that are killed, with a PostgreSQL of their own.

mod conformance;
mod journal;
mod kills;
mod postgres;
