//! The second half of an install: polls the connector until its channel is ready.

use std::time::Duration;

use bird_api::Response;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::Call;
use super::read::{check, decode_status};
use super::retry::{Purpose, Retry, RetryError, SendError, Tolerance, is_retryable_get, send};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::model::{ConnectorStatus, printable};
use crate::transport::{Deadline, Turn};
use crate::{
    AttemptError, Attempts, ConnectorId, Error, Event, Failure, NotReadyReason, PhoneNumberId,
    SmsChannel, Warning,
};

impl Workspace {
    /// Returns the pending channel of a connector, to resume the wait for it. Sends nothing.
    pub fn pending_channel(&self, connector_id: ConnectorId) -> PendingChannel {
        PendingChannel {
            workspace: self.clone(),
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
}

/// An SMS channel that is being provisioned. Its connector exists.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
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
/// The cost of a schedule is the lag between the moment when the channel is ready and the poll that finds it, plus c
/// for each poll. If the channel becomes ready at age t and polls are g apart, the cost is g/2 + c·t/g, which is lowest
/// for g = √(2·c·t). Age counts from the creation, so nothing needs to be known about provisioning. Gaps vary by an
/// eighth, so programs that start together don't poll together.
fn gap(age: Duration, random: f64) -> Duration {
    const PRICE: f64 = 0.045;
    let gap = (2.0 * PRICE * age.as_secs_f64()).sqrt().clamp(0.2, 1.5);
    Duration::from_secs_f64(gap * (1.125 - 0.25 * random))
}

impl PendingChannel {
    pub(super) fn created(
        workspace: &Workspace,
        status: &ConnectorStatus,
        response: &Response,
    ) -> Self {
        let mut pending = workspace.pending_channel(status.id);
        pending.created = Some(workspace.client().runtime().now());
        pending.resumed = false;
        // A mismatch is ignored here: the next poll fails with the same error.
        pending.ready = pending.channel(status, response).ok().flatten().map(Box::new);
        pending
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
        self.created = since(age).or_else(|| since(client.settings().poll.not_found_grace));
        self
    }

    /// Calls `observer` with each [`Event`] of [`wait`](Self::wait).
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::new(observer);
        self
    }

    /// Returns the warning that another connector may exist, if there is one.
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
        let workspace = self.workspace.clone();
        let events = EventSink::default();
        let call = workspace.call(self.timeout, &events);
        let request = workspace.state().get_request(self.connector_id);
        self.history.sent += 1;
        let sent = call.send_once(Route::Get, request, None).await;
        self.read(sent, call.deadline).map_err(|(SendError { error, .. }, retryable)| {
            let attempts = Attempts { count: 1, elapsed: call.elapsed() };
            self.read_error(RetryError { error, attempts, retryable })
        })
    }

