//! Reading numbers, requirements and use cases.

use bird_sandbox::Sandbox;
use bird_test_peer::{InMemory, Reply};
use futures_util::{Stream, TryStreamExt};

use super::*;
use crate::{AttemptError, EndpointType, NumberType, NumbersError, PhoneNumberId, RateLimits};

const ID: &str = "00000000-0000-4000-8000-031612345678";

fn in_memory(bird: &InMemory) -> Workspace {
    let client = Client::builder().access_key(AccessKey::new(KEY).unwrap());
    workspace(client.transport(bird.transport()))
}

/// Returns the paths of the requests so far, without the workspace's prefix.
fn paths(bird: &InMemory) -> Vec<String> {
    let prefix = format!("/workspaces/{WORKSPACE}");
    let path =
        |request: bird_test_peer::Request| request.path.strip_prefix(&prefix).unwrap().to_owned();
    bird.requests().into_iter().map(path).collect()
}

fn sandboxed(sandbox: &Sandbox, limits: RateLimits) -> Workspace {
    let client = Client::builder().access_key(AccessKey::new(sandbox.access_key()).unwrap());
    let client = client.transport(sandbox.transport()).rate_limits(limits).build().unwrap();
    client.workspace(sandbox.workspace_id().into())
}

async fn all<T>(list: impl Stream<Item = Result<T, NumbersError>>) -> Result<Vec<T>, NumbersError> {
    list.try_collect().await
}

#[tokio::test(start_paused = true)]
async fn every_number_is_listed_once_and_in_order() {
    let numbers: Vec<_> = (100..350).map(|n| format!("+31612345{n}")).collect();
    let builder = numbers.iter().fold(Sandbox::builder(), |it, number| it.number(number));
    // The sandbox responds with 400 to a page limit above 99.
    let sandbox = builder.fault("get:503@1".parse().unwrap()).in_memory();
    let workspace = sandboxed(&sandbox, RateLimits::default());
    let listed = all(workspace.numbers()).await.unwrap();
    assert_eq!(listed.into_iter().map(|it| it.phone_number).collect::<Vec<_>>(), numbers);
    assert_eq!((sandbox.get_count(), sandbox.response_count(503)), (4, 1));
    let found = all(workspace.numbers_starting_with("+3161234511")).await.unwrap();
    assert_eq!(found.len(), 10);
    assert_eq!(sandbox.response_count(400), 0);
}

