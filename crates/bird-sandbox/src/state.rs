//! The state of a sandbox: connectors, requests, limits and faults.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::contract::Contract;
use crate::fault::{self, Faults, Kind};
use crate::limit::RateLimit;
use crate::{Builder, Delay, Key};

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
    /// The first [`ReceivedRequest::BODY_KEPT`] bytes of the body, as text. `Debug` omits them, because the
    /// request may hold secrets.
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

impl ReceivedRequest {
    /// The number of requests that the sandbox keeps: the last ones.
    pub const KEPT: usize = 10_000;
    /// The number of bytes that the sandbox keeps of a body: the first ones.
    pub const BODY_KEPT: usize = 4096;
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: Key,
    pub(crate) workspace_id: Uuid,
    pub(crate) contract: Contract,
    provisioning_delay: Delay,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connectors: Vec<StoredConnector>,
    /// Positions in `connectors`.
    by_id: HashMap<Uuid, usize>,
    by_phone_number: HashMap<String, usize>,
    requests: VecDeque<ReceivedRequest>,
    posts: u64,
    gets: u64,
    responses: BTreeMap<u16, u64>,
    get_limit: RateLimit,
    post_limit: RateLimit,
    faults: Faults,
}

impl State {
    pub(crate) fn new(builder: Builder) -> Self {
        Self {
            key: builder.access_key,
            workspace_id: builder.workspace_id,
            contract: Contract::new(),
            provisioning_delay: builder.provisioning_delay,
            inner: Mutex::new(Inner {
                connectors: Vec::new(),
                by_id: HashMap::new(),
                by_phone_number: HashMap::new(),
                requests: VecDeque::new(),
                posts: 0,
                gets: 0,
                responses: BTreeMap::new(),
                get_limit: RateLimit::new(builder.get_limit),
                post_limit: RateLimit::new(builder.post_limit),
                faults: Faults::new(&builder.faults),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connectors(&self) -> Vec<StoredConnector> {
        self.lock().connectors.clone()
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    pub(crate) fn post_count(&self) -> u64 {
        self.lock().posts
    }

    pub(crate) fn get_count(&self) -> u64 {
        self.lock().gets
    }

    pub(crate) fn response_count(&self, status: u16) -> u64 {
        self.lock().responses.get(&status).copied().unwrap_or_default()
    }

    pub(crate) fn record(&self, request: ReceivedRequest) {
        let mut inner = self.lock();
        match request.method.as_str() {
            "POST" => inner.posts += 1,
            "GET" => inner.gets += 1,
            _ => {}
        }
        if let Some(status) = request.status {
            *inner.responses.entry(status).or_default() += 1;
        }
        if inner.requests.len() == ReceivedRequest::KEPT {
            inner.requests.pop_front();
        }
        inner.requests.push_back(request);
    }

    pub(crate) fn next_fault(&self, method: &Method) -> Option<Kind> {
        match *method {
            Method::GET => self.lock().faults.next(fault::Method::Get),
            Method::POST => self.lock().faults.next(fault::Method::Post),
            _ => None,
        }
    }

    pub(crate) fn within_limit(&self, method: &Method) -> bool {
        let mut inner = self.lock();
        match *method {
            Method::GET => inner.get_limit.allow(),
            Method::POST => inner.post_limit.allow(),
            _ => true,
        }
    }

    /// Creates a connector from a valid body, or returns `None` when the phone number has one.
    pub(crate) fn create(&self, body: &Value) -> Option<Value> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let phone_number_id = text(&body["arguments"]["phoneNumberId"]).to_ascii_lowercase();
        let mut inner = self.lock();
        let nth = inner.connectors.len();
        if inner.by_phone_number.contains_key(&phone_number_id) {
            return None;
        }
        let delay = self.provisioning_delay.for_connector(nth);
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
        let json = connector.json(self.workspace_id);
        inner.by_id.insert(connector.id, nth);
        inner.by_phone_number.insert(connector.phone_number_id.clone(), nth);
        inner.connectors.push(connector);
        Some(json)
    }

    pub(crate) fn connector(&self, id: Uuid) -> Option<Value> {
        let inner = self.lock();
        let nth = *inner.by_id.get(&id)?;
        Some(inner.connectors[nth].json(self.workspace_id))
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
