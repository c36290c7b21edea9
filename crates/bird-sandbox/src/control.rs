//! The control API: `/_sandbox/…`.

use std::error::Error;
use std::net::IpAddr;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::{Fault, ParseFaultError};
use crate::http::{error, header, json_response};
use crate::state::{ConnectorSeed, State};

const PREFIX: &str = "/_sandbox";
/// The path of the page, to which its requests are relative.
pub(crate) const INSPECTOR: &str = "/_sandbox/";
/// The largest body of a control request, in bytes.
const MAX_BODY: usize = 16 * 1024;
/// The numbers of connectors and of requests in a response: without a `limit`, and the largest.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

/// Returns whether a request is one of the control API.
pub(crate) fn is_control(uri: &Uri) -> bool {
    let rest = uri.path().strip_prefix(PREFIX);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) async fn handle<B>(state: &State, peer: IpAddr, request: Request<B>) -> Response<String>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (head, body) = request.into_parts();
    let response = match refusal(state, peer, &head) {
        Some(reason) => error(403, "Forbidden", reason),
        None if head.method == Method::GET && head.uri.path() == INSPECTOR => {
            return inspector();
        }
        None => match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => respond(state, &head, &body.to_bytes()),
            Err(_) => error(400, "BadRequest", "The body is too long or incomplete"),
        },
    };
    let mut response = response.map(|body| match body {
        Value::Null => String::new(),
        body => body.to_string(),
    });
    add_headers(&mut response, "application/json");
    response
}

/// Responds with the page that shows the state. It loads nothing, cannot be framed, and runs no script but its own,
/// which cannot turn a text into HTML.
fn inspector() -> Response<String> {
    let nonce = Uuid::new_v4().simple().to_string();
    let mut response = Response::new(include_str!("inspector.html").replace("{nonce}", &nonce));
    add_headers(&mut response, "text/html; charset=utf-8");
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let policy = policy.parse().expect("a policy is a header value");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn add_headers(response: &mut Response<String>, content_type: &'static str) {
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// Returns why a request is refused, or `None` when it is allowed.
///
/// A request with the access key is allowed, because no web page has the key. Without it, the request has to be local:
/// from this machine, for this machine (a page whose name is changed to resolve to 127.0.0.1 sends its own name as the
/// host), and when it changes something, not from another web page.
fn refusal(state: &State, peer: IpAddr, head: &Parts) -> Option<&'static str> {
    if state.accepts_key_of(head) {
        return None;
    }
    if !peer.to_canonical().is_loopback() {
        return Some("Requests from other machines need the access key");
    }
    let hosts: Vec<_> = head.headers.get_all(HOST).iter().collect();
    let is_local = matches!(*hosts, [host] if is_loopback(host.as_bytes()))
        && head.uri.authority().is_none_or(|host| is_loopback(host.as_str().as_bytes()));
    if !is_local {
        return Some("The host is not a loopback address");
    }
    if head.method != Method::GET && !is_same_origin(head) {
        return Some("The request is that of another web page");
    }
    None
}

fn is_loopback(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    let host = authority.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Returns whether a request is that of the sandbox's own page, or of a program that is not a browser.
fn is_same_origin(head: &Parts) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let origin = header(head, &ORIGIN).strip_prefix("http://");
    let has = |name| head.headers.contains_key(name);
    (!has(ORIGIN) || origin.is_some_and(|origin| origin.eq_ignore_ascii_case(header(head, &HOST))))
        && (!has(SEC_FETCH_SITE) || header(head, &SEC_FETCH_SITE) == "same-origin")
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

/// Parses a body, or returns what is wrong with it.
fn parse<'b, T: Deserialize<'b>>(head: &Parts, body: &'b Bytes) -> Result<T, String> {
    // A form of another web page cannot have this content type.
    if header(head, &CONTENT_TYPE).split(';').next() != Some("application/json") {
        return Err("The content type is not application/json".to_owned());
    }
    serde_json::from_slice(body).map_err(|problem| format!("The body is wrong: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Config, Key};

    #[test]
    fn another_machine_needs_the_access_key() {
        let state = State::new(Config {
            access_key: Some(Key("open-sesame".to_owned())),
            ..Config::default()
        });
        let request = |key: &str| {
            let request = Request::delete("/_sandbox/faults").header(HOST, "localhost:8080");
            request.header("authorization", format!("AccessKey {key}")).body(()).unwrap()
        };
        let ((without, ()), (with, ())) =
            (request("guess").into_parts(), request("open-sesame").into_parts());
        for (peer, is_local) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("fe80::1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(refusal(&state, peer, &without).is_none(), is_local, "{peer}");
            assert_eq!(refusal(&state, peer, &with), None, "{peer}");
        }
    }
}
