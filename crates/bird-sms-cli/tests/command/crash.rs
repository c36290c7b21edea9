//! `bird-sms batch`, killed repeatedly: no connector is lost, and none is created twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::{Builder, Sandbox};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::in_sandbox;

/// A batch in a folder, and the sandbox that it installs in.
pub(crate) struct Crash {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: TempDir,
    /// The options of each run.
    options: &'static str,
}

impl Crash {
    pub(crate) async fn start(rows: u32, sandbox: Builder, options: &'static str) -> Self {
        let sandbox = sandbox.get_limit(u32::MAX).post_limit(u32::MAX);
        let folder = TempDir::new().unwrap();
        let mut csv = "name,phone_number_id\n".to_owned();
        for n in 1..=rows {
            let _ = writeln!(csv, "SMS {n},00000000-0000-4000-8000-{n:012}");
        }
        std::fs::write(folder.path().join("numbers.csv"), csv).unwrap();
        Self { sandbox: sandbox.start().await.unwrap(), folder, options }
    }

    pub(crate) fn command(&self, more: &[String]) -> Command {
        // The batch is slow enough that all kills come before its end, and fast enough for a test.
        let args =
            format!("batch numbers.csv --journal j.jsonl --concurrency 100 {}", self.options);
        let args: Vec<_> = args.split(' ').chain(more.iter().map(String::as_str)).collect();
        let mut command = in_sandbox(&self.sandbox, &args);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Returns the last event of each phone number.
    fn last_events(&self) -> BTreeMap<String, Value> {
        last_events(&self.folder.path().join("j.jsonl"))
    }

    /// Does what an operator does: retries rows whose outcome is unknown, and adopts the connectors that exist. Returns
    /// whether all rows are ready in the end.
    pub(crate) async fn settle(&self, mut code: Option<i32>) -> bool {
        for _ in 0..20 {
            if code == Some(0) {
                return true;
            }
            let mut more = vec!["--retry-unknown".to_owned()];
            for (number, event) in self.last_events() {
                if event["event"] == "exists" {
                    let stored = self.sandbox.connectors();
                    let connector = stored.iter().find(|stored| stored.phone_number_id == number);
                    let connector = connector.expect("a connector that exists is in the dashboard");
                    more.push(format!("--adopt={number}={}", connector.id));
                }
            }
            code = self.command(&more).status().await.unwrap().code();
        }
        false
    }
}

fn last_events(journal: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(journal).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter_map(|event| Some((event["phoneNumberId"].as_str()?.to_owned(), event))).collect()
}

// Fault 33.
#[tokio::test]
async fn a_batch_that_is_killed_repeatedly_installs_each_row_once() {
    const ROWS: u32 = 200;
    let sandbox = Sandbox::builder().provisioning_delay(Duration::from_millis(200));
    let crash = Crash::start(ROWS, sandbox, "--gets-per-second 100").await;
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..4 {
        let mut process = crash.command(&[]).spawn().unwrap();
        let moment = Duration::from_millis(random.u64(..150));
        let ended = tokio::time::timeout(moment, process.wait()).await;
        assert!(ended.is_err(), "the batch ended before the last kill: {ended:?}");
        process.kill().await.unwrap();
    }
    let code = crash.command(&[]).status().await.unwrap().code();
    // No operator allowed a second POST yet. A 409 would be a second connector on a server that allows one.
    assert_eq!(crash.sandbox.response_count(409), 0, "a POST was sent twice");
    assert!(crash.settle(code).await, "the batch does not settle: {:?}", crash.last_events());
    let stored = crash.sandbox.connectors();
    assert_eq!(stored.len(), ROWS as usize);
    let events = crash.last_events();
    for connector in stored {
        let event = &events[&connector.phone_number_id];
        assert_eq!(event["event"], "ready", "{event}");
        assert_eq!(event["connectorId"], connector.id.to_string());
        assert_eq!(event["channelId"], connector.channel_id.to_string());
    }
}
