//! Tests of `bird-sms install`, `wait` and `connector`: output, exit codes and signals.

use std::time::Duration;

use bird_test_peer::fixtures::{
    ACCESS_KEY as KEY, CHANNEL_ID as CHANNEL, CONNECTOR_ID as CONNECTOR, PHONE_NUMBER_ID as NUMBER,
    USE_CASE_ID as USE_CASE, WORKSPACE_ID as WORKSPACE, pending, ready,
};
#[cfg(target_os = "linux")]
use bird_test_peer::tls::Ca;
use bird_test_peer::{Peer, Reply, refused_url};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::{
    Ended, at, bird_sms, call, end_of, peer, replies, run, sandbox, signal, spawn, started, until,
    wrap,
};

const INSTALL: [&str; 5] = ["install", "--name", "My SMS channel", "--phone-number-id", NUMBER];

fn install<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&INSTALL[..], more].concat()
}

#[tokio::test]
async fn an_install_in_the_embedded_sandbox_prints_the_channel_id() {
    let end = run(bird_sms(&install(&["--use-case-id", USE_CASE, "--sandbox"]))).await.code(0);
    let id = end.stdout.strip_suffix('\n').unwrap();
    assert_eq!(id.parse::<bird_sms::ChannelId>().unwrap().to_string(), id);
    end.says("Creating the connector")
        .says("Created connector ")
        .says("Waiting")
        .says("The channel is ready");
}

#[tokio::test]
async fn every_install_option_is_sent_and_json_prints_one_object() {
    let sandbox = started("").await;
    let more = ["--json", "--channel-message-type", "promotional", "--conversational", "false"];
    let end = call(&sandbox, &install(&more)).await.code(0);
    let stored = &sandbox.connectors()[0];
    let object: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(object["channelId"], stored.channel_id.to_string());
    assert_eq!(
        (&object["workspaceId"], &object["name"]),
        (&json!(WORKSPACE), &json!("My SMS channel"))
    );
    // Fault 41 in docs/reliability.md: the connector's id is printed before the channel is ready.
    let event: Value = serde_json::from_str(&end.stderr).unwrap();
    assert_eq!((&event["event"], &event["connectorId"]), (&json!("created"), &json!(stored.id)));
    assert_eq!(object["connectorId"], event["connectorId"]);
    let sent: Value = serde_json::from_str(&sandbox.requests()[0].body).unwrap();
    assert_eq!(
        (&sent["name"], &sent["channelConversationalStatusEnabled"]),
        (&json!("My SMS channel"), &json!(false))
    );
    let arguments = json!({"phoneNumberId": NUMBER, "channelMessageType": "promotional"});
    assert_eq!(sent["arguments"], arguments);
}

#[tokio::test]
async fn wait_and_connector_print_what_an_install_created() {
    let sandbox = started("").await;
    let channel = call(&sandbox, &install(&[])).await.code(0).stdout;
    let id = sandbox.connectors()[0].id.to_string();
    assert_eq!(call(&sandbox, &["wait", &id]).await.code(0).stdout, channel);
    let end = call(&sandbox, &["connector", &id]).await.code(0).says_nothing();
    end.prints(&format!("channel.channelId: {}", channel.trim()));
    let object = call(&sandbox, &["connector", &id, "--json"]).await.object();
    assert_eq!(
        (&object["id"], &object["connectorTemplateRef"]),
        (&json!(id), &json!("sms-messagebird:1"))
    );
}

