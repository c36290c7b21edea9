//! The task of each row, and the stream of outcomes.

use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use bird_api::types::CreateConnectorReq;
use futures_util::{FutureExt, Stream};
use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::journal::{InUse, load};
use super::{
    BatchOutcome, InstallSmsChannels, JournalEntry, JournalState, NextStep, RowState, Settings,
};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::transport::{Deadline, Permit, RateLimiter, Runtime, Slot, Turn, lock};
use crate::workflow::{Call, LookUp, RESERVE, check_timeout, create, install_span, record_outcome};
use crate::{
    Attempts, ConfigurationError, ConnectorId, ConnectorState, Error, Failure, JournalError,
    NotReadyReason, PendingChannel, PhoneNumberId, SmsChannel, SmsConnectorRequest, UnknownReason,
    Warning,
};

/// How many rows wait at each rate limiter. The other rows wait for one of these places, so a call outside of the batch
/// waits behind 64 requests, not thousands.
const PLACES: usize = 64;
/// The maximum number of requests in flight, and thus of connections to a server that hangs.
const IN_FLIGHT: usize = 1000;
/// The timeout of a poll whose turn comes only after the deadline.
const LATE_POLL: Duration = Duration::from_secs(10);

/// The state that all rows of a batch share.
pub(super) struct Batch {
    workspace: Workspace,
    settings: Settings,
    started: Instant,
    /// Present while the batch uses its journal.
    in_use: Mutex<Option<InUse>>,
    /// The phone number of each known connector, from the journal and from this run.
    connectors: Mutex<HashMap<ConnectorId, PhoneNumberId>>,
    /// Whether to look up connectors: lookups are enabled, and none got a 401 or 403.
    look_up: AtomicBool,
    shutdown: Shutdown,
    posts: Semaphore,
    gets: Semaphore,
    in_flight: Arc<Semaphore>,
    /// The rows that have a task.
    rows: Mutex<HashMap<PhoneNumberId, Arc<Row>>>,
    /// Receives `None` for a row that ends without an outcome.
    outcomes: mpsc::UnboundedSender<Option<BatchOutcome>>,
}

/// Tells the tasks of a batch to shut down.
///
/// Tokio's `watch` channel is not used, because it wakes its receivers in a random order.
#[derive(Default)]
struct Shutdown {
    /// Why waiting installs end, once a shutdown has begun.
    reason: OnceLock<NotReadyReason>,
    tasks: Notify,
}

impl Shutdown {
    /// Begins a shutdown, unless one has already begun.
    fn begin(&self, reason: NotReadyReason) {
        let _ = self.reason.set(reason);
        self.tasks.notify_waiters();
    }

    fn has_begun(&self) -> bool {
        self.reason.get().is_some()
    }

    async fn wait(&self) {
        // Created before the check, so a shutdown in between is not missed.
        let begun = self.tasks.notified();
        if !self.has_begun() {
            begun.await;
        }
    }
}

/// A row: its request, and what is known about it.
struct Row {
    request: SmsConnectorRequest,
    known: Mutex<Known>,
}

struct Known {
    state: RowState,
    progress: Progress,
    /// Whether the row has ended, with or without an outcome.
    ended: bool,
}

/// How far this run has got with a row.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Progress {
    Nothing,
    /// The row has a task.
    Started,
    /// A POST was sent, or is about to be.
    Posted,
    Created,
}

