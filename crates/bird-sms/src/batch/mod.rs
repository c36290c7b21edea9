//! Many installs: scheduled by the rate limits, written to a journal, resumed from it.

mod adopt;
mod item;
mod journal;
mod row;
mod run;

use std::fmt;
use std::sync::Arc;

use futures_util::{Stream, stream};

pub use adopt::AdoptionError;
pub use item::{BatchItem, BatchOutcome};
pub use journal::{Journal, JournalEntry, JournalFuture};
pub use row::{JournalState, NextStep, RowState, UnknownRows};
pub use run::BatchOutcomes;

use crate::client::Workspace;
use crate::{Event, SmsConnectorRequest};

/// The default concurrency. A row that waits takes 4 KB, and the command with a file journal takes 75 MB for 100,000 rows.
const CONCURRENCY: usize = 12_000;

type Observer = dyn Fn(&SmsConnectorRequest, &Event) + Send + Sync;

impl Workspace {
    /// Installs an SMS channel for each request of a `Vec` or another iterator, as fast as the limits of the workspace
    /// allow.
    ///
    /// ```no_run
    /// # use bird_sms::{SmsConnectorRequest, Workspace};
    /// # async fn example(workspace: Workspace, requests: Vec<SmsConnectorRequest>) {
    /// let mut outcomes = workspace.install_sms_channels(requests).start();
    /// while let Some(outcome) = outcomes.next().await {
    ///     match outcome.result {
    ///         Ok(channel) => println!("{}: {}", outcome.request.phone_number_id(), channel.id),
    ///         Err(error) => eprintln!("{}: {error}", outcome.request.phone_number_id()),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn install_sms_channels<I>(
        &self,
        requests: I,
    ) -> InstallSmsChannels<impl Stream<Item: Into<BatchItem>> + Send + use<I>>
    where
        I: IntoIterator<Item: Into<BatchItem>, IntoIter: Send>,
    {
        self.install_sms_channel_stream(stream::iter(requests))
    }

    /// Installs an SMS channel for each request of a stream, as [`install_sms_channels`](Self::install_sms_channels)
    /// does. The stream is polled as installs end, so that it can read its requests from a slow source.
    pub fn install_sms_channel_stream<S>(&self, requests: S) -> InstallSmsChannels<S>
    where
        S: Stream<Item: Into<BatchItem>> + Send,
    {
        InstallSmsChannels::new(self.clone(), requests)
    }
}

/// The install of many SMS channels. Made by [`Workspace::install_sms_channels`] and
/// [`Workspace::install_sms_channel_stream`].
///
/// A batch is as fast as the [`RateLimits`](crate::RateLimits) of the workspace allow, which all installs of a
/// client share. Connectors are created as fast as POSTs are allowed, and polled in the order in which their polls fall
/// due by the [`PollPolicy`](crate::PollPolicy), as fast as GETs are allowed.
///
/// The timeout of an install starts when its first POST may be sent, or with the wait for a connector of an earlier run.
/// A connector whose turn comes only after the deadline is polled once more before its install ends with
/// [`Error::NotReady`](crate::Error::NotReady).
///
/// Requests are taken from the stream as installs end, and outcomes are returned as they come. Beyond the
/// [`concurrency`](Self::concurrency), memory grows only by the phone number ids that were taken.
///
/// # Errors
///
/// The stream does not fail: each outcome has its own [`Error`](crate::Error). After a request is refused with 401 or
/// 403, the batch [shuts down](BatchOutcomes::shut_down), because every other request would be refused as well. It does
/// the same if every response of a whole install timeout is a 429. A second request for a phone number ends with
/// [`ConfigurationError::DuplicatePhoneNumber`](crate::ConfigurationError::DuplicatePhoneNumber).
///
/// # Cancel safety
///
/// Dropping the stream stops all installs at once and leaves the outcomes of POSTs in flight unknown.
/// [`BatchOutcomes::abandon`] returns these outcomes, and [`BatchOutcomes::shut_down`] waits for the POSTs. A [`Journal`]
/// has every step in either case.
#[must_use = "a batch does nothing until it is started and its outcomes are taken"]
pub struct InstallSmsChannels<S> {
    workspace: Workspace,
    requests: S,
    concurrency: usize,
    journal: Option<Arc<dyn Journal>>,
    observer: Option<Arc<Observer>>,
}

impl<S> InstallSmsChannels<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    fn new(workspace: Workspace, requests: S) -> Self {
        Self { workspace, requests, concurrency: CONCURRENCY, journal: None, observer: None }
    }

    /// Sets the number of installs in progress at a time, at least 1. Default: 12,000, which is what 50 GETs per second
    /// can poll in four minutes.
    ///
    /// Each install is a task that takes about 4 KB while it waits. With fewer installs, connectors are created later if
    /// the channels of others are slow.
    pub fn concurrency(mut self, installs: usize) -> Self {
        self.concurrency = installs.max(1);
        self
    }

    /// Writes each step to this journal before the next step is taken. Default: no journal.
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// Calls `observer` with each [`Event`] of each install.
    pub fn observe(
        mut self,
        observer: impl Fn(&SmsConnectorRequest, &Event) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Returns the outcomes, in the order in which the installs end. No install starts before the stream is polled.
    /// From then on the installs run as Tokio tasks, whether or not the stream is polled again.
    ///
    /// # Panics
    ///
    /// The stream panics when it is polled outside of a Tokio runtime, or when a [`Journal`] panics.
    pub fn start(self) -> BatchOutcomes<S> {
        let Self { workspace, requests, concurrency, journal, observer } = self;
        BatchOutcomes::new(workspace, requests, concurrency, journal, observer)
    }
}

impl<S> fmt::Debug for InstallSmsChannels<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallSmsChannels")
            .field("workspace", &self.workspace)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
