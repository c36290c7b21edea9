//! One install of a batch, from its item to its outcome.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::{BatchItem, BatchOutcome, Journal, JournalEntry, NextStep, Observer, RowState};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::transport::Deadline;
use crate::workflow::{Cancellation, CreateStart, PollSchedule, create};
use crate::{
    ConnectorState, Error, JournalError, NotReady, OutcomeUnknown, PendingChannel, SmsChannel,
    SmsConnectorRequest, UnknownReason,
};
#[cfg(feature = "list-connectors")]
use crate::{batch::UnknownRows, workflow::Searches};

/// The state that the installs of a batch share.
pub(super) struct Batch {
    pub(super) workspace: Workspace,
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) observer: Option<Box<Observer>>,
    pub(super) cancellation: Cancellation,
    /// Shuts the batch down when the access key is refused, because every other request would be refused, too.
    pub(super) refused: Mutex<Option<oneshot::Sender<()>>>,
    #[cfg(feature = "list-connectors")]
    pub(super) searches: Searches,
}

/// An install in progress. The state of its connector is always up to date, so that an abandoned batch can return what
/// exists.
pub(super) struct BatchSlot {
    item: BatchItem,
    /// What this run knows about the connector.
    connector: Mutex<ConnectorState>,
}

impl BatchSlot {
    pub(super) fn new(item: BatchItem) -> Self {
        Self { item, connector: Mutex::default() }
    }

    pub(super) fn request(&self) -> &SmsConnectorRequest {
        &self.item.request
    }

    #[cfg(feature = "list-connectors")]
    pub(super) fn unknown_rows(&self) -> UnknownRows {
        self.item.unknown
    }

