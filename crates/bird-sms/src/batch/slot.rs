//! One install of a batch, from its item to its outcome, and the task that polls those that wait.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};
use futures_util::{StreamExt, stream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::task::rethrow;
use super::waiting::{Polls, Rows};
use super::{BatchItem, BatchOutcome, Journal, JournalEntry, NextStep, Observer, RowState};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::planted::planted;
use crate::transport::{Deadline, Permit};
use crate::workflow::{Cancellation, CreateStart, PAUSE, create, install_span};
use crate::{
    ConnectorState, Error, Event, JournalError, NotReady, OutcomeUnknown, PendingChannel,
    SmsChannel, SmsConnectorRequest, UnknownReason, Warning,
};

/// The time that a poll may take which the rate limit delayed beyond the deadline.
const LATE_POLL: Duration = Duration::from_secs(10);
/// The number of installs that end at a time after a shutdown.
const ENDING: usize = 256;

/// The state that the installs of a batch share.
pub(super) struct Batch {
    pub(super) workspace: Workspace,
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) observer: Option<Box<Observer>>,
    pub(super) cancellation: Cancellation,
    pub(super) rows: Rows,
    /// Shuts the batch down when the access key is refused, because every other request would be refused, too.
    pub(super) refused: Mutex<Option<oneshot::Sender<()>>>,
}

/// An install in progress. The state of its connector is always up to date, so that an abandoned batch can return what
/// exists.
#[derive(Debug)]
pub(super) struct BatchSlot {
    item: BatchItem,
    /// What this run knows about the connector, and the warning of its creation.
    connector: Mutex<(ConnectorState, Option<Warning>)>,
}

impl BatchSlot {
    /// `created` is whether this run created the connector that the item waits for.
    pub(super) fn new(item: BatchItem, created: bool) -> Self {
        let state = if created { item.state.connector_state() } else { ConnectorState::default() };
        Self { item, connector: Mutex::new((state, None)) }
    }

    pub(super) fn request(&self) -> &SmsConnectorRequest {
        &self.item.request
    }

    fn connector(&self) -> (ConnectorState, Option<Warning>) {
        *self.connector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcome of an install that is abandoned now, or `None` if no connector may
    /// exist.
    pub(super) fn abandon(&self) -> Option<BatchOutcome> {
        let (connector, warning) = self.connector();
        let mut state = self.item.state;
        match connector {
            ConnectorState::Exists(connector_id) => {
                state.apply(&JournalEntry::Created { connector_id, warning }, None);
            }
            connector => state.grow(connector),
        }
        let reason = match connector {
            ConnectorState::NotCreated => UnknownReason::EarlierAttempt,
            _ => UnknownReason::Abandoned,
        };
        let error = match state.connector_state() {
            ConnectorState::NotCreated => return None,
            ConnectorState::Exists(connector_id) => Error::NotReady(Box::new(NotReady {
                connector_id,
                waited: Duration::ZERO,
                polls: 0,
                seen: true,
                warning: state.warning(),
                last: None,
            })),
            ConnectorState::ExistsIdUnknown => unknown(UnknownReason::AlreadyExists),
            ConnectorState::Unknown => unknown(reason),
        };
        Some(self.outcome(state, Err(error)))
    }

    fn outcome(&self, state: RowState, result: Result<SmsChannel, Error>) -> BatchOutcome {
        let created = matches!(self.connector(), (ConnectorState::Exists(_), _));
        BatchOutcome { request: self.item.request.clone(), result, state, created }
    }
}

fn unknown(reason: UnknownReason) -> Error {
    Error::OutcomeUnknown(Box::new(OutcomeUnknown::new(reason)))
}

impl Batch {
    /// Takes the next step of the item. Connectors that exist wait for their polls afterwards.
    pub(super) async fn install(self: Arc<Self>, slot: Arc<BatchSlot>) {
        let BatchItem { state, unknown, .. } = slot.item;
        match state.next(unknown) {
            NextStep::Create => match self.create(&slot).await {
                Some(Ok(pending)) => self.wait_for(&slot, pending).await,
                Some(Err(error)) => self.finish(&slot, Err(error)).await,
                None => self.rows.end(&slot, slot.abandon()),
            },
            NextStep::Wait(_) => {
                let runtime = self.workspace.client().runtime();
                let polls = Polls::resume(runtime, state.created_at());
                self.wait(&slot, slot.item.clone(), polls).await;
            }
            NextStep::LeaveAlone => self.rows.end(&slot, slot.abandon()),
            NextStep::Done => {
                let channel = state.channel(&self.workspace);
                let outcome = channel.map(|channel| slot.outcome(state, Ok(channel)));
                self.rows.end(&slot, outcome);
            }
        }
    }

    /// Lets the row of a connector wait for its first poll, unless its channel is ready.
    async fn wait_for(self: &Arc<Self>, slot: &Arc<BatchSlot>, mut pending: PendingChannel) {
        if let Some(channel) = pending.take_ready() {
            return self.finish(slot, Ok(channel)).await;
        }
        let mut item = slot.item.clone();
        let (connector_id, warning) = (pending.connector_id(), pending.creation_warning());
        item.state.apply(&JournalEntry::Created { connector_id, warning }, None);
        let created = pending.created_since();
        let now = self.workspace.client().runtime().now();
        let polls = Polls::new(created.unwrap_or(now), created.is_some());
        self.wait(slot, item, polls).await;
    }

