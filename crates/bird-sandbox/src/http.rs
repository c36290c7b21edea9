//! Helpers for requests and responses.

use hyper::header::HeaderName;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub(crate) fn json_response(status: u16, body: Value) -> Response<Value> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("the status has three digits");
    response
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> Response<Value> {
    json_response(status, json!({ "code": code, "message": message }))
}

/// Returns a header, or an empty string if it is missing or is not text.
pub(crate) fn header<'a>(head: &'a Parts, name: &HeaderName) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
