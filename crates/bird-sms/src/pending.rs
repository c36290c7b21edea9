//! The second half of an install: looking at the connector until its channel is there.

use std::time::Duration;

use bird_api::Response;
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::connector::ConnectorStatus;
use crate::error::{NotReady, ReadError, ReadFailure};
use crate::event::EventSink;
use crate::policy::Backoff;
use crate::provisioning_estimate::Probe;
use crate::rate_limiter::Permit;
use crate::retry_after::retry_after;
use crate::runtime::Runtime;
use crate::{
    Attempts, Client, Connector, ConnectorId, Error, ErrorResponse, Event, MalformedResponse,
    SmsChannel, TransportError, Workspace,
};

/// The last look before a deadline is made this long before it, so that there is time for a response.
const LAST_POLL: Duration = Duration::from_secs(1);

/// One of many asks this often whether somebody has found out how long provisioning takes.
const NEWS: Duration = Duration::from_millis(250);

/// When a call began, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    started: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn start(started: Instant, timeout: Duration) -> Self {
        Self { started, timeout }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.timeout.saturating_sub(self.elapsed(now))
    }
}

/// What the response asks to wait, if it does.
pub(crate) fn asked_wait(client: &Client, response: &Response) -> Option<Duration> {
    let now = client.runtime().system_time();
    retry_after(&response.headers, now, client.retry().retry_after_cap)
}

/// The wait before the next attempt: what the server asks for, and at least the backoff.
pub(crate) fn next_wait(
    client: &Client,
    backoff: Backoff,
    nth: u32,
    asked: Option<Duration>,
) -> Duration {
    let wait = backoff.wait(nth, client.runtime().random());
    asked.map_or(wait, |asked| asked.max(wait))
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
    /// When the connector was created, if this process created it.
    created: Option<Instant>,
    /// The channel, when the response to the creation carried it already.
    ready: Option<Box<SmsChannel>>,
    events: EventSink,
    timeout: Option<Duration>,
    polls: u32,
    seen: bool,
    unreadable: u32,
    /// Whether it is first looked at when it is likely to be ready, and rarely after that: one of many.
    sparing: bool,
}

/// One look at the connector.
enum Look {
    Ready(Box<SmsChannel>),
    Pending,
    /// It may go better the next time, after the wait that the server asks for.
    Failed(ReadFailure, Option<Duration>),
    /// It will not.
    Hopeless(ReadFailure),
}

impl PendingChannel {
    pub(crate) fn resumed(workspace: Workspace, connector_id: ConnectorId) -> Self {
        Self {
            workspace,
            connector_id,
            created: None,
            ready: None,
            events: EventSink::default(),
            timeout: None,
            polls: 0,
            seen: false,
            unreadable: 0,
            sparing: false,
        }
    }

    pub(crate) fn created(
        workspace: Workspace,
        status: &ConnectorStatus,
        response: &Response,
        events: EventSink,
    ) -> Self {
        let now = workspace.client().runtime().now();
        let ours = status.workspace_id.is_none_or(|id| id == workspace.id());
        // A response about another workspace is left to the next look, which refuses it with a name.
        let ready = status
            .channel_id
            .filter(|_| ours)
            .map(|id| Box::new(SmsChannel::new(id, &workspace, status.id, response)));
        Self { created: Some(now), ready, events, ..Self::resumed(workspace, status.id) }
    }

    /// The id of the connector. Stored, it is all that is needed to go on after a restart.
    #[must_use]
    pub fn connector_id(&self) -> ConnectorId {
        self.connector_id
    }

