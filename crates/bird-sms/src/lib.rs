//! Installs SMS channels in Bird (formerly `MessageBird`) workspaces, and never loses a connector.
//!
//! ```no_run
//! use bird_sms::ChannelMessageType;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = bird_sms::Client::from_env()?; // BIRD_ACCESS_KEY
//! let channel = client
//!     .workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse()?)
//!     .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
//!     .use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse()?)
//!     .channel_message_type(ChannelMessageType::Promotional)
//!     .await?;
//! println!("{}", channel.id);
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
//! | `Unknown` | check the dashboard: a second call may create a second connector |
//! | `ExistsIdUnknown` | find the id in the dashboard |
//! | `Exists(id)` | resume with [`Workspace::pending_channel`], in another process too |
//!
//! # What is sent again
//!
//! A second POST is not a repetition of the first: it may create a second connector. So the POST is sent again
//! only where that is known to be safe.
//!
//! | the attempt ended with | the connector | the POST | a GET |
//! |---|---|---|---|
//! | no connection | not created | sent again | sent again |
//! | a certificate that is refused, a proxy that requires a password | not created | not sent again | not sent again |
//! | 429 | not created, according to the vendor | sent again, after `Retry-After` | sent again, after `Retry-After` |
//! | 500, 503 | unknown; the vendor calls a retry safe | sent again: [`RetryPolicy::create`] | sent again |
//! | 502, 504, 520–530 | unknown: a gateway's response | not sent again, unless [`RetryPolicy::create`] allows it | sent again |
//! | 501, 505 | unknown | not sent again | not sent again |
//! | other 5xx | unknown | not sent again | sent again |
//! | no response, 408 | unknown, unless the request provably did not leave | not sent again, unless it provably did not leave | sent again |
//! | 3xx, other 4xx | not created | not sent again | not sent again; 404: [`PollPolicy::not_found_grace`] |
//! | 2xx, malformed | exists; the id may be salvaged | not sent again | sent again: [`PollPolicy::max_malformed`] |
//!
//! A success after an attempt whose outcome is unknown has a [`Warning`]: that attempt may have created another
//! connector.
//!
//! # Map
//!
//! | task | |
//! |---|---|
//! | configure | [`Client`], [`ClientBuilder`], [`RetryPolicy`], [`PollPolicy`], [`RateLimits`] |
//! | install one channel | [`Workspace::install_sms_channel`] |
//! | store the id before the wait | [`Workspace::create_sms_connector`], [`PendingChannel`] |
//! | install many | [`Workspace::install_sms_channels`], [`BatchOutcome`] |
//! | survive a crash | [`Journal`], [`RowState`], [`BatchItem::resume`] |
//! | follow the progress | [`Event`]; `tracing` has the same events |
//! | handle errors | [`Error`] |
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `codegen` | yes | generates the raw client from its contract at build time; without it the prebuilt copy is compiled |
//! | `ring` | yes | TLS by rustls with ring |
//! | `aws-lc-rs` | | TLS by rustls with aws-lc-rs, which wins over `ring` |
//! | `bundled-roots` | | trusts Mozilla's root certificates instead of the platform's |
//! | `http2` | | HTTP/2 where the server offers it |
//!
//! Without `ring` and `aws-lc-rs`, `https` needs [`ClientBuilder::http_client`].
//!
//! # Testing
//!
//! The crate `bird-sandbox` serves Bird's API on loopback. The sandbox validates requests against the contract,
//! provisions channels after a delay, and fails on demand.
//!
//! # Runtime and MSRV
//!
//! The futures need a Tokio runtime with time and I/O enabled, and panic outside of one. Built and tested with
//! Rust 1.95.

mod batch;
mod client;
mod error;
mod event;
#[cfg(fuzzing)]
pub mod fuzzing;
mod model;
mod policy;
#[cfg(test)]
mod tests;
mod transport;
mod workflow;

pub use batch::{
    AdoptionError, BatchItem, BatchOutcome, BatchOutcomes, InstallSmsChannels, Journal,
    JournalEntry, JournalFuture, JournalState, NextStep, RowState, UnknownRows,
};
pub use client::{Client, ClientBuilder, Workspace};
pub use error::{
    AttemptError, Attempts, ConfigurationError, CreatedIdUnknown, Error, ErrorResponse,
    JournalError, MalformedResponse, NotReady, OutcomeUnknown, ReadError, Refused, TransportError,
    TransportErrorKind, UnknownReason, Unreachable,
};
pub use event::Event;
pub use model::{
    AccessKey, ChannelId, ChannelMessageType, Connector, ConnectorId, ConnectorState, EndpointType,
    Number, NumberType, ParseIdError, PhoneNumberId, SmsChannel, SmsConnectorRequest, UseCaseId,
    Warning, WorkspaceId, escape_controls,
};
pub use policy::{
    Backoff, PollInterval, PollPolicy, PollPrice, ProvisioningTime, RateLimits, RetryCreate,
    RetryPolicy,
};
pub use workflow::{InstallSmsChannel, PendingChannel};
