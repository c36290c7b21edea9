//! The task of a row, and the stream of outcomes.

use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bird_api::types::CreateConnectorReq;
use futures_util::{FutureExt, Stream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::{BatchItem, BatchOutcome, Journal, JournalEntry, NextStep, Observer, RowState};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::transport::{Deadline, Permit, Slot, Turn};
use crate::workflow::{RESERVE, create, install_span};
use crate::{
    ConfigurationError, ConnectorId, ConnectorState, Error, Event, JournalError, NotReady,
    OutcomeUnknown, PendingChannel, PhoneNumberId, SmsChannel, SmsConnectorRequest, UnknownReason,
};

/// The number of rows that wait at a rate limiter. The others wait in line behind them, so a call outside of the batch
/// waits for 64 requests and not for thousands.
const PLACES: usize = 64;
/// The number of requests in flight. A server that hangs gets this many connections.
const IN_FLIGHT: usize = 1000;
/// The time for a poll whose turn came only after the deadline.
const LATE_POLL: Duration = Duration::from_secs(10);

/// What the rows of a batch share.
pub(super) struct Batch {
    workspace: Workspace,
    started: Instant,
    journal: Option<Arc<dyn Journal>>,
    observer: Option<Arc<Observer>>,
    shutdown: Shutdown,
    posts: Semaphore,
    gets: Semaphore,
    in_flight: Arc<Semaphore>,
    /// The rows that have a task.
    rows: Mutex<HashMap<PhoneNumberId, Arc<Row>>>,
    /// `None` for a row for which nothing was sent.
    outcomes: mpsc::UnboundedSender<Option<BatchOutcome>>,
}

/// Tells the tasks of a batch to shut down.
///
/// Not a channel of Tokio, whose receivers are woken in a random order.
#[derive(Default)]
struct Shutdown {
    began: AtomicBool,
    tasks: Notify,
}

impl Shutdown {
    fn begin(&self) {
        self.began.store(true, Ordering::Relaxed);
        self.tasks.notify_waiters();
    }

    fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        // Made before the flag is read, so a shutdown in between is not missed.
        let begun = self.tasks.notified();
        if !self.has_begun() {
            begun.await;
        }
    }
}

/// A row: its request, and all that is known about it.
struct Row {
    request: SmsConnectorRequest,
    known: Mutex<Known>,
}

struct Known {
    state: RowState,
    /// Whether a POST of this run was sent, or is about to be.
    posted: bool,
    /// Whether this run created the connector.
    created: bool,
    /// Whether the row has its outcome.
    ended: bool,
}

impl Row {
    fn new(BatchItem { request, state, .. }: BatchItem) -> Self {
        let known = Known { state, posted: false, created: false, ended: false };
        Self { request, known: Mutex::new(known) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> RowState {
        self.lock().state
    }

    /// Applies an entry, before it is appended to the journal.
    fn apply(&self, entry: &JournalEntry) {
        let mut known = self.lock();
        known.created |= matches!(entry, JournalEntry::Created { .. });
        known.state.apply(entry, None);
    }

    /// Returns whether the next POST may be sent: not if the row was abandoned. If it may, its connector may exist from
    /// now on.
    fn begin_post(&self) -> bool {
        let mut known = self.lock();
        if !known.ended && !known.posted {
            known.posted = true;
            known.state.apply(&JournalEntry::Intent { name: String::new() }, None);
        }
        !known.ended
    }
}

impl Known {
    /// Returns the outcome of a row that ends with this result, or with what is known about it. Returns `None` if the row
    /// has ended before, or if no connector may exist.
    fn end(
        &mut self,
        workspace: &Workspace,
        request: &SmsConnectorRequest,
        result: Option<Result<SmsChannel, Error>>,
    ) -> Option<BatchOutcome> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let state = self.state;
        let unknown = |reason| Error::OutcomeUnknown(Box::new(OutcomeUnknown::new(reason)));
        // A channel that is ready is not lost, although the journal may not have it yet.
        let result = result.or_else(|| state.channel(workspace).map(Ok));
        let result = match (result, state.connector_state()) {
            (Some(result), _) => result,
            (None, ConnectorState::NotCreated) => return None,
            (None, ConnectorState::Exists(connector_id)) => {
                Err(Error::NotReady(Box::new(NotReady {
                    connector_id,
                    waited: Duration::ZERO,
                    polls: 0,
                    seen: true,
                    warning: state.warning(),
                    last: None,
                })))
            }
            (None, ConnectorState::ExistsIdUnknown) => Err(unknown(UnknownReason::AlreadyExists)),
            (None, ConnectorState::Unknown) if self.posted => {
                Err(unknown(UnknownReason::Abandoned))
            }
            (None, ConnectorState::Unknown) => Err(unknown(UnknownReason::EarlierAttempt)),
        };
        let (request, created) = (request.clone(), self.created);
        Some(BatchOutcome { request, result, state, created })
    }
}

/// What is left to do for a row.
enum Step {
    Create(Box<CreateConnectorReq>),
    /// The connector of an earlier run.
    Wait(ConnectorId),
}

impl Batch {
    fn rows(&self) -> MutexGuard<'_, HashMap<PhoneNumberId, Arc<Row>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the task of a row.
    async fn run(self: Arc<Self>, row: Arc<Row>, step: Step) {
        let result = match self.install(&row, step).await {
            Some(result) => Some(self.finish(&row, result).await),
            None => None,
        };
        self.end(&row, result);
        self.rows().remove(&row.request.phone_number_id());
    }

