//! The retry loop of all requests, and the rules for which request may be sent again.
//!
//! | the attempt ended with | POST: state of the connector | POST | GET |
//! |---|---|---|---|
//! | no connection: DNS, TCP, TLS, a proxy that failed | `NotCreated` | retried | retried |
//! | a certificate that is refused, no root certificates, a proxy that requires a password | `NotCreated` | not retried | not retried |
//! | a redirect that the HTTP client followed | `Unknown` | not retried | not retried |
//! | timeout, reset, EOF before a response | `Unknown`, unless provably not sent | not retried, unless provably not sent | retried |
//! | 408 | `Unknown` | not retried | retried |
//! | 429 | `NotCreated`: the vendor says that it was not processed | retried | retried |
//! | 500, 503 | `Unknown`: the vendor calls a retry safe | retried, unless the policy is [`Never`](RetryCreate::Never) | retried |
//! | 502, 504, 520–530 | `Unknown`: a gateway's response, not the vendor's | not retried, unless the policy is [`GatewayErrors`](RetryCreate::GatewayErrors) | retried |
//! | 501, 505 | `Unknown` | not retried | not retried |
//! | other 5xx | `Unknown` | not retried | retried |
//! | 404 | `NotCreated` | not retried | a poll: retried during the grace period, until a response has shown the connector; a read: not retried |
//! | 3xx, other 4xx | `NotCreated` | not retried | not retried |
//! | 2xx, malformed | exists, see `create` | not retried | a poll: retried a few times; a read: only if the body is truncated |

use std::pin::pin;
use std::time::Duration;

use bird_api::Response;
use futures_util::future::{BoxFuture, Either, Shared, select};
use reqwest::{Method, Request, StatusCode};

use crate::client::{CREATE_PATH, GET_PATH, Workspace};
use crate::error::chain;
use crate::event::EventSink;
use crate::planted::planted;
use crate::transport::{Deadline, Permit, RateLimiter, ResponseTime, retry_after};
use crate::{
    AttemptError, Attempts, Backoff, Client, ConnectorState, ErrorResponse, Event, RetryCreate,
    RetryPolicy, TransportError,
};

/// Returns whether a POST may be sent again after this error: only if the attempt certainly created nothing, or if the
/// policy accepts that it may have.
pub(crate) fn is_retryable_create(error: &AttemptError, policy: RetryCreate) -> bool {
    match error {
        AttemptError::Response(response) => {
            response.status == 429 || policy.allows(response.status)
        }
        AttemptError::Transport(error) => {
            let sent = error.may_have_been_sent() && !planted("a lost POST is sent again");
            !error.kind().is_final() && !sent
        }
        _ => false,
    }
}

/// The errors of a GET that are retried in addition to transient failures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tolerance {
    /// A 404, while a new connector may not be visible to reads yet.
    pub(crate) not_found: bool,
    /// A malformed response.
    pub(crate) malformed: bool,
}

/// Returns whether a GET may succeed after this error. A GET changes nothing, so no other condition applies.
pub(crate) fn is_retryable_get(error: &AttemptError, tolerance: Tolerance) -> bool {
    match error {
        AttemptError::Response(response) => match response.status {
            404 => tolerance.not_found,
            501 | 505 => false,
            408 | 429 | 500..=599 => true,
            _ => false,
        },
        AttemptError::Transport(error) => !error.kind().is_final(),
        AttemptError::Malformed(response) => response.truncated || tolerance.malformed,
        AttemptError::OtherConnector(_) | AttemptError::OtherWorkspace(_) => false,
    }
}

/// Returns what is known about the connector after a POST with this error.
pub(crate) fn state_after_create(error: &AttemptError) -> ConnectorState {
    match error {
        AttemptError::Response(response)
            if !matches!(response.status, 408 | 500..)
                || response.status == 504 && planted("a 504 is not created") =>
        {
            ConnectorState::NotCreated
        }
        AttemptError::Transport(error) if !error.may_have_been_sent() => ConnectorState::NotCreated,
        _ => ConnectorState::Unknown,
    }
}

/// An attempt that failed, and the delay that the server asked for.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: AttemptError,
    pub(crate) retry_after: Option<Duration>,
}

impl From<AttemptError> for FailedAttempt {
    fn from(error: AttemptError) -> Self {
        Self { error, retry_after: None }
    }
}

