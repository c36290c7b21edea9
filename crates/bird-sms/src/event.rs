use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::policy::seconds;
use crate::{ChannelId, ConnectorId, ConnectorState, Warning};

/// A step of an install.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use bird_sms::Event;
///
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// let install = workspace.install_sms_channel("My SMS channel", number).observe(|event| {
///     if let Event::Created { connector_id, .. } = event {
///         println!("the connector is {connector_id}");
///     }
/// });
/// install.await?;
/// # Ok(())
/// # }
/// ```
///
/// Events come in the order of the steps. They serialize as JSON objects with the field `event`; durations are in
/// seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// The POST is about to be sent.
    Creating {
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// The outcome of the creation is unknown, so the connector is looked up by its phone number.
    LookingUp,
    /// The connector exists. Store its id.
    Created {
        /// The id of the connector.
        connector_id: ConnectorId,
        /// The warning that an earlier attempt may have created another connector.
        warning: Option<Warning>,
    },
    /// The connector was polled, but its channel is not ready yet.
    Polled {
        /// How many GETs have been sent so far.
        polls: u32,
        /// How long the wait has taken.
        #[serde(rename = "waitedSeconds", serialize_with = "seconds::serialize")]
        waited: Duration,
    },
    /// An attempt failed and will be retried.
    Retrying {
        /// The delay before the next attempt.
        #[serde(rename = "afterSeconds", serialize_with = "seconds::serialize")]
        after: Duration,
        /// The error and its causes, on one line.
        reason: String,
        /// The state of the connector after the attempt, if it was a POST.
        #[serde(skip)]
        connector_state: Option<ConnectorState>,
    },
    /// A 429 paused all POSTs or all GETs of the workspace for more than a second. Only the install that got the 429
    /// emits this event.
    Paused {
        /// The time until requests are sent again.
        #[serde(rename = "durationSeconds", serialize_with = "seconds::serialize")]
        duration: Duration,
    },
    /// The channel is ready.
    Ready {
        /// The id of the channel.
        channel_id: ChannelId,
    },
}

impl Event {
    /// Returns the state of the connector after this event, or `None` if the event doesn't change it. A program that is
    /// interrupted can report the last one.
    #[must_use]
    pub fn connector_state(&self) -> Option<ConnectorState> {
        match self {
            Self::Creating { .. } => Some(ConnectorState::Unknown),
            Self::Created { connector_id, .. } => Some(ConnectorState::Exists(*connector_id)),
            Self::Retrying { connector_state, .. } => *connector_state,
            Self::LookingUp | Self::Polled { .. } | Self::Paused { .. } | Self::Ready { .. } => {
                None
            }
        }
    }
}

/// Where the events of an install go: to `tracing`, and to an observer if there is one.
///
/// The install waits until the observer returns.
#[derive(Clone, Default)]
pub(crate) struct EventSink(Option<Arc<Observer>>);

type Observer = dyn Fn(&Event) + Send + Sync;

impl EventSink {
    pub(crate) fn new(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn emit(&self, event: &Event) {
        match event {
            Event::LookingUp => tracing::info!("looking up the connector by its phone number"),
            Event::Creating { attempt } => tracing::debug!(attempt, "creating the connector"),
            Event::Created { connector_id, warning } => {
                tracing::Span::current()
                    .record("connector_id", tracing::field::display(connector_id));
                tracing::info!(%connector_id, "connector created");
                if let Some(warning) = warning {
                    tracing::warn!(%connector_id, "{warning}");
                }
            }
            Event::Polled { polls, waited } => {
                tracing::debug!(polls, ?waited, "channel not ready yet");
            }
            Event::Retrying { after, reason, .. } => tracing::warn!(?after, reason, "retrying"),
            Event::Paused { duration } => tracing::warn!(?duration, "paused by the rate limit"),
            Event::Ready { channel_id } => tracing::info!(%channel_id, "channel ready"),
        }
        self.observe(event);
    }

    /// Calls the observer, without a `tracing` event.
    pub(crate) fn observe(&self, event: &Event) {
        if let Some(observer) = &self.0 {
            observer(event);
        }
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "EventSink(observed)" } else { "EventSink" })
    }
}
