//! Read-only endpoints: numbers, their requirements, and use cases.

use std::borrow::Cow;
use std::collections::HashMap;

use hyper::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{error, json_response};
use crate::number::{Number, NumberKind, USE_CASES};
use crate::state::State;

/// The parameters of a query.
type Query<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

/// Returns whether a path below a workspace belongs to an endpoint of this module.
pub(crate) fn is_path(path: &[&str]) -> bool {
    matches!(
        path,
        ["numbers-long-code" | "numbers-short-code" | "numbers-alpha" | "use-cases"]
            | ["numbers-long-code", _]
            | ["endpoints", _, "compliance-requirements"]
    )
}

pub(crate) fn respond(state: &State, path: &[&str], query: &str) -> Response<Value> {
    let query: Query<'_> = form_urlencoded::parse(query.as_bytes()).collect();
    let show = |number: &Number| number.json(state.connector_of(number.id).map(|(id, _)| id));
    let numbers = |kind| {
        let start = query.get("numberString").filter(|_| kind == NumberKind::LongCode);
        let start = start.map_or("", |start| start.strip_prefix('+').unwrap_or(start));
        let is_listed = |text: &str| text.trim_start_matches('+').starts_with(start);
        let numbers = state.numbers.iter();
        let numbers = numbers.filter(|number| number.kind == kind && is_listed(&number.text));
        page(&query, 99, numbers.collect(), show)
    };
    match *path {
        ["numbers-short-code"] => numbers(NumberKind::ShortCode),
        ["numbers-alpha"] => numbers(NumberKind::Alpha),
        ["numbers-long-code", id] => match id.parse().ok().and_then(|id| state.number(id)) {
            Some(number) => json_response(200, show(&number)),
            None => error(404, "NotFound", "Long Code Number not found"),
        },
        ["endpoints", id, _] => match id.parse().ok().and_then(|id| requirements(state, id)) {
            Some(requirements) => page(&query, 100, requirements, |requirement| requirement),
            None => error(404, "NotFound", "Endpoint not found"),
        },
        ["use-cases"] => page(
            &query,
            1000,
            USE_CASES.into(),
            |(id, name)| json!({ "id": id, "name": name, "status": "created", "caseType": "default" }),
        ),
        _ => numbers(NumberKind::LongCode),
    }
}

/// Returns the requirements of a number, or `None` if there is no such number. Bird only documents the status
/// `satisfied`, so `unsatisfied` is a guess.
fn requirements(state: &State, id: Uuid) -> Option<Vec<Value>> {
    state.number(id)?;
    if !state.needs_use_case(id) {
        return Some(Vec::new());
    }
    let is_satisfied = state.connector_of(id).is_some_and(|(_, has_use_case)| has_use_case);
    Some(vec![json!({
        "type": "use-case",
        "name": "use-case-sms",
        "status": if is_satisfied { "satisfied" } else { "unsatisfied" },
        "message": if is_satisfied { "The use case is approved" } else { "A use case is missing" },
        "mutable": true,
        "capabilities": ["sms"],
    })])
}

/// Responds with a page of a list. A page token is the number of items before the page.
fn page<T>(
    query: &Query<'_>,
    max: usize,
    mut items: Vec<T>,
    show: impl Fn(T) -> Value,
) -> Response<Value> {
    let number = |name: &str, default| match query.get(name) {
        Some(text) if text.len() <= 20 => text.parse::<usize>().ok(),
        Some(_) => None,
        None => Some(default),
    };
    let (Some(limit @ 1..), Some(start)) = (number("limit", 10), number("pageToken", 0)) else {
        return error(400, "BadRequest", "The limit or the page token is not valid");
    };
    if limit > max {
        return error(400, "BadRequest", &format!("The limit is above {max}"));
    }
    match query.get("reverse").map(|text| text.parse()) {
        None | Some(Ok(false)) => {}
        Some(Ok(true)) => items.reverse(),
        Some(Err(_)) => return error(400, "BadRequest", "`reverse` is neither true nor false"),
    }
    let end = start.saturating_add(limit);
    let next = (end < items.len()).then(|| end.to_string());
    let results: Vec<_> = items.into_iter().skip(start).take(limit).map(show).collect();
    let mut page = json!({ "results": results });
    if let Some(next) = next {
        page["nextPageToken"] = json!(next);
    }
    json_response(200, page)
}