    /// How long [`wait`](Self::wait) or a [`poll`](Self::poll) may take. Default: the install timeout of the
    /// client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls `observer` for each thing that happens while [`wait`](Self::wait) waits.
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::observed_by(observer);
        self
    }

    /// Spends few GETs: for one of many, whose looks compete.
    pub(crate) fn sparing(mut self) -> Self {
        self.sparing = true;
        self
    }

    /// Looks once: the channel, or `None` while it is being provisioned. A channel that came with the
    /// response to the creation is returned without a request.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also for a failure that [`wait`](Self::wait) would have tried again, such as a
    /// rate limit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: looking changes nothing.
    pub async fn poll(&mut self) -> Result<Option<SmsChannel>, Error> {
        let deadline = self.deadline();
        match self.look(deadline, None).await {
            Look::Ready(channel) => Ok(Some(*channel)),
            Look::Pending => Ok(None),
            Look::Failed(cause, _) | Look::Hopeless(cause) => {
                Err(self.read_error(cause, deadline, 1))
            }
        }
    }

    /// Waits until the channel is there.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] when time is up, [`Error::Read`] when looking on is of no use. Both carry the
    /// id of the connector.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: waiting changes nothing. [`Workspace::pending_channel`] goes on from
    /// [`connector_id`](Self::connector_id).
    pub async fn wait(mut self) -> Result<SmsChannel, Error> {
        let deadline = self.deadline();
        self.wait_until(deadline).await
    }

    fn deadline(&self) -> Deadline {
        let client = self.workspace.client();
        let timeout = self.timeout.unwrap_or(client.install_timeout());
        Deadline::start(client.runtime().now(), timeout)
    }

    pub(crate) async fn wait_until(&mut self, deadline: Deadline) -> Result<SmsChannel, Error> {
        if deadline.timeout().is_zero() && self.ready.is_none() {
            // No configuration error: that would not tell the id of a connector that exists.
            return Err(self.not_ready(Duration::ZERO, None));
        }
        let workspace = self.workspace.clone();
        let client = workspace.client();
        let runtime = client.runtime();
        let began = runtime.now();
        let provisioning = &workspace.state().provisioning;
        let mut waits = 0;
        let (mut probe, mut permit) = (None, None);
        if let (Some(created), None) = (self.created, &self.ready) {
            // The response to the creation was the first look.
            if self.sparing {
                (probe, permit) = likely_ready(&workspace, created, deadline).await;
            }
            if permit.is_none() {
                let wait = self.wait_before_look(waits, None, deadline).unwrap_or_default();
                waits += 1;
                pause(runtime, wait).await;
            }
        }
        loop {
            let expected = permit.is_some();
            let age = self.created.map(|at| runtime.now().saturating_duration_since(at));
            let look = self.look(deadline, permit.take()).await;
            match (&look, age.filter(|_| self.sparing)) {
                (Look::Ready(_), Some(age)) if !expected => provisioning.seed(age),
                (Look::Ready(_) | Look::Pending, Some(age)) if expected => {
                    provisioning.observe_first_poll(age, matches!(look, Look::Ready(_)));
                }
                _ => {}
            }
            let (last, asked) = match look {
                Look::Ready(channel) => {
                    self.events.emit(&Event::Ready { channel_id: channel.id });
                    return Ok(*channel);
                }
                Look::Pending => {
                    let waited = runtime.now().saturating_duration_since(began);
                    self.events.emit(&Event::Polled { polls: self.polls, waited });
                    (None, None)
                }
                Look::Failed(failure, asked) => (Some(failure), asked),
                Look::Hopeless(cause) => {
                    let polls = self.polls;
                    return Err(self.read_error(cause, deadline, polls));
                }
            };
            let Some(wait) = self.wait_before_look(waits, asked, deadline) else {
                let waited = runtime.now().saturating_duration_since(began);
                return Err(self.not_ready(waited, last));
            };
            if let Some(failure) = &last {
                let reason = failure.to_string();
                self.events.emit(&Event::Retrying { after: wait, reason });
            }
            waits += 1;
            pause(runtime, wait).await;
            // Another one may have found out, and then it is no probe any more.
            probe = probe.filter(|_| provisioning.expected().is_none());
        }
    }

    /// The wait before the next look; none when there is no time left for one.
    fn wait_before_look(
        &self,
        nth: u32,
        asked: Option<Duration>,
        deadline: Deadline,
    ) -> Option<Duration> {
        let client = self.workspace.client();
        let now = client.runtime().now();
        let left = deadline.remaining(now);
        let mut wait = next_wait(client, client.poll().backoff, nth, asked);
        if let (true, Some(created)) = (self.sparing, self.created)
            && let Some(expected) = self.workspace.state().provisioning.expected()
        {
            // The longer it took so far, the longer it may take.
            let age = now.saturating_duration_since(created);
            wait = wait.max(expected.saturating_sub(age)).max(age / 3);
        }
        if wait < left {
            return Some(wait);
        }
        let last_look = left.saturating_sub(LAST_POLL);
        (!last_look.is_zero() && asked.is_none_or(|asked| asked <= last_look)).then_some(last_look)
    }

    /// With its permit, or waiting for one.
    async fn look(&mut self, deadline: Deadline, permit: Option<Permit>) -> Look {
        if let Some(channel) = self.ready.take() {
            return Look::Ready(channel);
        }
        let permit = match permit {
            Some(permit) => permit,
            None => match acquire_get(&self.workspace, deadline).await {
                Ok(permit) => permit,
                Err(failure) => return Look::Failed(failure, None),
            },
        };
        self.polls = self.polls.saturating_add(1);
        let look = match get(&self.workspace, self.connector_id, deadline, permit).await {
            Ok(response) => match self.sight(&response) {
                Ok(look) => look,
                Err(problem) => {
                    let client = self.workspace.client();
                    let response = MalformedResponse::new(&response, &problem, client.key());
                    if !response.cut {
                        self.unreadable += 1;
                    }
                    let hopeless = self.unreadable >= client.poll().max_malformed;
                    let failure = ReadFailure::Malformed(response);
                    return if hopeless {
                        Look::Hopeless(failure)
                    } else {
                        Look::Failed(failure, None)
                    };
                }
            },
            Err((failure, asked)) if may_pass(&failure) || self.is_lag(&failure) => {
                Look::Failed(failure, asked)
            }
            Err((failure, _)) => Look::Hopeless(failure),
        };
        self.unreadable = 0;
        look
    }

    fn sight(&mut self, response: &Response) -> Result<Look, String> {
        let status = ConnectorStatus::decode(&response.body)?;
        if let Some(failure) = other(&self.workspace, self.connector_id, &status) {
            return Ok(Look::Hopeless(failure));
        }
        self.seen = true;
        Ok(match status.channel_id {
            Some(id) => Look::Ready(Box::new(SmsChannel::new(
                id,
                &self.workspace,
                self.connector_id,
                response,
            ))),
            None => Look::Pending,
        })
    }

    /// Whether a 404 may be the lag between the creation and the reads that see it.
    fn is_lag(&self, failure: &ReadFailure) -> bool {
        let client = self.workspace.client();
        let now = client.runtime().now();
        failure.response().is_some_and(|response| response.status == 404)
            && !self.seen
            && self.created.is_some_and(|created| {
                now.saturating_duration_since(created) < client.poll().not_found_grace
            })
    }

    pub(crate) fn not_ready(&self, waited: Duration, last: Option<ReadFailure>) -> Error {
        let (connector_id, polls) = (self.connector_id, self.polls);
        Error::NotReady(Box::new(NotReady { connector_id, waited, polls, last }))
    }

    fn read_error(&self, cause: ReadFailure, deadline: Deadline, attempts: u32) -> Error {
        let elapsed = deadline.elapsed(self.workspace.client().runtime().now());
        let connector_id = self.connector_id;
        Error::Read(Box::new(ReadError {
            connector_id,
            cause,
            attempts: Attempts { count: attempts, elapsed },
        }))
    }
}

