//! The two endpoints, and what they answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::Details;
use crate::fault::Kind;
use crate::listener::{Break, Connection};
use crate::state::{ReceivedRequest, State};

/// The largest body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

/// What of a request matters here.
struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    /// None when it was longer than the limit, or broke off.
    body: Option<Vec<u8>>,
}

/// Every request comes here: what goes wrong on purpose comes before what is answered.
async fn handle(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // Read in any case: a connection that closes on unread bytes resets, and takes the answer with it.
    let body = read(body).await;
    let kept = body.as_deref().unwrap_or_default();
    let mut received = ReceivedRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        status: None,
        body: String::from_utf8_lossy(&kept[..kept.len().min(ReceivedRequest::BODY_KEPT)])
            .into_owned(),
    };
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    let (answer, end) = match state.next_fault(&call.method) {
        None => (answer(&state, &call), None),
        Some(Kind::Status(status)) => (Answer::fault(status), None),
        Some(Kind::Garbage) => {
            let mut answer = answer(&state, &call);
            if answer.status.is_success() {
                answer.body = None;
            }
            (answer, None)
        }
        Some(Kind::Hang) => {
            state.record(received);
            return std::future::pending().await;
        }
        Some(Kind::Reset) => (Answer::fault(500), Some(Break::Reset)),
        Some(Kind::Lost) => (answer(&state, &call), Some(Break::Close)),
    };
    match end {
        Some(end) => connection.break_off(end),
        None => received.status = Some(answer.status.as_u16()),
    }
    // Before the answer leaves: who has the answer finds the request recorded.
    state.record(received);
    answer.into_response()
}

/// Reads all, and keeps it unless it is longer than the limit.
async fn read(mut body: Body) -> Option<Vec<u8>> {
    let mut bytes = Some(Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        bytes = bytes.filter(|bytes| bytes.len() + data.len() <= BODY_LIMIT);
        if let Some(bytes) = &mut bytes {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}

struct Answer {
    status: StatusCode,
    /// Without a body it is one that cannot be read.
    body: Option<Value>,
    allow: Option<&'static str>,
}

impl Answer {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), allow: None }
    }

    fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::new(status, json!({ "code": code, "message": message }))
    }

    fn method_not_allowed(allowed: &Method) -> Self {
        Self {
            allow: Some(if *allowed == Method::GET { "GET" } else { "POST" }),
            ..Self::error(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "This path does not know the method",
            )
        }
    }

    fn invalid(details: &Details) -> Self {
        let mut answer = Self::error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "InvalidPayload",
            "One or more fields provided in the request body are malformed",
        );
        if let Some(body) = &mut answer.body {
            body["details"] = json!(details);
        }
        answer
    }

    fn fault(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::error(status, "Fault", "The sandbox was told to answer so")
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(match &self.body {
            Some(body) => body.to_string(),
            None => "{\"garbage".to_owned(),
        }));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let id = Uuid::new_v4().to_string();
        headers.insert("x-request-id", id.parse().expect("a UUID is a header value"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            // No window is longer.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// The order of the checks is Bird's as far as it is known: who asks, how often, where, what.
fn answer(state: &State, call: &Call) -> Answer {
    let not_found = |message| Answer::error(StatusCode::NOT_FOUND, "NotFound", message);
    if !authorized(state, &call.headers) {
        return Answer::error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Access key is missing or invalid",
        );
    }
    if !state.within_limit(&call.method) {
        return Answer::error(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Rate limit exceeded",
        );
    }
    let (workspace, connector) = match *call.path.split('/').collect::<Vec<_>>() {
        ["", "workspaces", workspace, "connectors"] => (workspace, None),
        ["", "workspaces", workspace, "connectors", connector] => (workspace, Some(connector)),
        _ => return not_found("There is nothing here"),
    };
    let allowed = if connector.is_some() { Method::GET } else { Method::POST };
    if call.method != allowed {
        return Answer::method_not_allowed(&allowed);
    }
    let (Some(workspace), Ok(connector)) =
        (id(workspace), connector.map(|text| id(text).ok_or(())).transpose())
    else {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "An id in the path is not a UUID",
        );
    };
    if workspace != state.workspace_id {
        return not_found("Workspace not found");
    }
    match connector {
        Some(id) => match state.connector(id) {
            Some(connector) => Answer::new(StatusCode::OK, connector),
            None => not_found("Connector not found"),
        },
        None => create(state, call),
    }
}

/// An id as the contract writes it: the uuid crate reads other spellings too.
fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

fn create(state: &State, call: &Call) -> Answer {
    if !is_json(&call.headers) {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "The content type is not application/json",
        );
    }
    let Some(body) = &call.body else {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "The body is larger than 1 MiB",
        );
    };
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Answer::error(StatusCode::BAD_REQUEST, "BadRequest", "The body is not JSON");
    };
    let details = state.contract.check(&body);
    if !details.is_empty() {
        return Answer::invalid(&details);
    }
    match state.create(&body) {
        Some(connector) => Answer::new(StatusCode::CREATED, connector),
        None => Answer::error(
            StatusCode::CONFLICT,
            "AlreadyExists",
            "A connector for this phone number already exists",
        ),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn authorized(state: &State, headers: &HeaderMap) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("AccessKey "))
        .is_some_and(|key| key == state.key.0)
}
