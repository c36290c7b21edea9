//! The simulated network: a transport that injects faults into each exchange.

use std::time::Duration;

use bird_sms::ConnectorId;
use bird_sms::bird_api::transport::{Exchange, Transport};
use bird_sms::bird_api::{ExchangeError, ExchangeErrorKind, Response};
use bird_sms::reqwest::header::{HeaderMap, RETRY_AFTER};
use bird_sms::reqwest::{Method, Request};
use bird_sms::uuid::Uuid;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::server::{Body, Call, Treatment, row_of};
use crate::world::{Arrival, Post, Reported, Shared, World, hold};

/// The fate of an exchange, which is decided when its request leaves.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Why the request never leaves. `None` if it does leave.
    not_sent: Option<ExchangeErrorKind>,
    /// How long the request takes to arrive. `None` if it is lost.
    there: Option<Duration>,
    /// How long the response takes to arrive. `None` if it is lost.
    back: Option<Duration>,
    /// How long until the client notices a loss. `None` if it never does.
    notice: Option<Duration>,
    treatment: Treatment,
}

#[derive(Clone, Debug)]
pub(crate) struct Network(pub(crate) Shared);

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { not_sent, there, back, notice, treatment } = self;
        if let Some(kind) = not_sent {
            return write!(f, "not sent: {kind:?}");
        }
        write!(f, "there {there:?}, back {back:?}")?;
        if there.is_none() || back.is_none() {
            write!(f, ", noticed after {notice:?}")?;
        }
        let Treatment { before, after, body } = treatment;
        before.map_or(Ok(()), |status| write!(f, ", {status} unprocessed"))?;
        after.map_or(Ok(()), |status| write!(f, ", {status} processed"))?;
        if *body != Body::Whole {
            write!(f, ", body {body:?}")?;
        }
        Ok(())
    }
}

