use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::TakeUntil;
use futures_util::{FutureExt, Stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::slot::Batch;
use super::task::rethrow;
use super::{BatchItem, BatchOutcome};
use crate::workflow::{Cancellation, install_span};

/// The number of requests in progress at which no install is started. Connectors that wait for a poll do not count.
const REQUESTS: usize = 1000;

/// The outcomes of a batch, in the order in which the installs end. Made by
/// [`InstallSmsChannels::start`](super::InstallSmsChannels::start).
#[must_use = "a batch does nothing until its outcomes are taken"]
pub struct BatchOutcomes<S: Stream> {
    batch: Arc<Batch>,
    /// `None` when all requests were taken, or the batch was shut down.
    requests: Option<Pin<Box<TakeUntil<S, Cancellation>>>>,
    concurrency: usize,
    /// The installs that were started, and whose outcome was not taken yet.
    unfinished: usize,
    outcomes: mpsc::UnboundedReceiver<Option<BatchOutcome>>,
    /// The creations, and the task that polls the connectors that wait.
    tasks: JoinSet<()>,
    span: Span,
}

impl<S> BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    pub(super) fn new(
        batch: Batch,
        requests: TakeUntil<S, Cancellation>,
        concurrency: usize,
        outcomes: mpsc::UnboundedReceiver<Option<BatchOutcome>>,
    ) -> Self {
        let workspace_id = batch.workspace.id();
        Self {
            span: tracing::info_span!("install_sms_channels", %workspace_id),
            batch: Arc::new(batch),
            requests: Some(Box::pin(requests)),
            concurrency,
            unfinished: 0,
            outcomes,
            tasks: JoinSet::new(),
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
    /// whose connector exists with [`Error::NotReady`](crate::Error::NotReady). For a row without an outcome,
    /// no connector is known that may exist.
    #[must_use]
    pub fn abandon(&mut self) -> Vec<BatchOutcome> {
        self.requests = None;
        self.unfinished = 0;
        self.tasks = JoinSet::new();
        // An install that ends at this moment is in one of the two.
        let abandoned = self.batch.rows.abandon(&self.batch.workspace);
        let mut outcomes = Vec::new();
        while let Ok(outcome) = self.outcomes.try_recv() {
            outcomes.extend(outcome);
        }
        outcomes.extend(abandoned);
        outcomes
    }

    fn start(&mut self, item: BatchItem) {
        let batch = Arc::clone(&self.batch);
        if self.tasks.is_empty() {
            let polls = Arc::clone(&batch).poll_waiting().instrument(self.span.clone());
            self.tasks.spawn(polls.boxed());
        }
        let slot = batch.rows.begin(item);
        let span = self.span.in_scope(|| install_span(&batch.workspace, slot.request()));
        // Tokio aligns tasks to 128 bytes, and glibc before 2.38 hardly reuses memory of that alignment. Boxing the
        // install keeps the task small.
        self.tasks.spawn(batch.install(slot).instrument(span).boxed());
        self.unfinished += 1;
    }
}

impl<S> Stream for BatchOutcomes<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    type Item = BatchOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BatchOutcome>> {
        loop {
            while self.unfinished < self.concurrency
                && self.batch.rows.active() < REQUESTS
                && let Some(requests) = &mut self.requests
                && let Poll::Ready(item) = requests.as_mut().poll_next(cx)
            {
                match item {
                    Some(item) => self.start(item.into()),
                    None => self.requests = None,
                }
            }
            // An install that ended makes room for another.
            if let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
                rethrow(ended);
                continue;
            }
            if self.unfinished == 0 {
                if self.requests.is_some() {
                    return Poll::Pending;
                }
                if self.tasks.is_empty() {
                    return Poll::Ready(None);
                }
                // The journal can be opened again after the end, so that no task may hold it.
                self.tasks.abort_all();
                return Poll::Pending;
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

impl<S: Stream> fmt::Debug for BatchOutcomes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOutcomes")
            .field("unfinished", &self.unfinished)
            .finish_non_exhaustive()
    }
}