impl Row {
    fn new(request: SmsConnectorRequest, state: RowState) -> Self {
        let known = Known { state, progress: Progress::Nothing, ended: false };
        Self { request, known: Mutex::new(known) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    fn state(&self) -> RowState {
        self.lock().state
    }

    /// Applies an entry to the state in memory.
    fn apply(&self, entry: &JournalEntry) {
        self.lock().state.apply(entry, None);
    }

    /// Returns `false` if the row was abandoned, because no POST may be sent then. Otherwise, records that a connector
    /// may exist from now on.
    fn begin_post(&self) -> bool {
        let mut known = self.lock();
        if !known.ended && known.progress < Progress::Posted {
            known.progress = Progress::Posted;
            known.state.apply(&JournalEntry::Intent { name: String::new() }, None);
        }
        !known.ended
    }
}

impl Known {
    /// Returns the error of a row that may have a connector whose id is not known.
    fn unknown_error(&self) -> Error {
        let reason = match self.state.connector_state() {
            ConnectorState::ExistsIdUnknown => UnknownReason::AlreadyExists,
            _ if self.progress >= Progress::Posted => UnknownReason::Abandoned,
            _ => UnknownReason::EarlierAttempt,
        };
        Error::unknown(reason)
    }

    /// Ends the row and returns its outcome. Without a result, the outcome follows from what is known about the row.
    /// Returns `None` if the row has already ended, or if there is neither a result nor a possible connector.
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
        let from_journal = self.progress == Progress::Nothing && result.is_none();
        // A ready channel is reported even if the journal does not have it yet.
        let result = result.or_else(|| state.channel(workspace).map(Ok));
        let result = match (result, state.connector_state()) {
            (Some(result), _) => result,
            (None, ConnectorState::NotCreated) => return None,
            (None, ConnectorState::Exists(id)) => {
                let warning = state.warning();
                let failure = Failure { retryable: true, warning, ..Failure::default() };
                Err(Error::NotReady(id, NotReadyReason::Shutdown, Box::new(failure)))
            }
            (None, _) => Err(self.unknown_error()),
        };
        let created = self.progress == Progress::Created;
        Some(BatchOutcome { request: request.clone(), result, state, created, from_journal })
    }
}

/// The work that is left for a row.
enum Step {
    Create(Box<CreateConnectorReq>),
    /// Look up the connector and send no POST, because the outcome of an earlier run is unknown.
    LookUp,
    /// Wait for the connector of an earlier run.
    Wait(ConnectorId),
}

/// Ends a row when it is dropped, also after a panic.
struct Ending<'a> {
    batch: &'a Batch,
    row: &'a Row,
    result: Option<Result<SmsChannel, Error>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.batch.end(self.row, self.result.take());
        lock(&self.batch.rows).remove(&self.row.request.phone_number_id());
    }
}

impl Batch {
    /// Runs the task of a row.
    async fn run(self: Arc<Self>, row: Arc<Row>, step: Step) {
        let mut ending = Ending { batch: &self, row: &row, result: None };
        ending.result = match self.install(&row, step).await {
            Ok(channel) => Some(self.finish(&row, Ok(channel)).await),
            Err(Some(error)) => Some(self.finish(&row, Err(error)).await),
            Err(None) => None,
        };
        if let Some(result) = &ending.result {
            record_outcome(result);
        }
    }

    /// Ends all rows that have a task. None of them sends another POST, because another batch may use the journal now.
    fn abandon(&self) -> Vec<BatchOutcome> {
        self.release_journal();
        let rows = std::mem::take(&mut *lock(&self.rows));
        let end = |row: Arc<Row>| row.lock().end(&self.workspace, &row.request, None);
        rows.into_values().filter_map(end).collect()
    }

    fn release_journal(&self) {
        lock(&self.in_use).take();
    }

    /// Takes over the state that was read from the journal.
    fn loaded(&self, read: io::Result<(InUse, JournalState)>) -> Loaded {
        let (in_use, rows) = match read {
            Ok(read) => read,
            Err(error) => return Loaded::Failed(error),
        };
        *lock(&self.in_use) = Some(in_use);
        let connectors = rows
            .rows()
            .filter_map(|(number, row)| Some((row.connector_state().connector_id()?, number)));
        *lock(&self.connectors) = connectors.collect();
        Loaded::Rows(rows)
    }

    fn end(&self, row: &Row, result: Option<Result<SmsChannel, Error>>) {
        // Sent while the row is locked, so the outcome of a row that has ended is always in the channel.
        let mut known = row.lock();
        // Sending fails if the batch was dropped.
        let _ = self.outcomes.send(known.end(&self.workspace, &row.request, result));
    }