impl World {
    fn fate(&mut self) -> Fate {
        let faults = self.scenario.faults;
        let rng = &mut self.rng;
        let calm = self.calm;
        let mut chance = |probability: f64| !calm && rng.f64() < probability;
        let [not_sent, lost_there, lost_back, status, throttled, refused, body, slow] = [
            faults.not_sent,
            faults.lost / 2.0,
            faults.lost / 2.0,
            faults.status,
            faults.throttled,
            faults.refused / 8.0,
            faults.body,
            faults.slow,
        ]
        .map(&mut chance);
        let usual = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(1..=60));
        let way = |rng: &mut fastrand::Rng| {
            let slowest = u64::try_from(self.scenario.slowest.as_millis()).unwrap_or(u64::MAX);
            if slow && rng.bool() {
                Duration::from_millis(rng.u64(1..=slowest))
            } else {
                usual(rng)
            }
        };
        let there = way(rng);
        let back = way(rng);
        let mut before = None;
        let mut after = None;
        if status {
            let statuses = [500, 503, 500, 503, 502, 504, 520, 408, 499, 303, 501, 505];
            let status = Some(statuses[rng.usize(..statuses.len())]);
            *(if rng.bool() { &mut before } else { &mut after }) = status;
        } else if throttled {
            before = Some(429);
        } else if refused {
            before = Some([401, 403, 422, 302][rng.usize(..4)]);
        }
        Fate {
            not_sent: not_sent.then(|| {
                if rng.bool() {
                    ExchangeErrorKind::Connect
                } else {
                    ExchangeErrorKind::Disconnected
                }
            }),
            there: (!lost_there).then_some(there),
            back: (!lost_back).then_some(back),
            notice: rng.bool().then(|| usual(rng)),
            treatment: Treatment {
                before,
                after,
                body: match (body, rng.bool()) {
                    (false, _) => Body::Whole,
                    (true, true) => Body::Cut,
                    (true, false) => Body::Malformed,
                },
            },
        }
    }

    /// Checks whether a request may leave, and decides its fate.
    fn depart(
        &mut self,
        request: &Request,
        row: Option<usize>,
        timeout: Duration,
    ) -> (Call, Fate, Option<usize>) {
        let now = clock::now();
        let call = match (request.method() == Method::POST, row) {
            (true, Some(row)) => Call::Post { row, nth: self.rows[row].posts.len() },
            _ => number_of_request(request)
                .map_or(Call::Get { connector: connector_of(request) }, |row| Call::Number { row }),
        };
        if let Some(row) = row {
            self.rows[row].began.get_or_insert(now);
        }
        if let (Call::Post { .. }, Some(row)) = (call, row) {
            hold!(self, no_post_after_one_that_may_have_arrived(row));
            hold!(self, a_durable_intent_precedes_each_post(row));
            hold!(self, nothing_is_sent_after_a_shutdown(row));
            hold!(self, no_post_after_a_lookup_that_shows_one(row));
        }
        if let Some(row) = row
            && self.rows[row].look.is_some()
        {
            hold!(self, a_lookup_is_bounded(row, call, timeout));
            hold!(self, no_lookup_continues_after_a_shutdown(row));
            self.rows[row].look.get_or_insert_default().calls.push(call);
        }
        hold!(self, a_retry_after_is_honoured(call));
        hold!(self, nothing_is_sent_after_its_deadline(call, row, timeout));
        hold!(self, a_ready_row_is_left_alone(row));
        hold!(self, memory_is_bounded(row));
        let is_post = matches!(call, Call::Post { .. });
        (if is_post { &mut self.posts } else { &mut self.gets }).sent.push(now);
        hold!(self, the_limits_hold_in_every_second(is_post));
        let fate = self.fate();
        self.note(|_| {
            let row = row.map_or(String::new(), |row| format!("row {row}: "));
            format!("{row}{call:?} leaves, timeout {timeout:?}: {fate}")
        });
        let mut id = None;
        let arrives = fate.there.filter(|_| fate.not_sent.is_none());
        if let Call::Post { row, .. } = call {
            let arrival = arrives.map_or(Arrival::Never, |_| Arrival::OnItsWay);
            self.rows[row].posts.push(Post {
                life: self.life,
                reported: Reported::Nothing,
                arrival,
            });
        }
        if let Some(there) = arrives {
            id = Some(self.server.send(call, fate.treatment, now + there));
        }
        if let Some(row) = row {
            self.rows[row].in_flight += 1;
        }
        (call, fate, id)
    }

    /// Records what the client learns about a request.
    fn arrive(
        &mut self,
        call: Call,
        row: Option<usize>,
        sent: Duration,
        result: &Result<Response, ExchangeError>,
    ) {
        self.note(|_| match result {
            Ok(response) => {
                let retry_after = response.headers.get(RETRY_AFTER);
                let retry_after = retry_after.map_or(String::new(), |after| format!(", {after:?}"));
                format!("{call:?} returns {}{retry_after}", response.status)
            }
            Err(error) => format!("{call:?} fails: {error}"),
        });
        let now = clock::now();
        let not_before = result.as_ref().ok().map(|response| {
            let delay = retry_after(&response.headers).min(self.scenario.retry_after_cap);
            (response.status.as_u16(), now + delay)
        });
        if let Some((status, _)) = not_before {
            self.throttled_since = (status == 429).then(|| self.throttled_since.unwrap_or(now));
            let throttled_for = now.saturating_sub(self.throttled_since.unwrap_or(now));
            self.throttled_for = self.throttled_for.max(throttled_for);
        }
        let look = row.and_then(|row| self.rows[row].look.as_mut());
        let looks = look.is_some();
        if let Some(look) = look {
            look.spent += now.saturating_sub(sent);
        }
        if let (true, Some(row), Ok(response)) = (looks, row, result) {
            self.rows[row].shown |= shows_sms(response);
        }
        let is_post = matches!(call, Call::Post { .. });
        let method = if is_post { &mut self.posts } else { &mut self.gets };
        match not_before {
            Some((429, until)) => method.not_before = method.not_before.max(until),
            Some((200..=299, _)) => method.accepted |= !matches!(call, Call::Number { .. }),
            // A 401 shuts the batch down. So does a 403, unless a request of this method was accepted: then it may
            // concern one connector only. A lookup never does.
            Some((status @ (401 | 403), _))
                if !looks && !self.scenario.single && (status == 401 || !method.accepted) =>
            {
                self.stopped.get_or_insert(now);
            }
            _ => {}
        }
        if let Call::Post { row, nth } = call {
            let row = &mut self.rows[row];
            row.posts[nth].reported = match result {
                Ok(response) => Reported::Status(response.status.as_u16()),
                Err(error) if error.may_have_been_sent() => Reported::Lost,
                Err(_) => Reported::NotSent,
            };
            row.not_before = not_before.map_or(now, |(_, until)| until);
        }
    }
}

