//! The simulated Bird: its connectors, their channels and its rate limits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bird_sms::bird_api::{BodyError, Response};
use bird_sms::jiff::Timestamp;
use bird_sms::reqwest::StatusCode;
use bird_sms::reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use bird_sms::uuid::Uuid;
use bird_sms::{ChannelId, ConnectorId, PhoneNumberId, WorkspaceId};
use fastrand::Rng;

use crate::clock;
use crate::scenario::{Foreign, Scenario};
use crate::world::{Arrival, KEY, World};

const NUMBERS: u128 = 0x1000_0000_0000_4000_8000_0000_0000_0000;
const CONNECTORS: u128 = 0xc000_0000_0000_4000_8000_0000_0000_0000;
const CHANNELS: u128 = 0xa000_0000_0000_4000_8000_0000_0000_0000;

pub(crate) fn workspace_id() -> WorkspaceId {
    Uuid::from_u128(0xf).into()
}

pub(crate) fn number_of(row: usize) -> PhoneNumberId {
    Uuid::from_u128(NUMBERS + row as u128).into()
}

/// Returns the row of a phone number: the inverse of [`number_of`].
pub(crate) fn row_of(number: PhoneNumberId) -> usize {
    index(number.as_uuid(), NUMBERS).expect("the id belongs to a row")
}

fn index(id: &Uuid, base: u128) -> Option<usize> {
    usize::try_from(id.as_u128().checked_sub(base)?).ok()
}

/// A connector on the server.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) row: usize,
    /// `None` if a POST of the simulation created the connector.
    pub(crate) foreign: Option<Foreign>,
    pub(crate) created: Duration,
    /// When the channel becomes ready, if ever.
    pub(crate) ready: Option<Duration>,
}

impl Connector {
    pub(crate) fn is_own(&self) -> bool {
        self.foreign.is_none()
    }

    fn is_sms(&self) -> bool {
        self.foreign != Some(Foreign::Voice)
    }

    /// Returns whether a row may use the connector: a POST of the row created it, or it looks as if one did.
    pub(crate) fn may_be_of(&self, row: usize) -> bool {
        self.row == row && matches!(self.foreign, None | Some(Foreign::Agreeing))
    }
}

pub(crate) fn connector_id(index: usize) -> ConnectorId {
    Uuid::from_u128(CONNECTORS + index as u128).into()
}

pub(crate) fn channel_id(index: usize) -> ChannelId {
    Uuid::from_u128(CHANNELS + index as u128).into()
}

/// A request, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    /// A POST of a row. `nth` counts from 0.
    Post { row: usize, nth: usize },
    /// A GET for the phone number of a row.
    Number { row: usize },
    /// A GET for a connector.
    Get { connector: ConnectorId },
}

/// The condition in which a response body arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Body {
    Whole,
    Cut,
    Malformed,
}

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Treatment {
    /// The status that the server returns instead of processing the request.
    pub(crate) before: Option<u16>,
    /// The error status that the server returns although it has processed the request.
    pub(crate) after: Option<u16>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) connectors: Vec<Connector>,
    /// The requests on their way, ordered by arrival time.
    arrivals: BinaryHeap<Reverse<(Duration, usize)>>,
    requests: Vec<(Call, Treatment, Option<Response>)>,
    /// The arrival times of the requests in the last second: first the GETs, then the POSTs.
    window: [VecDeque<Duration>; 2],
}

