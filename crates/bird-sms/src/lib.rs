//! Installs SMS channels in Bird (formerly `MessageBird`) workspaces, and tells you after every failure whether a connector
//! exists.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let workspace = bird_sms::Workspace::from_env()?; // BIRD_ACCESS_KEY and BIRD_WORKSPACE_ID
//! let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
//! match workspace.install_sms_channel("My SMS channel", number).await {
//!     Ok(channel) => println!("{}", channel.id),
//!     Err(error) => eprintln!("{} ({:?})", error.chain(), error.connector_state()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Bird creates a *connector* at once, and provisions its *channel* in the background:
//!
//! ```text
//! POST connector ──2xx─▶ connector id known ──GET, GET, …─▶ channelId present ─▶ ready
//! ```
//!
//! # What exists after a failure
//!
//! [`Error::connector_state`] returns one of four states:
//!
//! | [`ConnectorState`] | what to do |
//! |---|---|
//! | `NotCreated` | correct the cause and call again |
//! | `Unknown` | look in the dashboard: a second call may create a second connector |
//! | `ExistsIdUnknown` | find the id in the dashboard |
//! | `Exists(id)` | continue with [`Workspace::pending_channel`], also from another process |
//!
//! # What is retried
//!
//! The POST is not idempotent, so it is sent again only where that is known to be safe. The table of [`RetryPolicy`] shows
//! what each response means for the connector, and whether the request is sent again.
//!
//! # Where to start
//!
//! | task | |
//! |---|---|
//! | configure; use many workspaces | [`Client`], [`ClientBuilder`], [`RetryPolicy`], [`PollPolicy`], [`RateLimits`] |
//! | check key, workspace and connection | [`Workspace::check`] |
//! | list numbers and their connectors | [`Workspace::numbers`], [`Workspace::number`] |
//! | see what a number needs | [`Workspace::requirements`], [`Workspace::use_cases`] |
//! | install one channel | [`Workspace::install_sms_channel`] |
//! | store the id before the wait | [`Workspace::create_sms_connector`], [`PendingChannel`] |
//! | install many | [`Workspace::install_sms_channels`], [`BatchOutcomes`] |
//! | survive a crash | [`InstallSmsChannel::journal`], [`Journal`]; `FileJournal`, with the feature `file-journal` |
//! | follow the progress | [`Event`], or the [spans and events](#tracing) of `tracing` |
//! | handle errors | [`Error`] |
//! | test without Bird | `test_util`, with the feature `test-util`, and the crate `bird-sandbox` |
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `rustls` | yes | TLS by reqwest's rustls with aws-lc-rs |
//! | `rustls-no-provider` | | TLS by reqwest's rustls with a crypto provider that the program installs, such as ring |
//! | `file-journal` | | `FileJournal`, the journal of a batch in a file |
//! | `test-util` | | `test_util`: workspaces, results and errors for tests, and a check for journals |
//!
//! Without `rustls` and `rustls-no-provider`, the program's own dependency on reqwest decides how TLS works.
//!
//! ring compiles faster than aws-lc-rs and makes a smaller program. To use it, depend on `rustls` with its feature `ring`, and
//! on this crate with `default-features = false` and `rustls-no-provider`. Call
//! `rustls::crypto::ring::default_provider().install_default()` at the start of `main`. Without a provider,
//! [`ClientBuilder::build`] panics, as does building any other reqwest client.
//!
//! # Tracing
//!
//! Each call is a span of `tracing`: `install_sms_channel`, `create_sms_connector`, `wait_for_channel`, `poll_channel`,
//! `read_connector`, `read_numbers`, `check`, and `install_sms_channels` around the installs of a batch. A span has
//! `workspace_id`, `phone_number_id` and `connector_id`, as far as they are known. When an install ends, its span gets an
//! `outcome`: `ready`, or the [kind](Error::kind) of the error.
//!
//! Each exchange is a `DEBUG` event with fields named as in OpenTelemetry: `http.request.method`, `url.template`,
//! `http.response.status_code` or `error.type`, `http.client.request.duration` in seconds, and `attempt`. Neither spans nor
//! events contain the access key or a body.
//!
//! # Testing
//!
//! The crate `bird-sandbox` is a local Bird: it validates requests against the contract, provisions channels after a delay,
//! and fails on demand. In memory and with Tokio's paused clock, an hour of simulated time takes milliseconds:
//!
//! ```
//! use bird_sms::test_util; // with the feature `test-util`
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = bird_sandbox::Sandbox::builder().fault("post:503".parse()?).in_memory();
//! let transport = sandbox.transport();
//! let key = sandbox.access_key();
//! let id = sandbox.workspace_id();
//! let workspace = test_util::workspace(transport, key, id);
//!
//! let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
//! let channel = workspace.install_sms_channel("My SMS channel", number).await?;
//! assert_eq!(channel.id, sandbox.connectors()[0].channel_id.into());
//! assert_eq!(sandbox.post_count(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! The documentation of `bird-sandbox` covers time, faults by phone number, reproducible runs and sockets. `test_util` creates
//! errors without a request, and checks your own journal.
//!
//! # Examples
//!
//! Run an example with `cargo run -p bird-sms --example NAME`. All except `axum_service` and `raw_response` need no account,
//! because they start a sandbox in the same process.
//!
//! | example | |
//! |---|---|
//! | `one_call` | prints the events and the result of an install |
//! | `two_steps` | stores the id of a connector, and resumes as another process would |
//! | `axum_service` | a service that installs in the background, and survives `kill -9` |
//! | `batch_with_journal` | a batch that is shut down and resumed |
//! | `blocking` | a program without `async` |
//! | `raw_response` | the raw bytes of a response |
//!
//! # Runtime and MSRV
//!
//! The futures need a Tokio runtime with time and I/O enabled. They panic if they are polled outside of one.
//!
//! The crate builds with Rust 1.89. Raising this minimum requires a new minor version.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod client;
mod error;
mod event;
#[cfg(feature = "file-journal")]
mod file_journal;
mod install;
mod model;
mod policy;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(test)]
mod tests;
mod transport;
mod workflow;

pub use bird_api;
pub use jiff;
pub use reqwest;
pub use uuid;

pub use batch::{
    AdoptionError, BatchOutcome, BatchOutcomes, InstallSmsChannels, Journal, JournalEntry,
    JournalFuture, JournalState, NextStep, RowState, UnknownRows,
};
pub use client::{Client, ClientBuilder, Workspace};
pub use error::{
    AttemptError, Attempts, CheckError, CheckProblem, Error, ErrorResponse, Failure, JournalError,
    NotReadyReason, NumbersError, NumbersRead, TransportError, TransportErrorKind, UnknownReason,
};
pub use event::Event;
#[cfg(feature = "file-journal")]
#[doc(hidden)]
pub use file_journal::JournalStorage;
#[cfg(feature = "file-journal")]
pub use file_journal::{FileJournal, FileJournalError, JournalContent};
pub use install::InstallSmsChannel;
pub use model::{
    AccessKey, CapabilityState, ChannelId, ChannelMessageType, ConfigurationError, Connector,
    ConnectorId, ConnectorNumber, ConnectorState, EndpointType, Number, NumberType, ParseIdError,
    PhoneNumberId, Requirement, SmsChannel, SmsConnectorRequest, UseCase, UseCaseId, Warning,
    WorkspaceId, escape_controls,
};
pub use policy::{Backoff, PollPolicy, RateLimits, RetryCreate, RetryPolicy};
pub use workflow::{Access, PendingChannel};

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
