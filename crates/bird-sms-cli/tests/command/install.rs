//! The command as a process: its streams, its exit codes, its signals.

use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::{
    ACCESS_KEY as KEY, CHANNEL_ID as CHANNEL, CONNECTOR_ID as CONNECTOR, PHONE_NUMBER_ID as NUMBER,
    USE_CASE_ID as USE_CASE, WORKSPACE_ID as WORKSPACE, pending, ready,
};
#[cfg(target_os = "linux")]
use bird_test_peer::tls::Ca;
use bird_test_peer::{Peer, Reply, refused_url};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::rows::{at, until};
use crate::{bird_sms, ended, in_sandbox, run, signal, wrap};

const INSTALL: [&str; 5] = ["install", "--name", "My SMS channel", "--phone-number-id", NUMBER];

fn install<'a>(more: &[&'a str]) -> Vec<&'a str> {
    INSTALL.iter().chain(more).copied().collect()
}

async fn peer(script: impl IntoIterator<Item = Reply>) -> Peer {
    Peer::script(script).await.unwrap()
}

#[tokio::test]
async fn an_install_in_the_embedded_sandbox_prints_the_channel_alone() {
    let use_case = ["--use-case-id", "be123b02-dacf-31f9-b3e5-50b18260bc23", "--sandbox"];
    let (code, stdout, stderr) = run(bird_sms(&install(&use_case))).await;
    assert_eq!(code, 0, "{stderr}");
    let id = stdout.strip_suffix('\n').unwrap();
    assert_eq!(id.parse::<bird_sms::ChannelId>().unwrap().to_string(), id);
    for line in ["Creating the connector", "Created connector ", "Waiting", "The channel is ready"]
    {
        assert!(stderr.contains(line), "{stderr}");
    }
}

#[tokio::test]
async fn an_install_with_json_prints_one_object_and_the_new_connector_on_stderr() {
    let (code, stdout, stderr) = run(bird_sms(&install(&["--sandbox", "--json"]))).await;
    assert_eq!(code, 0);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    // Fault 41: the id is known before the channel is.
    let event: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(
        (&event["event"], &event["connectorId"]),
        (&"created".into(), &object["connectorId"])
    );
    for field in ["channelId", "connectorId", "workspaceId"] {
        assert!(object[field].as_str().unwrap().parse::<bird_sms::ChannelId>().is_ok(), "{stdout}");
    }
    assert_eq!(object["name"], "My SMS channel");
}

#[tokio::test]
async fn wait_and_connector_print_what_an_install_created() {
    let sandbox =
        Sandbox::builder().provisioning_delay(Duration::from_millis(50)).start().await.unwrap();
    let (code, channel, _) = run(in_sandbox(&sandbox, &install(&[]))).await;
    assert_eq!(code, 0);
    let id = sandbox.connectors()[0].id.to_string();
    let (code, waited, _) = run(in_sandbox(&sandbox, &["wait", &id])).await;
    assert_eq!((code, waited), (0, channel.clone()));
    let (code, shown, stderr) = run(in_sandbox(&sandbox, &["connector", &id])).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(shown.contains(&format!("channel.channelId: {}", channel.trim())), "{shown}");
    let (_, json, _) = run(in_sandbox(&sandbox, &["connector", &id, "--json"])).await;
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["id"], id);
    assert_eq!(object["connectorTemplateRef"], "sms-messagebird:1");
}

#[tokio::test]
async fn every_option_of_an_install_reaches_bird() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::ZERO).start().await.unwrap();
    let more = ["--channel-message-type", "promotional", "--conversational", "false"];
    assert_eq!(run(in_sandbox(&sandbox, &install(&more))).await.0, 0);
    let sent: Value = serde_json::from_str(&sandbox.requests()[0].body).unwrap();
    assert_eq!(sent["name"], "My SMS channel");
    assert_eq!(sent["channelConversationalStatusEnabled"], false);
    let arguments =
        serde_json::json!({"phoneNumberId": NUMBER, "channelMessageType": "promotional"});
    assert_eq!(sent["arguments"], arguments);
}