impl Server {
    pub(crate) fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let mut connectors = Vec::new();
        for (row, foreign) in scenario.foreign.iter().copied() {
            let ready = scenario.provisioning_time(rng);
            let foreign = Some(foreign);
            let created = Duration::ZERO;
            connectors.push(Connector { row, foreign, created, ready });
        }
        Self {
            connectors,
            arrivals: BinaryHeap::new(),
            requests: Vec::new(),
            window: Default::default(),
        }
    }

    /// Sends a request that arrives at this time. Returns the request's index.
    pub(crate) fn send(&mut self, call: Call, treatment: Treatment, at: Duration) -> usize {
        let id = self.requests.len();
        self.requests.push((call, treatment, None));
        self.arrivals.push(Reverse((at, id)));
        id
    }

    pub(crate) fn take_response(&mut self, id: usize) -> Option<Response> {
        self.requests[id].2.take()
    }

    pub(crate) fn of_row(&self, row: usize) -> impl Iterator<Item = (usize, &Connector)> {
        self.connectors.iter().enumerate().filter(move |(_, connector)| connector.row == row)
    }

    pub(crate) fn find(&self, id: ConnectorId) -> Option<(usize, &Connector)> {
        let index = index(id.as_uuid(), CONNECTORS)?;
        Some((index, self.connectors.get(index)?))
    }
}

impl World {
    /// Processes the requests that have arrived by now.
    pub(crate) fn advance(&mut self) {
        let now = clock::now();
        while let Some(Reverse((at, id))) = self.server.arrivals.peek().copied()
            && at <= now
        {
            self.server.arrivals.pop();
            let (call, treatment, _) = self.server.requests[id];
            let response = self.process(call, treatment, at);
            let status = response.status.as_u16();
            let seconds = at.as_secs_f64();
            self.note(|_| format!("        server, at {seconds:.3}: {call:?}: {status}"));
            self.server.requests[id].2 = Some(response);
        }
    }

    fn process(&mut self, call: Call, treatment: Treatment, at: Duration) -> Response {
        if let Some(status) = treatment.before {
            self.arrived(call, None);
            return self.error(status, at, treatment.body);
        }
        let is_post = matches!(call, Call::Post { .. });
        if let Some(limits) = self.scenario.enforced.filter(|_| !self.calm) {
            let limit = if is_post { limits.posts_per_second } else { limits.gets_per_second };
            let window = &mut self.server.window[usize::from(is_post)];
            while window.front().is_some_and(|first| *first + Duration::from_secs(1) <= at) {
                window.pop_front();
            }
            if window.len() >= limit as usize {
                self.arrived(call, None);
                return self.error(429, at, treatment.body);
            }
            window.push_back(at);
        }
        let (status, body) = match call {
            Call::Post { row, .. } => {
                let exists = self.server.of_row(row).any(|(_, connector)| connector.is_sms());
                if self.scenario.unique && exists {
                    self.arrived(call, None);
                    return self.error(409, at, treatment.body);
                }
                let ready = self.scenario.provisioning_time(&mut self.rng).map(|time| at + time);
                let index = self.server.connectors.len();
                self.server.connectors.push(Connector { row, foreign: None, created: at, ready });
                self.arrived(call, Some(index));
                (201, self.connector(index, at))
            }
            Call::Number { row } => (200, self.number(row, at)),
            Call::Get { connector } => match self.server.find(connector) {
                Some((index, connector))
                    if connector.created + self.scenario.visible_after <= at =>
                {
                    (200, self.connector(index, at))
                }
                _ => return self.error(404, at, treatment.body),
            },
        };
        match treatment.after {
            Some(status) => self.error(status, at, treatment.body),
            None => spoil(response(status, HeaderMap::new(), body), treatment.body, &mut self.rng),
        }
    }

    fn arrived(&mut self, call: Call, created: Option<usize>) {
        if let Call::Post { row, nth } = call {
            self.rows[row].posts[nth].arrival = Arrival::Processed(created);
        }
    }