    /// Lets a row wait for its next poll, or ends it if the deadline leaves no time for one.
    pub(super) async fn wait(
        self: &Arc<Self>,
        slot: &Arc<BatchSlot>,
        item: BatchItem,
        polls: Polls,
    ) {
        if let Some(at) = polls.next(&self.workspace) {
            self.rows.wait(slot, item, polls, at);
        } else {
            let error = self.not_ready(slot, polls);
            self.finish(slot, error).await;
        }
    }

    /// Polls the connectors that wait, each when its poll is due and the rate limit allows it. After a shutdown, ends
    /// their installs.
    pub(super) async fn poll_waiting(self: Arc<Self>) {
        let runtime = self.workspace.client().runtime();
        let mut polls = JoinSet::new();
        // When the process last continued after a stop.
        let mut continued = None;
        loop {
            while let Some(joined) = polls.try_join_next() {
                rethrow(joined);
            }
            let now = runtime.now();
            let next = self.rows.next(&self.workspace, now);
            if self.cancellation.peek().is_some() {
                let waiting = stream::iter(self.rows.take_waiting(&self.workspace));
                let end = |(slot, polls)| {
                    let batch = Arc::clone(&self);
                    async move {
                        let error = batch.not_ready(&slot, polls);
                        batch.finish(&slot, error).await;
                    }
                };
                waiting.for_each_concurrent(ENDING, end).await;
                self.rows.changed.notified().await;
            } else if next.is_some_and(|at| at <= now) {
                let due = Mutex::new(None);
                let is_due = || {
                    let taken = self.rows.take_due(&self.workspace, runtime.now());
                    let found = taken.is_some();
                    *due.lock().unwrap_or_else(PoisonError::into_inner) = taken;
                    found
                };
                let gets = &self.workspace.state().gets;
                let permit = pin!(gets.acquire_if(runtime, Duration::MAX, is_due));
                let permit = select(permit, self.cancellation.clone()).await;
                if let Either::Left((Some(permit), _)) = permit
                    && let Some((slot, connector)) =
                        due.lock().unwrap_or_else(PoisonError::into_inner).take()
                {
                    let span = install_span(&self.workspace, slot.request());
                    if let Some(id) = slot.item.state.connector_state().connector_id() {
                        span.record("connector_id", tracing::field::display(id));
                    }
                    let poll = Arc::clone(&self).poll(slot, connector, permit, continued);
                    // Boxed for the reason that the installs are.
                    polls.spawn(poll.instrument(span).boxed());
                }
            } else {
                let sleep = match next {
                    Some(at) => runtime.sleep(at - now),
                    None => Box::pin(std::future::pending()),
                };
                let changed = pin!(self.rows.changed.notified());
                select(select(changed, sleep), self.cancellation.clone()).await;
                let now = runtime.now();
                if next.is_some_and(|at| now.saturating_duration_since(at) > PAUSE) {
                    continued = Some(now);
                }
            }
        }
    }

    /// Polls a connector, and ends its install or lets it wait again.
    async fn poll(
        self: Arc<Self>,
        slot: Arc<BatchSlot>,
        mut polls: Polls,
        permit: Permit,
        continued: Option<Instant>,
    ) {
        // Wakes the task that polls, also if this one panics.
        let _ended = Ended(&self.rows.changed);
        let runtime = self.workspace.client().runtime();
        let Some(mut pending) = self.pending(&slot, polls) else {
            return self.rows.end(&slot, slot.abandon());
        };
        // The time in which the rate limit delayed the poll does not count.
        let deadline = polls.deadline(&self.workspace);
        let late =
            deadline.remaining(runtime.now()) < self.workspace.state().response_time.reserve();
        let deadline = if late { Deadline::start(runtime.now(), LATE_POLL) } else { deadline };
        let result = {
            let poll = pin!(pending.poll_until(Some(permit), deadline, polls.since));
            // The poll comes first, so that a channel that is ready is not lost to the shutdown.
            match select(poll, self.cancellation.clone()).await {
                Either::Left((result, _)) => Some(result),
                Either::Right(((), _)) => None,
            }
        };
        let history = pending.history();
        match result {
            Some(Ok(None)) => {
                polls.observe(&self.workspace, history, continued, false);
                drop(pending);
                let item = slot.item.clone();
                self.wait(&slot, item, polls).await;
            }
            Some(Ok(Some(mut channel))) => {
                channel.provisioning_time =
                    polls.observe(&self.workspace, history, continued, true);
                self.finish(&slot, Ok(channel)).await;
            }
            Some(Err(error)) => self.finish(&slot, Err(error)).await,
            None => {
                let error =
                    pending.not_ready(polls.deadline(&self.workspace).elapsed(runtime.now()), None);
                self.finish(&slot, Err(error)).await;
            }
        }
    }