/// Reads a connector, again and again while the failure may pass.
pub(crate) async fn read(workspace: &Workspace, id: ConnectorId) -> Result<Connector, Error> {
    let client = workspace.client();
    let runtime = client.runtime();
    let deadline = workspace.deadline();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let response = match acquire_get(workspace, deadline).await {
            Ok(permit) => get(workspace, id, deadline, permit).await,
            Err(failure) => Err((failure, None)),
        };
        let (cause, asked) = match response {
            Ok(response) => match Connector::decode(&response.body) {
                Ok(connector) => {
                    let status = ConnectorStatus {
                        id: connector.id,
                        workspace_id: connector.workspace_id,
                        channel_id: connector.channel_id,
                    };
                    match other(workspace, id, &status) {
                        None => return Ok(connector),
                        Some(failure) => (failure, None),
                    }
                }
                Err(problem) => {
                    let response = MalformedResponse::new(&response, &problem, client.key());
                    (ReadFailure::Malformed(response), None)
                }
            },
            Err(failure) => failure,
        };
        let now = runtime.now();
        let retry = client.retry();
        let wait = next_wait(client, retry.backoff, attempts - 1, asked);
        if !may_pass(&cause) || attempts >= retry.max_attempts || wait >= deadline.remaining(now) {
            let attempts = Attempts { count: attempts, elapsed: deadline.elapsed(now) };
            return Err(Error::Read(Box::new(ReadError { connector_id: id, cause, attempts })));
        }
        runtime.sleep(wait).await;
    }
}

