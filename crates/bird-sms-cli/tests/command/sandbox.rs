//! Tests of `bird-sms sandbox`: the settings that it prints, and its log of requests.

use std::process::Stdio;

use bird_test_peer::fixtures::PHONE_NUMBER_ID;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::harness::{bird_sms, run, signal};

const SETTINGS: [&str; 3] = ["BIRD_API_URL", "BIRD_WORKSPACE_ID", "BIRD_ACCESS_KEY"];

/// A running sandbox, and the lines that it prints.
struct Server {
    process: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let mut command = bird_sms(&["sandbox", "--provisioning-delay", "0s"]);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, stdout, stderr }
    }

    /// Reads the three settings. Each is a line that has the value between `before` and `after`. In `before`, `NAME`
    /// stands for the name of the variable.
    async fn settings(&mut self, before: &str, after: &str) -> [(&'static str, String); 3] {
        let mut settings = SETTINGS.map(|name| (name, String::new()));
        for (name, value) in &mut settings {
            let line = self.stdout.next_line().await.unwrap().unwrap();
            let rest = line.strip_prefix(&before.replace("NAME", name));
            value.push_str(rest.and_then(|rest| rest.strip_suffix(after)).expect(&line));
        }
        settings
    }

    async fn stop(mut self) {
        signal(&self.process, "INT");
        assert_eq!(self.process.wait().await.unwrap().code(), Some(0));
        assert_eq!(self.stdout.next_line().await.unwrap(), None);
    }
}

fn install(settings: &[(&str, String)]) -> Command {
    let mut command = bird_sms(&["install", "--name", "n", "--phone-number-id", PHONE_NUMBER_ID]);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

#[tokio::test]
async fn settings_are_printed_for_each_shell_and_a_signal_ends_the_sandbox() {
    for (more, before, after) in [
        (&[][..], "export NAME=", ""),
        (&["--shell", "fish"], "set -gx NAME ", ""),
        (&["--shell", "powershell"], "$env:NAME = '", "'"),
    ] {
        let mut server = Server::start(more);
        let settings = server.settings(before, after).await;
        assert_eq!(run(install(&settings)).await.code(0).stdout.len(), 37);
        server.stop().await;
    }
}

#[tokio::test]
async fn each_request_is_logged_on_stderr_with_its_fault() {
    let mut server = Server::start(&["--fault", "post:503"]);
    let settings = server.settings("export NAME=", "").await;
    run(install(&settings)).await.code(0);
    let line = server.stderr.next_line().await.unwrap().unwrap();
    assert_eq!(line, format!("Inspector: {}/_sandbox/", settings[0].1));
    let path = format!("POST /workspaces/{}/connectors", settings[1].1);
    for end in [" 503 (fault post:503)", " 201"] {
        let line = server.stderr.next_line().await.unwrap().unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert_eq!(rest, format!("{path}{end}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn settings_and_requests_can_be_printed_as_json() {
    let mut server = Server::start(&["--json", "--fault", "post:lost"]);
    let line = server.stdout.next_line().await.unwrap().unwrap();
    let object: Value = serde_json::from_str(&line).unwrap();
    let values = ["apiUrl", "workspaceId", "accessKey"].map(|name| object[name].as_str().unwrap());
    let settings = [0, 1, 2].map(|n| (SETTINGS[n], values[n].to_owned()));
    assert_eq!(object["inspectorUrl"], format!("{}/_sandbox/", values[0]));
    // The response to the POST is lost, but a lookup by the phone number finds the connector.
    run(install(&settings)).await.code(0);
    let line = server.stderr.next_line().await.unwrap().unwrap();
    let request: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&request["method"], &request["status"]), (&"POST".into(), &Value::Null));
    assert_eq!(request["fault"], "post:lost");
    server.stop().await;
}

#[tokio::test]
async fn a_sandbox_on_all_addresses_prints_a_loopback_url() {
    let mut server = Server::start(&["--listen", "0.0.0.0:0"]);
    let settings = server.settings("export NAME=", "").await;
    assert!(settings[0].1.starts_with("http://127.0.0.1:"), "{settings:?}");
    run(install(&settings)).await.code(0);
    server.stop().await;
}
