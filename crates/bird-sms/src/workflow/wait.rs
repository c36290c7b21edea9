//! The second half of an install: polling the connector until its channel is ready.

use std::time::Duration;

use bird_api::Response;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::poll_schedule::PollTimer;
use super::read::{GetAttempt, GetHistory, Purpose};
use super::retry::{Attempt, LastAttempt, Retry, RetryError};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::model::ConnectorStatus;
use crate::transport::{Deadline, Permit};
use crate::{
    AttemptError, Attempts, ConnectorId, Error, Event, NotReady, ReadError, SmsChannel,
    TransportError, Warning,
};

impl Workspace {
    /// Returns the pending channel of a connector that exists, to resume the wait for it. Nothing is sent until
    /// [`wait`](PendingChannel::wait) is called.
    pub fn pending_channel(&self, connector_id: ConnectorId) -> PendingChannel {
        PendingChannel::resume(self.clone(), connector_id)
    }
}

/// An SMS channel that is being provisioned: its connector exists.
///
/// ```no_run
/// # async fn example(workspace: bird_sms::Workspace, request: bird_sms::SmsConnectorRequest) -> Result<(), bird_sms::Error> {
/// let pending = workspace.create_sms_connector(&request).await?;
/// let id = pending.connector_id(); // store it
/// let channel = pending.wait().await?;
/// // or, after a restart:
/// let channel = workspace.pending_channel(id).wait().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "the connector exists; wait for its channel, or at least store its id"]
pub struct PendingChannel {
    workspace: Workspace,
    connector_id: ConnectorId,
    /// When the connector was created, as far as it is known.
    created: Option<Instant>,
    /// Whether another call created the connector.
    resumed: bool,
    /// The channel, if the response to the creation contained its id.
    ready: Option<Box<SmsChannel>>,
    warning: Option<Warning>,
    events: EventSink,
    timeout: Option<Duration>,
    history: GetHistory,
}

/// The result of a poll, after its retries.
enum PollResult {
    Ready(Box<SmsChannel>),
    Pending,
    /// The poll failed, and may succeed later.
    Failed(RetryError),
    /// No later poll will succeed.
    Fatal(RetryError),
}

impl PendingChannel {
    fn resume(workspace: Workspace, connector_id: ConnectorId) -> Self {
        Self {
            workspace,
            connector_id,
            created: None,
            resumed: true,
            ready: None,
            warning: None,
            events: EventSink::default(),
            timeout: None,
            history: GetHistory::default(),
        }
    }

    pub(super) fn created(
        workspace: Workspace,
        status: &ConnectorStatus,
        response: &Response,
        events: EventSink,
    ) -> Self {
        let now = workspace.client().runtime().now();
        let ours = status.workspace_id.is_none_or(|id| id == workspace.id());
        // The channel of another workspace is not used here, and the next poll fails with the mismatch.
        let ready = status.channel_id.filter(|_| ours).map(|id| {
            Box::new(SmsChannel::new(
                id,
                status.id,
                workspace.id(),
                &response.body,
                workspace.client().key(),
            ))
        });
        Self {
            created: Some(now),
            resumed: false,
            ready,
            events,
            ..Self::resume(workspace, status.id)
        }
    }

    /// Returns the id of the connector. The id is sufficient to resume after a restart.
    #[must_use]
    pub fn connector_id(&self) -> ConnectorId {
        self.connector_id
    }

    /// Sets how long a [`wait`](Self::wait) or a [`poll`](Self::poll) may take. Default: the install timeout of the
    /// client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets when the connector was created, if an earlier process stored the time. The older a connector is, the longer
    /// are the delays between polls.
    ///
    /// A new connector may not be visible to reads yet: a 404 is retried for
    /// [`PollPolicy::not_found_grace`](crate::PollPolicy::not_found_grace) from this time on. Default: the start of the
    /// wait.
    pub fn created_at(mut self, time: Timestamp) -> Self {
        let client = self.workspace.client();
        let age = client.runtime().system_time().duration_since(time.into()).unwrap_or_default();
        // If the monotonic clock does not reach back that far, the grace period is certainly over.
        let since = |age| client.runtime().now().checked_sub(age);
        self.created = since(age).or_else(|| since(client.poll().not_found_grace));
        self
    }

