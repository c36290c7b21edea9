use std::fmt;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use futures_util::{Stream, StreamExt, stream};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use crate::create::{BatchSlot, Cancellation, create};
use crate::error::JournalError;
use crate::event::EventSink;
use crate::pending::Deadline;
use crate::{
    ConnectorId, Error, Journal, JournalEntry, PendingChannel, SmsChannel, SmsConnectorRequest,
    Workspace,
};

/// The installation of many SMS channels. Made by [`Workspace::install_sms_channels`].
///
/// It is as fast as the [`RateLimits`](crate::RateLimits) of the workspace allow, which all installs of a
/// client share. GETs are the scarce part: how long provisioning takes is learned from the installs that
/// finish, and each connector is first looked at when it is likely to be ready.
///
/// Requests are taken from the stream as installs end, and outcomes are given in the order in which they
/// come, so that neither has to be held in memory.
///
/// # Errors
///
/// The stream does not fail: each outcome has its own [`Error`].
///
/// # Cancel safety
///
/// Dropping the stream stops everything at once: POSTs under way have an unknown outcome then. With
/// [`with_graceful_shutdown`](Self::with_graceful_shutdown) they are heard out. With a [`Journal`] what happened is on record in
/// either case.
#[must_use = "a batch does nothing until it is started and its outcomes are taken"]
pub struct InstallSmsChannels<S> {
    workspace: Workspace,
    requests: S,
    concurrency: usize,
    journal: Option<Arc<dyn Journal>>,
    stop: Option<BoxFuture<'static, ()>>,
}

/// How long an install waits at most for its turn to GET, when nothing else holds it up: the default
/// concurrency is what the limit lets through in this time.
const QUEUE_SECONDS: usize = 20;

impl<S> InstallSmsChannels<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    pub(crate) fn new(workspace: Workspace, requests: S) -> Self {
        let gets_per_second = workspace.client().limits().gets_per_second;
        let concurrency = usize::try_from(gets_per_second)
            .unwrap_or(usize::MAX)
            .saturating_mul(QUEUE_SECONDS)
            .min(10_000);
        Self { workspace, requests, concurrency, journal: None, stop: None }
    }

    /// How many installs are under way at a time, at least one. Default: 20 for each GET a second that the
    /// workspace takes, at most 10,000.
    ///
    /// With GETs as the limit, Little's law asks for gets per second × seconds of provisioning. More than
    /// that only makes connectors wait for their turn.
    pub fn concurrency(mut self, installs: usize) -> Self {
        self.concurrency = installs.max(1);
        self
    }

    /// Where each entry is recorded before the next is taken. Default: nowhere.
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// Stops when `stop` ends: no install is begun and no POST sent again any more, those under way are
    /// heard out, and connectors that exist end with [`Error::NotReady`], which has their id.
    pub fn with_graceful_shutdown(
        mut self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.stop = Some(stop.boxed());
        self
    }

    /// The outcomes, in the order in which the installs end. Nothing happens until the first is asked for;
    /// from then on the installs run as tasks of Tokio, however long an outcome is looked at.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a Tokio runtime, or a [`Journal`] panics.
    pub fn start(self) -> impl Stream<Item = BatchOutcome> + Send + Unpin + use<S> {
        let stop = self.stop.unwrap_or_else(|| std::future::pending().boxed()).shared();
        let batch = Batch { workspace: self.workspace, journal: self.journal, stop: stop.clone() };
        let running = Scheduler {
            batch: Arc::new(batch),
            requests: Some(Box::pin(self.requests.take_until(stop))),
            concurrency: self.concurrency,
            installs: JoinSet::new(),
        };
        Box::pin(stream::unfold(running, |mut running| async move {
            let outcome = running.next().await?;
            Some((outcome, running))
        }))
    }
}

/// A batch under way.
struct Scheduler<R> {
    batch: Arc<Batch>,
    /// None when all were taken.
    requests: Option<Pin<Box<R>>>,
    concurrency: usize,
    /// Those under way, and those that ended and whose outcome was not taken yet.
    installs: JoinSet<Option<BatchOutcome>>,
}

type JoinResult = Result<Option<BatchOutcome>, JoinError>;

