//! The retry loop of all requests, and the rules for which request may be sent again.
//!
//! `retry.md` contains the rules as a table. The documentation of [`RetryPolicy`](crate::RetryPolicy) includes it.

use std::time::Duration;

use bird_api::Response;
use reqwest::{Request, StatusCode};

use super::Call;
use crate::client::{Route, Workspace};
use crate::error::chain;
use crate::transport::{Slot, Turn, retry_after};
use crate::{
    AttemptError, Attempts, ConnectorState, ErrorResponse, Event, Failure, RetryCreate,
    TransportError,
};

/// Returns whether a POST may be sent again after this error: only if the attempt certainly created nothing, or if the
/// policy allows it.
pub(crate) fn is_retryable_create(error: &AttemptError, policy: RetryCreate) -> bool {
    match error {
        AttemptError::Response(response) => {
            response.status == 429 || policy.allows(response.status)
        }
        AttemptError::Transport(error) => !error.kind().is_final() && !error.may_have_been_sent(),
        _ => false,
    }
}

/// The errors after which a GET is sent again, in addition to transient failures.
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
            408 | 429 | 460 | 499 | 500..=599 => true,
            _ => false,
        },
        AttemptError::Transport(error) => !error.kind().is_final(),
        AttemptError::Malformed(response) => response.truncated || tolerance.malformed,
        AttemptError::OtherPhoneNumber(_)
        | AttemptError::OtherConnector(_)
        | AttemptError::OtherWorkspace(_)
        | AttemptError::OtherTemplate(_) => false,
    }
}

/// Returns what is known about the connector after a POST that failed with this error.
pub(crate) fn state_after_create(error: &AttemptError) -> ConnectorState {
    match error {
        AttemptError::Response(response) if !leaves_open(response) => ConnectorState::NotCreated,
        AttemptError::Transport(error) if !error.may_have_been_sent() => ConnectorState::NotCreated,
        AttemptError::Malformed(_) => ConnectorState::ExistsIdUnknown,
        _ => ConnectorState::Unknown,
    }
}

/// Returns whether the request may have been processed despite this response.
fn leaves_open(response: &ErrorResponse) -> bool {
    match response.status {
        // Gateways use 460 and 499 for a request that was cancelled.
        ..200 | 303 | 408 | 460 | 499 | 500.. => true,
        // As after a web form, a redirect may lead to the connector that was created. The URL may be relative.
        300..400 => response.location.as_deref().is_some_and(|location| {
            let location = location.to_ascii_lowercase().replace("%2f", "/");
            let below = location.split_once("connectors/").map(|(_, below)| below);
            below.is_some_and(|below| !below.is_empty())
        }),
        _ => false,
    }
}

/// The error of an attempt, and the delay that the server asked for.
pub(crate) struct SendError {
    pub(crate) error: AttemptError,
    pub(crate) retry_after: Option<Duration>,
    /// How long the rate limiter pauses because of this response.
    paused: Option<Duration>,
}

impl From<AttemptError> for SendError {
    fn from(error: AttemptError) -> Self {
        Self { error, retry_after: None, paused: None }
    }
}

/// Sends a request once. `attempt` is the number of the attempt, from 1. A response with a status other than 2xx is an
/// error, and a 429 throttles the limiter.
pub(crate) async fn send(
    workspace: &Workspace,
    route: Route,
    request: Request,
    attempt: u32,
    slot: Slot,
) -> Result<Response, SendError> {
    let client = workspace.client();
    let state = workspace.state();
    let runtime = client.runtime();
    let sent = runtime.now();
    let result = client.exchange(request, slot.deadline.remaining(sent), &slot.permit).await;
    drop(slot);
    let result = result.map_err(TransportError::from);
    let now = runtime.now();
    let (method, path) = route.template();
    // The field names follow OpenTelemetry's semantic conventions for HTTP clients.
    tracing::debug!(
        http.request.method = method,
        url.template = path,
        http.response.status_code = result.as_ref().ok().map(|response| response.status.as_u16()),
        error.r#type = result.as_ref().err().map(|error| tracing::field::debug(error.kind())),
        http.client.request.duration = now.saturating_duration_since(sent).as_secs_f64(),
        attempt,
        "exchange"
    );
    let response = result.map_err(AttemptError::Transport)?;
    let throttled = response.status == StatusCode::TOO_MANY_REQUESTS;
    state.observe(route, response.status, now);
    if response.status.is_success() {
        return Ok(response);
    }
    let cap = client.settings().retry.retry_after_cap;
    let retry_after = retry_after(&response.headers, runtime.system_time(), cap);
    let limiter = state.limiter(route);
    let paused = if throttled { limiter.throttle(now, retry_after) } else { None };
    let error = AttemptError::Response(Box::new(ErrorResponse::new(&response, client.key())));
    Err(SendError { error, retry_after, paused })
}

