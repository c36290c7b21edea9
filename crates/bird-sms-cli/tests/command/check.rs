//! Tests of what `bird-sms check` prints. The tests of `bird-sms` cover which response means which problem.

use bird_test_peer::fixtures::{ACCESS_KEY, WORKSPACE_ID};
#[cfg(target_os = "linux")]
use bird_test_peer::tls::Ca;
use bird_test_peer::{Peer, Reply, refused_url};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{at, bird_sms, call, peer, run, started};

/// Asserts that a check ends with this code, message and hint.
async fn assert_problem(command: Command, code: i32, message: &str, hint: &str) {
    let end = run(command).await.code(code).prints_nothing().hides(ACCESS_KEY);
    assert!(end.stderr.starts_with(&format!("error: {message}")), "{end}");
    end.says(&format!("\nhint: {hint}"));
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, format!(r#"{{"code": "{code}", "message": "{message}"}}"#))
}

#[tokio::test]
async fn a_check_prints_what_it_confirmed_and_what_it_did_not() {
    let sandbox = started("").await;
    let end = call(&sandbox, &["check"]).await.code(0).says_nothing();
    end.prints("\nOK: the key works").prints("Not checked: whether the key may create connectors");
    let object = call(&sandbox, &["check", "--json"]).await.code(0).object();
    let fields = ["access", "mayView", "mayCreate", "workspaceId"].map(|name| object[name].clone());
    assert_eq!(fields, [json!("confirmed"), json!(true), Value::Null, json!(WORKSPACE_ID)]);
    assert_eq!((sandbox.get_count(), sandbox.post_count()), (2, 0));
    let peer = peer([error(404, "NotFound", "Not found")]).await;
    let end = call(&peer, &["check"]).await.code(0).hides("OK");
    end.prints("\nNot confirmed: the workspace id");
}

#[tokio::test]
async fn all_missing_or_wrong_settings_are_reported_at_once() {
    let end = run(bird_sms(&["check", "--api-url", "http://api.bird.com"])).await.code(2);
    end.says("error: 3 settings are missing or wrong:")
        .says("BIRD_ACCESS_KEY")
        .says("BIRD_WORKSPACE_ID")
        .says("http://");
}

#[tokio::test]
async fn a_failed_check_has_a_message_a_hint_and_a_json_name() {
    let denied = || error(403, "Forbidden", "Access denied");
    let peer = peer([denied(), denied()]).await;
    let message = "the access key is known, but may not view connectors in this workspace";
    let hint = "Add `view` on /workspaces/";
    assert_problem(at(&peer, &["check"]), 3, message, hint).await;
    let object = call(&peer, &["check", "--json"]).await.code(3).error();
    let fields = ["exitCode", "error", "problem", "status"].map(|name| object[name].clone());
    assert_eq!(fields, [json!(3), json!("refused"), json!("policy"), json!(403)]);
    assert_eq!(object["connectorState"], "not-created");
    assert!(object["hint"].as_str().unwrap().starts_with(hint), "{object}");
    assert_eq!((peer.gets(), peer.requests().len()), (2, 2));
}

#[tokio::test]
async fn an_unreachable_proxy_exits_with_4() {
    let mut command = at(&"https://api.bird.com".to_owned(), &["check"]);
    command.env("HTTPS_PROXY", refused_url().await.unwrap());
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let message = "Bird was not reached: the proxy was not reached, or did not connect";
    assert_problem(command, 4, message, "Check the proxy in HTTPS_PROXY").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn untrusted_and_expired_certificates_have_different_hints() {
    let ca = Ca::new();
    let unknown = Ca::new().server("localhost");
    for (server, message, hint) in [
        (unknown, "was refused", "Check the API URL. If a proxy inspects TLS"),
        (ca.expired_server("localhost"), "has expired", "Check the clock of this machine"),
    ] {
        let peer = Peer::tls(server, []).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.pem()).unwrap();
        let mut command = at(&peer, &["check"]);
        command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
        let message = format!("Bird was not reached: the certificate of the server {message}");
        assert_problem(command, 4, &message, hint).await;
        assert!(peer.requests().is_empty());
    }
}