/// Sends a request once, as the attempt with this number, from 1. A response with a status other than 2xx is a failure,
/// and a 429 throttles the limiter.
pub(crate) fn send(
    workspace: &Workspace,
    request: Request,
    attempt: u32,
    deadline: Deadline,
    permit: Permit,
) -> impl Future<Output = Result<Response, FailedAttempt>> + Send {
    let (client, state) = (workspace.client(), workspace.state());
    let (method, limiter, path) = match *request.method() {
        Method::POST => ("POST", &state.posts, CREATE_PATH),
        // A page of the list.
        _ if request.url().path().ends_with("/connectors") => ("GET", &state.gets, CREATE_PATH),
        _ => ("GET", &state.gets, GET_PATH),
    };
    let sent = client.runtime().now();
    // An `async fn` would keep a place for the request while an install waits.
    let exchange = client.exchange(request, deadline.remaining(sent), permit);
    async move {
        let result = exchange.await.map_err(TransportError::from);
        client.first_response().end();
        let runtime = client.runtime();
        let duration = runtime.now().saturating_duration_since(sent);
        // The names of OpenTelemetry's semantic conventions for HTTP clients.
        tracing::debug!(
            http.request.method = method,
            url.template = path,
            http.response.status_code =
                result.as_ref().ok().map(|response| response.status.as_u16()),
            error.r#type = result.as_ref().err().map(|error| tracing::field::debug(error.kind())),
            http.client.request.duration = duration.as_secs_f64(),
            attempt,
            "exchange"
        );
        let response = result.map_err(AttemptError::Transport)?;
        state.response_time.record(duration);
        if response.status.is_success() {
            return Ok(response);
        }
        let cap = client.retry().retry_after_cap;
        let retry_after = retry_after(&response.headers, runtime.system_time(), cap)
            .filter(|_| !planted("a Retry-After is ignored"));
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            limiter.throttle(runtime.now(), retry_after);
        }
        let error = AttemptError::Response(ErrorResponse::new(&response, client.key()));
        Err(FailedAttempt { error, retry_after })
    }
}

/// An operation that the retry loop repeats: a creation, a read or a poll.
pub(crate) trait Attempt {
    type Output;

    /// Makes the attempt with this number, from 1.
    async fn send(&mut self, number: u32, permit: Permit) -> Result<Self::Output, FailedAttempt>;

    /// Returns whether the attempt may be made again after this error.
    fn is_retryable(&mut self, error: &AttemptError) -> bool;

    /// Returns what is known about the connector after this error, if the attempt was a POST.
    fn connector_state(&self, _error: &AttemptError) -> Option<ConnectorState> {
        None
    }

    /// Stores an error that is followed by another attempt.
    fn keep(&mut self, _error: AttemptError) {}
}

/// A future that completes when the batch is shut down.
pub(crate) type Cancellation = Shared<BoxFuture<'static, ()>>;

/// The parameters of the retry loop.
pub(crate) struct Retry<'a> {
    pub(crate) client: &'a Client,
    pub(crate) limiter: &'a RateLimiter,
    pub(crate) events: &'a EventSink,
    pub(crate) deadline: Deadline,
    pub(crate) backoff: Backoff,
    pub(crate) max_attempts: u32,
    pub(crate) last_attempt: LastAttempt<'a>,
    pub(crate) cancellation: Option<&'a Cancellation>,
}

/// The rule for a delay that would end at the deadline or after it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LastAttempt<'a> {
    /// No attempt starts in this time before the deadline. A first attempt is made in any case, if at least half of the
    /// time is left for it.
    Reserve(Duration),
    /// The delay is shortened, so that the last attempt starts before the deadline as the response times seen by then
    /// need.
    At(&'a ResponseTime),
}

impl LastAttempt<'_> {
    /// Returns the delay before the next attempt, or `None` if no time is left for an attempt.
    ///
    /// A delay that the server asked for is never shortened.
    pub(crate) fn fit(
        self,
        delay: Duration,
        retry_after: Option<Duration>,
        remaining: Duration,
    ) -> Option<Duration> {
        match self {
            _ if planted("a retry ignores the deadline") => Some(delay),
            Self::Reserve(reserve) => (delay < remaining.saturating_sub(reserve)).then_some(delay),
            Self::At(times) => {
                let last = remaining.saturating_sub(times.reserve());
                let is_late = delay > last && !last.is_zero();
                if is_late && retry_after.is_none_or(|delay| delay <= last) {
                    return Some(last);
                }
                (delay < remaining).then_some(delay)
            }
        }
    }

    /// Returns the longest wait for a permit.
    fn permit_timeout(self, remaining: Duration) -> Duration {
        match self {
            Self::Reserve(reserve) => remaining.saturating_sub(reserve),
            Self::At(_) => remaining,
        }
    }
}