    /// Ends all rows that have a task. None of them sends a POST from now on that is not in an outcome.
    fn abandon(&self) -> Vec<BatchOutcome> {
        let rows = std::mem::take(&mut *self.rows());
        let end = |row: Arc<Row>| row.lock().end(&self.workspace, &row.request, None);
        rows.into_values().filter_map(end).collect()
    }

    fn end(&self, row: &Row, result: Option<Result<SmsChannel, Error>>) {
        // Sent under the lock: whoever finds that the row has ended finds its outcome in the channel.
        let mut known = row.lock();
        // The receiver is gone when the batch was dropped.
        let _ = self.outcomes.send(known.end(&self.workspace, &row.request, result));
    }

    /// Returns `None` if the batch was shut down before anything was sent.
    async fn install(&self, row: &Arc<Row>, step: Step) -> Option<Result<SmsChannel, Error>> {
        let events = self.events(row);
        let (mut pending, deadline) = match step {
            Step::Create(body) => match self.create(row, &body, events).await? {
                Ok(created) => created,
                Err(error) => return Some(Err(error)),
            },
            Step::Wait(id) => {
                let state = row.state();
                let pending = self.workspace.pending_channel(id).warning(state.warning());
                let created_at = state.created_at().into_iter();
                let pending = created_at.fold(pending.events(events), PendingChannel::created_at);
                (pending, self.workspace.deadline())
            }
        };
        let turn = GetTurn(self);
        let result = tokio::select! {
            // The wait comes first: a channel that is ready is not lost to the shutdown.
            biased;
            result = pending.wait_until(deadline, &turn) => Some(result),
            () = self.shutdown.wait() => None,
        };
        Some(result.unwrap_or_else(|| {
            let now = self.workspace.client().runtime().now();
            Err(pending.not_ready(deadline.elapsed(now), None))
        }))
    }