/// The wait before a look. Tokio's timers go by the millisecond and round up, so that one of less than half
/// a millisecond is none.
async fn pause(runtime: &dyn Runtime, wait: Duration) {
    if wait >= Duration::from_micros(500) {
        runtime.sleep(wait).await;
    }
}

/// For one of many: waits until the connector is likely to have its channel and may be looked at. While
/// nobody knows how long that takes, a few become probes instead, and look early.
async fn likely_ready(
    workspace: &Workspace,
    created: Instant,
    deadline: Deadline,
) -> (Option<Probe<'_>>, Option<Permit>) {
    let runtime = workspace.client().runtime();
    let provisioning = &workspace.state().provisioning;
    // What is missing to the age at which it is expected to be ready.
    let missing = || {
        let age = runtime.now().saturating_duration_since(created);
        Some(provisioning.expected()?.saturating_sub(age))
    };
    loop {
        let left = deadline.remaining(runtime.now());
        let spare = left.saturating_sub(LAST_POLL);
        if spare.is_zero() {
            return (None, None);
        }
        let wait = match missing() {
            Some(Duration::ZERO) => {
                // Those before it may have found that it takes longer.
                let likely = || missing().is_none_or(|missing| missing.is_zero());
                match workspace.state().gets.acquire_if(runtime, left, likely).await {
                    Some(permit) => return (None, Some(permit)),
                    None if likely() => return (None, None),
                    None => missing().unwrap_or_default(),
                }
            }
            Some(missing) => missing,
            None => match provisioning.probe() {
                Some(probe) => return (Some(probe), None),
                None => NEWS,
            },
        };
        runtime.sleep(wait.min(NEWS).min(spare)).await;
    }
}

async fn acquire_get(workspace: &Workspace, deadline: Deadline) -> Result<Permit, ReadFailure> {
    let runtime = workspace.client().runtime();
    let left = deadline.remaining(runtime.now());
    let permit = workspace.state().gets.acquire(runtime, left).await;
    permit.ok_or_else(|| ReadFailure::NoResponse(TransportError::rate_limited()))
}

/// One GET: a success, or why not and how long the server asks to wait.
async fn get(
    workspace: &Workspace,
    id: ConnectorId,
    deadline: Deadline,
    permit: Permit,
) -> Result<Response, (ReadFailure, Option<Duration>)> {
    let client = workspace.client();
    let left = deadline.remaining(client.runtime().now());
    let request = client
        .raw()
        .get_connector_request(workspace.id().as_uuid(), id.as_uuid())
        .expect("the base URL was checked when the client was built");
    match client.attempt(request, left, permit).await {
        Ok(response) if response.status.is_success() => Ok(response),
        Ok(response) => {
            let asked = asked_wait(client, &response);
            if response.status == StatusCode::TOO_MANY_REQUESTS {
                workspace.state().gets.throttle(client.runtime().now(), asked);
            }
            Err((ReadFailure::Response(ErrorResponse::new(&response, client.key())), asked))
        }
        Err(cause) => Err((ReadFailure::NoResponse(cause), None)),
    }
}

/// Whether the same GET may do better later.
fn may_pass(failure: &ReadFailure) -> bool {
    match failure {
        ReadFailure::Response(response) => match response.status {
            501 | 505 => false,
            408 | 429 | 500..=599 => true,
            _ => false,
        },
        ReadFailure::NoResponse(cause) => !cause.kind().is_final(),
        ReadFailure::Malformed(response) => response.cut,
        ReadFailure::OtherConnector(_) | ReadFailure::OtherWorkspace(_) => false,
    }
}

/// Whether the response is about something else than what was asked for.
fn other(workspace: &Workspace, id: ConnectorId, status: &ConnectorStatus) -> Option<ReadFailure> {
    if status.id != id {
        return Some(ReadFailure::OtherConnector(status.id));
    }
    let other = status.workspace_id.filter(|id| *id != workspace.id())?;
    Some(ReadFailure::OtherWorkspace(other))
}