/// The time before the deadline that is reserved for the response to the last poll. No POST is repeated in this time,
/// because it would probably get no response, and turn a certain error into an unknown outcome.
pub(crate) const RESERVE: Duration = Duration::from_secs(1);

/// The purpose of a call, which decides when its last attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Only the first attempt may start in the last second before the deadline.
    Create,
    /// Attempts may start until the deadline.
    Read,
    /// The last attempt starts a second before the deadline.
    Poll,
}

impl Purpose {
    /// Returns the delay before the next attempt, or `None` if no time is left for an attempt.
    ///
    /// A delay that the server asked for is never shortened.
    pub(crate) fn fit(
        self,
        delay: Duration,
        retry_after: Option<Duration>,
        remaining: Duration,
    ) -> Option<Duration> {
        let last = remaining.saturating_sub(RESERVE);
        match self {
            Self::Create => (delay < last).then_some(delay),
            Self::Poll
                if delay > last
                    && !last.is_zero()
                    && retry_after.is_none_or(|delay| delay <= last) =>
            {
                Some(last)
            }
            Self::Read | Self::Poll => (delay < remaining).then_some(delay),
        }
    }

    /// Returns the longest wait for a permit.
    fn permit_timeout(self, remaining: Duration) -> Duration {
        match self {
            Self::Create => remaining.saturating_sub(RESERVE),
            Self::Read | Self::Poll => remaining,
        }
    }
}

/// The attempts of a call.
///
/// [`start`](Self::start) returns the slot of the first attempt, and [`again`](Self::again) the slot of each later one.
pub(crate) struct Retry<'a, T> {
    call: &'a Call<'a, T>,
    purpose: Purpose,
    count: u32,
}

/// The error of the last attempt.
#[derive(Debug)]
pub(crate) struct RetryError {
    pub(crate) error: AttemptError,
    pub(crate) attempts: Attempts,
    /// Whether the call ran out of time or attempts, rather than hitting a final error.
    pub(crate) retryable: bool,
}

impl From<RetryError> for Failure {
    fn from(RetryError { error, attempts, retryable }: RetryError) -> Self {
        Self::new(error, attempts, retryable)
    }
}

impl<'a, T: Turn> Retry<'a, T> {
    pub(crate) fn new(call: &'a Call<'a, T>, purpose: Purpose) -> Self {
        Self { call, purpose, count: 0 }
    }