    /// Creates the connector. The deadline of the install starts when the first POST may leave.
    async fn create(
        &self,
        row: &Row,
        body: &CreateConnectorReq,
        events: EventSink,
    ) -> Option<Result<(PendingChannel, Deadline), Error>> {
        let (permit, in_flight) = tokio::select! {
            biased;
            () = self.shutdown.wait() => return None,
            taken = self.take(Route::Create) => taken?,
        };
        let state = row.state();
        let intent = JournalEntry::Intent { name: row.request.name().to_owned() };
        if let Err(source) = self.append(row, intent).await {
            return Some(Err(journal_error(state, None, source)));
        }
        let (runtime, limiter) =
            (self.workspace.client().runtime(), self.workspace.state().limiter(Route::Create));
        let permit = tokio::select! {
            // The permit comes first: a POST whose intent is on disk is sent if the rate limit allows it at once.
            biased;
            permit = limiter.renew(runtime, permit, Duration::MAX) => permit,
            () = self.shutdown.wait() => None,
        };
        let deadline = self.workspace.deadline();
        let first = permit.map(|permit| Slot { permit, deadline, _in_flight: Some(in_flight) });
        let turn = PostTurn { batch: self, row, first: Mutex::new(first) };
        let earlier = state.earlier_may_exist();
        let created = create(&self.workspace, body, deadline, events, earlier, &turn).await;
        let pending = match created {
            Ok(pending) => pending,
            Err(error) => return Some(Err(error)),
        };
        let (connector_id, warning) = (pending.connector_id(), pending.creation_warning());
        let entry = JournalEntry::Created { connector_id, warning };
        Some(match self.append(row, entry).await {
            Ok(()) => Ok((pending, deadline)),
            Err(source) => Err(journal_error(row.state(), None, source)),
        })
    }

    /// Writes the result to the journal. Shuts the batch down if every other request would be refused as well.
    async fn finish(
        &self,
        row: &Row,
        result: Result<SmsChannel, Error>,
    ) -> Result<SmsChannel, Error> {
        if let Err(error) = &result {
            let throttled = error.status() == Some(429)
                && self.workspace.state().throttled_since(self.started)
                    >= self.workspace.client().install_timeout();
            if error.is_access_refused() || throttled {
                self.shutdown.begin();
            }
        }
        if matches!(result, Err(Error::Journal(_))) {
            // The error says what exists, and nothing more is appended after it.
            return result;
        }
        let entry = JournalEntry::ended(&result);
        // An entry that settles a POST is applied when it is on disk: until then, a row that is abandoned is unknown.
        let settles = result.as_ref().is_err_and(|error| !error.connector_may_exist());
        if !settles {
            row.apply(&entry);
        }
        let appended = self.append(row, entry.clone()).await;
        if settles {
            row.apply(&entry);
        }
        match appended {
            Ok(()) => result,
            Err(source) => Err(journal_error(row.state(), Some(result), source)),
        }
    }

    /// Returns the event sink of a row, which knows the connector as soon as an observer does.
    fn events(&self, row: &Arc<Row>) -> EventSink {
        let (observer, row) = (self.observer.clone(), Arc::clone(row));
        EventSink::new(move |event| {
            if let Event::Created { connector_id, warning } = *event {
                row.apply(&JournalEntry::Created { connector_id, warning });
            }
            if let Some(observer) = &observer {
                observer(&row.request, event);
            }
        })
    }

    async fn append(&self, row: &Row, entry: JournalEntry) -> io::Result<()> {
        match &self.journal {
            Some(journal) => journal.append(&row.request, entry).await,
            None => Ok(()),
        }
    }

    /// Waits in line for a request.
    async fn take(&self, route: Route) -> Option<(Permit, OwnedSemaphorePermit)> {
        let places = match route {
            Route::Create => &self.posts,
            Route::Get | Route::Numbers(_) => &self.gets,
        };
        let _place = places.acquire().await.ok()?;
        let in_flight = Arc::clone(&self.in_flight).acquire_owned().await.ok()?;
        let (runtime, limiter) =
            (self.workspace.client().runtime(), self.workspace.state().limiter(route));
        Some((limiter.acquire(runtime, Duration::MAX).await?, in_flight))
    }
}

fn journal_error(
    row: RowState,
    ended: Option<Result<SmsChannel, Error>>,
    source: io::Error,
) -> Error {
    let (state, warning) = (row.connector_state(), row.warning());
    Error::Journal(Box::new(JournalError { state, warning, ended, source }))
}

/// The turn of the POSTs of a row.
struct PostTurn<'a> {
    batch: &'a Batch,
    row: &'a Row,
    /// The slot of the first POST, whose permit was taken before the intent was written. `None` if the batch was shut
    /// down since.
    first: Mutex<Option<Slot>>,
}

