use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{ChannelId, ConnectorId};

/// What happens during an install, in the order in which it happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The POST is about to be sent.
    Creating {
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// The connector exists. This is the first moment at which its id is known: store it.
    Created {
        /// Its id.
        connector_id: ConnectorId,
    },
    /// Bird was asked for the connector, and its channel is not there yet.
    Polled {
        /// How often it was asked so far.
        polls: u32,
        /// The time since the wait began.
        waited: Duration,
    },
    /// An attempt failed and is made again.
    Retrying {
        /// After this time.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
    /// The channel is there.
    Ready {
        /// Its id.
        channel_id: ChannelId,
    },
}

/// Told of each [`Event`]. It is called between two steps of the install and should return soon.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct EventSink(Option<Observer>);

impl EventSink {
    pub(crate) fn observed_by(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Tells the observer, and whoever traces.
    pub(crate) fn emit(&self, event: &Event) {
        match event {
            Event::Creating { attempt } => tracing::debug!(attempt, "creating the connector"),
            Event::Created { connector_id } => tracing::info!(%connector_id, "connector created"),
            Event::Polled { polls, waited } => {
                tracing::debug!(polls, ?waited, "channel not there yet");
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