impl<R> Scheduler<R>
where
    R: Stream<Item: Into<BatchItem>>,
{
    async fn next(&mut self) -> Option<BatchOutcome> {
        loop {
            match self.next_event().await {
                Either::Left(Some(item)) => self.begin(item.into()),
                Either::Left(None) => self.requests = None,
                Either::Right(ended) => match ended?.map_err(JoinError::try_into_panic) {
                    Ok(Some(outcome)) => return Some(outcome),
                    Err(Ok(panic)) => resume_unwind(panic),
                    // It was stopped before it began, or the runtime is shutting down.
                    Ok(None) | Err(Err(_)) => {}
                },
            }
        }
    }

    /// A request, if there is room for it, or an install that ended.
    async fn next_event(&mut self) -> Either<Option<R::Item>, Option<JoinResult>> {
        let room = self.installs.len() < self.concurrency;
        let Some(requests) = self.requests.as_mut().filter(|_| room) else {
            return Either::Right(self.installs.join_next().await);
        };
        let ended = pin!(async {
            match self.installs.join_next().await {
                Some(ended) => ended,
                None => std::future::pending().await,
            }
        });
        match select(requests.next(), ended).await {
            Either::Left((item, _)) => Either::Left(item),
            Either::Right((ended, _)) => Either::Right(Some(ended)),
        }
    }

    fn begin(&mut self, item: BatchItem) {
        let batch = Arc::clone(&self.batch);
        let span = tracing::info_span!(
            "install_sms_channel",
            workspace_id = %batch.workspace.id(),
            phone_number_id = %item.request.phone_number_id()
        );
        let install = async move { batch.install(item).await }.instrument(span);
        // Tasks are aligned to 128 bytes, and glibc before 2.38 hardly uses such memory again. In a box the
        // install is not, and the task is small.
        self.installs.spawn(install.boxed());
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

/// What a batch is to do for one phone number.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchItem {
    request: SmsConnectorRequest,
    connector_id: Option<ConnectorId>,
}

impl BatchItem {
    /// Goes on with a connector that was created for the request before: its channel is waited for, and
    /// nothing is created.
    #[must_use]
    pub fn resume(request: SmsConnectorRequest, connector_id: ConnectorId) -> Self {
        Self { request, connector_id: Some(connector_id) }
    }
}

/// An install from the start.
impl From<SmsConnectorRequest> for BatchItem {
    fn from(request: SmsConnectorRequest) -> Self {
        Self { request, connector_id: None }
    }
}

/// How one install of a batch ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// What was to be installed.
    pub request: SmsConnectorRequest,
    /// The channel, or why there is none and what exists all the same.
    pub result: Result<SmsChannel, Error>,
}

struct Batch {
    workspace: Workspace,
    journal: Option<Arc<dyn Journal>>,
    stop: Cancellation,
}

impl Batch {
    /// None when the batch was stopped before anything happened.
    async fn install(&self, item: BatchItem) -> Option<BatchOutcome> {
        let BatchItem { request, connector_id } = item;
        let pending = match connector_id {
            Some(id) => Ok((self.workspace.pending_channel(id), self.workspace.deadline())),
            None => self.create(&request).await?,
        };
        let result = match pending {
            Ok((pending, deadline)) => self.wait(pending.sparing(), deadline).await,
            Err(error) => Err(error),
        };
        let recorded = self.append(&request, JournalEntry::Ended(result.as_ref())).await;
        let result = match recorded {
            Ok(()) => result,
            Err(source) => Err(unrecorded(source, result)),
        };
        Some(BatchOutcome { request, result })
    }

    /// The first half. None when the batch was stopped before anything was sent.
    async fn create(
        &self,
        request: &SmsConnectorRequest,
    ) -> Option<Result<(PendingChannel, Deadline), Error>> {
        let body = match request.body() {
            Ok(body) => body,
            Err(error) => return Some(Err(error.into())),
        };
        let posts = &self.workspace.state().posts;
        let permit = pin!(posts.acquire(self.workspace.client().runtime(), Duration::MAX));
        let Either::Right((Some(permit), _)) = select(self.stop.clone(), permit).await else {
            return None;
        };
        if let Err(source) = self.append(request, JournalEntry::Intent).await {
            return Some(Err(Error::Journal(Box::new(JournalError {
                connector_id: None,
                connector_may_exist: false,
                ended: None,
                source,
            }))));
        }
        let deadline = self.workspace.deadline();
        let begun = BatchSlot { permit, stop: self.stop.clone() };
        let created =
            create(&self.workspace, &body, deadline, EventSink::default(), Some(begun)).await;
        if let Ok(pending) = &created {
            let connector_id = pending.connector_id();
            if let Err(source) = self.append(request, JournalEntry::Created(connector_id)).await {
                return Some(Err(Error::Journal(Box::new(JournalError {
                    connector_id: Some(connector_id),
                    connector_may_exist: true,
                    ended: None,
                    source,
                }))));
            }
        }
        Some(created.map(|pending| (pending, deadline)))
    }

    /// The second half.
    async fn wait(
        &self,
        mut pending: PendingChannel,
        deadline: Deadline,
    ) -> Result<SmsChannel, Error> {
        let stopped = {
            let wait = pin!(pending.wait_until(deadline));
            // In this order: what is there is not lost to a stop.
            match select(wait, self.stop.clone()).await {
                Either::Left((result, _)) => return result,
                Either::Right(((), _)) => self.workspace.client().runtime().now(),
            }
        };
        Err(pending.not_ready(deadline.elapsed(stopped), None))
    }

    async fn append(
        &self,
        request: &SmsConnectorRequest,
        entry: JournalEntry<'_>,
    ) -> std::io::Result<()> {
        match &self.journal {
            Some(journal) => journal.append(request, entry).await,
            None => Ok(()),
        }
    }
}

/// The end of an install is not on record: what it was is told all the same.
fn unrecorded(source: std::io::Error, ended: Result<SmsChannel, Error>) -> Error {
    let (connector_id, connector_may_exist) = match &ended {
        Ok(channel) => (Some(channel.connector_id), true),
        Err(error) => (error.connector_id(), error.connector_may_exist()),
    };
    let ended = Some(ended);
    Error::Journal(Box::new(JournalError { connector_id, connector_may_exist, ended, source }))
}
