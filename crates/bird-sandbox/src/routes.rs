//! The two endpoints.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::Kind;
use crate::server::Break;
use crate::state::State;

/// Handles every request: injects the fault that is due, or else responds as the API does.
pub(crate) async fn handle(
    state: &State,
    request: Request<Incoming>,
) -> Result<Response<String>, Break> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Break::Close)?.to_bytes();
    let fault = state.next_fault(&head.method);
    let response = match fault {
        Some(Kind::Reset | Kind::Hang) => None,
        Some(Kind::Status(status)) => Some(error(status, "Fault", "A fault of the sandbox")),
        None | Some(Kind::Lost | Kind::Garbage) => Some(respond(state, &head, &body)),
    };
    let response = response.filter(|_| fault != Some(Kind::Lost));
    // The request is recorded before the client has the response, so that a test sees it.
    state.record(&head, response.as_ref().map(Response::status), &body);
    let Some(response) = response else {
        return match fault {
            Some(Kind::Hang) => std::future::pending().await,
            Some(Kind::Reset) => Err(Break::Reset),
            _ => Err(Break::Close),
        };
    };
    let garbage = fault == Some(Kind::Garbage) && response.status().is_success();
    let mut response =
        response.map(|body| if garbage { "{\"garbage".to_owned() } else { body.to_string() });
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let id = Uuid::new_v4().to_string();
    headers.insert("x-request-id", id.parse().expect("a UUID is a header value"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        // The windows of the rate limit are one second long.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

fn json_response(status: u16, body: Value) -> Response<Value> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn error(status: u16, code: &str, message: &str) -> Response<Value> {
    json_response(status, json!({ "code": code, "message": message }))
}

/// Responds as the API does. The order of the checks is Bird's as far as it is known: the key, the rate limit,
/// the path, the body.
fn respond(state: &State, head: &Parts, body: &[u8]) -> Response<Value> {
    let not_found = |message| error(404, "NotFound", message);
    if header(head, &AUTHORIZATION).strip_prefix("AccessKey ") != Some(state.access_key()) {
        return error(401, "Unauthorized", "Access key is missing or invalid");
    }
    if !state.within_limit(&head.method) {
        return error(429, "TooManyRequests", "Rate limit exceeded");
    }
    let (workspace, connector) = match *head.uri.path().split('/').collect::<Vec<_>>() {
        ["", "workspaces", workspace, "connectors"] => (workspace, None),
        ["", "workspaces", workspace, "connectors", connector] => (workspace, Some(connector)),
        _ => return not_found("Path not found"),
    };
    let allowed = if connector.is_some() { Method::GET } else { Method::POST };
    if head.method != allowed {
        let mut response = error(405, "MethodNotAllowed", "Method not allowed");
        let allowed = allowed.as_str().parse().expect("a method is a header value");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    if id(workspace) != Some(state.workspace_id()) {
        return not_found("Workspace not found");
    }
    match connector {
        None => create(state, head, body),
        Some(text) => match id(text).and_then(|id| state.connector(id)) {
            Some(connector) => json_response(200, connector),
            None => not_found("Connector not found"),
        },
    }
}

/// Returns a header, or an empty text.
fn header<'a>(head: &'a Parts, name: &HeaderName) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Parses an id as the contract writes it. The uuid crate accepts other spellings too.
fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

fn create(state: &State, head: &Parts, body: &[u8]) -> Response<Value> {
    let content_type = header(head, &CONTENT_TYPE).split(';').next().unwrap_or_default();
    if !content_type.trim().eq_ignore_ascii_case("application/json") {
        return error(400, "BadRequest", "The content type is not application/json");
    }
    let Ok(body) = serde_json::from_slice(body) else {
        return error(400, "BadRequest", "The body is not JSON");
    };
    let details = state.contract.validate(&body);
    if !details.is_empty() {
        let message = "One or more fields provided in the request body are malformed";
        let mut response = error(422, "InvalidPayload", message);
        response.body_mut()["details"] = json!(details);
        return response;
    }
    match state.create(&body) {
        Some(connector) => json_response(201, connector),
        None => error(409, "AlreadyExists", "A connector for this phone number already exists"),
    }
}
