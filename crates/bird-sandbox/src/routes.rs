//! Handles requests as Bird's API does, and injects faults.

use std::error::Error;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::body::{Break, ResponseBody};
use crate::control;
use crate::fault::Kind;
use crate::http::{error, header, json_response};
use crate::lists;
use crate::state::State;

/// The maximum size of a request body, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Handles a request: injects a fault if one is due, or else responds as the API does. Control requests are neither
/// counted nor recorded.
pub(crate) async fn handle<B>(
    state: &State,
    request: Request<B>,
) -> Result<Response<ResponseBody>, Break>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    if control::is_control(request.uri()) {
        // Boxed, because an unboxed future would enlarge the future of every request.
        return Ok(Box::pin(control::handle(state, request)).await.map(ResponseBody::whole));
    }
    let (head, body) = request.into_parts();
    let mut too_long = false;
    let body = if state.accepts_key_of(&head) {
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                too_long = true;
                Bytes::new()
            }
            Err(_) => return Err(Break::Close),
        }
    } else {
        // The response will be a 401, whatever the body is.
        Bytes::new()
    };
    let (fault, fault_text) = state.next_fault(&head, &body).unzip();
    let response = match fault {
        Some(Kind::Reset | Kind::Hang) => None,
        Some(Kind::Status(status)) => Some(with_status(state, status)),
        _ if too_long => Some(error(413, "PayloadTooLarge", "The body is longer than 1 MiB")),
        None | Some(Kind::Lost | Kind::Garbage | Kind::Cut) => Some(respond(state, &head, &body)),
    };
    let response = response.filter(|_| fault != Some(Kind::Lost));
    // The request is recorded before the client gets the response, because a test may then look at it at once.
    let delay = state.record(&head, response.as_ref().map(Response::status), fault_text, &body);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let Some(response) = response else {
        return match fault {
            Some(Kind::Hang) => std::future::pending().await,
            Some(Kind::Reset) => Err(Break::Reset),
            _ => Err(Break::Close),
        };
    };
    let status = response.status();
    let mut content_type = "application/json";
    let mut response = response.map(|body| match (fault, body) {
        (Some(Kind::Garbage), _) if status.is_success() => "{\"garbage".to_owned(),
        (Some(Kind::Status(_)), Value::String(html)) => {
            content_type = "text/html";
            html
        }
        (_, body) => body.to_string(),
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let id = state.new_id().to_string();
    headers.insert("x-request-id", id.parse().expect("a UUID is a valid header value"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        // The windows of the rate limit are one second long.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response.map(match fault {
        Some(Kind::Cut) => ResponseBody::cut,
        _ => ResponseBody::whole,
    }))
}

/// Returns a response with this status as Bird sends it, or with HTML if a gateway sends such a status.
fn with_status(state: &State, status: u16) -> Response<Value> {
    let mut response = json_response(status, Value::Null);
    *response.body_mut() = match status {
        502 | 504 | 520..=530 => {
            let title = response.status().to_string();
            let title = title.replace("<unknown status code>", "Web server error");
            Value::String(format!(
                "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
                 </body>\r\n</html>\r\n"
            ))
        }
        _ => state.contract.error(response.status()),
    };
    response
}

/// Responds as the API does. The order of the checks is Bird's, as far as is known: key, rate limit, path, body.
fn respond(state: &State, head: &Parts, body: &[u8]) -> Response<Value> {
    let not_found = |message| error(404, "NotFound", message);
    if !state.accepts_key_of(head) {
        return error(401, "Unauthorized", "Access key is missing or invalid");
    }
    if !state.within_limit(&head.method) {
        return error(429, "TooManyRequests", "Rate limit exceeded");
    }
    let path: Vec<_> = head.uri.path().split('/').collect();
    let (workspace, path) = match &path[..] {
        ["", "workspaces", workspace, path @ ..] => (*workspace, path),
        _ => return not_found("Path not found"),
    };
    let allowed = match path {
        ["connectors"] => Method::POST,
        ["connectors", _] => Method::GET,
        path if lists::is_path(path) => Method::GET,
        _ => return not_found("Path not found"),
    };
    if head.method != allowed {
        let mut response = error(405, "MethodNotAllowed", "Method not allowed");
        let allowed = allowed.as_str().parse().expect("a method is a valid header value");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    if id(workspace) != Some(state.workspace_id()) {
        return not_found("Workspace not found");
    }
    match path {
        ["connectors"] => create(state, head, body),
        ["connectors", text] => match id(text).and_then(|id| state.connector(id)) {
            Some(connector) => json_response(200, connector),
            None => not_found("Connector not found"),
        },
        path => lists::respond(state, path, head.uri.query().unwrap_or_default()),
    }
}

/// Parses an id in the format of the contract, a UUID with hyphens. `Uuid::try_parse` also accepts other formats.
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
    let mut details = state.contract.validate(&body);
    if state.lacks_use_case(&body) {
        let problem = "property \"useCaseId\" is missing".to_owned();
        details.insert(".arguments.useCaseId".to_owned(), vec![problem]);
    }
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
