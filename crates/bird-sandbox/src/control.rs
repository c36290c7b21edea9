//! The control API: `/_sandbox/…`.

use std::error::Error;
use std::net::IpAddr;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::{Fault, ParseFaultError};
use crate::http::{error, header, json_response};
use crate::state::{ConnectorSeed, State};

const PREFIX: &str = "/_sandbox";
/// The path of the inspector. The page's own requests are relative to this path.
pub(crate) const INSPECTOR: &str = "/_sandbox/";
const TOKEN: HeaderName = HeaderName::from_static("sandbox-token");
/// The maximum size of the body of a control request, in bytes.
const MAX_BODY: usize = 16 * 1024;
/// How many connectors and requests a response lists by default.
const DEFAULT_LIMIT: usize = 50;
/// The maximum `limit` in a query.
const MAX_LIMIT: usize = 1000;

/// Returns whether a URI belongs to the control API.
pub(crate) fn is_control(uri: &Uri) -> bool {
    let rest = uri.path().strip_prefix(PREFIX);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) async fn handle<B>(state: &State, request: Request<B>) -> Response<String>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (head, body) = request.into_parts();
    let (response, content_type) = match refusal(state, &head) {
        Some(reason) => (error(403, "Forbidden", reason), "application/json"),
        None if head.method == Method::GET && head.uri.path() == INSPECTOR => {
            let page = include_str!("inspector.html").replace("{token}", state.token());
            (Response::new(Value::String(page)), "text/html; charset=utf-8")
        }
        None => match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => (respond(state, &head, &body.to_bytes()), "application/json"),
            Err(_) => {
                (error(400, "BadRequest", "The body is too long or incomplete"), "application/json")
            }
        },
    };
    let mut response = response.map(|body| match body {
        Value::Null => String::new(),
        Value::String(page) => page,
        body => body.to_string(),
    });
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns why a request is refused, or `None` if it is allowed.
///
/// The rules keep other web pages out, which do not have the access key. With DNS rebinding, the name of such a page
/// resolves to 127.0.0.1, but its requests still have that name as their host, so the host must be loopback. A change
/// also needs the token of the inspector, which a page of another origin cannot read.
fn refusal(state: &State, head: &Parts) -> Option<&'static str> {
    if state.accepts_key_of(head) {
        return None;
    }
    let hosts: Vec<_> = head.headers.get_all(HOST).iter().collect();
    let is_local = matches!(*hosts, [host] if is_loopback(host.as_bytes()))
        && head.uri.authority().is_none_or(|host| is_loopback(host.as_str().as_bytes()));
    if !is_local {
        return Some("The host is not a loopback address");
    }
    if head.method != Method::GET && header(head, &TOKEN) != state.token() {
        return Some("A change needs the access key or the inspector's token");
    }
    None
}

fn is_loopback(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    let host = authority.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn respond(state: &State, head: &Parts, body: &Bytes) -> Response<Value> {
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let parts: Vec<_> = path.split('/').skip(1).collect();
    let no_content = || json_response(204, Value::Null);
    let response = match (head.method.as_str(), &*parts) {
        ("GET", []) => {
            let mut to_page = json_response(308, Value::Null);
            to_page.headers_mut().insert(LOCATION, HeaderValue::from_static(INSPECTOR));
            Ok(to_page)
        }
        ("GET", ["state"]) => Ok(json_response(200, overview(state, limit(&head.uri)))),
        ("POST", ["connectors"]) => parse(head, body).map(|seed| add_connector(state, &seed)),
        ("POST", ["faults"]) => parse(head, body).and_then(|new| add_fault(state, &new)),
        ("DELETE", ["faults"]) => {
            state.lock().faults.clear();
            Ok(no_content())
        }
        ("DELETE", ["faults", id]) => {
            let removed = id.parse().is_ok_and(|id| state.lock().remove_fault(id));
            Ok(if removed { no_content() } else { error(404, "NotFound", "Fault not found") })
        }
        _ => Ok(error(404, "NotFound", "Path not found")),
    };
    response.unwrap_or_else(|problem| error(400, "BadRequest", &problem))
}

fn limit(uri: &Uri) -> usize {
    let parameters = uri.query().unwrap_or_default().split('&');
    let limit = parameters.filter_map(|parameter| parameter.strip_prefix("limit=")).next_back();
    limit.and_then(|limit| limit.parse().ok()).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)
}

/// Returns the last connectors and requests, newest first, and the faults.
fn overview(state: &State, limit: usize) -> Value {
    let inner = state.lock();
    let connectors = inner.connectors.iter().rev().take(limit).map(|connector| {
        json!({
            "id": connector.id,
            "name": state.redact(connector.name.clone()),
            "phoneNumberId": connector.phone_number_id,
            "channelId": connector.is_ready().then_some(connector.channel_id),
            "createdAt": connector.created_at,
        })
    });
    let requests = inner.requests.iter().rev().take(limit).map(|request| {
        let mut shown = json!(request);
        shown["path"] = state.redact(request.path.clone()).into();
        shown
    });
    json!({
        "workspaceId": state.workspace_id(),
        "connectors": {
            "total": inner.connectors.len(),
            "results": connectors.collect::<Vec<_>>(),
        },
        "requests": { "total": inner.recorded, "results": requests.collect::<Vec<_>>() },
        "faults": inner.active_faults(),
    })
}

fn add_connector(state: &State, seed: &ConnectorSeed) -> Response<Value> {
    match state.seed(seed) {
        Ok((_, connector)) => json_response(201, connector),
        Err(taken) => error(409, "AlreadyExists", &taken.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    fault: String,
}

fn add_fault(state: &State, new: &NewFault) -> Result<Response<Value>, String> {
    let fault: Fault = new.fault.parse().map_err(|problem: ParseFaultError| problem.to_string())?;
    let id = state.lock().add_fault(fault);
    Ok(json_response(201, json!({ "id": id, "fault": new.fault })))
}

/// Parses the JSON body of a request, or returns a message that says what is wrong.
fn parse<'b, T: Deserialize<'b>>(head: &Parts, body: &'b Bytes) -> Result<T, String> {
    // A form on another web page cannot send this content type.
    if header(head, &CONTENT_TYPE).split(';').next() != Some("application/json") {
        return Err("The content type is not application/json".to_owned());
    }
    serde_json::from_slice(body).map_err(|problem| format!("The body is invalid: {problem}"))
}
