use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bird_api::types::CreateConnectorReq;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};

use super::Client;
use super::provisioning_times::ProvisioningTimes;
use crate::transport::{RateLimiter, ResponseTime};
use crate::{ConnectorId, WorkspaceId};

/// The paths of the requests, as the contract has them.
pub(crate) const CREATE_PATH: &str = "/workspaces/{workspaceId}/connectors";
pub(crate) const GET_PATH: &str = "/workspaces/{workspaceId}/connectors/{connectorId}";

/// The connectors that can be polled within this time are few, and are polled as soon as those of single installs.
const FEW_GETS: Duration = Duration::from_secs(4);

/// The state that all installs of a client in one workspace share.
#[derive(Debug)]
pub(crate) struct WorkspaceState {
    pub(crate) posts: RateLimiter,
    pub(crate) gets: RateLimiter,
    pub(crate) provisioning: ProvisioningTimes,
    pub(crate) response_time: ResponseTime,
    /// The number of connectors of batches whose next poll is due, and waits for a permit.
    pub(crate) due: AtomicU32,
    /// The number of connectors of batches whose next poll is not due.
    pub(crate) later: AtomicU32,
    /// The POST without its body.
    create: Request,
    /// The GET with the nil UUID as the id of the connector.
    get: Request,
}

impl WorkspaceState {
    /// Builds both requests once. The requests of installs are copies, because parsing a URL is among the most
    /// expensive parts of building a request.
    pub(super) fn new(client: &Client, id: WorkspaceId) -> Self {
        let checked = "the base URL was checked when the client was built";
        let body = CreateConnectorReq::new(String::new());
        let mut create = client.raw().create_connector_request(id.as_uuid(), &body).expect(checked);
        *create.body_mut() = None;
        let get = client.raw().get_connector_request(id.as_uuid(), &uuid::Uuid::nil());
        let mut get = get.expect(checked);
        for request in [&mut create, &mut get] {
            // A copy then has room for the headers that each exchange sets.
            for name in [AUTHORIZATION, USER_AGENT] {
                request.headers_mut().insert(name, HeaderValue::from_static(""));
            }
        }
        let (limits, now) = (client.limits(), client.runtime().now());
        let limiter = |limit| RateLimiter::new(limit, now, Arc::clone(client.first_response()));
        Self {
            posts: limiter(limits.posts_per_second),
            gets: limiter(limits.gets_per_second),
            provisioning: ProvisioningTimes::default(),
            response_time: ResponseTime::default(),
            due: AtomicU32::new(0),
            later: AtomicU32::new(0),
            create,
            get,
        }
    }

    /// Returns how long the GETs take that wait for the rate limit: another GET delays them by as much in sum.
    pub(crate) fn gets_backlog(&self) -> Duration {
        self.gets.backlog(self.due.load(Ordering::Relaxed))
    }

    /// Returns how long the next GETs take of the connectors of batches that are not due, beyond [`FEW_GETS`].
    pub(crate) fn later_gets(&self) -> Duration {
        self.gets.backlog(self.later.load(Ordering::Relaxed)).saturating_sub(FEW_GETS)
    }

    /// Returns the POST with this body.
    pub(super) fn create_request(&self, body: &CreateConnectorReq) -> Request {
        let mut request = copy(&self.create);
        let body = serde_json::to_vec(body).expect("strings, numbers and maps of strings are JSON");
        *request.body_mut() = Some(body.into());
        request
    }

    /// Returns the GET of this connector.
    pub(super) fn get_request(&self, id: ConnectorId) -> Request {
        let mut request = copy(&self.get);
        let mut segments =
            request.url_mut().path_segments_mut().expect("the URL of a request has a path");
        let mut text = uuid::Uuid::encode_buffer();
        segments.pop().push(id.as_uuid().hyphenated().encode_lower(&mut text));
        drop(segments);
        request
    }
}

fn copy(request: &Request) -> Request {
    request.try_clone().expect("a request without a body can be cloned")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessKey;

    #[test]
    fn the_paths_are_those_of_the_requests() {
        let client = Client::builder().access_key(AccessKey::new("k").unwrap()).build().unwrap();
        let id = uuid::Uuid::from_u128(1);
        let state = WorkspaceState::new(&client, id.into());
        let filled = |template: &str| {
            let path = template.replace("{workspaceId}", &id.to_string());
            path.replace("{connectorId}", &id.to_string())
        };
        let body = CreateConnectorReq::new("n".to_owned());
        assert_eq!(state.create_request(&body).url().path(), filled(CREATE_PATH));
        assert_eq!(state.get_request(id.into()).url().path(), filled(GET_PATH));
    }
}