    /// Returns the pending channel of a row that waits.
    fn pending(self: &Arc<Self>, slot: &Arc<BatchSlot>, polls: Polls) -> Option<PendingChannel> {
        let state = slot.item.state;
        let id = state.connector_state().connector_id()?;
        let created = polls.created.then_some(polls.since);
        let pending = self.workspace.pending_channel(id).warning(state.warning());
        let pending = pending.continued(created, polls.history()).events(self.events(slot));
        Some(match state.created_at() {
            Some(time) if !polls.created => pending.created_at(time),
            _ => pending,
        })
    }

    fn not_ready(
        self: &Arc<Self>,
        slot: &Arc<BatchSlot>,
        polls: Polls,
    ) -> Result<SmsChannel, Error> {
        let waited =
            polls.deadline(&self.workspace).elapsed(self.workspace.client().runtime().now());
        let error = self.pending(slot, polls).map(|pending| pending.not_ready(waited, None));
        Err(error.unwrap_or_else(|| unknown(UnknownReason::Abandoned)))
    }

    /// Ends an install: writes the result to the journal, and sends the outcome. Shuts the batch down if the access key
    /// was refused.
    pub(super) async fn finish(&self, slot: &Arc<BatchSlot>, result: Result<SmsChannel, Error>) {
        if result.as_ref().is_err_and(Error::is_access_refused)
            && let Some(shut_down) =
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // The receiver is gone when nothing is left to shut down.
            let _ = shut_down.send(());
        }
        let state = slot.item.state.after(result.as_ref());
        // Nothing more is appended after a journal error, which says what exists.
        let result = if matches!(result, Err(Error::Journal(_))) {
            result
        } else {
            let entry = JournalEntry::ended(result.as_ref(), state);
            match self.append(&slot.item.request, entry).await {
                Ok(()) => result,
                Err(source) => Err(journal_error(state, Some(result), source)),
            }
        };
        self.rows.end(slot, Some(slot.outcome(state, result)));
    }

    /// Returns the event sink of an install, which updates the state of the slot and calls the observer.
    pub(super) fn events(self: &Arc<Self>, slot: &Arc<BatchSlot>) -> EventSink {
        let (batch, slot) = (Arc::clone(self), Arc::clone(slot));
        EventSink::new(move |event| {
            // The intent is in the journal also while nothing was created.
            if let Some(state) = event.connector_state().filter(|state| state.may_exist()) {
                let warning = match event {
                    Event::Created { warning, .. } => *warning,
                    _ => None,
                };
                *slot.connector.lock().unwrap_or_else(PoisonError::into_inner) = (state, warning);
            }
            if let Some(observer) = &batch.observer {
                observer(slot.request(), event);
            }
        })
    }

    /// Creates the connector. Returns `None` if the batch was shut down before anything was sent.
    async fn create(
        self: &Arc<Self>,
        slot: &Arc<BatchSlot>,
    ) -> Option<Result<PendingChannel, Error>> {
        let BatchItem { request, state, .. } = &slot.item;
        let body = match request.body(Some(self.workspace.client().key())) {
            Ok(body) => body,
            Err(error) => return Some(Err(error.into())),
        };
        let runtime = self.workspace.client().runtime();
        let permit = pin!(self.workspace.state().posts.acquire(runtime, Duration::MAX));
        let Either::Right((Some(permit), _)) = select(self.cancellation.clone(), permit).await
        else {
            return None;
        };
        let intent = || JournalEntry::Intent { name: request.name().to_owned() };
        if !planted("the intent is written after the POST")
            && let Err(source) = self.append(request, intent()).await
        {
            return Some(Err(journal_error(*state, None, source)));
        }
        let deadline = self.workspace.deadline();
        let start = CreateStart { permit, cancellation: self.cancellation.clone() };
        let created = create(
            &self.workspace,
            &body,
            deadline,
            self.events(slot),
            state.earlier_may_exist(),
            Some(start),
        )
        .await;
        if planted("the intent is written after the POST") {
            let _ = self.append(request, intent()).await;
        }
        if let Ok(pending) = &created {
            let connector_id = pending.connector_id();
            let warning = pending.creation_warning();
            let entry = JournalEntry::Created { connector_id, warning };
            let mut state = *state;
            state.apply(&entry, None);
            if let Err(source) = self.append(request, entry).await {
                return Some(Err(journal_error(state, None, source)));
            }
        }
        Some(created)
    }

    pub(super) async fn append(
        &self,
        request: &SmsConnectorRequest,
        entry: JournalEntry,
    ) -> io::Result<()> {
        match &self.journal {
            Some(_) if planted("an entry is not awaited") => Ok(()),
            Some(journal) => journal.append(request, entry).await,
            None => Ok(()),
        }
    }
}

/// Notifies when it is dropped.
struct Ended<'a>(&'a Notify);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

pub(super) fn journal_error(
    row: RowState,
    ended: Option<Result<SmsChannel, Error>>,
    source: io::Error,
) -> Error {
    let (state, warning) = (row.connector_state(), row.warning());
    Error::Journal(Box::new(JournalError { state, warning, ended, source }))
}