#[tokio::test]
async fn bad_input_causes_one_error_and_nothing_is_sent() {
    let peer = peer([]).await;
    let folder = tempfile::tempdir().unwrap();
    let bad_key = folder.path().join("key");
    std::fs::write(&bad_key, format!("{KEY}\n{KEY}\n")).unwrap();
    let bad_key = bad_key.to_str().unwrap();
    for (more, problem) in [
        (["--workspace-id", "https://app.bird.com/workspaces/x"], "is a URL"),
        (["--workspace-id", ""], "workspace id is empty"),
        (["--workspace-id", KEY], "argument 7 contains the access key"),
        (["--use-case-id", "7"], "use case id is not a UUID"),
        (["--channel-message-type", ""], "message type is empty"),
        (["--timeout", "1ms"], "is shorter than 1s"),
        (["--access-key-file", bad_key], "contains a line break"),
        (["--access-key-file", "/does/not/exist"], "cannot be read"),
    ] {
        let mut command = at(&peer, &install(&more));
        command.env("RUST_LOG", "trace");
        let end = run(command).await.code(2).prints_nothing().says(problem).hides(KEY);
        assert_eq!(end.stderr.matches("error: ").count(), 1, "{end}");
    }
    let empty_name = ["install", "--name", "", "--phone-number-id", NUMBER];
    call(&peer, &empty_name).await.code(2).says("the name is empty");
    for (name, value, problem) in [
        ("BIRD_ACCESS_KEY", "top-secret\n-key\n", "contains a line break"),
        ("BIRD_ACCESS_KEY", "", "access key is empty"),
        ("BIRD_API_URL", "api.bird.com", "is not a URL"),
    ] {
        let mut command = at(&peer, &install(&["-vv"]));
        command.env(name, value);
        run(command).await.code(2).says(problem).hides(KEY);
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn a_key_may_end_with_a_line_break() {
    let sandbox = started("").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let mut command = at(&sandbox, &["check", "--access-key-file", path.to_str().unwrap()]);
    command.env("BIRD_ACCESS_KEY", "wrong");
    run(command).await.code(0);
    let mut command = at(&sandbox, &["check"]);
    command.env("BIRD_ACCESS_KEY", format!("{KEY}\n"));
    run(command).await.code(0);
}

/// Runs an install against a scripted peer, without and with `--json`. Asserts that both runs have the same exit code
/// and send this many POSTs. Returns the exit code and the error object.
async fn failure(script: &[Reply], posts: usize) -> (i32, Value) {
    let text = peer(script.to_vec()).await;
    let json = peer(script.to_vec()).await;
    let quick = install(&["--timeout", "2s", "--poll-interval", "20ms"]);
    let (end, in_json) = tokio::join!(call(&text, &quick), async {
        call(&json, &[&quick[..], &["--json"]].concat()).await
    });
    assert_eq!([text.posts(), json.posts()], [posts; 2], "{script:?}: {end}");
    let end = end.prints_nothing().hides(KEY);
    let error = in_json.code(end.code).prints_nothing().hides(KEY).error();
    assert_eq!(error["exitCode"], end.code);
    let code = end.code;
    if let Some(id) = error["connectorId"].as_str() {
        end.says(&format!("bird-sms wait {id} --workspace-id {WORKSPACE}"));
    }
    (code, error)
}

#[tokio::test]
async fn a_refused_creation_exits_with_3_as_not_created() {
    let body = r#"{"code": "InvalidPayload", "message": "m", "details": {".name": ["n"]}}"#;
    let (code, error) = failure(&[Reply::json(422, body)], 1).await;
    assert_eq!((code, &error["connectorState"]), (3, &json!("not-created")));
    assert_eq!((&error["status"], &error["code"]), (&json!(422), &json!("InvalidPayload")));
    assert_eq!(error["details"][".name"][0], "n");
    let redirect = Reply::with_headers(302, &["location: http://127.0.0.1:1"], "");
    assert_eq!(failure(&[redirect], 1).await.0, 3);
    let limited = Reply::with_headers(429, &["retry-after: 60"], "");
    assert_eq!(failure(&[limited], 1).await.0, 3);
}

// Fault 83 in docs/reliability.md.
#[tokio::test]
async fn each_id_in_a_409_is_printed_on_its_own_line() {
    let body = format!(r#"{{"code": "AlreadyExists", "connectorId": "{CONNECTOR}"}}"#);
    let end = call(&peer([Reply::json(409, &body)]).await, &install(&[])).await.code(3);
    end.says(&format!("\nid in the response: {CONNECTOR}\n"));
}

#[tokio::test]
async fn a_422_about_an_id_hints_at_the_scenarios() {
    let sandbox = sandbox().require_use_case(NUMBER.parse().unwrap()).start().await.unwrap();
    let end = call(&sandbox, &install(&[])).await.code(3);
    end.says("(.arguments.useCaseId: property \"useCaseId\" is missing)")
        .says("hint: Give the id of a use case.")
        .says("bird-sms help scenarios");
    // The install succeeds if the hint is followed.
    call(&sandbox, &install(&["--use-case-id", USE_CASE])).await.code(0);
    let body =
        r#"{"code": "InvalidPayload", "details": {".arguments.phoneNumberId": ["unknown"]}}"#;
    let (_, error) = failure(&[Reply::json(422, body)], 1).await;
    assert!(error["hint"].as_str().unwrap().starts_with("Check the phone number id."), "{error}");
}

#[tokio::test]
async fn an_unreachable_server_exits_with_4_as_not_created() {
    let url = refused_url().await.unwrap();
    let error = call(&url, &install(&["--json", "--timeout", "1s"])).await.code(4).error();
    assert_eq!(error["connectorState"], "not-created");
}

/// Small containers often have no CA certificates.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn missing_root_certificates_are_reported_before_anything_is_sent() {
    let missing = "no root certificates were found; install the CA certificates of the platform";
    let unreadable = "SSL_CERT_FILE names a file that cannot be read: /nowhere/ca.pem: No such";
    for (roots, message) in [("/dev/null", missing), ("/nowhere/ca.pem", unreadable)] {
        let peer = Peer::tls(Ca::new().server("localhost"), []).await.unwrap();
        let mut install = at(&peer, &install(&[]));
        install.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", "/dev/null");
        run(install).await.code(2).says(message);
        assert_eq!(peer.connections(), 0);
        // The embedded sandbox needs no root certificates.
        let mut check = bird_sms(&["check", "--sandbox"]);
        check.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", "/dev/null");
        run(check).await.code(0);
    }
}

// Fault 91 in docs/reliability.md.
#[tokio::test]
async fn a_wait_for_a_non_sms_connector_exits_with_7() {
    let voice = r#"{"connectorTemplateRef": "voice-messagebird:1","#;
    let voice = Reply::json(200, ready().replacen('{', voice, 1));
    let peer = peer([voice.clone(), voice]).await;
    let end = call(&peer, &["wait", CONNECTOR]).await.code(7).prints_nothing();
    end.says("the template voice-messagebird:1, which is not for SMS");
    let end = call(&peer, &["connector", CONNECTOR]).await.code(0);
    end.prints("connectorTemplateRef: voice-messagebird:1");
}

#[tokio::test]
async fn a_failed_read_exits_with_7_and_an_unknown_state() {
    let refused = &refused_url().await.unwrap();
    join_all(["wait", "connector"].map(async |command| {
        for (status, hint) in [
            (503, "Retry later"),
            (404, "Check the connector id"),
            (403, "The access key's policy must allow `view` on /workspaces/"),
        ] {
            let peer = replies(Reply::status(status), Reply::status(status)).await;
            let args = [command, CONNECTOR, "--timeout", "1s", "--json"];
            let end = call(&peer, &args).await.code(7).says("could not be read after");
            let error = end.error();
            assert_eq!((&error["exitCode"], &error["status"]), (&json!(7), &json!(status)));
            let state = (&error["connectorState"], &error["connectorId"]);
            assert_eq!(state, (&json!("unknown"), &json!(CONNECTOR)), "{end}");
            assert!(error["hint"].as_str().unwrap().starts_with(hint), "{end}");
        }
        let args = [command, CONNECTOR, "--timeout", "1s"];
        call(refused, &args).await.code(7).says("could not be read after");
    }))
    .await;
}

#[tokio::test]
async fn a_wait_that_fails_after_a_read_reports_that_the_connector_exists() {
    let peer = peer([Reply::json(200, pending()), Reply::status(403)]).await;
    let args = ["wait", CONNECTOR, "--json", "--poll-interval", "20ms"];
    let error = call(&peer, &args).await.code(7).error();
    assert_eq!(
        (&error["connectorState"], &error["connectorId"]),
        (&json!("exists"), &json!(CONNECTOR))
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_result_that_cannot_be_written_is_reported_with_its_ids() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let peer = peer([Reply::json(201, ready())]).await;
    let mut command = at(&peer, &install(&["--json"]));
    let process = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let error = end_of(process).await.code(1).error();
    assert_eq!(
        (&error["connectorState"], &error["connectorId"]),
        (&json!("exists"), &json!(CONNECTOR))
    );
    assert!(error["message"].as_str().unwrap().contains(CHANNEL), "{error}");
}

// Fault 81 in docs/reliability.md.
#[cfg(unix)]
#[tokio::test]
async fn a_result_goes_to_stderr_if_stdout_is_closed() {
    for (redirection, told) in [(">&-", true), (">/dev/null", false)] {
        let peer = peer([Reply::json(201, ready())]).await;
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        let command = wrap("sh", &["-c", &script], &at(&peer, &install(&["--quiet"])));
        let end = run(command).await.code(0);
        assert_eq!(end.stderr.ends_with(&format!("{CHANNEL}\n")), told, "{end}");
    }
}

#[tokio::test]
async fn a_usage_error_with_json_is_an_object() {
    for args in [&["install", "--json"][..], &["install", "--json", "--conversational", "perhaps"]]
    {
        let error = run(bird_sms(args)).await.code(2).prints_nothing().error();
        assert_eq!((&error["error"], &error["exitCode"]), (&json!("usage"), &json!(2)));
        assert!(error["message"].as_str().unwrap().len() > 20, "{error}");
    }
    let end = run(bird_sms(&["install", "--json", "--help"])).await.code(0).says_nothing();
    end.prints("--phone-number-id");
    run(bird_sms(&["install"])).await.code(2).says("Usage:");
}

#[tokio::test]
async fn an_unknown_outcome_exits_with_5() {
    for (script, posts) in [
        (vec![Reply::Reset], 1),
        (vec![Reply::Close], 1),
        (vec![Reply::status(501)], 1),
        (vec![Reply::status(504)], 1),
        (vec![Reply::status(500), Reply::status(409)], 2),
        (vec![Reply::json(201, "{")], 1),
    ] {
        let (code, error) = failure(&script, posts).await;
        assert_eq!(code, 5, "{script:?}");
        let state = error["connectorState"].as_str().unwrap();
        assert!(["unknown", "exists-id-unknown"].contains(&state), "{error}");
        // Fault 90 in docs/reliability.md.
        let check = format!("Run `bird-sms check --phone-number-id {NUMBER} --workspace-id");
        assert!(error["hint"].as_str().unwrap().starts_with(&check), "{error}");
        assert_eq!(error["connectorId"], Value::Null);
    }
}

// Fault 36 in docs/reliability.md.
#[tokio::test]
async fn a_creation_retried_after_a_503_has_a_warning() {
    let script = || peer([Reply::status(503), Reply::json(201, ready())]);
    let never = script().await;
    call(&never, &install(&["--retry-create", "never"])).await.code(5);
    assert_eq!(never.posts(), 1);
    let text = script().await;
    call(&text, &install(&[])).await.code(0).says("\nWarning: ");
    assert_eq!(text.posts(), 2);
    let end = call(&script().await, &install(&["--json"])).await.code(0);
    for object in [end.object(), end.error()] {
        assert_eq!(object["warning"]["kind"], "possible-duplicate", "{object}");
    }
}

#[tokio::test]
async fn a_connector_without_its_channel_exits_with_6_and_its_id() {
    let created = || Reply::json(201, pending());
    let scripts = [
        [created(), Reply::status(401)],
        [created(), Reply::json(200, ready().replace(CONNECTOR, CHANNEL))],
        [created(), Reply::Silence],
    ];
    join_all(scripts.map(async |script| {
        let (code, error) = failure(&script, 1).await;
        assert_eq!(code, 6, "{script:?}");
        assert_eq!(
            (&error["connectorState"], &error["connectorId"]),
            (&json!("exists"), &json!(CONNECTOR))
        );
    }))
    .await;
}

#[tokio::test]
async fn an_interrupt_while_waiting_prints_how_to_resume() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let peer = replies(Reply::json(201, pending()), Reply::Silence).await;
        let process = spawn(at(&peer, &install(&[])));
        until(|| peer.gets() == 1).await;
        signal(&process, name);
        let end = end_of(process).await.code(code).prints_nothing();
        end.says(&format!("bird-sms wait {CONNECTOR} --workspace-id {WORKSPACE}"));
    }
}

/// Sends signals to an install whose POST is in flight.
async fn interrupt_creation(peer: &Peer, args: &[&str], signals: &[&str]) -> Ended {
    let mut process = spawn(at(peer, args));
    until(|| peer.posts() == 1).await;
    let mut stderr = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut text = String::new();
    for name in signals {
        signal(&process, name);
        while !text.contains("Stopping") {
            text += &stderr.next_line().await.unwrap().unwrap();
        }
    }
    while let Some(line) = stderr.next_line().await.unwrap() {
        text += &line;
    }
    Ended { stderr: text, ..end_of(process).await }
}

// Fault 75 in docs/reliability.md.
#[tokio::test]
async fn an_interrupted_creation_waits_for_the_id() {
    let delay = Duration::from_millis(300);
    for args in [install(&[]), install(&["--no-wait"])] {
        let peer = peer([Reply::json(201, pending()).delayed(delay)]).await;
        let end = interrupt_creation(&peer, &args, &["TERM"]).await.code(143).prints_nothing();
        end.says(&format!("bird-sms wait {CONNECTOR}"));
        assert_eq!((peer.posts(), peer.gets()), (1, 0));
    }
    let peer = peer([Reply::status(503).delayed(delay)]).await;
    let end = interrupt_creation(&peer, &install(&[]), &["INT"]).await.code(130);
    end.says("a connector may exist");
    assert_eq!(peer.posts(), 1);
}

#[tokio::test]
async fn a_second_interrupt_says_that_a_connector_may_exist() {
    let peer = peer([Reply::Silence]).await;
    let end = interrupt_creation(&peer, &install(&[]), &["INT", "INT"]).await.code(130);
    end.says("a connector may exist").says("bird-sms check --phone-number-id");
    assert_eq!(peer.posts(), 1);
}