    async fn install(&self, row: &Arc<Row>, step: Step) -> Result<SmsChannel, Option<Error>> {
        let events = self.events(row);
        let call = |deadline| {
            let turn = GetTurn { batch: self, row };
            Call { workspace: &self.workspace, deadline, events: &events, turn }
        };
        let (mut pending, call) = match step {
            Step::Create(body) => {
                let (pending, deadline) = self.create(row, &body, call).await?;
                (pending, call(deadline))
            }
            Step::LookUp => {
                let call = call(self.deadline());
                (self.look_up_before(&call).await?, call)
            }
            Step::Wait(id) if let Err(other) = self.claim(id, &row.request) => {
                let warning = row.state().warning();
                return Err(Some(Error::of_other(id, other, Attempts::default(), warning)));
            }
            Step::Wait(id) => {
                let state = row.state();
                let pending = self.workspace.pending_channel(id).with_warning(state.warning());
                let pending = pending.of_number(row.request.phone_number_id());
                let created_at = state.created_at().into_iter();
                (created_at.fold(pending, PendingChannel::created_at), call(self.deadline()))
            }
        };
        let ready = tokio::select! {
            // The wait is polled first, so a channel that is already ready is not lost to a shutdown.
            biased;
            ready = pending.wait_until(&call) => Some(ready),
            () = self.shutdown.wait() => None,
        };
        let reason = self.shutdown.reason.get().copied().unwrap_or_default();
        let shut_down = || Err(pending.not_ready(reason, call.elapsed(), None));
        ready.unwrap_or_else(shut_down).map_err(Some)
    }

    /// Starts the deadline of a row.
    fn deadline(&self) -> Deadline {
        self.workspace.deadline(self.settings.timeout)
    }

    /// Records which phone number a connector belongs to. If it already belongs to another phone number, fails with
    /// that number.
    fn claim(&self, id: ConnectorId, request: &SmsConnectorRequest) -> Result<(), PhoneNumberId> {
        let mut connectors = lock(&self.connectors);
        let number = *connectors.entry(id).or_insert(request.phone_number_id());
        if number == request.phone_number_id() { Ok(()) } else { Err(number) }
    }

    /// Claims the connector that was created or found for a row, and updates the row. Fails as [`claim`](Self::claim)
    /// does.
    fn created(
        &self,
        row: &Row,
        id: ConnectorId,
        warning: Option<Warning>,
    ) -> Result<(), PhoneNumberId> {
        self.claim(id, &row.request)?;
        let mut known = row.lock();
        if known.progress == Progress::Posted {
            known.progress = Progress::Created;
        }
        known.state.apply(&JournalEntry::Created { connector_id: id, warning }, None);
        Ok(())
    }