    /// Returns the JSON of a phone number, with the connectors that a lookup shows at this time.
    fn number(&mut self, mut row: usize, at: Duration) -> String {
        let shown = self.server.of_row(row);
        let shown = shown.filter(|(_, it)| it.created + self.scenario.shown_after <= at);
        let mut shown: Vec<_> = shown.map(|(index, _)| index).collect();
        if self.rng.f64() < self.scenario.lies {
            let all = self.server.connectors.len();
            match self.rng.u8(..4) {
                0 => drop(shown.pop()),
                1 => shown.extend(0..all),
                2 => shown.extend(all..all + 6),
                _ => row += 1,
            }
        }
        let dependency = |index: &usize| {
            format!(r#"{{"type":"connector","connectorId":"{}"}}"#, connector_id(*index))
        };
        let shown: Vec<_> = shown.iter().map(dependency).collect();
        let id = number_of(row);
        format!(
            r#"{{"id":"{id}","endpointId":"{id}","numberString":"+31612345678","countryCode":"NL","capabilities":{{}},"createdAt":"2025-01-01T00:00:00Z","updatedAt":"2025-01-01T00:00:00Z","endpoint":{{"dependencies":[{}]}}}}"#,
            shown.join(",")
        )
    }

    /// Returns the JSON of a connector as it is at this time.
    fn connector(&self, index: usize, at: Duration) -> String {
        let connector = &self.server.connectors[index];
        let mut created = clock::system_time_at(connector.created);
        let mut name = self.scenario.name(connector.row);
        let mut template = "sms-messagebird:1";
        match connector.foreign {
            Some(Foreign::OtherName) => name.push_str(" of somebody else"),
            Some(Foreign::Old) => created -= Duration::from_secs(3_600),
            Some(Foreign::Voice) => template = "voice-messagebird:1",
            Some(Foreign::Agreeing) | None => {}
        }
        let created = Timestamp::try_from(created).expect("the time is in this century");
        let arguments = if self.scenario.shows_number {
            format!(r#"{{"phoneNumberId":"{}"}}"#, number_of(connector.row))
        } else {
            "null".to_owned()
        };
        let channel = match connector.ready {
            Some(ready) if ready <= at => format!(r#"{{"channelId":"{}"}}"#, channel_id(index)),
            _ => "null".to_owned(),
        };
        let echo = if self.scenario.echoes_key { KEY } else { "" };
        format!(
            r#"{{"id":"{}","name":"{name}","description":"{echo}","workspaceId":"{}","createdAt":"{created}","connectorTemplateRef":"{template}","arguments":{arguments},"channel":{channel}}}"#,
            connector_id(index),
            workspace_id(),
        )
    }

    fn error(&mut self, status: u16, at: Duration, body: Body) -> Response {
        let mut headers = HeaderMap::new();
        if matches!(status, 429 | 503) {
            let value = match self.rng.u8(..6) {
                0 => Some(self.rng.u8(..4).to_string()),
                1 => {
                    let date = clock::system_time_at(at + Duration::from_secs(self.rng.u64(..5)));
                    Some(httpdate::fmt_http_date(date))
                }
                2 if self.rng.u8(..8) == 0 => Some("100000".to_owned()),
                _ => None,
            };
            if let Some(value) = value {
                headers.insert(RETRY_AFTER, HeaderValue::try_from(value).expect("it is ASCII"));
            }
        }
        let echo = if self.scenario.echoes_key { KEY } else { "it" };
        let text =
            format!(r#"{{"code":"Error{status}","message":"the request with {echo} failed"}}"#);
        spoil(response(status, headers, text), body, &mut self.rng)
    }
}

fn response(status: u16, headers: HeaderMap, body: String) -> Response {
    let status = StatusCode::from_u16(status).expect("the status has three digits");
    Response::new(status, headers, body.into())
}

fn spoil(mut response: Response, body: Body, rng: &mut Rng) -> Response {
    match body {
        Body::Whole => {}
        Body::Cut => {
            response.body.truncate(rng.usize(..=response.body.len()));
            response.body_error = Some(BodyError::TimedOut);
        }
        Body::Malformed => {
            let bodies = [r#"{"id":null}"#, r#"{"id":7,"channel":"#, "<html>", "", "[]"];
            response.body = bodies[rng.usize(..bodies.len())].as_bytes().into();
        }
    }
    response
}
