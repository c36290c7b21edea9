//! Many installs: scheduled by the rate limits, written to a journal, resumed from it.

mod adopt;
mod item;
mod journal;
mod outcomes;
mod resume;
mod slot;
mod task;
mod waiting;

use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt, select};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

pub use adopt::AdoptionError;
pub use item::{BatchItem, BatchOutcome};
pub use journal::{Journal, JournalEntry, JournalFuture};
pub use outcomes::BatchOutcomes;
pub use resume::{JournalState, NextStep, RowState, UnknownRows};
use slot::Batch;
use waiting::Rows;

use crate::client::Workspace;
use crate::{Event, SmsConnectorRequest};

/// The default concurrency is the number of GETs that the limit allows in this time, in seconds. Connectors that are
/// slower than this would be created too late.
const QUEUE_SECONDS: usize = 400;

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
/// client share. GETs are the scarce part: connectors are created as fast as POSTs are allowed, the batch learns how
/// long provisioning takes, and each connector is polled when that is worth its [price](crate::PollPrice), which rises
/// with the number of connectors whose poll is due.
///
/// The install timeout does not include the time for which the rate limit delays a poll: a connector is always polled
/// once more before its install ends with [`Error::NotReady`](crate::Error::NotReady).
///
/// Requests are taken from the stream as installs end, and outcomes are returned as they come, so that memory does not
/// grow with the batch beyond the [`concurrency`](Self::concurrency).
///
/// # Errors
///
/// The stream does not fail: each outcome has its own [`Error`](crate::Error). After a request is refused with 401 or
/// 403, the batch shuts down as with [`with_graceful_shutdown`](Self::with_graceful_shutdown), because every other
/// request would be refused as well.
///
/// # Cancel safety
///
/// Dropping the stream stops all installs at once and leaves the outcomes of POSTs in flight unknown.
/// [`BatchOutcomes::abandon`] returns these outcomes, and [`with_graceful_shutdown`](Self::with_graceful_shutdown)
/// waits for the POSTs. A [`Journal`] has every step in either case.
#[must_use = "a batch does nothing until it is started and its outcomes are taken"]
pub struct InstallSmsChannels<S> {
    workspace: Workspace,
    requests: S,
    concurrency: usize,
    journal: Option<Arc<dyn Journal>>,
    observer: Option<Box<Observer>>,
    shutdown: BoxFuture<'static, ()>,
}

impl<S> InstallSmsChannels<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    fn new(workspace: Workspace, requests: S) -> Self {
        let gets_per_second = workspace.client().limits().gets_per_second;
        let concurrency = usize::try_from(gets_per_second)
            .unwrap_or(usize::MAX)
            .saturating_mul(QUEUE_SECONDS)
            .min(100_000);
        let shutdown = std::future::pending().boxed();
        Self { workspace, requests, concurrency, journal: None, observer: None, shutdown }
    }

    /// Sets the number of installs in progress at a time, at least 1. Default: 400 for each GET per second that the
    /// workspace accepts, at most 100,000.
    ///
    /// Most of them are connectors that wait for a poll, each of which takes about 200 bytes and its request. With
    /// fewer installs, slow connectors are created later.
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
        self.observer = Some(Box::new(observer));
        self
    }

    /// Shuts the batch down when `signal` completes: no install is started and no POST is sent again, POSTs in flight
    /// are awaited, a POST whose intent is being written is sent if the rate limit allows it at once, and connectors that
    /// exist end with [`Error::NotReady`](crate::Error::NotReady), which has their id.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = signal.boxed();
        self
    }

    /// Returns the outcomes, in the order in which the installs end. No install starts before the stream is polled.
    /// From then on the installs run as Tokio tasks, whether or not the stream is polled again.
    ///
    /// # Panics
    ///
    /// The stream panics when it is polled outside of a Tokio runtime, or when a [`Journal`] panics.
    pub fn start(self) -> BatchOutcomes<S> {
        let (refused, is_refused) = oneshot::channel();
        let is_refused = async {
            // A sender that was dropped does not signal a refusal.
            if is_refused.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let shutdown = select(self.shutdown, is_refused.boxed()).map(drop).boxed().shared();
        let (outcomes, receiver) = mpsc::unbounded_channel();
        let batch = Batch {
            workspace: self.workspace,
            journal: self.journal,
            observer: self.observer,
            cancellation: shutdown.clone(),
            rows: Rows::new(outcomes),
            refused: Mutex::new(Some(refused)),
        };
        BatchOutcomes::new(batch, self.requests.take_until(shutdown), self.concurrency, receiver)
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