impl Turn for PostTurn<'_> {
    async fn take(&self, delay: Duration, timeout: Duration, deadline: Deadline) -> Option<Slot> {
        let Self { batch, row, first } = self;
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let slot = if let Some(slot) = first {
            slot
        } else {
            let (runtime, limiter) = (
                batch.workspace.client().runtime(),
                batch.workspace.state().limiter(Route::Create),
            );
            let wait = Deadline::start(runtime.now(), timeout);
            let taken = async {
                runtime.sleep(delay).await;
                let timeout = wait.remaining(runtime.now());
                tokio::time::timeout(timeout, batch.take(Route::Create)).await.ok()?
            };
            let (permit, in_flight) = tokio::select! {
                biased;
                () = batch.shutdown.wait() => return None,
                () = limiter.paused_at(deadline) => return None,
                taken = taken => taken?,
            };
            Slot { permit, deadline, _in_flight: Some(in_flight) }
        };
        row.begin_post().then_some(slot)
    }
}

/// The turn of the GETs of a row. It has no timeout: a connector whose turn comes after the deadline is polled once more.
struct GetTurn<'a>(&'a Batch);

impl Turn for GetTurn<'_> {
    async fn take(&self, delay: Duration, _: Duration, deadline: Deadline) -> Option<Slot> {
        let workspace = &self.0.workspace;
        let runtime = workspace.client().runtime();
        runtime.sleep(delay).await;
        let (permit, in_flight) = tokio::select! {
            biased;
            () = workspace.state().limiter(Route::Get).paused_at(deadline) => return None,
            taken = self.0.take(Route::Get) => taken?,
        };
        let now = runtime.now();
        let late = deadline.remaining(now) < RESERVE;
        let deadline = if late { Deadline::start(now, LATE_POLL) } else { deadline };
        Some(Slot { permit, deadline, _in_flight: Some(in_flight) })
    }
}

/// The outcomes of a batch, in the order in which the installs end. Made by
/// [`InstallSmsChannels::start`](super::InstallSmsChannels::start).
#[must_use = "a batch does nothing until its outcomes are taken"]
pub struct BatchOutcomes<S: Stream> {
    batch: Arc<Batch>,
    /// `None` when all requests were taken, or the batch was shut down.
    requests: Option<Pin<Box<S>>>,
    /// The phone numbers that were taken.
    numbers: HashSet<PhoneNumberId>,
    concurrency: usize,
    /// The number of rows that were taken, and whose outcome was not.
    unfinished: usize,
    outcomes: mpsc::UnboundedReceiver<Option<BatchOutcome>>,
    tasks: JoinSet<()>,
    span: Span,
}