#[tokio::test]
async fn bad_input_is_one_sentence_with_nothing_sent_and_no_key_shown() {
    let peer = peer([]).await;
    let folder = tempfile::tempdir().unwrap();
    let bad_key = folder.path().join("key");
    std::fs::write(&bad_key, format!("{KEY}\n{KEY}\n")).unwrap();
    let bad_key = bad_key.to_str().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["--workspace-id", "https://app.bird.com/workspaces/x"], "is a URL"),
        (&["--workspace-id", ""], "workspace id is empty"),
        (&["--workspace-id", KEY], "argument 7 contains the access key"),
        (&["--use-case-id", "7"], "use case id is not a UUID"),
        (&["--channel-message-type", ""], "message type is empty"),
        (&["--timeout", "1ms"], "is shorter than 1s"),
        (&["--access-key-file", bad_key], "contains a line break"),
        (&["--access-key-file", "/does/not/exist"], "cannot be read"),
    ];
    for (more, problem) in cases {
        let mut command = at(&peer.base_url(), &install(more));
        command.env("RUST_LOG", "trace");
        let (code, stdout, stderr) = run(command).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{more:?}: {stderr}");
        assert!(stderr.contains(problem), "{more:?}: {stderr}");
        assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
        assert!(!stderr.contains(KEY), "{more:?}: {stderr}");
    }
    let empty_name = ["install", "--name", "", "--phone-number-id", NUMBER];
    let (code, _, stderr) = run(at(&peer.base_url(), &empty_name)).await;
    assert!(code == 2 && stderr.contains("the name is empty"), "{stderr}");
    for (name, value, problem) in [
        ("BIRD_ACCESS_KEY", "top-secret\n-key\n", "contains a line break"),
        ("BIRD_ACCESS_KEY", "", "access key is empty"),
        ("BIRD_API_URL", "api.bird.com", "is not a URL"),
    ] {
        let mut command = at(&peer.base_url(), &install(&["-vv"]));
        command.env(name, value);
        let (code, _, stderr) = run(command).await;
        assert!(code == 2 && stderr.contains(problem), "{name}: {stderr}");
        assert!(!stderr.contains(KEY), "{stderr}");
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn a_key_may_end_with_a_line_break() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::ZERO).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{}\n", sandbox.access_key())).unwrap();
    let mut command =
        in_sandbox(&sandbox, &install(&["--access-key-file", path.to_str().unwrap()]));
    command.env("BIRD_ACCESS_KEY", "wrong");
    let (code, _, stderr) = run(command).await;
    assert_eq!(code, 0, "{stderr}");
    let mut command = in_sandbox(&sandbox, &["check"]);
    command.env("BIRD_ACCESS_KEY", format!("{}\n", sandbox.access_key()));
    assert_eq!(run(command).await.0, 0);
}

