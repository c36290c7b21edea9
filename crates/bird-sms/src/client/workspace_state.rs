use std::sync::Mutex;
use std::time::Duration;

use bird_api::types::CreateConnectorReq;
use reqwest::{Request, StatusCode};
use tokio::time::Instant;

use super::Client;
use crate::transport::{RateLimiter, lock};
use crate::{ConnectorId, NumbersRead, WorkspaceId};

/// An endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Create,
    Get,
    Numbers(NumbersRead),
}

impl Route {
    /// Returns the method and the path template of the contract.
    pub(crate) fn template(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("POST", "/workspaces/{workspaceId}/connectors"),
            Self::Get => ("GET", "/workspaces/{workspaceId}/connectors/{connectorId}"),
            Self::Numbers(read) => ("GET", read.template()),
        }
    }
}

/// The state that all installs of a client in one workspace share.
#[derive(Debug)]
pub(crate) struct WorkspaceState {
    posts: RateLimiter,
    gets: RateLimiter,
    responses: Mutex<Responses>,
    /// The POST without a body. It is copied for each creation, because parsing the two URLs again would take a tenth of
    /// the instructions of an install.
    create: Request,
    /// The GET with the nil UUID as the connector id. It is copied for each poll.
    get: Request,
}

/// The times of the responses that decide whether a later 403 or 429 shuts down a batch.
#[derive(Debug, Default)]
struct Responses {
    /// The times of the first and the last 429 in a row. `None` if the last response was not a 429.
    throttled: Option<(Instant, Instant)>,
    /// The time of the last 2xx to the POST of a connector.
    created: Option<Instant>,
    /// The time of the last 2xx to the GET of a connector.
    read: Option<Instant>,
}

impl WorkspaceState {
    pub(super) fn new(client: &Client, id: WorkspaceId) -> Self {
        let checked = "the base URL was checked when the client was built";
        let body = CreateConnectorReq::new(String::new());
        let mut create = client.raw().create_connector_request(id.as_uuid(), &body).expect(checked);
        *create.body_mut() = None;
        let get = client.raw().get_connector_request(id.as_uuid(), &uuid::Uuid::nil());
        let limits = client.settings().limits;
        let now = client.runtime().now();
        let limiter = |limit| RateLimiter::new(limit, now);
        Self {
            posts: limiter(limits.posts_per_second),
            gets: limiter(limits.gets_per_second),
            responses: Mutex::default(),
            create,
            get: get.expect(checked),
        }
    }

    pub(crate) fn create_request(&self, body: &CreateConnectorReq) -> Request {
        let mut request = copy(&self.create);
        let body = serde_json::to_vec(body).expect("strings, numbers and maps of strings are JSON");
        *request.body_mut() = Some(body.into());
        request
    }

    pub(crate) fn get_request(&self, id: ConnectorId) -> Request {
        let mut request = copy(&self.get);
        let segments = request.url_mut().path_segments_mut();
        let mut text = uuid::Uuid::encode_buffer();
        segments
            .expect("the URL of a request has a path")
            .pop()
            .push(id.as_uuid().hyphenated().encode_lower(&mut text));
        request
    }

    pub(crate) fn limiter(&self, route: Route) -> &RateLimiter {
        match route {
            Route::Create => &self.posts,
            Route::Get | Route::Numbers(_) => &self.gets,
        }
    }

    /// Notes when a response came, and its status.
    pub(crate) fn observe(&self, route: Route, status: StatusCode, now: Instant) {
        let mut responses = lock(&self.responses);
        let first = responses.throttled.map_or(now, |(first, _)| first);
        responses.throttled = (status == StatusCode::TOO_MANY_REQUESTS).then_some((first, now));
        match route {
            Route::Create if status.is_success() => responses.created = Some(now),
            Route::Get if status.is_success() => responses.read = Some(now),
            _ => {}
        }
    }

    /// Returns whether a request to this route, a creation or a read of a connector, got a 2xx since `began`.
    pub(crate) fn accepted_since(&self, route: Route, began: Instant) -> bool {
        let responses = lock(&self.responses);
        let accepted = if route == Route::Create { responses.created } else { responses.read };
        accepted.is_some_and(|accepted| accepted >= began)
    }

    /// Returns the time from the first to the last 429 in a row, without the time before `began`.
    pub(crate) fn throttled_since(&self, began: Instant) -> Duration {
        let times = lock(&self.responses).throttled;
        times.map_or(Duration::ZERO, |(first, last)| {
            last.saturating_duration_since(first.max(began))
        })
    }
}

fn copy(request: &Request) -> Request {
    request.try_clone().expect("a request without a body can be cloned")
}