#[tokio::test(start_paused = true)]
async fn lists_obey_the_rate_limit_for_gets() {
    let builder =
        (0..60).fold(Sandbox::builder(), |it, n| it.number(&format!("+316{:08}", n * 100)));
    let sandbox = builder.get_limit(2).in_memory();
    let limits = RateLimits { gets_per_second: 2, ..Default::default() };
    let workspace = sandboxed(&sandbox, limits);
    for _ in 0..6 {
        assert_eq!(all(workspace.numbers()).await.unwrap().len(), 60);
    }
    assert_eq!(sandbox.response_count(429), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_without_results_or_with_a_repeated_token_is_malformed() {
    let page = |token: &str| format!(r#"{{"results": [], "nextPageToken": "{token}"}}"#);
    for (replies, requests, problem) in [
        (vec!["{}".to_owned()], 1, "missing field `results`"),
        (vec![page("a"), "{}".to_owned()], 2, "missing field `results`"),
        (vec![r#"{"connectors": []}"#.to_owned()], 1, "missing field `results`"),
        (vec![page("a"), page("b"), page("a")], 3, "`nextPageToken` repeats the token"),
        (vec![r#"{"results": [{"id": "7"}]}"#.to_owned()], 1, "`results[0].id`"),
        (vec!["<html>".to_owned()], 1, "expected value"),
    ] {
        let bird = InMemory::script(replies.iter().map(|body| Reply::json(200, body)));
        let error = all(in_memory(&bird).numbers()).await.unwrap_err();
        assert!(matches!(error.cause, AttemptError::Malformed(_)), "{error:?}");
        assert!(error.chain().contains(problem), "{}", error.chain());
        assert_eq!(bird.gets(), requests, "{problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_requests_each_page_by_its_token() {
    let bird = InMemory::script([
        Reply::json(200, r#"{"results": null, "nextPageToken": "a/b+c"}"#),
        Reply::json(200, r#"{"results": [], "nextPageToken": ""}"#),
    ]);
    assert_eq!(all(in_memory(&bird).use_cases()).await.unwrap(), []);
    assert_eq!(paths(&bird), ["/use-cases?limit=99", "/use-cases?limit=99&pageToken=a%2Fb%2Bc"]);
    let bird = InMemory::with_handler(|_| Reply::json(200, r#"{"results": []}"#));
    let workspace = in_memory(&bird);
    all(workspace.numbers_starting_with("+31")).await.unwrap();
    all(workspace.requirements(ID.parse().unwrap())).await.unwrap();
    let requirements = format!("/endpoints/{ID}/compliance-requirements");
    assert_eq!(paths(&bird), ["/numbers-long-code?limit=99&numberString=%2B31", &requirements]);
}

#[tokio::test(start_paused = true)]
async fn a_number_lists_its_connectors_and_keeps_unknown_values() {
    let number = |endpoint: &str| {
        format!(
            r#"{{"id": "{ID}", "endpointId": "{ID}", "numberString": "+31612345678", "countryCode": "NL",
            "type": "satellite", "capabilities": {{"sms": {{"inbound": false, "outbound": false}},
            "voice": {{"outbound": true}}}}, "createdAt": "2025-01-21T01:43:10-03:00",
            "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {endpoint}}}"#
        )
    };
    let read = async |endpoint: &str| {
        let bird = InMemory::script([Reply::json(200, number(endpoint))]);
        in_memory(&bird).number(ID.parse().unwrap()).await.unwrap()
    };
    let endpoint = format!(
        r#"{{"capabilities": [{{"name": "sms", "inbound": null, "outbound": {{"status": "dormant", "issues": ["unpaid"]}}}}],
        "dependencies": [{{"type": "flow", "connectorId": "{ID}"}}, {{"type": "connector", "connectorId": ""}},
        {{"type": "connector", "connectorId": "{CONNECTOR}"}}, {{"type": "connector", "connectorId": "{CONNECTOR}"}}]}}"#
    );
    let number = read(&endpoint).await;
    assert_eq!(number.connectors, [CONNECTOR.parse().unwrap()]);
    assert_eq!(number.number_type, Some(NumberType::from("satellite")));
    assert_eq!(number.endpoint_type, EndpointType::LongCodeNumber);
    assert_eq!(number.capabilities, ["voice-outbound"]);
    assert!(number.excludes_sms());
    let state = &number.states[0];
    assert_eq!((&*state.capability, &*state.status), ("sms-outbound", "dormant"));
    assert_eq!((number.states.len(), &state.issues[..]), (1, &["unpaid".to_owned()][..]));
    for none_shown in
        ["{}", r#"{"dependencies": null}"#, r#"{"capabilities": 7, "dependencies": []}"#]
    {
        assert_eq!(read(none_shown).await.connectors, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_about_another_number_is_malformed() {
    let sandbox = Sandbox::builder().number("+31612345678").in_memory();
    let number =
        sandboxed(&sandbox, RateLimits::default()).number(ID.parse().unwrap()).await.unwrap();
    assert_eq!(number.phone_number, "+31612345678");
    let json = format!(
        r#"{{"id": "{ID}", "endpointId": "{ID}", "numberString": "+31612345678", "countryCode": "NL",
        "capabilities": {{}}, "createdAt": "2025-01-21T01:43:10Z", "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {{}}}}"#
    );
    let bird = InMemory::script([Reply::json(200, json)]);
    let error = in_memory(&bird).number(CONNECTOR.parse().unwrap()).await.unwrap_err();
    assert!(error.chain().contains("the response is about another number"), "{}", error.chain());
}

#[tokio::test(start_paused = true)]
async fn a_403_names_the_missing_policy_but_not_the_key() {
    let body = format!(r#"{{"code": "Forbidden", "message": "no {KEY}"}}"#);
    let bird = InMemory::with_handler(move |_| Reply::json(403, &body));
    let workspace = in_memory(&bird);
    let id: PhoneNumberId = ID.parse().unwrap();
    let errors = [
        (all(workspace.numbers()).await.unwrap_err(), "/workspaces/*/numbers-long-code."),
        (workspace.number(id).await.unwrap_err(), "/workspaces/*/numbers-long-code/*."),
        (
            all(workspace.requirements(id)).await.unwrap_err(),
            "/workspaces/*/endpoints/*/compliance-requirements.",
        ),
        (all(workspace.short_codes()).await.unwrap_err(), "/workspaces/*/numbers-short-code."),
        (all(workspace.alphanumeric_senders()).await.unwrap_err(), "/workspaces/*/numbers-alpha."),
        (all(workspace.use_cases()).await.unwrap_err(), "/workspaces/*/use-cases."),
    ];
    assert_eq!(bird.gets(), errors.len(), "a 403 is not retried");
    for (error, policy) in errors {
        assert_eq!(error.hint(), format!("The access key's policy must allow `view` on {policy}"));
        assert!(!error.is_retryable() && error.response().unwrap().status == 403);
        assert!(!format!("{error:?} {}", error.chain()).contains(KEY));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_page_ends_the_list_with_a_retryable_error() {
    let bird = InMemory::with_handler(|_| Reply::status(503));
    let mut numbers = in_memory(&bird).numbers();
    let error = numbers.try_next().await.unwrap_err();
    assert!(error.is_retryable() && error.attempts.count > 1, "{error}");
    assert!(numbers.try_next().await.unwrap().is_none());
}
