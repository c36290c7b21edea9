//! The endpoint *List connectors*, as far as it is known. No response of the real one has been seen.

use hyper::Response;
use serde_json::{Value, json};

use crate::routes::{error, json_response};
use crate::state::State;

/// What the sandbox responds to a request for the list of connectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListEndpoint {
    /// A page of connectors, newest first.
    #[default]
    Page,
    /// 403, as if the policy of the access key did not allow the list.
    Forbidden,
    /// 405, as if the API did not have the endpoint.
    Absent,
    /// A JSON object without `results`.
    OtherShape,
}

/// The number of connectors in a page, without a `limit`: the vendor's default.
const DEFAULT_LIMIT: usize = 10;
/// The largest `limit`: that of the vendor's other lists.
const MAX_LIMIT: usize = 99;

/// Responds with a page of connectors.
pub(crate) fn list(state: &State, query: &str) -> Response<Value> {
    match state.list_endpoint() {
        ListEndpoint::Page | ListEndpoint::Absent => {}
        ListEndpoint::Forbidden => {
            return error(403, "Forbidden", "The access key does not allow this action");
        }
        ListEndpoint::OtherShape => return json_response(200, json!({ "data": [] })),
    }
    let (mut limit, mut before, mut template) = (DEFAULT_LIMIT, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, value.parse::<usize>()) {
            ("limit", Ok(given @ 1..=MAX_LIMIT)) => limit = given,
            ("pageToken", Ok(token)) => before = Some(token),
            ("templateRef", _) => template = Some(value.into_owned()),
            ("limit" | "pageToken", _) => {
                return error(400, "BadRequest", "A query parameter cannot be read");
            }
            _ => {}
        }
    }
    let (results, next) = state.page(limit, before, template.as_deref());
    let mut page = json!({ "results": results });
    if let Some(next) = next {
        page["nextPageToken"] = json!(next.to_string());
    }
    json_response(200, page)
}