impl<S> BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    pub(super) fn new(
        workspace: Workspace,
        requests: S,
        concurrency: usize,
        journal: Option<Arc<dyn Journal>>,
        observer: Option<Arc<Observer>>,
    ) -> Self {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let workspace_id = workspace.id();
        let started = workspace.client().runtime().now();
        let batch = Batch {
            workspace,
            started,
            journal,
            observer,
            shutdown: Shutdown::default(),
            posts: Semaphore::new(PLACES),
            gets: Semaphore::new(PLACES),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            rows: Mutex::default(),
            outcomes: sender,
        };
        Self {
            batch: Arc::new(batch),
            requests: Some(Box::pin(requests)),
            numbers: HashSet::new(),
            concurrency,
            unfinished: 0,
            outcomes,
            tasks: JoinSet::new(),
            span: tracing::info_span!("install_sms_channels", %workspace_id),
        }
    }

    /// Returns the next outcome, or `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the outcome stays in the batch.
    pub async fn next(&mut self) -> Option<BatchOutcome> {
        futures_util::StreamExt::next(self).await
    }

    /// Shuts the batch down: no install is started and no POST is sent again, POSTs in flight are awaited, a POST whose
    /// intent is being written is sent if the rate limit allows it at once, and connectors that exist end with
    /// [`Error::NotReady`], which has their id. Take the remaining outcomes with [`next`](Self::next).
    ///
    /// ```no_run
    /// # use bird_sms::{SmsConnectorRequest, Workspace};
    /// # async fn example(workspace: Workspace, requests: Vec<SmsConnectorRequest>) {
    /// let mut outcomes = workspace.install_sms_channels(requests).start();
    /// while let Some(outcome) = outcomes.next().await {
    ///     if outcome.result.is_err() {
    ///         outcomes.shut_down();
    ///     }
    /// }
    /// # }
    /// ```
    pub fn shut_down(&mut self) {
        self.batch.shutdown.begin();
    }

    /// Stops all installs at once, and returns the outcomes that were not taken yet.
    ///
    /// An install whose POST was sent ends with [`Error::OutcomeUnknown`], and an install whose connector exists with
    /// [`Error::NotReady`]. For a row without an outcome, no connector is known that may exist.
    #[must_use]
    pub fn abandon(&mut self) -> Vec<BatchOutcome> {
        self.requests = None;
        self.unfinished = 0;
        let abandoned = self.batch.abandon();
        self.tasks = JoinSet::new();
        let mut outcomes = Vec::new();
        while let Ok(outcome) = self.outcomes.try_recv() {
            outcomes.extend(outcome);
        }
        outcomes.extend(abandoned);
        outcomes
    }

    /// Ends a row at once if there is nothing to do, and starts its task otherwise.
    fn start(&mut self, item: BatchItem) {
        self.unfinished += 1;
        let (batch, number) = (&self.batch, item.request.phone_number_id());
        let BatchItem { state, unknown, .. } = item;
        let row = Row::new(item);
        let step = match state.next(unknown) {
            _ if !self.numbers.insert(number) => {
                let error = ConfigurationError::DuplicatePhoneNumber(number);
                return batch.end(&row, Some(Err(error.into())));
            }
            NextStep::Done | NextStep::LeaveAlone => return batch.end(&row, None),
            NextStep::Create => match row.request.body(Some(batch.workspace.client().key())) {
                Ok(body) => Step::Create(Box::new(body)),
                Err(error) => return batch.end(&row, Some(Err(error.into()))),
            },
            NextStep::Wait(id) => Step::Wait(id),
        };
        let row = Arc::new(row);
        batch.rows().insert(number, Arc::clone(&row));
        let span = self.span.in_scope(|| install_span(&batch.workspace, &row.request));
        // Tokio aligns tasks to 128 bytes, and glibc before 2.38 hardly reuses memory of that alignment. Boxing the
        // install keeps the task small.
        self.tasks.spawn(Arc::clone(batch).run(row, step).instrument(span).boxed());
    }
}

impl<S> Stream for BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    type Item = BatchOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BatchOutcome>> {
        loop {
            if self.batch.shutdown.has_begun() {
                self.requests = None;
            }
            while self.unfinished < self.concurrency
                && let Some(requests) = &mut self.requests
                && let Poll::Ready(item) = requests.as_mut().poll_next(cx)
            {
                match item {
                    Some(item) => self.start(item.into()),
                    None => self.requests = None,
                }
            }
            // A panic is continued, so that a batch does not swallow it.
            if let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
                if let Err(error) = ended
                    && let Ok(panic) = error.try_into_panic()
                {
                    resume_unwind(panic);
                }
                continue;
            }
            if self.unfinished == 0 {
                // The journal can be opened again after the end: no task holds it.
                let done = self.requests.is_none() && self.tasks.is_empty();
                return if done { Poll::Ready(None) } else { Poll::Pending };
            }
            match self.outcomes.poll_recv(cx) {
                Poll::Ready(outcome) => {
                    self.unfinished -= 1;
                    if let Some(outcome) = outcome.flatten() {
                        return Poll::Ready(Some(outcome));
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: Stream> Drop for BatchOutcomes<S> {
    fn drop(&mut self) {
        // A task that runs at this moment on another thread goes on until it waits. It must not send a POST whose intent
        // was not in the journal before: another batch may resume from the journal now.
        self.batch.abandon();
    }
}

impl<S: Stream> fmt::Debug for BatchOutcomes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOutcomes")
            .field("unfinished", &self.unfinished)
            .finish_non_exhaustive()
    }
}