/// The error of the last attempt.
#[derive(Debug)]
pub(crate) struct RetryError {
    pub(crate) error: AttemptError,
    pub(crate) attempts: Attempts,
    /// Whether the attempt would have been made again with more time, or with more attempts.
    pub(crate) retryable: bool,
}

impl<'a> Retry<'a> {
    /// Returns the retry loop of a read: attempts start until the deadline.
    pub(crate) fn read(
        workspace: &'a Workspace,
        events: &'a EventSink,
        deadline: Deadline,
    ) -> Self {
        let (client, limiter) = (workspace.client(), &workspace.state().gets);
        let RetryPolicy { backoff, max_attempts, .. } = *client.retry();
        let last_attempt = LastAttempt::Reserve(Duration::ZERO);
        let cancellation = None;
        Self {
            client,
            limiter,
            events,
            deadline,
            backoff,
            max_attempts,
            last_attempt,
            cancellation,
        }
    }

    /// Makes attempts until one succeeds or fails permanently, until no time or attempt is left, or until the
    /// cancellation.
    ///
    /// The first attempt uses `permit`, or waits for one as long as [`LastAttempt`] allows. It is not made if the cancellation comes
    /// before a permit that has to be renewed.
    pub(crate) async fn run<A: Attempt>(
        &self,
        permit: Option<Permit>,
        attempt: &mut A,
    ) -> Result<A::Output, RetryError> {
        let runtime = self.client.runtime();
        let remaining = || self.deadline.remaining(runtime.now());
        let attempts = |count| Attempts { count, elapsed: self.deadline.elapsed(runtime.now()) };
        let left = remaining();
        let timeout = self.last_attempt.permit_timeout(left).max(left / 2);
        let permit = match permit {
            None => self.limiter.acquire(runtime, timeout).await,
            Some(first) => {
                let permit = pin!(self.limiter.renew(runtime, first, timeout));
                match self.cancellation {
                    None => permit.await,
                    Some(cancellation) => match select(permit, cancellation.clone()).await {
                        Either::Left((permit, _)) => permit,
                        Either::Right(((), _)) => None,
                    },
                }
            }
        };
        let Some(mut permit) = permit else {
            let error = AttemptError::Transport(TransportError::rate_limited());
            return Err(RetryError { error, attempts: attempts(0), retryable: true });
        };
        let mut count = 0_u32;
        loop {
            count = count.saturating_add(1);
            let FailedAttempt { error, retry_after } = match attempt.send(count, permit).await {
                Ok(output) => return Ok(output),
                Err(failed) => failed,
            };
            let retryable = attempt.is_retryable(&error);
            let backoff = self.backoff.delay(count - 1, runtime.random());
            let delay = retry_after.map_or(backoff, |delay| delay.max(backoff));
            let delay = self.last_attempt.fit(delay, retry_after, remaining());
            let next = match delay.filter(|_| retryable && count < self.max_attempts) {
                Some(delay) => {
                    let connector_state = attempt.connector_state(&error);
                    let reason = chain(&error);
                    self.events.emit(&Event::Retrying { after: delay, reason, connector_state });
                    self.acquire_after(delay).await
                }
                None => None,
            };
            match next {
                Some(next) => permit = next,
                None => return Err(RetryError { error, attempts: attempts(count), retryable }),
            }
            attempt.keep(error);
        }
    }

    /// Waits for the delay and then for a permit. Returns `None` if the deadline or the cancellation comes first.
    async fn acquire_after(&self, delay: Duration) -> Option<Permit> {
        let runtime = self.client.runtime();
        let permit = async {
            runtime.sleep(delay).await;
            let remaining = self.deadline.remaining(runtime.now());
            self.limiter.acquire(runtime, self.last_attempt.permit_timeout(remaining)).await
        };
        match self.cancellation.filter(|_| !planted("a retry ignores a shutdown")) {
            None => permit.await,
            Some(cancellation) => match select(cancellation.clone(), pin!(permit)).await {
                Either::Left(((), _)) => None,
                Either::Right((permit, _)) => permit,
            },
        }
    }
}
