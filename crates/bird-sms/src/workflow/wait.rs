//! The second half of an install: polling the connector until its channel is ready.

use std::time::Duration;

use bird_api::Response;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::read::get;
use super::retry::{Purpose, Retry, RetryError, SendError, Tolerance, is_retryable_get};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::model::{ConnectorStatus, printable};
use crate::transport::{Deadline, Slot, Turn};
use crate::{
    AttemptError, Attempts, ConnectorId, Error, Event, NotReady, NotReadyReason, OutcomeUnknown,
    PhoneNumberId, ReadError, SmsChannel, TransportError, Warning,
};

impl Workspace {
    /// Returns the pending channel of a connector, to resume the wait for it. Sends nothing.
    pub fn pending_channel(&self, connector_id: ConnectorId) -> PendingChannel {
        PendingChannel::resume(self.clone(), connector_id)
    }
}

/// An SMS channel that is being provisioned. Its connector exists.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let (transport, key, id) = (sandbox.transport(), sandbox.access_key(), sandbox.workspace_id());
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use bird_sms::SmsConnectorRequest;
///
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// let request = SmsConnectorRequest::new("My SMS channel", number);
/// let pending = workspace.create_sms_connector(&request).await?;
/// let id = pending.connector_id(); // store it
///
/// // After a restart:
/// let channel = workspace.pending_channel(id).wait().await?;
/// assert_eq!(channel.connector_id, id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "the connector exists; wait for its channel, or at least store its id"]
pub struct PendingChannel {
    workspace: Workspace,
    connector_id: ConnectorId,
    /// The phone number that the connector must belong to, if it is known.
    phone_number_id: Option<PhoneNumberId>,
    /// When the connector was created, as far as it is known.
    created: Option<Instant>,
    /// Whether another call created the connector.
    resumed: bool,
    /// The channel, if the response to the creation contained its id.
    ready: Option<Box<SmsChannel>>,
    warning: Option<Warning>,
    events: EventSink,
    timeout: Option<Duration>,
    history: History,
}

/// What the GETs of a connector have shown so far.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    /// The number of GETs that were sent.
    sent: u32,
    /// Whether a response contained the connector.
    seen: bool,
    /// The number of consecutive malformed responses.
    malformed: u32,
}

/// Returns the time between the poll of a connector of this age and the next one, with `random` in `0..1`:
/// **√(2·c·age)** with c = 45 ms, at least 0.2 s and at most 1.5 s.
///
/// A schedule costs the lag from the moment when the channel is ready to the poll that finds it, and c for each poll. If
/// the channel becomes ready at age t and polls are g apart, that is g/2 + c·t/g, which is lowest for g = √(2·c·t). Age
/// counts from the creation, so nothing needs to be known about provisioning. Gaps vary by an eighth, and programs that
/// start together don't poll together.
fn gap(age: Duration, random: f64) -> Duration {
    const PRICE: f64 = 0.045;
    let gap = (2.0 * PRICE * age.as_secs_f64()).sqrt().clamp(0.2, 1.5);
    Duration::from_secs_f64(gap * (1.125 - 0.25 * random))
}

impl PendingChannel {
    fn resume(workspace: Workspace, connector_id: ConnectorId) -> Self {
        Self {
            workspace,
            connector_id,
            phone_number_id: None,
            created: None,
            resumed: true,
            ready: None,
            warning: None,
            events: EventSink::default(),
            timeout: None,
            history: History::default(),
        }
    }