/// Returns the delay that a `Retry-After` header asks for, or zero without one.
fn retry_after(headers: &HeaderMap) -> Duration {
    let Some(Ok(value)) = headers.get(RETRY_AFTER).map(|value| value.to_str()) else {
        return Duration::ZERO;
    };
    match (value.parse(), httpdate::parse_http_date(value)) {
        (Ok(seconds), _) => Duration::from_secs(seconds),
        (_, Ok(date)) => date.duration_since(clock::system_time()).unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

/// Returns whether a response shows an SMS connector.
fn shows_sms(response: &Response) -> bool {
    let body: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    response.status.is_success()
        && response.body_error.is_none()
        && body.is_some_and(|body| body["connectorTemplateRef"] == "sms-messagebird:1")
}

/// Returns the row that sends a request.
fn row_of_request(request: &Request, world: &World) -> Option<usize> {
    if let Some(body) = request.body().and_then(|body| body.as_bytes()) {
        let body: serde_json::Value = serde_json::from_slice(body).expect("the body is JSON");
        let number = body["arguments"]["phoneNumberId"].as_str().expect("the id is a string");
        return Some(row_of(number.parse().expect("the id is a UUID")));
    }
    // Prefer the row of the task, because a lookup may read the connectors of other rows.
    let task = tokio::task::try_id().and_then(|task| world.tasks.get(&task).copied());
    task.or_else(|| Some(world.server.find(connector_of(request))?.1.row))
}

fn number_of_request(request: &Request) -> Option<usize> {
    let (_, number) = request.url().path().split_once("/numbers-long-code/")?;
    Some(row_of(Uuid::try_parse(number).expect("the path has a phone number id").into()))
}

fn connector_of(request: &Request) -> ConnectorId {
    let last = request.url().path_segments().and_then(Iterator::last).unwrap_or_default();
    Uuid::try_parse(last).expect("the path ends with a connector id").into()
}

/// Subtracts a request from the `in_flight` count of its row when it is dropped.
struct InFlight(Shared, Option<usize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(row) = self.1 {
            let in_flight = &mut self.0.lock().rows[row].in_flight;
            *in_flight = in_flight.saturating_sub(1);
        }
    }
}

impl Transport for Network {
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange {
        let world = self.0.clone();
        Box::pin(async move {
            world.step().await;
            let end = Instant::now() + timeout.min(Duration::from_secs(1_000_000));
            let sent = clock::now();
            let (call, fate, id, in_flight) = {
                let mut locked = world.lock();
                let row = row_of_request(&request, &locked);
                let (call, fate, id) = locked.depart(&request, row, timeout);
                drop(locked);
                (call, fate, id, InFlight(world.clone(), row))
            };
            world.step().await;
            let result = tokio::select! {
                biased;
                result = carry(&world, fate, id) => result,
                () = sleep_until(end) => Err(ExchangeError::new(ExchangeErrorKind::TimedOut, true)),
            };
            world.step().await;
            world.lock().arrive(call, in_flight.1, sent, &result);
            result
        })
    }
}

async fn carry(world: &Shared, fate: Fate, id: Option<usize>) -> Result<Response, ExchangeError> {
    let lost = || Err(ExchangeError::new(ExchangeErrorKind::Disconnected, true));
    if let Some(kind) = fate.not_sent {
        sleep(fate.notice.unwrap_or_default()).await;
        return Err(ExchangeError::new(kind, false));
    }
    if let (Some(there), Some(id)) = (fate.there, id) {
        sleep(there).await;
        let response = {
            let mut world = world.lock();
            world.advance();
            world.server.take_response(id)
        };
        if let (Some(back), Some(response)) = (fate.back, response) {
            sleep(back).await;
            return Ok(response);
        }
    }
    match fate.notice {
        Some(notice) => {
            sleep(notice).await;
            lost()
        }
        None => std::future::pending().await,
    }
}
