//! Batches: many installs, as fast as the rate limits allow, with a journal to resume from.

mod adopt;
mod journal;
mod outcome;
mod row;
mod run;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};

pub use adopt::AdoptionError;
pub use journal::{Journal, JournalEntry, JournalFuture};
pub use outcome::BatchOutcome;
pub use row::{JournalState, NextStep, RowState, UnknownRows};
pub use run::BatchOutcomes;

use crate::client::Workspace;
use crate::{Event, PhoneNumberId, SmsConnectorRequest};

/// The default concurrency. Each waiting row takes about 4 KB.
const CONCURRENCY: usize = 12_000;

type Observer = dyn Fn(&SmsConnectorRequest, &Event) + Send + Sync;

impl Workspace {
    /// Installs an SMS channel for each request of a `Vec` or another iterator, as fast as the rate limits of the
    /// workspace allow.
    ///
    /// See [`InstallSmsChannels`] for an example.
    pub fn install_sms_channels<I>(
        &self,
        requests: I,
    ) -> InstallSmsChannels<impl Stream<Item = SmsConnectorRequest> + Send + use<I>>
    where
        I: IntoIterator<Item = SmsConnectorRequest, IntoIter: Send>,
    {
        self.install_sms_channel_stream(stream::iter(requests))
    }

    /// Installs an SMS channel for each request of a stream, like [`install_sms_channels`](Self::install_sms_channels).
    /// The stream is polled while installs run, so it may be slow.
    pub fn install_sms_channel_stream<S>(&self, requests: S) -> InstallSmsChannels<S>
    where
        S: Stream<Item = SmsConnectorRequest> + Send,
    {
        let settings = Settings {
            concurrency: CONCURRENCY,
            timeout: None,
            unknown: UnknownRows::default(),
            retried: HashSet::new(),
            journal: None,
            observer: None,
        };
        InstallSmsChannels { workspace: self.clone(), requests, settings }
    }
}

/// The install of many SMS channels. Made by [`Workspace::install_sms_channels`] and
/// [`Workspace::install_sms_channel_stream`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use bird_sms::{SmsConnectorRequest, uuid::Uuid};
///
/// let requests =
///     (1..=100).map(|n| SmsConnectorRequest::new("My SMS channel", Uuid::from_u128(n).into()));
/// let mut outcomes = workspace.install_sms_channels(requests).start();
/// while let Some(outcome) = outcomes.next().await {
///     match outcome.result {
///         Ok(channel) => println!("{}: {}", outcome.request.phone_number_id(), channel.id),
///         Err(error) => eprintln!("{}: {}", outcome.request.phone_number_id(), error.chain()),
///     }
/// }
/// # assert_eq!(sandbox.connectors().len(), 100);
/// # Ok(())
/// # }
/// ```
///
/// A batch is as fast as the [`RateLimits`](crate::RateLimits) of the workspace allow. All installs of a client share
/// them. Connectors are polled in the order in which their polls become due, according to the
/// [`PollPolicy`](crate::PollPolicy).
///
/// The timeout of an install starts when its first POST may be sent. If an earlier run created the connector, it starts
/// with the wait. A connector whose turn comes only after the deadline is polled once more before its install ends with
/// [`Error::NotReady`](crate::Error::NotReady).
///
/// Requests are taken from the stream as installs end. Memory grows with the [`concurrency`](Self::concurrency), and by
/// one phone number id per request.
///
/// # Errors
///
/// The stream does not fail: each outcome has its own [`Error`](crate::Error). If Bird refuses a request with 401
/// (access key), 402 (no money) or 403 (policy of the key), the batch [shuts down](BatchOutcomes::shut_down), because
/// Bird would refuse every other request. A 403 counts only until a request with the same method was accepted, because
/// a policy may exclude a single connector. The batch also shuts down if every response during a whole install timeout
/// is a 429. A second request for a phone number ends with
/// [`ConfigurationError::DuplicatePhoneNumber`](crate::ConfigurationError::DuplicatePhoneNumber).
///
/// # Cancel safety
///
/// Dropping the stream stops all installs where they wait, and the outcomes of POSTs in flight are lost.
/// [`BatchOutcomes::abandon`] returns them as unknown, and [`BatchOutcomes::shut_down`] waits for the POSTs. A
/// [`Journal`] has every step even then.
#[must_use = "a batch does nothing until it is started and its outcomes are taken"]
pub struct InstallSmsChannels<S> {
    workspace: Workspace,
    requests: S,
    settings: Settings,
}

struct Settings {
    concurrency: usize,
    /// The timeout of each install. `None` means the client's install timeout.
    timeout: Option<Duration>,
    unknown: UnknownRows,
    /// The phone numbers to retry, whatever `unknown` is.
    retried: HashSet<PhoneNumberId>,
    journal: Option<Arc<dyn Journal>>,
    observer: Option<Arc<Observer>>,
}

impl Settings {
    fn unknown_rows(&self, number: PhoneNumberId) -> UnknownRows {
        if self.retried.contains(&number) { UnknownRows::Retry } else { self.unknown }
    }
}

impl<S> InstallSmsChannels<S>
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    /// Sets how many installs are in progress at a time, at least 1. Default: 12,000, as many as 50 GETs per second can
    /// poll in four minutes.
    ///
    /// Each install takes about 4 KB of memory while it waits. If this number is low and channels become ready slowly,
    /// the later connectors are created late.
    pub fn concurrency(mut self, installs: usize) -> Self {
        self.settings.concurrency = installs.max(1);
        self
    }

    /// Sets how long an install may take, at least 1 s. Default: the install timeout of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Resumes from this journal, and writes each step to it before the next one is taken. Default: no journal.
    ///
    /// Running the same batch with the same journal resumes it: it waits for connectors that exist, and rows that are
    /// done end at once, with [their outcome from the journal](BatchOutcome::from_journal). If the journal cannot be
    /// read, nothing is sent, and each row ends with [`Error::Journal`](crate::Error::Journal).
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.settings.journal = Some(journal);
        self
    }

    /// Sets what happens to rows whose outcome is unknown in the journal, if a [lookup](crate::ClientBuilder::look_up)
    /// does not find their connector. Default: they end with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown),
    /// without a POST.
    pub fn unknown_rows(mut self, unknown: UnknownRows) -> Self {
        self.settings.unknown = unknown;
        self
    }

    /// Sends another POST for this phone number if its outcome is unknown, whatever
    /// [`unknown_rows`](Self::unknown_rows) is.
    pub fn retry_unknown(mut self, phone_number_id: PhoneNumberId) -> Self {
        self.settings.retried.insert(phone_number_id);
        self
    }

    /// Calls `observer` with each [`Event`] of each install.
    pub fn observe(
        mut self,
        observer: impl Fn(&SmsConnectorRequest, &Event) + Send + Sync + 'static,
    ) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Returns the outcomes, in the order in which the installs end. Nothing starts before the first
    /// [`next`](BatchOutcomes::next). From then on, installs run as Tokio tasks, but only `next` takes new requests.
    ///
    /// # Panics
    ///
    /// The stream panics when it is polled outside of a Tokio runtime, or when a [`Journal`] or an observer panics. It
    /// can be polled again after that.
    pub fn start(self) -> BatchOutcomes<S> {
        BatchOutcomes::new(self)
    }
}

impl<S> fmt::Debug for InstallSmsChannels<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallSmsChannels")
            .field("workspace", &self.workspace)
            .field("concurrency", &self.settings.concurrency)
            .finish_non_exhaustive()
    }
}
