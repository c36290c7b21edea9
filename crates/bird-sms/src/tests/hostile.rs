//! Malformed and hostile responses.

use bird_test_peer::{Peer, Reply, head_and_body};
use proptest::prelude::*;

use super::*;
use crate::ConnectorState;

async fn create(response: Reply) -> Error {
    let peer = Peer::script([response]).await.unwrap();
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.attempt_timeout(Duration::from_secs(10)));
    workspace.create_sms_connector(&request()).await.unwrap_err()
}

#[tokio::test]
async fn an_html_error_keeps_a_bounded_excerpt() {
    let page = format!("<html>\u{1b}[31m{}</html>", "x".repeat(10_000));
    let error = create(Reply::with_headers(403, &["content-type: text/html"], page)).await;
    let response = error.response().unwrap();
    let excerpt = response.excerpt.as_deref().unwrap();
    assert!(excerpt.starts_with("<html> [31mxxx") && excerpt.len() < 600, "{excerpt}");
    assert!(error.to_string().len() < 1000);
}

#[tokio::test]
async fn an_error_body_is_decoded_as_far_as_possible() {
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

#[tokio::test]
async fn unexpected_fields_of_an_error_are_shown_up_to_a_limit() {
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

#[tokio::test]
async fn ids_are_found_anywhere_in_a_409() {
    let one = CONNECTOR;
    let two = CHANNEL;
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

#[tokio::test]
async fn a_malformed_201_is_a_creation_with_an_unknown_id() {
    let deep = format!(r#"{{"a": {}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    let two_ids = pending().replacen('{', &format!(r#"{{"id": "{CHANNEL}", "#), 1);
    let json = [
        ("null", ""),
        ("7", ""),
        ("[]", ""),
        (r#"{"id": null}"#, "`id`"),
        (r#"{"id": "not a uuid"}"#, "`id`"),
        (r#"{"name": "n"}"#, "missing field `id`"),
        ("\u{feff}{}", ""),
        (&deep, ""),
        (&two_ids, "duplicate field"),
    ]
    .map(|(body, problem)| (Reply::json(201, body), problem));
    let mut not_utf8 = head_and_body(201, &[], r#"{"id": "??"}"#);
    let at = not_utf8.len() - 4;
    not_utf8[at] = 0xff;
    let too_short = b"HTTP/1.1 201 Created\r\ncontent-length: 9999\r\n\r\n{".to_vec();
    let others = [
        (Reply::Bytes(not_utf8), ""),
        (Reply::BytesThenClose(too_short), "lost"),
        // The client does not decompress bodies.
        (Reply::with_headers(201, &["content-encoding: gzip"], "\u{1f}gzip"), ""),
    ];
    for (reply, problem) in json.into_iter().chain(others) {
        let error = create(reply).await;
        assert!(matches!(error, Error::CreatedIdUnknown(_)), "{error:?}");
        let found = error.response().unwrap().problem.as_ref().unwrap();
        assert!(found.contains(problem) && found.len() < 600, "{found}");
        assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
    }
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_limit() {
    let endless = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        Reply::Endless(head.into_bytes(), chunk.into_bytes())
    };
    let error = create(endless("201 Created")).await;
    let problem = error.response().unwrap().problem.as_ref().unwrap();
    assert!(problem.contains("longer than the limit"), "{error}");
    let error = create(endless("422 Unprocessable")).await;
    assert_eq!(error.response().unwrap().status, 422);
}

#[tokio::test]
async fn a_body_above_the_limit_is_malformed() {
    let padded = format!("{}{}", " ".repeat(20_000), pending());
    for (limit, fits) in [(10_000, false), (30_000, true)] {
        let peer = Peer::script([Reply::json(201, &padded)]).await.unwrap();
        let workspace = workspace(without_sleep(&peer.base_url()).0.body_limit(limit));
        let result = workspace.create_sms_connector(&request()).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_parsed_leaves_the_outcome_unknown() {
    let header = "x: y\r\n".repeat(5000);
    let many = format!("HTTP/1.1 201 Created\r\n{header}\r\n").into_bytes();
    let error = create(Reply::BytesThenClose(many)).await;
    // hyper accepts at most 100 headers, so the client does not even learn the status.
    assert!(matches!(error, Error::OutcomeUnknown(..)), "{error:?}");
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
    fn no_json_body_changes_what_the_status_means(
        body in json(),
        status in prop::sample::select(vec![200_u16, 201, 400, 422, 429, 500])
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let text = body.to_string();
            let peer = Peer::with_handler(move |_| Reply::json(status, &text)).await.unwrap();
            let (builder, _) = without_sleep(&peer.base_url());
            let workspace = workspace(builder.install_timeout(Duration::from_secs(3)));
            match workspace.install(request()).await {
                Ok(channel) => assert_eq!(channel.connector_id, connector_id()),
                Err(error) => {
                    let may_exist = !matches!(status, 400 | 422 | 429);
                    assert_eq!(error.connector_state().may_exist(), may_exist, "{error:?}");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_201_without_a_usable_id_keeps_an_excerpt_of_its_body() {
    let nil = pending().replace(CONNECTOR, "00000000-0000-0000-0000-000000000000");
    let gzip = "\u{1f}\u{8b}\u{8}".to_owned() + &"x".repeat(5000);
    for (body, kept) in [
        (r#"{"id": "conn_123", "status": "created"}"#.to_owned(), "conn_123"),
        (nil, "My SMS channel"),
        (gzip, "xxxx"),
    ] {
        let peer = Peer::script([Reply::json(201, body)]).await.unwrap();
        let error = create_at(&peer).await.unwrap_err();
        let excerpt = error.response().unwrap().excerpt.as_deref().unwrap();
        assert!(excerpt.contains(kept) && excerpt.len() < 600, "{excerpt}");
        assert!(error.chain().contains(kept), "{error:?}");
    }
    // The access key is redacted from the excerpt.
    let peer = Peer::script([Reply::json(201, format!(r#"{{"id": "{KEY}"}}"#))]).await.unwrap();
    assert!(!format!("{:?}", create_at(&peer).await).contains(KEY));
}

#[tokio::test]
async fn an_id_from_the_request_is_not_used_as_the_connector_id() {
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

#[tokio::test]
async fn a_connector_nested_in_a_201_is_found() {
    let nested = format!(r#"{{"data": {}}}"#, pending());
    let peer = Peer::script([Reply::json(201, nested)]).await.unwrap();
    assert_eq!(create_at(&peer).await.unwrap().connector_id(), connector_id());
}