    /// Creates the connector. The deadline of the install starts when the first POST may be sent. `call` makes the call
    /// for the GETs of the row from this deadline.
    async fn create<'a>(
        &'a self,
        row: &'a Row,
        body: &CreateConnectorReq,
        call: impl Fn(Deadline) -> Call<'a, GetTurn<'a>>,
    ) -> Result<(PendingChannel, Deadline), Option<Error>> {
        if row.state().earlier_may_exist() {
            // Another POST may create a second connector. It is sent only if the number shows no connector.
            let call = call(self.deadline());
            match self.look_up_before(&call).await {
                Ok(pending) => return Ok((pending, call.deadline)),
                Err(Some(error @ Error::OutcomeUnknown(..))) if error.existing().is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        let taken = tokio::select! {
            biased;
            () = self.shutdown.wait() => None,
            taken = self.take(Route::Create) => taken,
        };
        let Some((permit, in_flight)) = taken else { return Err(None) };
        let since = Timestamp::try_from(self.runtime().system_time());
        let state = row.state();
        self.append(row, JournalEntry::Intent { name: row.request.name().to_owned() }).await?;
        let limiter = self.limiter(Route::Create);
        let permit = tokio::select! {
            // The permit is polled first: even after a shutdown, a POST whose intent is on disk is sent if the rate
            // limit allows it at once.
            biased;
            permit = limiter.renew(self.runtime(), permit, Duration::MAX) => permit,
            () = self.shutdown.wait() => None,
        };
        let call = call(self.deadline());
        let Call { workspace, deadline, events, .. } = call;
        let first = permit.map(|permit| Slot { permit, deadline, _in_flight: Some(in_flight) });
        let turn = PostTurn { batch: self, row, first: Mutex::new(first) };
        let post = Call { workspace, deadline, events, turn };
        let pending = match create(&post, &row.request, body, state.earlier_may_exist()).await {
            Ok(pending) => {
                let connector_id = pending.connector_id();
                let warning = pending.warning();
                self.append(row, JournalEntry::Created { connector_id, warning }).await?;
                pending
            }
            Err(error) => {
                // This comes before the lookup, because other rows keep sending requests during the lookup.
                self.shut_down_after(&error);
                // When the first attempt was made, in an earlier run or in this one.
                let since = state.sent_at().or(since.ok());
                self.look_up(&call, since, error).await?
            }
        };
        Ok((pending, deadline))
    }

    /// Looks up the connector of a row whose outcome an earlier run left unknown. After a shutdown, the error is
    /// `None`.
    async fn look_up_before(
        &self,
        call: &Call<'_, GetTurn<'_>>,
    ) -> Result<PendingChannel, Option<Error>> {
        let (since, error) = {
            let known = call.turn.row.lock();
            (known.state.sent_at(), known.unknown_error())
        };
        let pending = self.look_up(call, since, error).await;
        pending.map_err(|error| Some(error).filter(|_| !self.shutdown.has_begun()))
    }

    /// Looks up the connector of a row after a creation that failed with `error`. The first POST was sent at `since`.
    async fn look_up(
        &self,
        call: &Call<'_, GetTurn<'_>>,
        since: Option<Timestamp>,
        mut error: Error,
    ) -> Result<PendingChannel, Error> {
        let row = call.turn.row;
        let mut look_up = LookUp { call, request: &row.request, since, allowed: &self.look_up };
        // The journal does not count the attempts of an earlier run, and there may have been more than one.
        let resumed = row.lock().progress < Progress::Posted;
        let repeated = || row.state().repeated_warning();
        let warning = match error.warning().or_else(repeated) {
            None if resumed => Some(Warning::PossibleDuplicate { status: None }),
            warning => warning,
        };
        let found = tokio::select! {
            biased;
            () = self.shutdown.wait() => None,
            found = look_up.after(&mut error, warning) => found,
        };
        let Some(pending) = found else { return Err(error) };
        let connector_id = pending.connector_id();
        let warning = pending.warning();
        self.append(row, JournalEntry::Found { connector_id, warning }).await?;
        Ok(pending)
    }

    /// Writes the result to the journal, and shuts the batch down if every other request would be refused.
    async fn finish(
        &self,
        row: &Row,
        result: Result<SmsChannel, Error>,
    ) -> Result<SmsChannel, Error> {
        if let Err(error) = &result {
            self.shut_down_after(error);
        }
        if matches!(&result, Err(error) if error.connector_state() == ConnectorState::ExistsIdUnknown)
        {
            // A GET may have shown that the connector belongs to another phone number.
            row.lock().state.forget_connector();
        }
        // Nothing more is appended after a journal error. A row that was only looked up has not changed.
        let sent = row.lock().progress >= Progress::Posted;
        if matches!(&result, Err(Error::Journal(_)))
            || matches!(&result, Err(Error::OutcomeUnknown(..)) if !sent)
        {
            return result;
        }
        let entry = JournalEntry::ended(&result);
        // An entry that settles a POST is applied only once it is on disk. If the row is abandoned before that, its
        // outcome is unknown.
        let settles = result.as_ref().is_err_and(|error| !error.connector_state().may_exist());
        if !settles {
            row.apply(&entry);
        }
        let written = self.write(row, entry.clone()).await;
        if settles {
            row.apply(&entry);
        }
        match written {
            Ok(()) => result,
            Err(source) => Err(journal_error(row.state(), Some(result), source)),
        }
    }

    /// Shuts the batch down if every other request would be refused.
    fn shut_down_after(&self, error: &Error) {
        let state = self.workspace.state();
        let route = if error.connector_id().is_some() { Route::Get } else { Route::Create };
        match error.status() {
            Some(401) => self.shutdown.begin(NotReadyReason::AccessRefused),
            // The policy of the key may exclude a single connector.
            Some(403) if !state.accepted_since(route, self.started) => {
                self.shutdown.begin(NotReadyReason::AccessRefused);
            }
            // There is no money for any row.
            Some(402) => self.shutdown.begin(NotReadyReason::Shutdown),
            Some(429) if state.throttled_since(self.started) >= self.deadline().timeout() => {
                self.shutdown.begin(NotReadyReason::Shutdown);
            }
            _ => {}
        }
    }

    fn events(&self, row: &Arc<Row>) -> EventSink {
        match &self.settings.observer {
            Some(observer) => {
                let observer = Arc::clone(observer);
                let row = Arc::clone(row);
                EventSink::new(move |event| observer(&row.request, event))
            }
            None => EventSink::default(),
        }
    }

    async fn write(&self, row: &Row, entry: JournalEntry) -> io::Result<()> {
        match &self.settings.journal {
            Some(journal) => journal.append(row.request.phone_number_id(), entry).await,
            None => Ok(()),
        }
    }

    /// Writes an entry, or returns the error that ends the row.
    async fn append(&self, row: &Row, entry: JournalEntry) -> Result<(), Error> {
        let written = self.write(row, entry).await;
        written.map_err(|source| journal_error(row.state(), None, source))
    }

    /// Waits until a request may be sent: for a place, for fewer requests in flight, and for a permit.
    async fn take(&self, route: Route) -> Option<(Permit, OwnedSemaphorePermit)> {
        let places = match route {
            Route::Create => &self.posts,
            Route::Get | Route::Numbers(_) => &self.gets,
        };
        let _place = places.acquire().await.ok()?;
        let in_flight = Arc::clone(&self.in_flight).acquire_owned().await.ok()?;
        let permit = self.limiter(route).acquire(self.runtime(), Duration::MAX).await?;
        Some((permit, in_flight))
    }

    fn runtime(&self) -> &dyn Runtime {
        self.workspace.client().runtime()
    }

    fn limiter(&self, route: Route) -> &RateLimiter {
        self.workspace.state().limiter(route)
    }
}

fn journal_error(
    row: RowState,
    ended: Option<Result<SmsChannel, Error>>,
    source: io::Error,
) -> Error {
    let state = row.connector_state();
    let warning = row.warning();
    Error::Journal(Box::new(JournalError { state, warning, ended, source }))
}

/// Where the POSTs of a row wait for their turn.
struct PostTurn<'a> {
    batch: &'a Batch,
    row: &'a Row,
    /// The slot of the first POST, whose permit was taken before the intent was written. `None` if it was used, or if
    /// the batch was shut down.
    first: Mutex<Option<Slot>>,
}

