use std::collections::HashMap;
use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::stream::TakeUntil;
use futures_util::{FutureExt, Stream};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{Instrument, Span};

use super::slot::{Batch, BatchSlot};
use super::{BatchItem, BatchOutcome};
use crate::workflow::{Cancellation, install_span};

/// The outcomes of a batch, in the order in which the installs end. Made by
/// [`InstallSmsChannels::start`](super::InstallSmsChannels::start).
#[must_use = "a batch does nothing until its outcomes are taken"]
pub struct BatchOutcomes<S: Stream> {
    batch: Arc<Batch>,
    /// `None` when all requests were taken, or the batch was shut down.
    requests: Option<Pin<Box<TakeUntil<S, Cancellation>>>>,
    concurrency: usize,
    /// The installs in progress, and those whose outcome was not taken yet.
    installs: JoinSet<Option<BatchOutcome>>,
    slots: HashMap<Id, Arc<BatchSlot>>,
    span: Span,
}

type JoinResult = Result<(Id, Option<BatchOutcome>), JoinError>;

impl<S> BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    pub(super) fn new(
        batch: Batch,
        requests: TakeUntil<S, Cancellation>,
        concurrency: usize,
    ) -> Self {
        let workspace_id = batch.workspace.id();
        Self {
            span: tracing::info_span!("install_sms_channels", %workspace_id),
            batch: Arc::new(batch),
            requests: Some(Box::pin(requests)),
            concurrency,
            installs: JoinSet::new(),
            slots: HashMap::new(),
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

    /// Stops all installs at once, and returns the outcomes that were not taken yet.
    ///
    /// An install whose POST was sent ends with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), and an install
    /// whose connector exists with [`Error::NotReady`](crate::Error::NotReady). Nothing was sent for rows without an
    /// outcome.
    #[must_use]
    pub fn abandon(&mut self) -> Vec<BatchOutcome> {
        self.requests = None;
        self.installs.abort_all();
        let mut outcomes = Vec::new();
        while let Some(joined) = self.installs.try_join_next_with_id() {
            if joined.is_ok() {
                outcomes.extend(self.take(joined));
            }
        }
        outcomes.extend(self.slots.drain().filter_map(|(_, slot)| slot.abandon()));
        self.installs = JoinSet::new();
        outcomes
    }

    fn start(&mut self, item: BatchItem) {
        let (batch, slot) = (Arc::clone(&self.batch), Arc::new(BatchSlot::new(item)));
        let span = self.span.in_scope(|| install_span(&batch.workspace, slot.request()));
        let install = {
            let slot = Arc::clone(&slot);
            async move { batch.install(&slot).await }.instrument(span)
        };
        // Tokio aligns tasks to 128 bytes, and glibc before 2.38 hardly reuses memory of that alignment. Boxing the
        // install keeps the task small.
        let task = self.installs.spawn(install.boxed());
        self.slots.insert(task.id(), slot);
    }

    /// Returns the outcome of an install that ended, if a request was sent for it. Panics if the install panicked.
    fn take(&mut self, joined: JoinResult) -> Option<BatchOutcome> {
        match joined {
            Ok((id, outcome)) => {
                self.slots.remove(&id);
                outcome
            }
            Err(error) => {
                let slot = self.slots.remove(&error.id());
                match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The Tokio runtime is shutting down.
                    Err(_) => slot?.abandon(),
                }
            }
        }
    }
}

impl<S> Stream for BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    type Item = BatchOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BatchOutcome>> {
        loop {
            while self.installs.len() < self.concurrency
                && let Some(requests) = &mut self.requests
                && let Poll::Ready(item) = requests.as_mut().poll_next(cx)
            {
                match item {
                    Some(item) => self.start(item.into()),
                    None => self.requests = None,
                }
            }
            match ready!(self.installs.poll_join_next_with_id(cx)) {
                Some(joined) => {
                    if let Some(outcome) = self.take(joined) {
                        return Poll::Ready(Some(outcome));
                    }
                }
                None if self.requests.is_none() => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    }
}

impl<S: Stream> fmt::Debug for BatchOutcomes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOutcomes")
            .field("installs", &self.installs.len())
            .finish_non_exhaustive()
    }
}
