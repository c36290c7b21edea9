use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{ChannelId, ConnectorId, ConnectorState, Warning};

/// What happens during an install, in the order in which it happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The POST is about to be sent.
    Creating {
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// The connector exists. This is the first moment at which its id is known: store it.
    Created {
        /// The id of the connector.
        connector_id: ConnectorId,
        /// What the creation leaves open: another connector may exist.
        warning: Option<Warning>,
    },
    /// The connector was polled, and its channel is not ready yet.
    Polled {
        /// The number of GETs so far.
        polls: u32,
        /// The time since the wait began.
        waited: Duration,
    },
    /// An attempt failed and is made again.
    Retrying {
        /// The delay before the next attempt.
        after: Duration,
        /// The error, for a person.
        reason: String,
    },
    /// The channel is ready.
    Ready {
        /// The id of the channel.
        channel_id: ChannelId,
    },
}

impl Event {
    /// Returns what is known of the connector from this event on. `None` when the event says nothing new.
    ///
    /// A program that has to stop now reports the state of the last event that has one.
    #[must_use]
    pub fn connector_state(&self) -> Option<ConnectorState> {
        match self {
            Self::Creating { .. } => Some(ConnectorState::Unknown),
            Self::Created { connector_id, .. } => Some(ConnectorState::Exists(*connector_id)),
            Self::Polled { .. } | Self::Retrying { .. } | Self::Ready { .. } => None,
        }
    }
}

/// Where the events of an install go: to `tracing`, and to an observer.
///
/// The observer is called between two steps of the install, so it should return soon.
#[derive(Clone, Default)]
pub(crate) struct EventSink(Option<Arc<dyn Fn(&Event) + Send + Sync>>);

impl EventSink {
    pub(crate) fn new(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn emit(&self, event: &Event) {
        match event {
            Event::Creating { attempt } => tracing::debug!(attempt, "creating the connector"),
            Event::Created { connector_id, warning } => {
                tracing::info!(%connector_id, "connector created");
                if let Some(warning) = warning {
                    tracing::warn!(%connector_id, "{warning}");
                }
            }
            Event::Polled { polls, waited } => {
                tracing::debug!(polls, ?waited, "channel not ready yet");
            }
            Event::Retrying { after, reason } => tracing::warn!(?after, reason, "retrying"),
            Event::Ready { channel_id } => tracing::info!(%channel_id, "channel ready"),
        }
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