impl Turn for PostTurn<'_> {
    async fn take(&self, delay: Duration, timeout: Duration, deadline: Deadline) -> Option<Slot> {
        let Self { batch, row, first } = self;
        let first = lock(first).take();
        let slot = if let Some(slot) = first {
            slot
        } else {
            let runtime = batch.runtime();
            let wait = Deadline::start(runtime.now(), timeout);
            let taken = async {
                runtime.sleep(delay).await;
                let timeout = wait.remaining(runtime.now());
                tokio::time::timeout(timeout, batch.take(Route::Create)).await.ok()?
            };
            let (permit, in_flight) = tokio::select! {
                biased;
                () = batch.shutdown.wait() => return None,
                () = batch.limiter(Route::Create).paused_at(deadline) => return None,
                taken = taken => taken?,
            };
            Slot { permit, deadline, _in_flight: Some(in_flight) }
        };
        row.begin_post().then_some(slot)
    }

    fn created(&self, id: ConnectorId, warning: Option<Warning>) -> Result<(), PhoneNumberId> {
        self.batch.created(self.row, id, warning)
    }
}

/// Where the GETs of a row wait for their turn, without a timeout: a connector whose turn comes after the deadline is
/// polled once more.
struct GetTurn<'a> {
    batch: &'a Batch,
    row: &'a Row,
}