    fn connector(&self) -> ConnectorState {
        *self.connector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcome of an install that is abandoned now, or `None` if no request was ever sent for the row.
    pub(super) fn abandon(&self) -> Option<BatchOutcome> {
        let connector = self.connector();
        let mut state = self.item.state;
        state.grow(connector);
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

    /// Returns the error of a row that is left alone because of an earlier run.
    #[cfg(feature = "list-connectors")]
    fn left_alone(&self) -> Error {
        unknown(match self.item.state.connector_state() {
            ConnectorState::ExistsIdUnknown => UnknownReason::AlreadyExists,
            _ => UnknownReason::EarlierAttempt,
        })
    }

    fn outcome(&self, state: RowState, result: Result<SmsChannel, Error>) -> BatchOutcome {
        let created = matches!(self.connector(), ConnectorState::Exists(_));
        BatchOutcome { request: self.item.request.clone(), result, state, created }
    }
}

fn unknown(reason: UnknownReason) -> Error {
    Error::OutcomeUnknown(Box::new(OutcomeUnknown::new(reason)))
}

impl Batch {
    /// Takes the next step of the item, to its end. Returns `None` if the batch was shut down before a request was sent
    /// for the row.
    pub(super) async fn install(self: &Arc<Self>, slot: &Arc<BatchSlot>) -> Option<BatchOutcome> {
        let BatchItem { request, state, unknown } = &slot.item;
        let (mut state, deadline) = (*state, self.workspace.deadline());
        let pending = loop {
            let error = match state.next(*unknown) {
                NextStep::Create => match self.create(slot, state).await {
                    Some(Ok(created)) => break Ok(created),
                    Some(Err(error)) => error,
                    None => return slot.abandon(),
                },
                NextStep::Wait(id) => {
                    let mut pending = self.workspace.pending_channel(id).warning(state.warning());
                    if let Some(time) = state.created_at() {
                        pending = pending.created_at(time);
                    }
                    break Ok((pending, deadline));
                }
                NextStep::LeaveAlone => return slot.abandon(),
                #[cfg(feature = "list-connectors")]
                NextStep::Find => slot.left_alone(),
                NextStep::Done => {
                    let channel = state.channel(&self.workspace)?;
                    return Some(slot.outcome(state, Ok(channel)));
                }
            };
            match Box::pin(self.find(slot, &mut state, deadline, error)).await {
                Ok(Some(pending)) => break Ok((pending, self.workspace.deadline())),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        let result = match pending {
            Ok((pending, deadline)) => self.wait(pending.events(self.events(slot)), deadline).await,
            Err(error) => Err(error),
        };
        if result.as_ref().is_err_and(Error::is_access_refused)
            && let Some(shut_down) =
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // The receiver is gone when nothing is left to shut down.
            let _ = shut_down.send(());
        }
        let state = state.after(result.as_ref());
        // Nothing more is appended after a journal error, which says what exists.
        let result = if matches!(result, Err(Error::Journal(_))) {
            result
        } else {
            let entry = JournalEntry::ended(result.as_ref(), state);
            match self.append(request, entry).await {
                Ok(()) => result,
                Err(source) => Err(journal_error(state.connector_state(), Some(result), source)),
            }
        };
        Some(slot.outcome(state, result))
    }

    /// Returns the event sink of an install, which updates the state of the slot and calls the observer.
    pub(super) fn events(self: &Arc<Self>, slot: &Arc<BatchSlot>) -> EventSink {
        let (batch, slot) = (Arc::clone(self), Arc::clone(slot));
        EventSink::new(move |event| {
            if let Some(state) = event.connector_state() {
                *slot.connector.lock().unwrap_or_else(PoisonError::into_inner) = state;
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
        state: RowState,
    ) -> Option<Result<(PendingChannel, Deadline), Error>> {
        let request = slot.request();
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
        let intent = JournalEntry::Intent { name: request.name().to_owned() };
        if let Err(source) = self.append(request, intent).await {
            return Some(Err(journal_error(state.connector_state(), None, source)));
        }
        let deadline = self.workspace.deadline();
        let start = CreateStart {
            permit,
            cancellation: self.cancellation.clone(),
            earlier_run: state.connector_state() == ConnectorState::Unknown,
        };
        let created =
            create(&self.workspace, &body, deadline, self.events(slot), Some(start)).await;
        if let Ok(pending) = &created {
            let connector_id = pending.connector_id();
            let warning = pending.creation_warning();
            let entry = JournalEntry::Created { connector_id, warning };
            if let Err(source) = self.append(request, entry).await {
                let state = ConnectorState::Exists(connector_id);
                return Some(Err(journal_error(state, None, source)));
            }
        }
        Some(created.map(|pending| (pending, deadline)))
    }

    async fn wait(&self, pending: PendingChannel, deadline: Deadline) -> Result<SmsChannel, Error> {
        let mut pending = pending.schedule(PollSchedule::Estimate);
        let stopped = {
            let wait = pin!(pending.wait_until(deadline));
            // The wait is polled first, so that a channel that is ready is not lost to the shutdown.
            match select(wait, self.cancellation.clone()).await {
                Either::Left((result, _)) => return result,
                Either::Right(((), _)) => self.workspace.client().runtime().now(),
            }
        };
        Err(pending.not_ready(deadline.elapsed(stopped), None))
    }

    /// Settles nothing without the feature.
    #[cfg(not(feature = "list-connectors"))]
    #[expect(clippy::unused_self, reason = "the method of the feature uses it")]
    fn find(
        &self,
        _slot: &BatchSlot,
        _state: &mut RowState,
        _deadline: Deadline,
        error: Error,
    ) -> std::future::Ready<Result<Option<PendingChannel>, Error>> {
        std::future::ready(Err(error))
    }

    pub(super) async fn append(
        &self,
        request: &SmsConnectorRequest,
        entry: JournalEntry,
    ) -> io::Result<()> {
        match &self.journal {
            Some(journal) => journal.append(request, entry).await,
            None => Ok(()),
        }
    }
}

pub(super) fn journal_error(
    state: ConnectorState,
    ended: Option<Result<SmsChannel, Error>>,
    source: io::Error,
) -> Error {
    Error::Journal(Box::new(JournalError { state, ended, source }))
}
