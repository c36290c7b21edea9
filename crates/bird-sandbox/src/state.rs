//! The state of a sandbox: connectors, requests, limits and faults.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::contract::Contract;
use crate::delay::Delay;
use crate::fault::{ActiveFault, Fault, Kind};
use crate::http::header;
use crate::number::{NUMBERS, Number};
use crate::seed::Seed;

/// How many requests a sandbox keeps.
const REQUESTS_KEPT: usize = 10_000;
/// How many bytes a sandbox keeps of a request's path, and of its body.
const BYTES_KEPT: usize = 4096;
/// The minimum length of an access key that is redacted, in bytes. A shorter key could occur in other text by chance.
const SHORTEST_REDACTED: usize = 8;

/// A connector in the sandbox.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredConnector {
    /// The connector id.
    pub id: Uuid,
    /// The name from the request.
    pub name: String,
    /// The phone number id from the request, in lower case. Empty for a connector without a template.
    pub phone_number_id: String,
    /// The channel id. The API shows it after the provisioning delay.
    pub channel_id: Uuid,
    /// When the channel appears, or `None` if that is beyond the range of the clock.
    ready_at: Option<Instant>,
    pub(crate) created_at: Timestamp,
    updated_at: Timestamp,
    template: Option<String>,
    arguments: Value,
}

/// A connector to add without a request, as if an earlier run of the program under test had created it.
///
/// In JSON, the fields are in camel case and the delay is a string.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectorSeed {
    /// The name of the connector.
    pub name: String,
    /// The phone number id.
    pub phone_number_id: Uuid,
    /// The connector id, or `None` for a random one.
    pub id: Option<Uuid>,
    /// The channel id, or `None` for a random one.
    pub channel_id: Option<Uuid>,
    /// How long it takes until the connector has its channel, or `None` if it already has one.
    #[serde(default, deserialize_with = "delay")]
    pub provisioning_delay: Option<Delay>,
}

/// An error from adding a connector whose phone number id or connector id another connector already has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connector with this phone number id or connector id already exists")]
pub struct AlreadyExists;

impl ConnectorSeed {
    /// Creates a seed for a connector with random ids that already has its channel.
    #[must_use]
    pub fn new(name: impl Into<String>, phone_number_id: Uuid) -> Self {
        Self {
            name: name.into(),
            phone_number_id,
            id: None,
            channel_id: None,
            provisioning_delay: None,
        }
    }
}

fn delay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Delay>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}

/// A request that the sandbox received.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// When the request was processed, before the response delay.
    pub time: Timestamp,
    /// The method, such as `GET`.
    pub method: String,
    /// The first 4,096 bytes of the path, without the query. If there is an observer, the access key is redacted in it.
    pub path: String,
    /// The status of the response, or `None` when a fault suppressed the response.
    pub status: Option<u16>,
    /// The fault that was injected, as it was written, or `None`.
    pub fault: Option<String>,
    /// The first 4,096 bytes of the body. `Debug` and `Serialize` omit it, because it may contain secrets.
    #[serde(skip)]
    pub body: String,
}

impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedRequest")
            .field("time", &self.time)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) provisioning_delay: Delay,
    pub(crate) response_delay: Delay,
    pub(crate) seed: Option<u64>,
    pub(crate) access_key: Option<Key>,
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) get_limit: u32,
    pub(crate) post_limit: u32,
    pub(crate) faults: Vec<Fault>,
    pub(crate) observer: Option<Observer>,
    pub(crate) use_case_required: Vec<Uuid>,
    /// The long codes. If empty, the sandbox has [`NUMBERS`].
    pub(crate) numbers: Vec<Number>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provisioning_delay: Delay::from(Duration::from_secs(2)),
            response_delay: Delay::from(Duration::ZERO),
            seed: None,
            access_key: None,
            workspace_id: None,
            get_limit: 50,
            post_limit: 500,
            faults: Vec::new(),
            observer: None,
            use_case_required: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Key(pub(crate) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[derive(Clone)]
pub(crate) struct Observer(pub(crate) Arc<dyn Fn(&ReceivedRequest) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

pub(crate) struct State {
    config: Config,
    seed: Seed,
    access_key: Key,
    /// The token that authenticates the inspector. It does not follow from the seed, which others may know.
    token: String,
    workspace_id: Uuid,
    pub(crate) contract: Contract,
    pub(crate) numbers: Vec<Number>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) connectors: Vec<StoredConnector>,
    /// The index in `connectors` of each connector id.
    by_id: HashMap<Uuid, usize>,
    /// The index in `connectors` of each phone number id that has a connector.
    by_phone_number_id: HashMap<String, usize>,
    pub(crate) requests: VecDeque<ReceivedRequest>,
    /// The number of recorded requests, including those no longer kept.
    pub(crate) recorded: u64,
    /// The number of requests of each method.
    pub(crate) received: HashMap<Method, u64>,
    /// The number of responses with each status.
    pub(crate) responses: HashMap<u16, u64>,
    /// For each method, the start of the current second of its rate limit and the number of requests in that second.
    windows: HashMap<Method, (Instant, u32)>,
    /// The faults that may fail more requests, with their ids.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// The number of faults added so far, and the id of the last one.
    faults_added: u64,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        let mut inner = Inner::default();
        for fault in &config.faults {
            inner.add_fault(fault.clone());
        }
        let seed = Seed::new(config.seed);
        let mut numbers = config.numbers.clone();
        if numbers.is_empty() {
            numbers.extend(NUMBERS.map(Number::long_code));
        }
        numbers.extend([Number::short_code(), Number::alpha()]);
        let random_key = || Key(format!("sandbox-{}", seed.new_id().simple()));
        Self {
            access_key: config.access_key.clone().unwrap_or_else(random_key),
            token: Uuid::new_v4().to_string(),
            workspace_id: config.workspace_id.unwrap_or_else(|| seed.new_id()),
            contract: Contract::new(),
            numbers,
            inner: Mutex::new(inner),
            config,
            seed,
        }
    }

    pub(crate) fn access_key(&self) -> &str {
        &self.access_key.0
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn accepts_key_of(&self, head: &Parts) -> bool {
        header(head, &AUTHORIZATION).strip_prefix("AccessKey ") == Some(self.access_key())
    }

    pub(crate) fn workspace_id(&self) -> Uuid {
        self.workspace_id
    }

    pub(crate) fn new_id(&self) -> Uuid {
        self.seed.new_id()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and returns the failure to inject, if any, and the text of its fault.
    pub(crate) fn next_fault(&self, head: &Parts, body: &[u8]) -> Option<(Kind, String)> {
        let inner = &mut *self.lock();
        *inner.received.entry(head.method.clone()).or_default() += 1;
        let by_number = inner.faults.iter().any(|(_, fault)| fault.has_phone_number_id());
        let number = by_number.then(|| inner.phone_number_id(head, body)).flatten();
        let mut injected = None;
        for (_, fault) in &mut inner.faults {
            if let Some(kind) = fault.next(&head.method, number.as_deref(), injected.is_some()) {
                injected = Some((kind, fault.to_string()));
            }
        }
        if injected.is_some() {
            inner.faults.retain(|(_, fault)| fault.remaining() != Some(0));
        }
        injected
    }

    /// Records a request, and returns how long to delay its response.
    pub(crate) fn record(
        &self,
        head: &Parts,
        status: Option<StatusCode>,
        fault: Option<String>,
        body: &[u8],
    ) -> Duration {
        let kept =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(BYTES_KEPT)]).into();
        let status = status.map(|status| status.as_u16());
        let mut request = ReceivedRequest {
            time: self.seed.now(),
            method: head.method.to_string(),
            path: kept(head.uri.path().as_bytes()),
            status,
            fault,
            body: kept(body),
        };
        if let Some(Observer(observe)) = &self.config.observer {
            request.path = self.redact(request.path);
            observe(&request);
        }
        let mut inner = self.lock();
        if let Some(status) = status {
            *inner.responses.entry(status).or_default() += 1;
        }
        let delay = self.config.response_delay.nth(self.seed.number(), inner.recorded);
        inner.recorded += 1;
        if inner.requests.len() == REQUESTS_KEPT {
            inner.requests.pop_front();
        }
        inner.requests.push_back(request);
        delay
    }

    /// Replaces the access key in `text`, unless the key is very short.
    pub(crate) fn redact(&self, text: String) -> String {
        let key = self.access_key();
        if key.len() < SHORTEST_REDACTED || !text.contains(key) {
            return text;
        }
        text.replace(key, "[redacted]")
    }

    /// Counts a request, and returns whether it is within the rate limit of its method.
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

    /// Returns whether a body lacks the use case that its phone number needs.
    pub(crate) fn lacks_use_case(&self, body: &Value) -> bool {
        let arguments = &body["arguments"];
        let number = arguments["phoneNumberId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        number.is_some_and(|number| self.needs_use_case(number)) && arguments["useCaseId"].is_null()
    }

    pub(crate) fn needs_use_case(&self, phone_number_id: Uuid) -> bool {
        self.config.use_case_required.contains(&phone_number_id)
    }

    /// Returns a number that is listed, needs a use case or has a connector. Even an unlisted id can be installed.
    pub(crate) fn number(&self, id: Uuid) -> Option<Number> {
        let listed = self.numbers.iter().find(|number| number.id == id).cloned();
        let is_known = || self.needs_use_case(id) || self.connector_of(id).is_some();
        listed.or_else(|| is_known().then(|| Number::unlisted(id)))
    }

    /// Returns the id of the connector that uses a number, and whether it has a use case.
    pub(crate) fn connector_of(&self, phone_number_id: Uuid) -> Option<(Uuid, bool)> {
        let inner = self.lock();
        let nth = inner.by_phone_number_id.get(&phone_number_id.to_string())?;
        let connector = &inner.connectors[*nth];
        Some((connector.id, !connector.arguments["useCaseId"].is_null()))
    }

    /// Creates a connector from a valid body, or returns `None` if the phone number already has one.
    pub(crate) fn create(&self, body: &Value) -> Option<Value> {
        self.create_as(body, self.new_id(), self.new_id(), self.config.provisioning_delay)
    }

    fn create_as(&self, body: &Value, id: Uuid, channel_id: Uuid, delay: Delay) -> Option<Value> {
        let template = body["connectorTemplateRef"].as_str();
        // Without a template, the arguments have no meaning.
        let phone_number_id = template.and(body["arguments"]["phoneNumberId"].as_str());
        let phone_number_id = phone_number_id.unwrap_or_default().to_ascii_lowercase();
        let mut inner = self.lock();
        if inner.by_phone_number_id.contains_key(&phone_number_id) {
            return None;
        }
        let nth = inner.connectors.len();
        let delay = delay.nth(self.seed.number(), nth as u64);
        let created_at = self.seed.now();
        let connector = StoredConnector {
            id,
            name: body["name"].as_str().unwrap_or_default().to_owned(),
            phone_number_id,
            channel_id,
            ready_at: Instant::now().checked_add(delay),
            created_at,
            updated_at: created_at.checked_add(delay).unwrap_or(created_at),
            template: template.map(str::to_owned),
            arguments: body["arguments"].clone(),
        };
        let json = connector.json(self);
        inner.by_id.insert(connector.id, nth);
        if template.is_some() {
            inner.by_phone_number_id.insert(connector.phone_number_id.clone(), nth);
        }
        inner.connectors.push(connector);
        Some(json)
    }

    /// Creates a connector without a request.
    pub(crate) fn seed(&self, seed: &ConnectorSeed) -> Result<(Uuid, Value), AlreadyExists> {
        let id = seed.id.unwrap_or_else(|| self.new_id());
        if self.lock().by_id.contains_key(&id) {
            return Err(AlreadyExists);
        }
        let body = json!({
            "name": seed.name,
            "connectorTemplateRef": "sms-messagebird:1",
            "arguments": { "phoneNumberId": seed.phone_number_id },
        });
        let channel_id = seed.channel_id.unwrap_or_else(|| self.new_id());
        let delay = seed.provisioning_delay.unwrap_or(Duration::ZERO.into());
        let connector = self.create_as(&body, id, channel_id, delay).ok_or(AlreadyExists)?;
        Ok((id, connector))
    }

    pub(crate) fn connector(&self, id: Uuid) -> Option<Value> {
        let inner = self.lock();
        let nth = *inner.by_id.get(&id)?;
        Some(inner.connectors[nth].json(self))
    }
}

impl Inner {
    /// Adds a fault, and returns its id.
    pub(crate) fn add_fault(&mut self, fault: Fault) -> u64 {
        self.faults_added += 1;
        if fault.remaining() != Some(0) {
            self.faults.push((self.faults_added, fault));
        }
        self.faults_added
    }

    /// Removes a fault, and returns whether it existed.
    pub(crate) fn remove_fault(&mut self, id: u64) -> bool {
        let before = self.faults.len();
        self.faults.retain(|(of, _)| *of != id);
        self.faults.len() < before
    }

    pub(crate) fn active_faults(&self) -> Vec<ActiveFault> {
        let active = self.faults.iter().map(|(id, fault)| ActiveFault {
            id: *id,
            fault: fault.to_string(),
            remaining: fault.remaining(),
        });
        active.collect()
    }

    /// Returns the phone number id in the body of a POST, or of the connector that a GET reads, in lower case.
    fn phone_number_id(&self, head: &Parts, body: &[u8]) -> Option<String> {
        if head.method == Method::POST {
            let body: Value = serde_json::from_slice(body).ok()?;
            return Some(body["arguments"]["phoneNumberId"].as_str()?.to_ascii_lowercase());
        }
        let id = head.uri.path().rsplit('/').next()?.parse().ok()?;
        Some(self.connectors[*self.by_id.get(&id)?].phone_number_id.clone())
    }
}

impl StoredConnector {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_at.is_some_and(|at| Instant::now() >= at)
    }

    fn json(&self, state: &State) -> Value {
        let ready = self.is_ready();
        let updated_at = if ready { self.updated_at } else { self.created_at };
        let mut connector = json!({
            "id": self.id,
            "workspaceId": state.workspace_id(),
            "name": self.name,
            "region": "sandbox",
            "arguments": self.arguments,
            "channel": ready.then(|| json!({ "channelId": self.channel_id })),
            "createdAt": self.created_at.to_string(),
            "updatedAt": updated_at.to_string(),
        });
        if let Some(template) = &self.template {
            let slug = template.split(':').next().unwrap_or_default();
            connector["connectorTemplateSlug"] = json!(slug);
            connector["connectorTemplateRef"] = json!(template);
            if ready {
                connector["channel"]["platform"] = json!(slug);
                let id = Uuid::try_parse(&self.phone_number_id).unwrap_or_default();
                let listed = state.numbers.iter().find(|number| number.id == id);
                let number = listed.cloned().unwrap_or_else(|| Number::unlisted(id));
                connector["number"] = json!({
                    "numberId": id,
                    "phoneNumber": number.text,
                    "capabilities": "sms-inbound,sms-outbound",
                    "numberType": "mobile",
                    "endpointType": number.endpoint_type(),
                    "country": number.country(),
                });
            }
        }
        connector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_limit_restarts_every_second() {
        let state = State::new(Config { get_limit: 2, ..Config::default() });
        for _ in 0..2 {
            assert_eq!([(); 3].map(|()| state.within_limit(&Method::GET)), [true, true, false]);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}
