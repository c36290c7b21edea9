//! The state of a sandbox: connectors, requests, limits and faults.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::contract::Contract;
use crate::fault::Kind;
use crate::{Builder, Fault};

/// The number of requests that a sandbox keeps.
const REQUESTS_KEPT: usize = 10_000;
/// The number of bytes that a sandbox keeps of the body of a request.
const BODY_KEPT: usize = 4096;

/// A connector of the sandbox.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredConnector {
    /// The connector id.
    pub id: Uuid,
    /// The name from the request.
    pub name: String,
    /// The phone number id from the request, in lower case.
    pub phone_number_id: String,
    /// The channel id. The API shows it after the provisioning delay.
    pub channel_id: Uuid,
    /// `None` when the delay exceeds the range of the clock.
    ready_at: Option<Instant>,
    created_at: Timestamp,
    updated_at: Timestamp,
    template: String,
    arguments: Value,
}

/// A request that the sandbox received.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status of the response, or `None` when a fault suppressed the response.
    pub status: Option<u16>,
    /// The first 4,096 bytes of the body, as text. `Debug` omits them, because the request may hold secrets.
    pub body: String,
}

impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

pub(crate) struct State {
    config: Builder,
    pub(crate) contract: Contract,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) connectors: Vec<StoredConnector>,
    /// Positions in `connectors`.
    by_id: HashMap<Uuid, usize>,
    phone_numbers: HashSet<String>,
    pub(crate) requests: VecDeque<ReceivedRequest>,
    /// The number of requests of each method.
    pub(crate) received: HashMap<Method, u64>,
    /// The number of responses with each status.
    pub(crate) responses: HashMap<u16, u64>,
    /// The start of the current second of each rate limit, and the number of requests since then.
    windows: HashMap<Method, (Instant, u32)>,
    faults: Vec<Fault>,
}

impl State {
    pub(crate) fn new(config: Builder) -> Self {
        let inner = Inner { faults: config.faults.clone(), ..Inner::default() };
        Self { config, contract: Contract::new(), inner: Mutex::new(inner) }
    }

    pub(crate) fn access_key(&self) -> &str {
        &self.config.access_key.0
    }

    pub(crate) fn workspace_id(&self) -> Uuid {
        self.config.workspace_id
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and returns the failure to inject, if any.
    pub(crate) fn next_fault(&self, method: &Method) -> Option<Kind> {
        let inner = &mut *self.lock();
        let received = inner.received.entry(method.clone()).or_default();
        let nth = *received;
        *received += 1;
        inner.faults.iter_mut().find_map(|fault| fault.next(method, nth))
    }

    pub(crate) fn record(&self, head: &Parts, status: Option<StatusCode>, body: &[u8]) {
        let mut inner = self.lock();
        let status = status.map(|status| status.as_u16());
        if let Some(status) = status {
            *inner.responses.entry(status).or_default() += 1;
        }
        if inner.requests.len() == REQUESTS_KEPT {
            inner.requests.pop_front();
        }
        inner.requests.push_back(ReceivedRequest {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            status,
            body: String::from_utf8_lossy(&body[..body.len().min(BODY_KEPT)]).into_owned(),
        });
    }

    /// Counts a request and returns whether it is within the limit of its method.
    pub(crate) fn within_limit(&self, method: &Method) -> bool {
        let limit = match *method {
            Method::GET => self.config.get_limit,
            Method::POST => self.config.post_limit,
            _ => return true,
        };
        let mut inner = self.lock();
        let now = Instant::now();
        let (start, used) = inner.windows.entry(method.clone()).or_insert((now, 0));
        if now.duration_since(*start) >= Duration::from_secs(1) {
            (*start, *used) = (now, 0);
        }
        *used += 1;
        *used <= limit
    }

    /// Returns whether a body has no use case for a phone number that needs one.
    pub(crate) fn lacks_use_case(&self, body: &Value) -> bool {
        let arguments = &body["arguments"];
        let number = arguments["phoneNumberId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        number.is_some_and(|number| self.config.use_case_required.contains(&number))
            && arguments["useCaseId"].is_null()
    }

    /// Creates a connector from a valid body, or returns `None` when the phone number has one.
    pub(crate) fn create(&self, body: &Value) -> Option<Value> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let phone_number_id = text(&body["arguments"]["phoneNumberId"]).to_ascii_lowercase();
        let mut inner = self.lock();
        if inner.phone_numbers.contains(&phone_number_id) {
            return None;
        }
        let nth = inner.connectors.len();
        let delay = self.config.provisioning_delay.for_connector(nth);
        let created_at = Timestamp::now();
        let connector = StoredConnector {
            id: Uuid::new_v4(),
            name: text(&body["name"]),
            phone_number_id,
            channel_id: Uuid::new_v4(),
            ready_at: Instant::now().checked_add(delay),
            created_at,
            updated_at: created_at.checked_add(delay).unwrap_or(created_at),
            template: text(&body["connectorTemplateRef"]),
            arguments: body["arguments"].clone(),
        };
        let json = connector.json(self.workspace_id());
        inner.by_id.insert(connector.id, nth);
        inner.phone_numbers.insert(connector.phone_number_id.clone());
        inner.connectors.push(connector);
        Some(json)
    }

    pub(crate) fn connector(&self, id: Uuid) -> Option<Value> {
        let inner = self.lock();
        let nth = *inner.by_id.get(&id)?;
        Some(inner.connectors[nth].json(self.workspace_id()))
    }
}

impl StoredConnector {
    fn json(&self, workspace_id: Uuid) -> Value {
        let ready = self.ready_at.is_some_and(|at| Instant::now() >= at);
        let updated_at = if ready { self.updated_at } else { self.created_at };
        let slug = self.template.split(':').next().unwrap_or_default();
        json!({
            "id": self.id,
            "workspaceId": workspace_id,
            "name": self.name,
            "region": "sandbox",
            "arguments": self.arguments,
            "channel": ready.then(|| json!({
                "channelId": self.channel_id,
                "platform": slug,
            })),
            "number": ready.then(|| json!({
                "numberId": self.phone_number_id,
                "phoneNumber": "+31970000000",
                "capabilities": "sms-inbound,sms-outbound",
                "numberType": "mobile",
                "endpointType": "long-code-number",
                "country": "NL",
            })),
            "connectorTemplateSlug": slug,
            "connectorTemplateRef": self.template,
            "createdAt": self.created_at.to_string(),
            "updatedAt": updated_at.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_second_allows_as_many_requests_as_the_limit() {
        let state = State::new(Builder { get_limit: 2, ..Builder::default() });
        for _ in 0..2 {
            assert_eq!([(); 3].map(|()| state.within_limit(&Method::GET)), [true, true, false]);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}