impl Turn for GetTurn<'_> {
    async fn take(&self, delay: Duration, _: Duration, deadline: Deadline) -> Option<Slot> {
        let batch = self.batch;
        let runtime = batch.runtime();
        runtime.sleep(delay).await;
        let (permit, in_flight) = tokio::select! {
            biased;
            () = batch.limiter(Route::Get).paused_at(deadline) => return None,
            taken = batch.take(Route::Get) => taken?,
        };
        let now = runtime.now();
        let late = deadline.remaining(now) < RESERVE;
        let deadline = if late { Deadline::start(now, LATE_POLL) } else { deadline };
        Some(Slot { permit, deadline, _in_flight: Some(in_flight) })
    }

    fn created(&self, id: ConnectorId, warning: Option<Warning>) -> Result<(), PhoneNumberId> {
        self.batch.created(self.row, id, warning)
    }
}

/// The outcomes of a batch, in the order in which the installs end. Made by
/// [`InstallSmsChannels::start`](super::InstallSmsChannels::start).
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// # let requests = [bird_sms::SmsConnectorRequest::new("My SMS channel", bird_sms::uuid::Uuid::from_u128(1).into())];
/// let mut outcomes = workspace.install_sms_channels(requests).start();
/// loop {
///     tokio::select! {
///         outcome = outcomes.next() => match outcome {
///             Some(outcome) => println!("{}: {:?}", outcome.kind(), outcome.connector_state()),
///             None => break,
///         },
///         _ = tokio::signal::ctrl_c() => outcomes.shut_down(), // sends nothing more
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing until its outcomes are taken"]
pub struct BatchOutcomes<S: Stream> {
    batch: Arc<Batch>,
    journal: Loaded,
    /// `None` once all requests were taken or the batch was shut down.
    requests: Option<Pin<Box<S>>>,
    /// The phone numbers of the requests that were taken.
    numbers: HashSet<PhoneNumberId>,
    /// The number of requests that were taken and have not ended yet.
    unfinished: usize,
    outcomes: mpsc::UnboundedReceiver<Option<BatchOutcome>>,
    tasks: JoinSet<()>,
    span: Span,
}

/// The state of the rows, as read from the journal.
enum Loaded {
    /// The journal is being read.
    Reading(Reading),
    Rows(JournalState),
    Failed(io::Error),
}

type Reading = Pin<Box<dyn Future<Output = io::Result<(InUse, JournalState)>> + Send>>;