    pub(super) fn created(
        workspace: Workspace,
        status: &ConnectorStatus,
        response: &Response,
        events: EventSink,
    ) -> Self {
        let now = workspace.client().runtime().now();
        let ours = status.workspace_id.is_none_or(|id| id == workspace.id())
            && status.other_template.is_none();
        // The channel of another workspace or template is not used here, and the next poll fails with the mismatch.
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

    /// Returns the id of the connector, which is enough to resume after a restart.
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

    /// Sets when the connector was created, if an earlier process stored that. Default: the start of the wait.
    ///
    /// The older a connector is, the less often it is polled. From this time on, a 404 is retried for
    /// [`PollPolicy::not_found_grace`](crate::PollPolicy::not_found_grace).
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
    pub fn warning(&self) -> Option<Warning> {
        self.warning
    }

    pub(crate) fn with_warning(mut self, warning: Option<Warning>) -> Self {
        self.warning = warning;
        self.ready = self.ready.map(|channel| Box::new(channel.warning(warning)));
        self
    }

    /// Sets the phone number that the connector must belong to.
    pub(crate) fn of_number(mut self, phone_number_id: PhoneNumberId) -> Self {
        self.phone_number_id = Some(phone_number_id);
        self
    }

    pub(crate) fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Polls once. Returns `None` while the channel is being provisioned. Sends nothing if the response to the creation
    /// contained the channel.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Read`], even after a failure that [`wait`](Self::wait) would retry, such as a rate limit.
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
        let (workspace, deadline) = (self.workspace.clone(), self.workspace.deadline(self.timeout));
        let runtime = workspace.client().runtime();
        let remaining = deadline.remaining(runtime.now());
        let slot = workspace.get_turn().take(Duration::ZERO, remaining, deadline).await;
        let (error, retryable) = match slot {
            Some(slot) => match self.attempt(1, slot, deadline).await {
                Ok(channel) => return Ok(channel),
                Err((failed, retryable)) => (failed.error, retryable),
            },
            None => (AttemptError::Transport(TransportError::rate_limited()), true),
        };
        let attempts = Attempts { count: 1, elapsed: deadline.elapsed(runtime.now()) };
        Err(self.read_error(RetryError { error, attempts, retryable }))
    }

