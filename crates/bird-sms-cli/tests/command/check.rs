//! `bird-sms check`: each wrong setting has a message of its own, and nothing is created.

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::{ACCESS_KEY, WORKSPACE_ID};
use bird_test_peer::tls::{Ca, TlsAcceptor};
use bird_test_peer::{Peer, Reply, refused_url};
use serde_json::Value;
use tokio::process::Command;

use crate::rows::at;
use crate::{bird_sms, in_sandbox, run};

/// Asserts that a check ends with this code, message and hint, and prints nothing else.
async fn assert_problem(command: Command, code: i32, message: &str, hint: &str) {
    let (ended, stdout, stderr) = run(command).await;
    assert_eq!((ended, stdout.as_str()), (code, ""), "{stderr}");
    let (error, advice) = stderr.split_once('\n').unwrap();
    assert!(error.starts_with(&format!("error: {message}")), "{stderr}");
    if !hint.is_empty() {
        assert!(advice.starts_with(&format!("hint: {hint}")), "{stderr}");
    }
    assert!(!stderr.contains(ACCESS_KEY), "{stderr}");
}

/// Asserts the problem that a check finds in a response to its one GET.
async fn assert_problem_of(reply: Reply, code: i32, message: &str, hint: &str) {
    let peer = Peer::script([reply]).await.unwrap();
    assert_problem(at(&peer.base_url(), &["check"]), code, message, hint).await;
    assert_eq!((peer.gets(), peer.requests().len()), (1, 1));
}

/// Asserts that a setting is refused, and that nothing is sent.
async fn assert_refused(name: &str, value: Option<&str>, message: &str) {
    let peer = Peer::script([]).await.unwrap();
    let mut command = at(&peer.base_url(), &["check"]);
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
    assert_problem(command, 2, message, "").await;
    assert_eq!(peer.connections(), 0);
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, format!(r#"{{"code": "{code}", "message": "{message}"}}"#))
}

#[tokio::test]
async fn settings_that_are_right_are_confirmed_and_what_is_not_known_is_said() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let (code, stdout, stderr) = run(in_sandbox(&sandbox, &["check"])).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\nThe access key is accepted"), "{stdout}");
    assert!(stdout.contains("Not checked: whether the key may create connectors"), "{stdout}");
    let (code, stdout, _) = run(in_sandbox(&sandbox, &["check", "--json"])).await;
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &object["access"]), (0, &"confirmed".into()));
    assert_eq!((&object["mayView"], &object["mayCreate"]), (&true.into(), &Value::Null));
    assert_eq!(object["workspaceId"], sandbox.workspace_id().to_string());
    assert_eq!((sandbox.get_count(), sandbox.post_count()), (2, 0));
}

#[tokio::test]
async fn a_workspace_that_the_response_does_not_confirm_is_not_called_confirmed() {
    let peer = Peer::script([error(404, "NotFound", "Not found")]).await.unwrap();
    let (code, stdout, _) = run(at(&peer.base_url(), &["check"])).await;
    assert!(code == 0 && stdout.contains("\nNot confirmed: the workspace id"), "{stdout}");
    assert!(!stdout.contains("accepted"), "{stdout}");
}

#[tokio::test]
async fn all_settings_that_are_missing_or_wrong_are_named_at_once() {
    let (code, _, stderr) = run(bird_sms(&["check", "--api-url", "http://api.bird.com"])).await;
    assert!(code == 2 && stderr.starts_with("error: 3 settings are missing or wrong:"), "{stderr}");
    for setting in ["BIRD_ACCESS_KEY", "BIRD_WORKSPACE_ID", "http://"] {
        assert!(stderr.contains(setting), "{stderr}");
    }
}

#[tokio::test]
async fn a_problem_has_a_name_in_json() {
    let peer = Peer::script([error(403, "Forbidden", "Access denied")]).await.unwrap();
    let (code, _, stderr) = run(at(&peer.base_url(), &["check", "--json"])).await;
    let object: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &object["exitCode"], &object["error"]), (3, &3.into(), &"refused".into()));
    assert_eq!((&object["problem"], &object["status"]), (&"policy".into(), &403.into()));
    assert_eq!(object["connectorState"], "not-created");
}

#[tokio::test]
async fn no_key() {
    assert_refused("BIRD_ACCESS_KEY", None, "there is no access key; set BIRD_ACCESS_KEY").await;
}