    /// Calls `observer` with each [`Event`] of [`wait`](Self::wait).
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::new(observer);
        self
    }

    /// Returns the warning of the creation: another connector may exist.
    #[must_use]
    pub fn creation_warning(&self) -> Option<Warning> {
        self.warning
    }

    pub(crate) fn warning(mut self, warning: Option<Warning>) -> Self {
        self.warning = warning;
        self.ready = self.ready.map(|channel| Box::new(channel.warning(warning)));
        self
    }

    /// Returns the channel, if the response to the creation contained its id.
    pub(crate) fn take_ready(&mut self) -> Option<SmsChannel> {
        let channel = *self.ready.take()?;
        self.events.emit(&Event::Ready { channel_id: channel.id });
        Some(channel)
    }

    /// Returns when the connector was created, as far as it is known.
    pub(crate) fn created_since(&self) -> Option<Instant> {
        self.created
    }

    /// Sets when the connector was created, and what earlier polls found.
    pub(crate) fn continued(mut self, created: Option<Instant>, history: GetHistory) -> Self {
        (self.created, self.history) = (created, history);
        self
    }

    pub(crate) fn history(&self) -> GetHistory {
        self.history
    }

    pub(crate) fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Polls once: returns the channel, or `None` while the channel is being provisioned. If the response to the
    /// creation contained the channel, no request is sent.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Read`], also after a failure that [`wait`](Self::wait) would have retried, such as a rate
    /// limit.
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a poll changes nothing.
    pub async fn poll(&mut self) -> Result<Option<SmsChannel>, Error> {
        let span = tracing::info_span!(
            "poll_channel",
            workspace_id = %self.workspace.id(),
            connector_id = %self.connector_id
        );
        self.poll_without_retry().instrument(span).await
    }

    async fn poll_without_retry(&mut self) -> Result<Option<SmsChannel>, Error> {
        if let Some(channel) = self.ready.take() {
            return Ok(Some(*channel));
        }
        let deadline = self.deadline();
        let workspace = self.workspace.clone();
        let runtime = workspace.client().runtime();
        let permit = workspace.state().gets.acquire(runtime, deadline.remaining(runtime.now()));
        let permit = permit.await;
        let mut attempt = self.attempt(&workspace, deadline);
        let result = match permit {
            Some(permit) => attempt.send(1, permit).await.map_err(|failed| failed.error),
            None => Err(AttemptError::Transport(TransportError::rate_limited())),
        };
        match result {
            Ok((status, response)) => Ok(self.channel(&status, &response)),
            Err(error) => {
                let retryable = attempt.is_retryable(&error);
                let attempts = Attempts { count: 1, elapsed: deadline.elapsed(runtime.now()) };
                Err(self.read_error(RetryError { error, attempts, retryable }))
            }
        }
    }

    /// Waits until the channel is ready.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::NotReady`] at the deadline, and with [`Error::Read`] if no later poll can succeed. Both
    /// errors have the id of the connector.
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait changes nothing. [`Workspace::pending_channel`] resumes it from
    /// [`connector_id`](Self::connector_id).
    pub async fn wait(mut self) -> Result<SmsChannel, Error> {
        let span = tracing::info_span!(
            "wait_for_channel",
            workspace_id = %self.workspace.id(),
            connector_id = %self.connector_id
        );
        let deadline = self.deadline();
        self.wait_until(deadline).instrument(span).await
    }

    fn deadline(&self) -> Deadline {
        let client = self.workspace.client();
        let timeout = self.timeout.unwrap_or(client.install_timeout());
        Deadline::start(client.runtime().now(), timeout)
    }

    pub(crate) async fn wait_until(&mut self, deadline: Deadline) -> Result<SmsChannel, Error> {
        if let Some(channel) = self.take_ready() {
            return Ok(channel);
        }
        if deadline.timeout().is_zero() {
            // A configuration error would not have the id of the connector.
            return Err(self.not_ready(Duration::ZERO, None));
        }
        let workspace = self.workspace.clone();
        let began = workspace.client().runtime().now();
        let mut timer = PollTimer::new(&workspace, self.created, self.resumed, deadline);
        while timer.next().await {
            let result = self.poll_until(None, deadline, began).await;
            timer.observe(
                self.history.last_sent.unwrap_or(began),
                result.as_ref().is_ok_and(Option::is_some),
            );
            if let Some(channel) = result? {
                return Ok(channel);
            }
        }
        let waited = workspace.client().runtime().now().saturating_duration_since(began);
        Err(self.not_ready(waited, None))
    }

    /// Polls a connector whose wait began at this time, and retries a failed poll until the deadline. Returns `None`
    /// while the channel is being provisioned.
    pub(crate) async fn poll_until(
        &mut self,
        permit: Option<Permit>,
        deadline: Deadline,
        began: Instant,
    ) -> Result<Option<SmsChannel>, Error> {
        let workspace = self.workspace.clone();
        let runtime = workspace.client().runtime();
        let waited = || runtime.now().saturating_duration_since(began);
        match self.poll_once(&workspace, permit, deadline).await {
            PollResult::Ready(channel) => {
                self.events.emit(&Event::Ready { channel_id: channel.id });
                Ok(Some(*channel))
            }
            PollResult::Pending => {
                let polls = self.history.sent;
                self.events.emit(&Event::Polled { polls, waited: waited() });
                Ok(None)
            }
            PollResult::Failed(last) => Err(self.not_ready(waited(), Some(last.error))),
            PollResult::Fatal(mut last) => {
                last.attempts.count = self.history.sent;
                Err(self.read_error(last))
            }
        }
    }

    /// Polls, and retries a failed poll until the deadline.
    async fn poll_once(
        &mut self,
        workspace: &Workspace,
        permit: Option<Permit>,
        deadline: Deadline,
    ) -> PollResult {
        let client = workspace.client();
        let events = self.events.clone();
        let retry = Retry {
            client,
            limiter: &workspace.state().gets,
            events: &events,
            deadline,
            backoff: client.retry().backoff,
            max_attempts: u32::MAX,
            last_attempt: LastAttempt::At(&workspace.state().response_time),
            cancellation: None,
        };
        let result = retry.run(permit, &mut self.attempt(workspace, deadline)).await;
        match result {
            Ok((status, response)) => match self.channel(&status, &response) {
                Some(channel) => PollResult::Ready(Box::new(channel)),
                None => PollResult::Pending,
            },
            Err(exhausted) if exhausted.retryable => PollResult::Failed(exhausted),
            Err(exhausted) => PollResult::Fatal(exhausted),
        }
    }

    fn attempt<'a>(
        &'a mut self,
        workspace: &'a Workspace,
        deadline: Deadline,
    ) -> GetAttempt<'a, ConnectorStatus> {
        GetAttempt {
            workspace,
            id: self.connector_id,
            deadline,
            history: &mut self.history,
            decode: |body, _| ConnectorStatus::decode(body),
            purpose: Purpose::Poll { not_found_since: self.created.unwrap_or(deadline.started()) },
        }
    }

    fn channel(&self, status: &ConnectorStatus, response: &Response) -> Option<SmsChannel> {
        let id = status.channel_id?;
        let channel = SmsChannel::new(
            id,
            self.connector_id,
            self.workspace.id(),
            &response.body,
            self.workspace.client().key(),
        );
        Some(channel.warning(self.warning))
    }

    pub(crate) fn not_ready(&self, waited: Duration, last: Option<AttemptError>) -> Error {
        let GetHistory { sent: polls, seen, .. } = self.history;
        let connector_id = self.connector_id;
        Error::NotReady(Box::new(NotReady {
            connector_id,
            waited,
            polls,
            seen: seen || self.created.is_some(),
            warning: self.warning,
            last,
        }))
    }

    fn read_error(&self, RetryError { error: cause, attempts, retryable }: RetryError) -> Error {
        let (connector_id, warning) = (self.connector_id, self.warning);
        Error::Read(Box::new(ReadError { connector_id, cause, attempts, retryable, warning }))
    }
}
