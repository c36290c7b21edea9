//! Reading numbers, requirements and use cases.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_api::Response;
use bird_api::transport::{Exchange, Transport};
use bird_sandbox::Sandbox;
use bird_sms::reqwest::header::HeaderMap;
use bird_sms::reqwest::{Request, StatusCode};
use bird_sms::{
    AccessKey, AttemptError, Client, EndpointType, NumberType, NumbersError, PhoneNumberId,
    Workspace,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

const ID: &str = "00000000-0000-4000-8000-031612345678";
const CONNECTOR: &str = "123e4567-e89b-12d3-a456-426614174000";
const KEY: &str = "top-secret-key";

/// Responds with the next of these, and the last one from then on. Keeps the paths and queries of the requests.
#[derive(Debug, Default)]
struct Script {
    replies: Vec<(u16, String)>,
    requests: Mutex<Vec<String>>,
}

impl Transport for Script {
    fn exchange(&self, request: Request, _: Duration) -> Exchange {
        let mut requests = self.requests.lock().unwrap();
        let (status, body) = &self.replies[requests.len().min(self.replies.len() - 1)];
        requests.push(request.url().as_str().split_once(WORKSPACE).unwrap().1.to_owned());
        let status = StatusCode::from_u16(*status).unwrap();
        let response = Response::new(status, HeaderMap::new(), Bytes::from(body.clone()));
        Box::pin(async { Ok(response) })
    }
}

const WORKSPACE: &str = "a1405560-c8d3-4b1a-877d-3f449ad95352";

fn scripted(replies: &[(u16, &str)]) -> (Workspace, Arc<Script>) {
    let replies = replies.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    let script = Arc::new(Script { replies, ..Script::default() });
    let client = Client::builder().access_key(AccessKey::new(KEY).unwrap());
    let client = client.transport(script.clone()).build().unwrap();
    (client.workspace(WORKSPACE.parse().unwrap()), script)
}

fn workspace(sandbox: &Sandbox) -> Workspace {
    let client = Client::builder().access_key(AccessKey::new(sandbox.access_key()).unwrap());
    let client = client.transport(sandbox.transport()).build().unwrap();
    client.workspace(sandbox.workspace_id().into())
}

async fn all<T>(list: impl Stream<Item = Result<T, NumbersError>>) -> Result<Vec<T>, NumbersError> {
    list.try_collect().await
}

#[tokio::test(start_paused = true)]
async fn every_number_of_every_page_is_listed_once_and_in_order() {
    let numbers: Vec<_> = (100..350).map(|n| format!("+31612345{n}")).collect();
    let builder = numbers.iter().fold(Sandbox::builder(), |it, number| it.number(number));
    // A sandbox responds with 400 to a limit above 99.
    let sandbox = builder.fault("get:503@1".parse().unwrap()).in_memory();
    let workspace = workspace(&sandbox);
    let listed = all(workspace.numbers()).await.unwrap();
    assert_eq!(listed.into_iter().map(|it| it.phone_number).collect::<Vec<_>>(), numbers);
    assert_eq!((sandbox.get_count(), sandbox.response_count(503)), (4, 1));
    let found = all(workspace.numbers_starting_with("+3161234511")).await.unwrap();
    assert_eq!(found.len(), 10);
    assert_eq!(sandbox.response_count(400), 0);
}

#[tokio::test(start_paused = true)]
async fn lists_keep_to_the_rate_limit_of_gets() {
    let builder =
        (0..60).fold(Sandbox::builder(), |it, n| it.number(&format!("+316{:08}", n * 100)));
    let sandbox = builder.get_limit(2).in_memory();
    let limits = bird_sms::RateLimits { gets_per_second: 2, ..Default::default() };
    let client = Client::builder().access_key(AccessKey::new(sandbox.access_key()).unwrap());
    let client = client.transport(sandbox.transport()).rate_limits(limits).build().unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    for _ in 0..6 {
        assert_eq!(all(workspace.numbers()).await.unwrap().len(), 60);
    }
    assert_eq!(sandbox.response_count(429), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_without_results_and_a_token_that_repeats_are_malformed() {
    let page = |token: &str| format!(r#"{{"results": [], "nextPageToken": "{token}"}}"#);
    for (replies, requests, problem) in [
        (vec!["{}".to_owned()], 1, "missing field `results`"),
        (vec![page("a"), "{}".to_owned()], 2, "missing field `results`"),
        (vec![r#"{"connectors": []}"#.to_owned()], 1, "missing field `results`"),
        (vec![page("a"), page("b"), page("a")], 3, "`nextPageToken` repeats an earlier page's"),
        (vec![r#"{"results": [{"id": "7"}]}"#.to_owned()], 1, "`results[0].id`"),
        (vec!["<html>".to_owned()], 1, "expected value"),
    ] {
        let replies: Vec<_> = replies.iter().map(|body| (200, &**body)).collect();
        let (workspace, script) = scripted(&replies);
        let error = all(workspace.numbers()).await.unwrap_err();
        assert!(matches!(*error.cause, AttemptError::Malformed(_)), "{error:?}");
        assert!(error.chain().contains(problem), "{}", error.chain());
        assert_eq!(script.requests.lock().unwrap().len(), requests, "{problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_are_asked_for_by_their_tokens_and_null_is_an_empty_list() {
    let (workspace, script) = scripted(&[
        (200, r#"{"results": null, "nextPageToken": "a/b+c"}"#),
        (200, r#"{"results": [], "nextPageToken": ""}"#),
    ]);
    assert_eq!(all(workspace.use_cases()).await.unwrap(), []);
    let requests = script.requests.lock().unwrap().clone();
    assert_eq!(requests, ["/use-cases?limit=99", "/use-cases?limit=99&pageToken=a%2Fb%2Bc"]);
    let (workspace, script) = scripted(&[(200, r#"{"results": []}"#)]);
    all(workspace.numbers_starting_with("+31")).await.unwrap();
    all(workspace.requirements(ID.parse().unwrap())).await.unwrap();
    let requests = script.requests.lock().unwrap().clone();
    let requirements = format!("/endpoints/{ID}/compliance-requirements");
    assert_eq!(requests, ["/numbers-long-code?limit=99&numberString=%2B31", &requirements]);
}

#[tokio::test(start_paused = true)]
async fn a_number_has_the_connectors_that_are_shown_and_unknown_values_are_kept() {
    let number = |endpoint: &str| {
        format!(
            r#"{{"id": "{ID}", "endpointId": "{ID}", "numberString": "+31612345678", "countryCode": "NL",
            "type": "satellite", "capabilities": {{"sms": {{"inbound": false, "outbound": false}},
            "voice": {{"outbound": true}}}}, "createdAt": "2025-01-21T01:43:10-03:00",
            "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {endpoint}}}"#
        )
    };
    let read = async |endpoint: &str| {
        let (workspace, _) = scripted(&[(200, &number(endpoint))]);
        workspace.number(ID.parse().unwrap()).await.unwrap()
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
async fn the_response_has_to_be_about_the_number_that_was_asked_for() {
    let sandbox = Sandbox::builder().number("+31612345678").in_memory();
    let number = workspace(&sandbox).number(ID.parse().unwrap()).await.unwrap();
    assert_eq!(number.phone_number, "+31612345678");
    let json = format!(
        r#"{{"id": "{ID}", "endpointId": "{ID}", "numberString": "+31612345678", "countryCode": "NL",
        "capabilities": {{}}, "createdAt": "2025-01-21T01:43:10Z", "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {{}}}}"#
    );
    let (workspace, _) = scripted(&[(200, &json)]);
    let error = workspace.number(CONNECTOR.parse().unwrap()).await.unwrap_err();
    assert!(error.chain().contains("the response is about another number"), "{}", error.chain());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_policy_that_is_missing_and_the_key_never_shows() {
    let body = format!(r#"{{"code": "Forbidden", "message": "no {KEY}"}}"#);
    let (workspace, script) = scripted(&[(403, &body)]);
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
    assert_eq!(script.requests.lock().unwrap().len(), errors.len(), "a 403 is not retried");
    for (error, policy) in errors {
        assert_eq!(error.hint(), format!("The access key's policy must allow `view` on {policy}"));
        assert!(!error.is_retryable() && error.response().unwrap().status == 403);
        assert!(!format!("{error:?} {}", error.chain()).contains(KEY));
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_for_good_is_retryable_and_ends_the_list() {
    let (workspace, _) = scripted(&[(503, "")]);
    let mut numbers = workspace.numbers();
    let error = numbers.try_next().await.unwrap_err();
    assert!(error.is_retryable() && error.attempts.count > 1, "{error}");
    assert!(numbers.try_next().await.unwrap().is_none());
}