#[tokio::test]
async fn a_wrong_key() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let mut command = in_sandbox(&sandbox, &["check"]);
    command.env("BIRD_ACCESS_KEY", ACCESS_KEY);
    let message = "the access key is refused: it is wrong or revoked, or its role may not";
    assert_problem(command, 3, message, "Copy the access key again").await;
    assert_eq!((sandbox.get_count(), sandbox.post_count()), (1, 0));
}

#[tokio::test]
async fn a_key_of_another_product() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let mut command = in_sandbox(&sandbox, &["check"]);
    command.env("BIRD_ACCESS_KEY", "bk_us1_Ab3xKq9mP2wR5tY8uI1oL4nJ");
    let message = "the access key is refused: its prefix is that of another product";
    assert_problem(command, 3, message, "Create an access key").await;
    assert_eq!((sandbox.get_count(), sandbox.post_count()), (1, 0));
}

#[tokio::test]
async fn a_key_without_a_role() {
    let reply = error(401, "Unauthorized", "The access key has no role with API access");
    let message = "the access key is known, and its role gives no access";
    assert_problem_of(reply, 3, message, "Give the role of the access key a policy").await;
}

#[tokio::test]
async fn a_role_without_a_policy() {
    let reply = error(403, "Forbidden", "Access denied");
    let message = "the access key is known, and may not view connectors in this workspace";
    assert_problem_of(reply, 3, message, "Add `view` on /workspaces/").await;
}

#[tokio::test]
async fn a_wrong_workspace() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let mut command = in_sandbox(&sandbox, &["check"]);
    command.env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
    let message = "the workspace does not exist, or belongs to another organization";
    assert_problem(command, 3, message, "Check the workspace id").await;
    assert_eq!((sandbox.get_count(), sandbox.post_count()), (1, 0));
}

#[tokio::test]
async fn the_identifier_of_a_workspace_in_place_of_its_uuid() {
    let message = "the workspace id starts with `ws_`";
    assert_refused("BIRD_WORKSPACE_ID", Some("ws_123"), message).await;
}

#[tokio::test]
async fn the_url_of_the_dashboard_in_place_of_that_of_the_api() {
    let url = format!("https://app.bird.com/workspaces/{WORKSPACE_ID}");
    let message = "the API URL is that of the website or the dashboard";
    assert_refused("BIRD_API_URL", Some(&url), message).await;
    // Of an address that is not known, the page shows it.
    let page = Reply::with_headers(200, &["content-type: text/html"], "<!doctype html><title>Bird");
    let message = "the server at the API URL is not Bird's API: HTTP 200";
    assert_problem_of(page, 3, message, "Check the API URL").await;
}

#[tokio::test]
async fn a_proxy_that_is_down() {
    let mut command = at("https://api.bird.com", &["check"]);
    command.env("HTTPS_PROXY", refused_url().await.unwrap());
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let message = "Bird was not reached: the proxy was not reached, or did not connect";
    assert_problem(command, 4, message, "Check the proxy in HTTPS_PROXY").await;
}

/// Runs a check at a server whose certificate must be refused, with an authority that is trusted.
async fn assert_certificate(server: TlsAcceptor, trusted: &Ca, message: &str, hint: &str) {
    let peer = Peer::tls(server, []).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, trusted.pem()).unwrap();
    let mut command = at(&peer.base_url(), &["check"]);
    command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
    assert_problem(command, 4, message, hint).await;
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority() {
    let message = "Bird was not reached: the certificate of the server was refused";
    let hint = "Check the API URL. If a proxy inspects TLS";
    assert_certificate(Ca::new().server("localhost"), &Ca::new(), message, hint).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_clock_or_a_certificate_that_is_out_of_date() {
    let ca = Ca::new();
    let message = "Bird was not reached: the certificate of the server has expired or is not valid";
    let hint = "Check the clock of this machine";
    assert_certificate(ca.expired_server("localhost"), &ca, message, hint).await;
}

/// The name is reserved and never exists, whatever the resolver of the machine responds.
#[tokio::test]
async fn a_host_that_dns_does_not_know() {
    let mut command = at("https://bird.invalid", &["check"]);
    command.env("RES_OPTIONS", "timeout:1 attempts:1").env("NO_PROXY", "*");
    let message = "Bird was not reached: the name of the server could not be resolved";
    assert_problem(command, 4, message, "Check the host in the API URL").await;
}

#[tokio::test]
async fn a_url_without_encryption() {
    let message = "the API URL starts with http://, which would send the access key without";
    assert_refused("BIRD_API_URL", Some("http://api.bird.com"), message).await;
}