impl<S> BatchOutcomes<S>
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    pub(super) fn new(batch: InstallSmsChannels<S>) -> Self {
        let InstallSmsChannels { workspace, requests, settings } = batch;
        let (sender, outcomes) = mpsc::unbounded_channel();
        let workspace_id = workspace.id();
        let started = workspace.client().runtime().now();
        let journal = match &settings.journal {
            Some(journal) => Loaded::Reading(Box::pin(load(Arc::clone(journal), workspace.id()))),
            None => Loaded::Rows(JournalState::default()),
        };
        let look_up = AtomicBool::new(workspace.client().settings().look_up);
        let batch = Batch {
            workspace,
            settings,
            started,
            in_use: Mutex::default(),
            connectors: Mutex::default(),
            look_up,
            shutdown: Shutdown::default(),
            posts: Semaphore::new(PLACES),
            gets: Semaphore::new(PLACES),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            rows: Mutex::default(),
            outcomes: sender,
        };
        Self {
            batch: Arc::new(batch),
            journal,
            requests: Some(Box::pin(requests)),
            numbers: HashSet::new(),
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

    /// Shuts the batch down, without losing what was sent. Take the remaining outcomes with [`next`](Self::next).
    ///
    /// No install is started and no POST is sent again. POSTs in flight are awaited. A POST whose intent is being
    /// written is still sent if the rate limit allows it at once. Installs whose connector exists end with
    /// [`Error::NotReady`], which contains the connector's id.
    ///
    /// See [`BatchOutcomes`] for an example.
    pub fn shut_down(&mut self) {
        self.batch.shutdown.begin(NotReadyReason::Shutdown);
    }

    /// Returns whether the batch was shut down, by [`shut_down`](Self::shut_down) or by itself.
    ///
    /// # Troubleshooting
    ///
    /// A batch shuts itself down if Bird refuses the access key (401, 403) or payment (402), or if every response
    /// during a whole install timeout is a 429. The outcomes before the shutdown contain the error.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.batch.shutdown.has_begun()
    }

    /// Stops all installs at once, and returns the outcomes that were not taken yet.
    ///
    /// An install whose POST was sent ends with [`Error::OutcomeUnknown`], and an install whose connector exists with
    /// [`Error::NotReady`]. No connector is known for a row without an outcome.
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
    fn start(&mut self, request: SmsConnectorRequest) {
        self.unfinished += 1;
        let batch = &self.batch;
        let number = request.phone_number_id();
        let is_new = self.numbers.insert(number);
        let state = match &self.journal {
            // A second request for a phone number fails, whatever the journal contains.
            _ if !is_new => RowState::default(),
            Loaded::Rows(rows) => rows.row(number),
            Loaded::Reading(_) => unreachable!("no row starts before the journal is read"),
            Loaded::Failed(error) => {
                let row = Row::new(request, RowState::of(ConnectorState::Unknown));
                let source = io::Error::new(error.kind(), error.to_string());
                return batch.end(&row, Some(Err(journal_error(row.state(), None, source))));
            }
        };
        let row = Row::new(request, state);
        let key = batch.workspace.client().key();
        let step = match state.next(batch.settings.unknown_rows(number)) {
            _ if !is_new => {
                let error = ConfigurationError::DuplicatePhoneNumber(number);
                return batch.end(&row, Some(Err(error.into())));
            }
            NextStep::LeaveAlone
                if state.sent_at().is_some() && batch.look_up.load(Ordering::Relaxed) =>
            {
                Step::LookUp
            }
            NextStep::Done | NextStep::LeaveAlone => return batch.end(&row, None),
            NextStep::Create => {
                let body = row.request.body(Some(key), Some(batch.workspace.id()));
                let checked = check_timeout(batch.deadline(), batch.workspace.client());
                match body.and_then(|body| checked.map(|()| body)) {
                    Ok(body) => Step::Create(Box::new(body)),
                    // The error of the request would hide that an earlier run may have created a connector.
                    Err(problem) if state.earlier_may_exist() => {
                        tracing::warn!(%number, %problem, "the row cannot be sent again");
                        return batch.end(&row, None);
                    }
                    Err(error) => return batch.end(&row, Some(Err(error.into()))),
                }
            }
            NextStep::Wait(id) => Step::Wait(id),
        };
        row.lock().progress = Progress::Started;
        let row = Arc::new(row);
        lock(&batch.rows).insert(number, Arc::clone(&row));
        let span = self.span.in_scope(|| install_span(&batch.workspace, &row.request));
        // Tokio aligns tasks to 128 bytes, and glibc before 2.38 hardly reuses memory with that alignment. The install is
        // boxed, so the task itself is small and wastes little.
        self.tasks.spawn(Arc::clone(batch).run(row, step).instrument(span).boxed());
    }
}

impl<S> Stream for BatchOutcomes<S>
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    type Item = BatchOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BatchOutcome>> {
        if let Loaded::Reading(reading) = &mut self.journal {
            let read = ready!(reading.as_mut().poll(cx));
            self.journal = self.batch.loaded(read);
        }
        loop {
            if self.batch.shutdown.has_begun() {
                self.requests = None;
            }
            while self.unfinished < self.batch.settings.concurrency
                && let Some(requests) = &mut self.requests
                && let Poll::Ready(request) = requests.as_mut().poll_next(cx)
            {
                match request {
                    Some(request) => self.start(request),
                    None => self.requests = None,
                }
            }
            // A panic in a task is passed on, not swallowed.
            if let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
                if let Err(error) = ended
                    && let Ok(panic) = error.try_into_panic()
                {
                    resume_unwind(panic);
                }
                continue;
            }
            if self.unfinished == 0 {
                // The journal is released only after the last task has ended.
                if self.requests.is_some() || !self.tasks.is_empty() {
                    return Poll::Pending;
                }
                self.batch.release_journal();
                return Poll::Ready(None);
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
        // A task that is running on another thread right now continues until it next waits.
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