    /// Waits until the channel is ready.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::NotReady`] at the deadline, and with [`Error::Read`] if no later poll can succeed, or if no
    /// response has shown the connector. Both errors contain the connector's id.
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
        let workspace = self.workspace.clone();
        let events = std::mem::take(&mut self.events);
        let call = workspace.call(self.timeout, &events);
        self.wait_until(&call).instrument(span).await
    }

    pub(crate) async fn wait_until<T: Turn>(
        &mut self,
        call: &Call<'_, T>,
    ) -> Result<SmsChannel, Error> {
        let events = call.events;
        if let Some(channel) = self.ready.take() {
            events.emit(&Event::Ready { channel_id: channel.id });
            return Ok(*channel);
        }
        let began = call.runtime().now();
        let waited = || call.runtime().now().saturating_duration_since(began);
        if call.deadline.timeout().is_zero() {
            // A configuration error would not contain the id of the connector.
            return Err(self.not_ready(NotReadyReason::Deadline, Duration::ZERO, None));
        }
        // After a creation, the response has just shown that the channel is not ready. A resumed connector is polled at
        // once.
        let mut at_once = self.resumed;
        while at_once || self.sleep_until_due(call).await {
            at_once = false;
            match self.poll_until(call).await {
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
                    return Err(self.read_error(last));
                }
            }
        }
        Err(self.not_ready(NotReadyReason::Deadline, waited(), None))
    }

    /// Polls, and retries a failed poll until the deadline. Returns `None` while the channel is being provisioned.
    async fn poll_until<T: Turn>(
        &mut self,
        call: &Call<'_, T>,
    ) -> Result<Option<SmsChannel>, RetryError> {
        let mut retry = Retry::new(call, Purpose::Poll);
        let mut slot = retry.start().await?;
        loop {
            let request = call.workspace.state().get_request(self.connector_id);
            let number = retry.attempts().count;
            self.history.sent += 1;
            let sent = send(call.workspace, Route::Get, request, number, slot).await;
            match self.read(sent, call.deadline) {
                Ok(channel) => return Ok(channel),
                Err((failed, retryable)) => slot = retry.again(failed, retryable, None).await?.0,
            }
        }
    }

    /// Returns when the connector was created, or else when the wait began.
    fn since(&self, deadline: Deadline) -> Instant {
        self.created.unwrap_or(deadline.started())
    }

    /// Waits until the next poll is due. Returns whether the deadline leaves time for it.
    async fn sleep_until_due<T: Turn>(&self, call: &Call<'_, T>) -> bool {
        let runtime = call.runtime();
        let policy = call.workspace.client().settings().poll;
        let age = runtime.now().saturating_duration_since(self.since(call.deadline));
        let delay = policy.interval.unwrap_or_else(|| gap(age, runtime.random()));
        let Some(delay) = Purpose::Poll.fit(delay, None, call.remaining()) else {
            return false;
        };
        // Tokio's timers round up to a millisecond. So a delay of less than half a millisecond is skipped.
        if delay >= Duration::from_micros(500) {
            runtime.sleep(delay).await;
        }
        true
    }

    /// Reads the response to a poll. Returns `None` while the channel is being provisioned. With an error, also returns
    /// whether a later attempt may succeed.
    fn read(
        &mut self,
        sent: Result<Response, SendError>,
        deadline: Deadline,
    ) -> Result<Option<SmsChannel>, (SendError, bool)> {
        let read = sent.and_then(|response| {
            let status = decode_status(&self.workspace, &response)?;
            Ok(self.channel(&status, &response)?)
        });
        let failed = match read {
            Ok(channel) => {
                (self.history.seen, self.history.malformed) = (true, 0);
                return Ok(channel);
            }
            Err(failed) => failed,
        };
        match &failed.error {
            AttemptError::Malformed(response) if response.truncated => {}
            AttemptError::Malformed(_) => self.history.malformed += 1,
            _ => self.history.malformed = 0,
        }
        let client = self.workspace.client();
        let policy = client.settings().poll;
        let age = client.runtime().now().saturating_duration_since(self.since(deadline));
        let tolerance = Tolerance {
            not_found: !self.history.seen && age < policy.not_found_grace,
            malformed: self.history.malformed < policy.max_malformed,
        };
        let retryable = is_retryable_get(&failed.error, tolerance);
        Err((failed, retryable))
    }

    /// Returns the channel of a response, if it is ready. Fails if the response is about another connector, or if the
    /// connector is not for SMS or belongs to another phone number.
    fn channel(
        &self,
        status: &ConnectorStatus,
        response: &Response,
    ) -> Result<Option<SmsChannel>, AttemptError> {
        let workspace = &self.workspace;
        let id = self.connector_id;
        let key = workspace.client().key();
        check(workspace, id, status)?;
        if let Some(template) = &status.other_template {
            return Err(AttemptError::OtherTemplate(printable(&key.redact(template), 100)));
        }
        if let Some(other) = status.phone_number_id
            && self.phone_number_id.is_some_and(|id| id != other)
        {
            return Err(AttemptError::OtherPhoneNumber(other));
        }
        let channel = |channel_id| {
            let channel = SmsChannel::new(channel_id, id, workspace.id(), &response.body, key);
            channel.warning(self.warning)
        };
        Ok(status.channel_id.map(channel))
    }

    pub(crate) fn not_ready(
        &self,
        reason: NotReadyReason,
        waited: Duration,
        last: Option<AttemptError>,
    ) -> Error {
        let attempts = Attempts { count: self.history.sent, elapsed: waited };
        let id = self.connector_id;
        let failure = Failure {
            warning: self.warning,
            cause: last,
            attempts,
            retryable: true,
            ..Failure::default()
        };
        if reason == NotReadyReason::Deadline && !self.history.seen && self.created.is_none() {
            // The wait was resumed from an id, and no response has shown that the connector exists.
            return Error::Read(id, Box::new(failure));
        }
        Error::NotReady(id, reason, Box::new(failure))
    }

    fn read_error(&self, failed: RetryError) -> Error {
        if let AttemptError::OtherPhoneNumber(other) = failed.error {
            return Error::of_other(self.connector_id, other, failed.attempts, self.warning);
        }
        let failure = Failure { warning: self.warning, ..failed.into() };
        Error::Read(self.connector_id, Box::new(failure))
    }
}