    /// Waits until the channel is ready.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::NotReady`] at the deadline, and with [`Error::Read`] if no later poll can succeed. Both have the id
    /// of the connector.
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
        let (deadline, turn) = (self.workspace.deadline(self.timeout), self.workspace.clone());
        self.wait_until(deadline, &turn.get_turn()).instrument(span).await
    }

    pub(crate) async fn wait_until(
        &mut self,
        deadline: Deadline,
        turn: &impl Turn,
    ) -> Result<SmsChannel, Error> {
        let workspace = self.workspace.clone();
        let client = workspace.client();
        let (runtime, events) = (client.runtime(), self.events.clone());
        if let Some(channel) = self.ready.take() {
            events.emit(&Event::Ready { channel_id: channel.id });
            return Ok(*channel);
        }
        let began = runtime.now();
        let waited = || runtime.now().saturating_duration_since(began);
        if deadline.timeout().is_zero() {
            // A configuration error would not have the id of the connector.
            return Err(self.not_ready(NotReadyReason::Deadline, Duration::ZERO, None));
        }
        // The response to the creation already showed the connector. A resumed connector is polled at once.
        let mut at_once = self.resumed;
        while at_once || self.sleep_until_due(deadline).await {
            at_once = false;
            match self.poll_until(deadline, turn, &events).await {
                Ok(Some(channel)) => {
                    events.emit(&Event::Ready { channel_id: channel.id });
                    return Ok(channel);
                }
                Ok(None) => {
                    events.emit(&Event::Polled { polls: self.history.sent, waited: waited() });
                }
                Err(last) if last.retryable => {
                    let reason = NotReadyReason::Deadline;
                    return Err(self.not_ready(reason, waited(), Some(last.error)));
                }
                Err(mut last) => {
                    last.attempts.count = self.history.sent;
                    if let AttemptError::OtherPhoneNumber(other) = last.error {
                        let error =
                            OutcomeUnknown::of_other(self.connector_id, other, last.attempts);
                        return Err(error);
                    }
                    return Err(self.read_error(last));
                }
            }
        }
        Err(self.not_ready(NotReadyReason::Deadline, waited(), None))
    }

    /// Polls, and retries a failed poll until the deadline. Returns `None` while the channel is being provisioned.
    async fn poll_until(
        &mut self,
        deadline: Deadline,
        turn: &impl Turn,
        events: &EventSink,
    ) -> Result<Option<SmsChannel>, RetryError> {
        let workspace = self.workspace.clone();
        let mut retry = Retry::new(workspace.client(), turn, events, deadline, Purpose::Poll);
        let mut slot = retry.start().await?;
        loop {
            match self.attempt(retry.attempts().count, slot, deadline).await {
                Ok(channel) => return Ok(channel),
                Err((failed, retryable)) => {
                    slot = retry.again(failed, retryable, None).await?.0;
                }
            }
        }
    }

    /// Waits until the next poll is due. Returns whether the deadline leaves time for it.
    async fn sleep_until_due(&self, deadline: Deadline) -> bool {
        let client = self.workspace.client();
        let (runtime, now) = (client.runtime(), client.runtime().now());
        let age = now.saturating_duration_since(self.created.unwrap_or(deadline.started()));
        let delay = client.poll().interval.unwrap_or_else(|| gap(age, runtime.random()));
        let Some(delay) = Purpose::Poll.fit(delay, None, deadline.remaining(now)) else {
            return false;
        };
        // Tokio's timers have a resolution of a millisecond and round up, so that a delay of less than half a
        // millisecond is none.
        if delay >= Duration::from_micros(500) {
            runtime.sleep(delay).await;
        }
        true
    }

    /// Polls once. Returns `None` while the channel is being provisioned. An error comes with whether a later attempt may
    /// succeed.
    async fn attempt(
        &mut self,
        number: u32,
        slot: Slot,
        deadline: Deadline,
    ) -> Result<Option<SmsChannel>, (SendError, bool)> {
        self.history.sent = self.history.sent.saturating_add(1);
        let mut result = get(&self.workspace, self.connector_id, number, slot).await;
        if let Ok((status, _)) = &mut result
            && let Some(template) = status.other_template.take()
        {
            let template = self.workspace.client().key().redact(&template).into_owned();
            result = Err(AttemptError::OtherTemplate(printable(&template, 100)).into());
        }
        if let Ok((status, _)) = &result
            && let Some(other) = status.phone_number_id
            && self.phone_number_id.is_some_and(|id| id != other)
        {
            result = Err(AttemptError::OtherPhoneNumber(other).into());
        }
        match &result {
            Ok(_) => (self.history.seen, self.history.malformed) = (true, 0),
            Err(error) => match &error.error {
                AttemptError::Malformed(response) if response.truncated => {}
                AttemptError::Malformed(_)
                | AttemptError::OtherConnector(_)
                | AttemptError::OtherWorkspace(_) => self.history.malformed += 1,
                _ => self.history.malformed = 0,
            },
        }
        match result {
            Ok((status, response)) => Ok(self.channel(&status, &response)),
            Err(error) => {
                let client = self.workspace.client();
                let policy = client.poll();
                let since = self.created.unwrap_or(deadline.started());
                let age = client.runtime().now().saturating_duration_since(since);
                let tolerance = Tolerance {
                    not_found: !self.history.seen && age < policy.not_found_grace,
                    malformed: self.history.malformed < policy.max_malformed,
                };
                let retryable = is_retryable_get(&error.error, tolerance);
                Err((error, retryable))
            }
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

    pub(crate) fn not_ready(
        &self,
        reason: NotReadyReason,
        waited: Duration,
        last: Option<AttemptError>,
    ) -> Error {
        let History { sent: polls, seen, .. } = self.history;
        let connector_id = self.connector_id;
        Error::NotReady(Box::new(NotReady {
            connector_id,
            waited,
            polls,
            seen: seen || self.created.is_some(),
            reason,
            warning: self.warning,
            last,
        }))
    }

    fn read_error(&self, RetryError { error: cause, attempts, retryable }: RetryError) -> Error {
        let (connector_id, warning) = (self.connector_id, self.warning);
        Error::Read(Box::new(ReadError { connector_id, cause, attempts, retryable, warning }))
    }
}
