//! `bird-sms check`: what it prints. Which response is which problem is tested in the library.

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::ACCESS_KEY;
#[cfg(target_os = "linux")]
use bird_test_peer::tls::Ca;
use bird_test_peer::{Peer, Reply, refused_url};
use serde_json::Value;
use tokio::process::Command;

use crate::rows::at;
use crate::{bird_sms, in_sandbox, run};

/// Asserts that a check ends with this code, message and hint, and prints nothing else.
async fn assert_problem(command: Command, code: i32, message: &str, hint: &str) {
    let (ended, stdout, stderr) = run(command).await;
    assert_eq!((ended, stdout.as_str()), (code, ""), "{stderr}");
    assert!(stderr.starts_with(&format!("error: {message}")), "{stderr}");
    assert!(stderr.contains(&format!("\nhint: {hint}")), "{stderr}");
    assert!(!stderr.contains(ACCESS_KEY), "{stderr}");
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, format!(r#"{{"code": "{code}", "message": "{message}"}}"#))
}

#[tokio::test]
async fn settings_that_are_right_are_confirmed_and_what_is_not_known_is_said() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let (code, stdout, stderr) = run(in_sandbox(&sandbox, &["check"])).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\nOK: the key works"), "{stdout}");
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
async fn a_problem_has_a_message_a_hint_and_a_name_in_json() {
    let denied = || error(403, "Forbidden", "Access denied");
    let peer = Peer::script([denied(), denied()]).await.unwrap();
    let message = "the access key is known, and may not view connectors in this workspace";
    let hint = "Add `view` on /workspaces/";
    assert_problem(at(&peer.base_url(), &["check"]), 3, message, hint).await;
    let (code, _, stderr) = run(at(&peer.base_url(), &["check", "--json"])).await;
    let object: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &object["exitCode"], &object["error"]), (3, &3.into(), &"refused".into()));
    assert_eq!((&object["problem"], &object["status"]), (&"policy".into(), &403.into()));
    assert_eq!(object["connectorState"], "not-created");
    assert!(object["hint"].as_str().unwrap().starts_with(hint), "{object}");
    assert_eq!((peer.gets(), peer.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_proxy_that_is_down_is_4() {
    let mut command = at("https://api.bird.com", &["check"]);
    command.env("HTTPS_PROXY", refused_url().await.unwrap());
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let message = "Bird was not reached: the proxy was not reached, or did not connect";
    assert_problem(command, 4, message, "Check the proxy in HTTPS_PROXY").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_certificate_that_is_unknown_or_expired_has_a_hint_of_its_own() {
    let ca = Ca::new();
    for (server, message, hint) in [
        (
            Ca::new().server("localhost"),
            " was refused",
            "Check the API URL. If a proxy inspects TLS",
        ),
        (ca.expired_server("localhost"), " has expired", "Check the clock of this machine"),
    ] {
        let peer = Peer::tls(server, []).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.pem()).unwrap();
        let mut command = at(&peer.base_url(), &["check"]);
        command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
        let message = format!("Bird was not reached: the certificate of the server{message}");
        assert_problem(command, 4, &message, hint).await;
        assert!(peer.requests().is_empty());
    }
}