    /// Returns the attempts so far, including the one whose slot was returned last.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts { count: self.count, elapsed: self.call.elapsed() }
    }

    /// Waits for the turn of the first attempt.
    pub(crate) async fn start(&mut self) -> Result<Slot, RetryError> {
        let Call { turn, deadline, .. } = self.call;
        let left = self.call.remaining();
        // The first attempt may wait for half of the time, even if less than a second is left then.
        let timeout = self.purpose.permit_timeout(left).max(left / 2);
        let Some(slot) = turn.take(Duration::ZERO, timeout, *deadline).await else {
            let error = AttemptError::Transport(TransportError::rate_limited());
            return Err(RetryError { error, attempts: self.attempts(), retryable: true });
        };
        self.count = 1;
        Ok(slot)
    }

    /// Waits for the turn of the next attempt after an error. Returns the slot and the error. Fails if the error is not
    /// `retryable`, if no time or attempt is left, or if no turn comes in time. After a POST, `state` is what is known
    /// about the connector.
    pub(crate) async fn again(
        &mut self,
        SendError { error, retry_after, paused }: SendError,
        retryable: bool,
        state: Option<ConnectorState>,
    ) -> Result<(Slot, AttemptError), RetryError> {
        let Call { workspace, deadline, events, turn } = self.call;
        if let Some(duration) = paused {
            events.emit(&Event::Paused { duration });
        }
        let policy = workspace.client().settings().retry;
        let max_attempts =
            if self.purpose == Purpose::Poll { u32::MAX } else { policy.max_attempts };
        let backoff = policy.backoff.delay(self.count - 1, self.call.runtime().random());
        let delay = retry_after.map_or(backoff, |delay| delay.max(backoff));
        let delay = self.purpose.fit(delay, retry_after, self.call.remaining());
        let next = match delay.filter(|_| retryable && self.count < max_attempts) {
            Some(delay) => {
                let reason = chain(&error);
                events.emit(&Event::Retrying { after: delay, reason, connector_state: state });
                let timeout = self.purpose.permit_timeout(self.call.remaining());
                turn.take(delay, timeout, *deadline).await
            }
            None => None,
        };
        match next {
            Some(slot) => {
                self.count += 1;
                Ok((slot, error))
            }
            None => Err(RetryError { error, attempts: self.attempts(), retryable }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportErrorKind::{Certificate, Connect, Redirected, TimedOut};
    use crate::test_util::{no_response, response};

    fn with_status(status: u16) -> AttemptError {
        response(status, "{}")
    }

    fn below_connectors(status: u16) -> AttemptError {
        let AttemptError::Response(mut response) = with_status(status) else { unreachable!() };
        response.location = Some("/workspaces/w/connectors/id".to_owned());
        AttemptError::Response(response)
    }

    fn unreadable(truncated: bool) -> AttemptError {
        let AttemptError::Malformed(mut response) = with_status(201) else { unreachable!() };
        response.truncated = truncated;
        AttemptError::Malformed(response)
    }

    /// Returns the decisions after an error, as in a row of the table: the state, whether a POST is sent again, and
    /// whether a GET is sent again.
    fn decisions(error: &AttemptError) -> String {
        let state = match state_after_create(error) {
            ConnectorState::NotCreated => "`NotCreated`",
            ConnectorState::Unknown => "`Unknown`",
            _ => "`Exists`, or `ExistsIdUnknown` if the id cannot be recovered",
        };
        let post = |policy| is_retryable_create(error, policy);
        let post = match (post(RetryCreate::Never), post(RetryCreate::ServerErrors)) {
            (true, _) => "yes",
            (false, true) => "yes, unless [`RetryCreate::Never`]",
            (false, false) => "no",
        };
        let get =
            |not_found, malformed| is_retryable_get(error, Tolerance { not_found, malformed });
        let get = match (get(false, false), get(true, false), get(false, true)) {
            (true, ..) => "yes",
            (_, true, _) => "only a poll: [`PollPolicy::not_found_grace`]",
            (.., true) => "only a poll: [`PollPolicy::max_malformed`]",
            _ => "no",
        };
        format!("{state} | {post} | {get}")
    }

    #[test]
    fn the_retry_table_matches_the_rules() {
        let statuses = |statuses: &[u16]| statuses.iter().copied().map(with_status).collect();
        let others = |range: std::ops::Range<u16>, but: &[u16]| {
            range.filter(|status| !but.contains(status)).map(with_status).collect::<Vec<_>>()
        };
        let moved: Vec<_> = (300..400).map(below_connectors).collect();
        let cases: [(&str, Vec<AttemptError>); 14] = [
            ("no connection: DNS, TCP, TLS, a proxy", vec![no_response(Connect, false)]),
            (
                "a refused certificate, a proxy that needs a password",
                vec![no_response(Certificate, false)],
            ),
            ("timeout, reset or EOF before a response", vec![no_response(TimedOut, true)]),
            (
                "a redirect that the caller's HTTP client followed",
                vec![no_response(Redirected, true)],
            ),
            ("2xx, body incomplete", vec![unreadable(true)]),
            ("2xx, body malformed", vec![unreadable(false)]),
            (
                "1xx, 303, another 3xx with a `Location` below `…/connectors/`",
                others(100..200, &[]).into_iter().chain(statuses(&[303])).chain(moved).collect(),
            ),
            ("other 3xx", others(300..400, &[303])),
            ("404", statuses(&[404])),
            ("408, 460, 499", statuses(&[408, 460, 499])),
            ("429", statuses(&[429])),
            ("other 4xx", others(400..500, &[404, 408, 429, 460, 499])),
            ("500, 503", statuses(&[500, 503])),
            ("501, 505", statuses(&[501, 505])),
        ];
        let other_5xx =
            ("other 5xx, such as a gateway's 502 or 504", others(500..600, &[500, 501, 503, 505]));
        let mut table = vec![
            "| response to the request | connector after a POST | POST again? | GET again? |"
                .to_owned(),
            "|---|---|---|---|".to_owned(),
        ];
        for (case, errors) in cases.into_iter().chain([other_5xx]) {
            let decided = decisions(&errors[0]);
            let other = errors.iter().find(|error| decisions(error) != decided);
            assert!(other.is_none(), "{case}: {other:?}");
            table.push(format!("| {case} | {decided} |"));
        }
        let table = table.join("\n");
        assert!(include_str!("retry.md").contains(&table), "retry.md does not contain:\n{table}");
    }
}
