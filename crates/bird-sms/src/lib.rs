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
//! # What an install is
//!
//! ```text
//! POST connector  ──2xx──▶  connector id known  ──GET, GET, …──▶  channel.channelId there  ──▶  done
//! ```
//!
//! Bird creates the connector at once and provisions its channel in the background. A second POST is not
//! a repetition of the first, so what became of the POST decides what happens next:
//!
//! | seen | meaning | then |
//! |---|---|---|
//! | no connection | nothing exists | tried again; a certificate that is refused ends it |
//! | 429 | not processed, says the vendor | tried again after `Retry-After` |
//! | 5xx | safe to repeat, says the vendor, but it may exist | tried again; from here on a failure is [`Error::OutcomeUnknown`] |
//! | no response, 408 | it may exist | [`Error::OutcomeUnknown`]: never sent again |
//! | 2xx, unreadable | it exists | goes on if the id can be read, else [`Error::CreatedIdUnknown`] |
//! | 3xx, 4xx | refused | [`Error::Refused`] |
//!
//! From the moment the id is known every error carries it ([`Error::connector_id`]), and
//! [`Workspace::pending_channel`] goes on from it, in another process too.
//!
//! # Map
//!
//! | | |
//! |---|---|
//! | [`Client`], [`ClientBuilder`] | the access key, the API's URL, timeouts, policies |
//! | [`Workspace`] | install, create, resume, read |
//! | [`InstallSmsChannel`] | an install in one call |
//! | [`SmsConnectorRequest`], [`PendingChannel`] | the same in two steps, to store the id in between |
//! | [`InstallSmsChannels`], [`Journal`] | many installs, at the speed that the limits allow, on record |
//! | [`Error`] | what failed, and whether a connector may exist |
//! | [`RetryPolicy`], [`PollPolicy`], [`Backoff`] | when to try again |
//! | [`RateLimits`] | how many requests a second a workspace takes |
//! | [`Event`] | what an observer is told; `tracing` carries the same |

mod access_key;
mod batch;
mod channel;
mod client;
mod connector;
mod create;
mod error;
mod event;
#[cfg(fuzzing)]
pub mod fuzzing;
mod id;
mod install;
mod journal;
mod open_enum;
mod pending;
mod policy;
mod provisioning_estimate;
mod rate_limiter;
mod request;
mod response;
mod retry_after;
mod runtime;
#[cfg(test)]
mod tests;
mod tls;
mod workspace;
mod workspace_state;

pub use access_key::AccessKey;
pub use batch::{BatchItem, BatchOutcome, InstallSmsChannels};
pub use channel::SmsChannel;
pub use client::{Client, ClientBuilder};
pub use connector::{Connector, EndpointType, Number, NumberType};
pub use error::{
    Attempts, ConfigurationError, CreatedIdUnknown, Error, JournalError, NotReady, OutcomeUnknown,
    ReadError, ReadFailure, Refused, UnknownReason, Unreachable,
};
pub use event::Event;
pub use id::{ChannelId, ConnectorId, ParseIdError, PhoneNumberId, UseCaseId, WorkspaceId};
pub use install::InstallSmsChannel;
pub use journal::{BoxFuture, Journal, JournalEntry};
pub use pending::PendingChannel;
pub use policy::{Backoff, PollPolicy, RetryPolicy};
pub use rate_limiter::RateLimits;
pub use request::{ChannelMessageType, SmsConnectorRequest};
pub use response::{ErrorResponse, MalformedResponse, TransportError, TransportErrorKind};
pub use workspace::Workspace;
