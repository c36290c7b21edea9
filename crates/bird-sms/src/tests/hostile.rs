//! Malformed and hostile responses.

use std::time::Duration;

use bird_test_peer::{Peer, Reply, head_and_body};
use proptest::prelude::*;

use super::*;
use crate::{ConnectorState, Error};

async fn create(response: Reply) -> Error {
    let peer = Peer::script([response]).await.unwrap();
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.attempt_timeout(Duration::from_secs(10)));
    workspace.create_sms_connector(&request()).await.unwrap_err()
}

// Fault 22.
#[tokio::test]
async fn an_error_of_a_proxy_keeps_its_status_and_a_bounded_excerpt() {
    let page = format!("<html>\u{1b}[31m{}</html>", "x".repeat(10_000));
    let error = create(Reply::with_headers(403, &["content-type: text/html"], page)).await;
    let response = error.response().unwrap();
    let excerpt = response.excerpt.as_deref().unwrap();
    assert!(excerpt.starts_with("<html> [31mxxx") && excerpt.len() < 600, "{excerpt}");
    assert!(error.to_string().len() < 1000);
}

// Fault 22.
#[tokio::test]
async fn error_bodies_of_any_shape_are_decoded_as_far_as_possible() {
    for (body, code, details) in [
        ("", None, 0),
        ("plain text", None, 0),
        ("[1, 2]", None, 0),
        (r#"{"code": 7, "message": {"a": 1}}"#, None, 0),
        (r#"{"code": "C", "details": null, "more": []}"#, Some("C"), 0),
        (r#"{"code": "C", "details": "text"}"#, Some("C"), 1),
        (r#"{"code": "C", "details": {".a": "one", ".b": [1, null], ".c": {}}}"#, Some("C"), 3),
    ] {
        let error = create(Reply::with_headers(401, &[], body)).await;
        let response = error.response().unwrap();
        assert_eq!((response.status, response.code.as_deref()), (401, code), "{body}");
        assert_eq!(response.details.len(), details, "{body}");
    }
}

// Fault 83.
#[tokio::test]
async fn details_of_any_shape_and_other_members_are_shown_and_bounded() {
    let shown = |body: String| async move {
        let error = create(Reply::json(422, body)).await;
        (error.response().unwrap().details.clone(), error.chain())
    };
    let body = r#"{"code": "C", "details": [{"field": "name", "issue": "short"}, "text"],
        "existing": {"id": "con_1"}, "status": 422, ".name": "x", "message": ["m"]}"#;
    let (details, chain) = shown(body.to_owned()).await;
    assert_eq!(details["details"], [r#"{"field":"name","issue":"short"}"#, "text"]);
    assert_eq!(details["existing"], [r#"{"id":"con_1"}"#]);
    assert_eq!(
        (&details["status"][..], &details["message"][..]),
        (&["422".into()][..], &["m".into()][..])
    );
    assert!(chain.contains(r#"(existing: {"id":"con_1"})"#), "{chain}");
    let same = r#"{"details": {"a": "one", "b": ["two"]}, "a": "three"}"#;
    assert_eq!(shown(same.to_owned()).await.0["a"], ["one", "three"]);
    let many: Vec<_> = (0..100).map(|n| format!(r#""{n:03}": "{}""#, "x".repeat(5000))).collect();
    let (details, _) = shown(format!(r#"{{"code": "C", {}}}"#, many.join(","))).await;
    assert!(details.len() == 32 && details.values().flatten().all(|text| text.len() < 600));
}

// Fault 83.
#[tokio::test]
async fn the_ids_of_a_conflict_are_found_in_its_texts() {
    let (one, two) = (CONNECTOR, CHANNEL);
    for body in [
        format!(r#"{{"code": "AlreadyExists", "message": "see connector-{one}, {two}!"}}"#),
        format!(r#"{{"message": "exists", "details": [{{"id": "{one}"}}], "next": "/x/{two}"}}"#),
        format!("<p>{one}</p> {two}{two}"),
    ] {
        let error = create(Reply::json(409, &body)).await;
        let ids: Vec<_> = error.response().unwrap().ids().iter().map(ToString::to_string).collect();
        let last = body.contains(&two.repeat(2));
        assert_eq!(ids, if last { vec![one] } else { vec![two, one] }, "{body}");
    }
}

// Fault 23.
#[tokio::test]
async fn a_malformed_success_is_a_creation_with_an_unknown_id() {
    let deep = format!(r#"{{"a": {}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "null",
        "7",
        "[]",
        r#"{"id": null}"#,
        r#"{"id": "not a uuid"}"#,
        r#"{"name": "n"}"#,
        "\u{feff}{}",
        &deep,
    ] {
        let error = create(Reply::json(201, body)).await;
        let Error::CreatedIdUnknown(unknown) = &error else { panic!("{error:?}") };
        assert!(unknown.response.problem.len() < 600);
    }
    let mut bytes = head_and_body(201, &[], "{\"id\": \"??\"}");
    let at = bytes.len() - 4;
    bytes[at] = 0xff;
    let error = create(Reply::Bytes(bytes)).await;
    assert!(matches!(error, Error::CreatedIdUnknown(_)), "{error:?}");
}

// Fault 27.
#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_limit() {
    let head = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000)).into_bytes();
    let error = create(Reply::Endless(head, chunk)).await;
    let Error::CreatedIdUnknown(unknown) = &error else { panic!("{error:?}") };
    assert!(unknown.response.problem.contains("longer than the limit"), "{error}");
}

// Fault 27.
#[tokio::test]
async fn the_body_limit_can_be_set_and_is_enforced() {
    let padded = format!("{}{}", " ".repeat(20_000), pending());
    for (limit, fits) in [(10_000, false), (30_000, true)] {
        let peer = Peer::script([Reply::json(201, &padded)]).await.unwrap();
        let workspace = workspace(without_sleep(&peer.base_url()).0.body_limit(limit));
        let result = workspace.create_sms_connector(&request()).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

// Fault 27.
#[tokio::test]
async fn a_compressed_body_is_not_decompressed() {
    let error = create(Reply::with_headers(201, &["content-encoding: gzip"], "\u{1f}gzip")).await;
    assert!(matches!(error, Error::CreatedIdUnknown(_)), "{error:?}");
}

// Fault 27.
#[tokio::test]
async fn a_wrong_length_and_too_many_headers_are_survived() {
    let long = b"HTTP/1.1 201 Created\r\ncontent-length: 9999\r\n\r\n{".to_vec();
    let error = create(Reply::BytesThenClose(long)).await;
    assert!(matches!(error, Error::CreatedIdUnknown(_)), "{error:?}");
    let header = "x: y\r\n".repeat(5000);
    let many = format!("HTTP/1.1 201 Created\r\n{header}\r\n").into_bytes();
    let error = create(Reply::BytesThenClose(many)).await;
    // hyper accepts at most a hundred headers, so not even the status is known.
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
}

// Fault 27.
#[tokio::test]
async fn an_error_without_end_is_classified_by_its_status() {
    let head = b"HTTP/1.1 422 Unprocessable\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).into_bytes();
    let error = create(Reply::Endless(head, chunk)).await;
    assert_eq!(error.response().unwrap().status, 422);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(Value::from(CONNECTOR)),
    ];
    let key = prop::sample::select(vec![
        "id",
        "channel",
        "channelId",
        "workspaceId",
        "name",
        "code",
        "message",
        "details",
        "number",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_json_as_a_body_panics_or_loses_what_the_status_says(
        body in json(),
        status in prop::sample::select(vec![200_u16, 201, 400, 422, 429, 500])
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let text = body.to_string();
            let peer = Peer::with_handler(move |_| Reply::json(status, &text)).await.unwrap();
            let (builder, _) = without_sleep(&peer.base_url());
            let workspace = workspace(builder.install_timeout(Duration::from_secs(3)));
            match workspace.install_sms_channel("n", NUMBER.parse().unwrap()).await {
                Ok(channel) => assert_eq!(channel.connector_id, connector_id()),
                Err(error) => {
                    let may_exist = !matches!(status, 400 | 422 | 429);
                    assert_eq!(error.connector_may_exist(), may_exist, "{error:?}");
                }
            }
        });
    }
}

// Fault 56.
#[tokio::test]
async fn a_creation_with_two_different_ids_has_none() {
    let two = pending().replacen('{', r#"{"id": "11111111-1111-4111-8111-111111111111", "#, 1);
    let peer = Peer::script([Reply::json(201, two)]).await.unwrap();
    let error = create_at(&peer).await.unwrap_err();
    let Error::CreatedIdUnknown(unknown) = &error else { panic!("{error:?}") };
    assert!(unknown.response.problem.contains("duplicate field"), "{error:?}");
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
}

// Faults 37 and 47.
#[tokio::test]
async fn a_creation_without_a_usable_id_keeps_a_bounded_excerpt_of_its_body() {
    let nil = pending().replace(CONNECTOR, "00000000-0000-0000-0000-000000000000");
    let gzip = "\u{1f}\u{8b}\u{8}".to_owned() + &"x".repeat(5000);
    for (body, kept) in [
        (r#"{"id": "conn_123", "status": "created"}"#.to_owned(), "conn_123"),
        (nil, "My SMS channel"),
        (gzip, "xxxx"),
    ] {
        let peer = Peer::script([Reply::json(201, body)]).await.unwrap();
        let error = create_at(&peer).await.unwrap_err();
        let Error::CreatedIdUnknown(unknown) = &error else { panic!("{error:?}") };
        let excerpt = unknown.response.excerpt.as_deref().unwrap();
        assert!(excerpt.contains(kept) && excerpt.len() < 600, "{excerpt}");
        assert!(error.chain().contains(kept), "{error:?}");
    }
    // The key is not kept.
    let peer = Peer::script([Reply::json(201, format!(r#"{{"id": "{KEY}"}}"#))]).await.unwrap();
    assert!(!format!("{:?}", create_at(&peer).await).contains(KEY));
}

// Fault 71.
#[tokio::test]
async fn an_id_of_the_request_or_of_the_workspace_is_not_that_of_the_connector() {
    let use_case = bird_test_peer::fixtures::USE_CASE_ID;
    for id in [NUMBER, WORKSPACE, use_case] {
        let whole = pending().replace(CONNECTOR, id);
        for body in
            [whole.clone(), format!(r#"{{"data": {whole}}}"#), whole.replace("\"name\"", "7")]
        {
            let peer = Peer::script([Reply::json(201, body)]).await.unwrap();
            let workspace = workspace(without_sleep(&peer.base_url()).0);
            let use_case = use_case.parse::<crate::UseCaseId>().unwrap();
            let install = workspace.install(request().with_use_case_id(use_case));
            let error = install.await.unwrap_err();
            assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown, "{error:?}");
            assert!(error.chain().contains("My SMS channel"), "{}", error.chain());
        }
    }
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let error = workspace.install_sms_channel("n", WORKSPACE.parse().unwrap()).await.unwrap_err();
    assert!(error.chain().ends_with("the phone number id is the id of the workspace"), "{error}");
    assert_eq!(peer.connections(), 0);
}

// Fault 37.
#[tokio::test]
async fn a_connector_that_is_nested_in_the_response_is_found() {
    let nested = format!(r#"{{"data": {}}}"#, pending());
    let peer = Peer::script([Reply::json(201, nested)]).await.unwrap();
    assert_eq!(create_at(&peer).await.unwrap().connector_id(), connector_id());
}
