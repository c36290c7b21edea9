//! `Workspace::check`, which verifies the settings with one GET.

use bird_test_peer::{Reply, refused_url};

use super::*;
use crate::{Access, CheckError, CheckProblem, TransportErrorKind};

/// Checks an access key, and asserts that the check sends exactly one GET.
async fn check_with(key: &str, reply: Reply) -> Result<Access, CheckError> {
    let peer = Peer::script([reply]).await.unwrap();
    let builder = without_sleep(&peer.base_url()).0.access_key(AccessKey::new(key).unwrap());
    let result = workspace(builder).check().await;
    assert_eq!((peer.gets(), peer.requests().len()), (1, 1));
    result
}

async fn check(reply: Reply) -> Result<Access, CheckError> {
    check_with(KEY, reply).await
}

fn json(status: u16, message: &str) -> Reply {
    Reply::json(status, format!(r#"{{"code": "Code", "message": "{message}"}}"#))
}

#[tokio::test]
async fn only_a_404_about_the_connector_confirms_access() {
    let confirmed = check(json(404, "Connector not found in the workspace")).await.unwrap();
    assert_eq!(confirmed, Access::Confirmed);
    let unconfirmed = check(json(404, "Not found")).await.unwrap();
    assert_eq!(unconfirmed, Access::WorkspaceUnconfirmed);
    let error = check(json(404, "Workspace not found")).await.unwrap_err();
    assert_eq!(error.problem, CheckProblem::Workspace);
    assert!(error.chain().ends_with("HTTP 404 Code: Workspace not found"), "{}", error.chain());
}

#[tokio::test]
async fn a_refusal_is_classified_by_status_message_and_key() {
    for (key, reply, problem) in [
        (KEY, json(401, "Unauthorized"), CheckProblem::AccessKey),
        (KEY, Reply::status(401), CheckProblem::AccessKey),
        ("bk_us1_Ab3xKq9mP2wR5tY8", json(401, "Unauthorized"), CheckProblem::OtherProduct),
        ("test_Ab3xKq9mP2wR5tY8uI", json(401, "Unauthorized"), CheckProblem::OtherProduct),
        (KEY, json(401, "The role has no API access"), CheckProblem::Role),
        (KEY, json(403, "No role is assigned"), CheckProblem::Role),
        (KEY, json(403, "Access denied"), CheckProblem::Policy),
        (KEY, Reply::status(403), CheckProblem::Policy),
    ] {
        let error = check_with(key, reply).await.unwrap_err();
        assert_eq!(error.problem, problem, "{error:?}");
        assert!(!format!("{error:?} {} {}", error.chain(), error.hint()).contains(key));
    }
}

#[tokio::test]
async fn a_refused_key_of_another_product_gets_a_hint() {
    let peer = Peer::with_handler(|_| json(401, "Unauthorized")).await.unwrap();
    let workspace_with = |key: &str| {
        let builder = without_sleep(&peer.base_url()).0;
        workspace(builder.access_key(AccessKey::new(key).unwrap()))
    };
    for (key, other) in [("bk_us1_Ab3xKq9mP2wR5tY8", true), (KEY, false)] {
        let workspace = workspace_with(key);
        let wait = workspace.pending_channel(connector_id());
        for error in [
            workspace.install(request()).await.unwrap_err(),
            wait.wait().await.unwrap_err(),
            workspace.connector(connector_id()).await.unwrap_err(),
        ] {
            let hint = error.hint().unwrap();
            assert_eq!(hint.contains("keys that begin with bk_ or test_"), other, "{hint}");
        }
    }
}

#[tokio::test]
async fn a_response_that_is_not_from_bird_is_recognized() {
    for reply in [
        Reply::json(200, ready()),
        Reply::json(200, "<!doctype html>"),
        Reply::with_headers(302, &["location: /login"], ""),
        Reply::status(101),
        Reply::with_headers(404, &["content-type: text/html"], "<h1>Not found</h1>"),
        Reply::with_headers(403, &["content-type: text/html"], "<h1>Blocked</h1>"),
        Reply::status(404),
    ] {
        assert_eq!(check(reply).await.unwrap_err().problem, CheckProblem::NotBird);
    }
}

#[tokio::test]
async fn a_check_is_not_retried() {
    for status in [408, 429, 460, 499, 500, 502, 503] {
        assert_eq!(
            check(Reply::status(status)).await.unwrap_err().problem,
            CheckProblem::Unavailable
        );
    }
    assert_eq!(check(Reply::Reset).await.unwrap_err().problem, CheckProblem::Unreachable);
}

/// Returns the kind of a check's transport error, and asserts that the check was not retried.
async fn kind_without_response(base_url: &str) -> TransportErrorKind {
    let (builder, runtime) = without_sleep(base_url);
    let error = workspace(builder.allow_http()).check().await.unwrap_err();
    assert_eq!(error.problem, CheckProblem::Unreachable);
    assert!(runtime.slept().is_empty(), "a check should not be retried");
    assert_ne!(error.hint(), "It is safe to retry.");
    error.cause.transport().unwrap().kind()
}

#[tokio::test]
async fn a_check_without_a_response_reports_the_kind_of_failure() {
    let refused = refused_url().await.unwrap();
    assert_eq!(kind_without_response(&refused).await, TransportErrorKind::Connect);
    // A DNS label has at most 63 characters, so this name fails without a query.
    let unresolvable = format!("http://{}.example", "a".repeat(64));
    assert_eq!(kind_without_response(&unresolvable).await, TransportErrorKind::Dns);
}