/// Returns the JSON object of the last line.
fn last_object(text: &str) -> Value {
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs an install against a script, without and with `--json`. Returns the exit code and the error object, and checks
/// that both runs agree and made this many POSTs each.
async fn failure(script: &[Reply], posts: usize) -> (i32, Value) {
    let quick = ["--timeout", "2s"];
    let text = peer(script.to_vec()).await;
    let (code, stdout, stderr) = run(at(&text.base_url(), &install(&quick))).await;
    assert_eq!((stdout.as_str(), text.posts()), ("", posts), "{stderr}");
    let json = peer(script.to_vec()).await;
    let args = install(&["--json", "--timeout", "2s"]);
    let (json_code, stdout, json_stderr) = run(at(&json.base_url(), &args)).await;
    assert_eq!((stdout.as_str(), json.posts(), json_code), ("", posts, code), "{json_stderr}");
    let error = last_object(&json_stderr);
    assert_eq!(error["exitCode"], code);
    if let Some(id) = error["connectorId"].as_str() {
        assert!(
            stderr.contains(&format!("bird-sms wait {id} --workspace-id {WORKSPACE}")),
            "{stderr}"
        );
    }
    assert!(!stderr.contains(KEY) && !json_stderr.contains(KEY));
    (code, error)
}

#[tokio::test]
async fn refused_is_3_and_nothing_was_created() {
    let body = r#"{"code": "InvalidPayload", "message": "m", "details": {".name": ["n"]}}"#;
    let (code, error) = failure(&[Reply::json(422, body)], 1).await;
    assert_eq!(code, 3);
    assert_eq!(error["connectorState"], "not-created");
    assert_eq!((&error["status"], &error["code"]), (&422.into(), &"InvalidPayload".into()));
    assert_eq!(error["details"][".name"][0], "n");
    let redirect = Reply::with_headers(302, &["location: http://127.0.0.1:1"], "");
    assert_eq!(failure(&[redirect], 1).await.0, 3);
    let limited = Reply::with_headers(429, &["retry-after: 60"], "");
    assert_eq!(failure(&[limited], 1).await.0, 3);
}

// Fault 83.
#[tokio::test]
async fn the_ids_of_a_409_have_lines_of_their_own() {
    let body = format!(r#"{{"code": "AlreadyExists", "connectorId": "{CONNECTOR}"}}"#);
    let peer = peer([Reply::json(409, &body)]).await;
    let (code, _, stderr) = run(at(&peer.base_url(), &install(&[]))).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.lines().any(|line| line == format!("id in the response: {CONNECTOR}")),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_422_about_an_id_hints_at_the_scenarios() {
    let number = NUMBER.parse().unwrap();
    let sandbox = Sandbox::builder().require_use_case(number).start().await.unwrap();
    let (code, _, stderr) = run(in_sandbox(&sandbox, &install(&[]))).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("(.arguments.useCaseId: property \"useCaseId\" is missing)"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: Give the id of a use case."), "{stderr}");
    assert!(stderr.contains("bird-sms help scenarios"), "{stderr}");
    // The advice works.
    let (code, _, stderr) = run(in_sandbox(&sandbox, &install(&["--use-case-id", USE_CASE]))).await;
    assert_eq!(code, 0, "{stderr}");
    let body =
        r#"{"code": "InvalidPayload", "details": {".arguments.phoneNumberId": ["unknown"]}}"#;
    let (_, error) = failure(&[Reply::json(422, body)], 1).await;
    assert!(error["hint"].as_str().unwrap().starts_with("Check the phone number id."), "{error}");
}

#[tokio::test]
async fn unreachable_is_4_and_nothing_was_created() {
    let url = refused_url().await.unwrap();
    let args = install(&["--json", "--timeout", "1s"]);
    let (code, _, stderr) = run(at(&url, &args)).await;
    let error: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &error["connectorState"]), (4, &"not-created".into()));
}

/// As in a container without CA certificates.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_root_certificates_nothing_is_sent_and_the_error_says_what_to_install() {
    for (roots, message) in [
        (
            "/dev/null",
            "no root certificates were found; install the CA certificates of the platform",
        ),
        (
            "/nowhere/ca.pem",
            "SSL_CERT_FILE names a file that cannot be read: /nowhere/ca.pem: No such",
        ),
    ] {
        let peer = Peer::tls(Ca::new().server("localhost"), []).await.unwrap();
        let mut command = at(&peer.base_url(), &install(&[]));
        command.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", "/dev/null");
        let (code, _, stderr) = run(command).await;
        assert!(code == 2 && stderr.contains(message), "{code}: {stderr}");
        assert_eq!(peer.connections(), 0);
        // The sandbox needs none.
        let mut command = bird_sms(&install(&["--sandbox"]));
        command.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", "/dev/null");
        assert_eq!(run(command).await.0, 0);
    }
}

// Fault 91.
#[tokio::test]
async fn a_wait_for_a_connector_of_another_template_is_7_and_a_read_shows_it() {
    let voice = r#"{"connectorTemplateRef": "voice-messagebird:1","#;
    let voice = Reply::json(200, ready().replacen('{', voice, 1));
    let peer = peer([voice.clone(), voice]).await;
    let (code, stdout, stderr) = run(at(&peer.base_url(), &["wait", CONNECTOR])).await;
    assert_eq!((code, &*stdout), (7, ""), "{stderr}");
    assert!(stderr.contains("the template voice-messagebird:1, which is not for SMS"), "{stderr}");
    let (code, stdout, _) = run(at(&peer.base_url(), &["connector", CONNECTOR])).await;
    assert!(code == 0 && stdout.contains("connectorTemplateRef: voice-messagebird:1"), "{stdout}");
}

#[tokio::test]
async fn a_wait_and_a_read_that_fail_are_7_and_the_error_does_not_say_that_the_connector_exists() {
    for subcommand in ["wait", "connector"] {
        for (status, hint) in [
            (503, "Retry later"),
            (404, "Check the connector id"),
            (403, "The access key's policy must allow `view` on /workspaces/"),
        ] {
            let peer = Peer::with_handler(move |_| Reply::status(status)).await.unwrap();
            let args = [subcommand, CONNECTOR, "--timeout", "1s", "--json"];
            let (code, _, stderr) = run(at(&peer.base_url(), &args)).await;
            let error = last_object(&stderr);
            assert_eq!(
                (code, &error["exitCode"], &error["status"]),
                (7, &7.into(), &status.into())
            );
            assert_eq!(error["connectorId"], CONNECTOR);
            let text = |field: &str| error[field].as_str().unwrap();
            assert!(text("message").contains("could not be read after"), "{stderr}");
            assert!(text("hint").starts_with(hint), "{stderr}");
        }
        let args = [subcommand, CONNECTOR, "--timeout", "1s"];
        let (code, _, stderr) = run(at(&refused_url().await.unwrap(), &args)).await;
        assert!(code == 7 && stderr.contains("could not be read after"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_result_that_cannot_be_written_is_reported_with_its_ids() {
    let peer = peer([Reply::json(201, ready())]).await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = at(&peer.base_url(), &install(&["--json"]));
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let (code, _, stderr) = ended(output.wait_with_output().await.unwrap());
    let error = last_object(&stderr);
    assert_eq!((code, &error["connectorId"]), (1, &CONNECTOR.into()), "{stderr}");
    assert_eq!(error["connectorState"], "exists");
    assert!(error["message"].as_str().unwrap().contains(CHANNEL), "{stderr}");
}

// Fault 81.
#[cfg(unix)]
#[tokio::test]
async fn a_result_goes_to_stderr_too_if_stdout_is_closed() {
    let peer = peer([Reply::json(201, ready())]).await;
    let command = at(&peer.base_url(), &install(&["--quiet"]));
    let (code, _, stderr) = run(wrap("sh", &["-c", "exec \"$0\" \"$@\" >&-"], &command)).await;
    assert!(code == 0 && stderr.ends_with(&format!("{CHANNEL}\n")), "{code}: {stderr}");
    let peer = Peer::script([Reply::json(201, ready())]).await.unwrap();
    let command = at(&peer.base_url(), &install(&["--quiet"]));
    let (code, _, stderr) =
        run(wrap("sh", &["-c", "exec \"$0\" \"$@\" >/dev/null"], &command)).await;
    assert!(code == 0 && !stderr.contains(CHANNEL), "{code}: {stderr}");
}

#[tokio::test]
async fn an_error_of_the_arguments_is_an_object_too() {
    for args in [&["install", "--json"][..], &["install", "--json", "--conversational", "perhaps"]]
    {
        let (code, stdout, stderr) = run(bird_sms(args)).await;
        assert_eq!((code, &*stdout), (2, ""));
        let error: Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!((&error["error"], &error["exitCode"]), (&"usage".into(), &2.into()));
        assert!(error["message"].as_str().unwrap().len() > 20, "{stderr}");
    }
    let (code, stdout, stderr) = run(bird_sms(&["install", "--json", "--help"])).await;
    assert!(code == 0 && stdout.contains("--phone-number-id") && stderr.is_empty());
    let (code, _, stderr) = run(bird_sms(&["install"])).await;
    assert!(code == 2 && stderr.contains("Usage:"), "{stderr}");
}

#[tokio::test]
async fn an_unknown_outcome_is_5() {
    let malformed = Reply::json(201, "{");
    for (script, posts) in [
        (vec![Reply::Reset], 1),
        (vec![Reply::Close], 1),
        (vec![Reply::status(501)], 1),
        (vec![Reply::status(504)], 1),
        (vec![Reply::status(500), Reply::status(409)], 2),
        (vec![malformed], 1),
    ] {
        let (code, error) = failure(&script, posts).await;
        assert_eq!(code, 5, "{script:?}");
        assert!(
            error["connectorState"] == "unknown" || error["connectorState"] == "exists-id-unknown"
        );
        // Fault 90.
        let check = format!("Run `bird-sms check --phone-number-id {NUMBER} --workspace-id");
        assert!(error["hint"].as_str().unwrap().starts_with(&check), "{error}");
        assert_eq!(error["connectorId"], Value::Null);
    }
}

// Fault 36.
#[tokio::test]
async fn a_creation_that_is_sent_again_after_a_503_has_a_warning_in_text_and_json() {
    let script = [Reply::status(503), Reply::json(201, ready())];
    let never = peer(script.clone()).await;
    let (code, _, stderr) =
        run(at(&never.base_url(), &install(&["--retry-create", "never"]))).await;
    assert_eq!((code, never.posts()), (5, 1), "{stderr}");
    let again = install(&[]);
    let text = peer(script.clone()).await;
    let (code, _, stderr) = run(at(&text.base_url(), &again)).await;
    assert_eq!((code, text.posts()), (0, 2), "{stderr}");
    assert!(stderr.lines().any(|line| line.starts_with("Warning: ")), "{stderr}");
    let json = peer(script).await;
    let (code, stdout, stderr) =
        run(at(&json.base_url(), &[&again[..], &["--json"]].concat())).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(last_object(&stdout)["warning"]["kind"], "possible-duplicate", "{stdout}");
    assert_eq!(last_object(&stderr)["warning"]["kind"], "possible-duplicate", "{stderr}");
}

#[tokio::test]
async fn a_connector_without_its_channel_is_6_with_its_id() {
    let created = || Reply::json(201, pending());
    for script in [
        vec![created(), Reply::status(401)],
        vec![created(), Reply::json(200, ready().replace(CONNECTOR, CHANNEL))],
        vec![created(), Reply::Silence],
    ] {
        let (code, error) = failure(&script, 1).await;
        assert_eq!(code, 6, "{script:?}");
        assert_eq!(error["connectorId"], CONNECTOR);
        assert_eq!(error["connectorState"], "exists");
    }
}

#[tokio::test]
async fn an_interrupt_while_waiting_prints_how_to_resume() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let script = [Reply::json(201, pending()), Reply::Silence, Reply::json(200, ready())];
        let peer = peer(script).await;
        let mut process = at(&peer.base_url(), &install(&[]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap()).lines();
        while !stderr.next_line().await.unwrap().unwrap().contains("Waiting") {}
        signal(&process, name);
        let mut rest = String::new();
        while let Some(line) = stderr.next_line().await.unwrap() {
            rest += &line;
        }
        let (exit, stdout, _) = ended(process.wait_with_output().await.unwrap());
        assert_eq!((exit, stdout.as_str()), (code, ""), "{rest}");
        let resume = format!("bird-sms wait {CONNECTOR} --workspace-id {WORKSPACE}");
        assert!(rest.contains(&resume), "{rest}");
        // The script is at its second response or past it, depending on the moment of the signal.
        while peer.gets() < 1 {
            let command = at(&peer.base_url(), &["connector", CONNECTOR, "--timeout", "1s"]);
            run(command).await;
        }
        let (code, stdout, _) = run(at(&peer.base_url(), &["wait", CONNECTOR])).await;
        assert_eq!((code, stdout.trim()), (0, CHANNEL));
    }
}

/// Sends signals to an install whose POST is in flight, and returns its exit code and its output.
async fn interrupt_creation(peer: &Peer, args: &[&str], signals: &[&str]) -> (i32, String, String) {
    let mut process =
        at(&peer.base_url(), args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
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
    let (code, stdout, _) = ended(process.wait_with_output().await.unwrap());
    (code, stdout, text)
}

// Fault 75.
#[tokio::test]
async fn an_interrupt_during_the_creation_waits_for_the_id_and_sends_nothing_more() {
    let delay = Duration::from_millis(300);
    for args in [install(&[]), install(&["--no-wait"])] {
        let peer = peer([Reply::json(201, pending()).delayed(delay)]).await;
        let (code, stdout, stderr) = interrupt_creation(&peer, &args, &["TERM"]).await;
        assert_eq!((code, stdout.as_str()), (143, ""), "{stderr}");
        assert!(stderr.contains(&format!("bird-sms wait {CONNECTOR}")), "{stderr}");
        assert_eq!((peer.posts(), peer.gets()), (1, 0));
    }
    let peer = peer([Reply::status(503).delayed(delay)]).await;
    let (code, _, stderr) = interrupt_creation(&peer, &install(&[]), &["INT"]).await;
    assert_eq!((code, peer.posts()), (130, 1), "{stderr}");
    assert!(stderr.contains("a connector may exist"), "{stderr}");
}

#[tokio::test]
async fn a_second_interrupt_during_the_creation_says_that_a_connector_may_exist() {
    let peer = peer([Reply::Silence]).await;
    let (code, _, stderr) = interrupt_creation(&peer, &install(&[]), &["INT", "INT"]).await;
    assert_eq!((code, peer.posts()), (130, 1), "{stderr}");
    assert!(stderr.contains("a connector may exist"), "{stderr}");
    assert!(stderr.contains("bird-sms check --phone-number-id"), "{stderr}");
}

#[tokio::test]
async fn the_completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, stdout, _) = run(bird_sms(&["completions", shell])).await;
        assert!(code == 0 && stdout.contains("phone-number-id"), "{shell}");
    }
}
