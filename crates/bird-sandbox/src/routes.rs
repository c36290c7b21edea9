//! The two endpoints.

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

/// The limit of a request body, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

/// The parts of a request that the endpoints use.
struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    /// `None` when the body is larger than the limit or incomplete.
    body: Option<Vec<u8>>,
}

/// Handles every request: injects the fault that is due, or else responds as the API does.
async fn handle(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // The body is read in any case: closing a connection with unread bytes resets it and loses the response.
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
    let (response, end) = match state.next_fault(&call.method) {
        None => (respond(&state, &call), None),
        Some(Kind::Status(status)) => (JsonResponse::fault(status), None),
        Some(Kind::Garbage) => {
            let mut response = respond(&state, &call);
            if response.status.is_success() {
                response.body = None;
            }
            (response, None)
        }
        Some(Kind::Hang) => {
            state.record(received);
            return std::future::pending().await;
        }
        Some(Kind::Reset) => (JsonResponse::fault(500), Some(Break::Reset)),
        Some(Kind::Lost) => (respond(&state, &call), Some(Break::Close)),
    };
    match end {
        Some(end) => connection.break_off(end),
        None => received.status = Some(response.status.as_u16()),
    }
    // The request is recorded before the client has the response, so that a test sees it.
    state.record(received);
    response.into_http()
}

/// Reads the whole body, and returns it unless it is larger than the limit.
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

struct JsonResponse {
    status: StatusCode,
    /// `None` sends a body that is not JSON.
    body: Option<Value>,
    allow: Option<&'static str>,
}

impl JsonResponse {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), allow: None }
    }

    fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::new(status, json!({ "code": code, "message": message }))
    }

    fn method_not_allowed(allowed: &Method) -> Self {
        Self {
            allow: Some(if *allowed == Method::GET { "GET" } else { "POST" }),
            ..Self::error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "Method not allowed")
        }
    }

    fn invalid(details: &Details) -> Self {
        let mut response = Self::error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "InvalidPayload",
            "One or more fields provided in the request body are malformed",
        );
        if let Some(body) = &mut response.body {
            body["details"] = json!(details);
        }
        response
    }

    fn fault(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::error(status, "Fault", "A fault of the sandbox")
    }

    fn into_http(self) -> Response<Body> {
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
            // The windows of the rate limit are one second long.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Responds as the API does. The order of the checks is Bird's as far as it is known: the key, the rate limit,
/// the path, the body.
fn respond(state: &State, call: &Call) -> JsonResponse {
    let not_found = |message| JsonResponse::error(StatusCode::NOT_FOUND, "NotFound", message);
    if !authorized(state, &call.headers) {
        return JsonResponse::error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Access key is missing or invalid",
        );
    }
    if !state.within_limit(&call.method) {
        return JsonResponse::error(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Rate limit exceeded",
        );
    }
    let (workspace, connector) = match *call.path.split('/').collect::<Vec<_>>() {
        ["", "workspaces", workspace, "connectors"] => (workspace, None),
        ["", "workspaces", workspace, "connectors", connector] => (workspace, Some(connector)),
        _ => return not_found("Path not found"),
    };
    let allowed = if connector.is_some() { Method::GET } else { Method::POST };
    if call.method != allowed {
        return JsonResponse::method_not_allowed(&allowed);
    }
    let (Some(workspace), Ok(connector)) =
        (id(workspace), connector.map(|text| id(text).ok_or(())).transpose())
    else {
        return JsonResponse::error(
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
            Some(connector) => JsonResponse::new(StatusCode::OK, connector),
            None => not_found("Connector not found"),
        },
        None => create(state, call),
    }
}

/// Parses an id as the contract writes it. The uuid crate accepts other spellings too.
fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

fn create(state: &State, call: &Call) -> JsonResponse {
    if !is_json(&call.headers) {
        return JsonResponse::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "The content type is not application/json",
        );
    }
    let Some(body) = &call.body else {
        return JsonResponse::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "The body is larger than 1 MiB",
        );
    };
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return JsonResponse::error(StatusCode::BAD_REQUEST, "BadRequest", "The body is not JSON");
    };
    let details = state.contract.validate(&body);
    if !details.is_empty() {
        return JsonResponse::invalid(&details);
    }
    match state.create(&body) {
        Some(connector) => JsonResponse::new(StatusCode::CREATED, connector),
        None => JsonResponse::error(
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
