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

/// The counts of a series of kills.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kills: u32,
    runs: u32,
    /// Rows whose connector was created without an entry in the journal, and was adopted.
    adopted: usize,
}

/// A batch in a folder, and the sandbox that it installs in.
pub(crate) struct Crash {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: TempDir,
    rows: u32,
    /// The options of each run.
    options: &'static str,
}

impl Crash {
    async fn new(rows: u32, fault: Option<&str>) -> Self {
        let sandbox = Sandbox::builder().faults(fault.map(|fault| fault.parse().unwrap()));
        Self::in_sandbox(rows, sandbox, "--gets-per-second 100").await
    }

    async fn in_sandbox(rows: u32, sandbox: Builder, options: &'static str) -> Self {
        let sandbox = sandbox.provisioning_delay(Duration::from_millis(200));
        Self::start(rows, sandbox, options).await
    }

    pub(crate) async fn start(rows: u32, sandbox: Builder, options: &'static str) -> Self {
        let sandbox = sandbox.get_limit(u32::MAX).post_limit(u32::MAX);
        let folder = TempDir::new().unwrap();
        let mut csv = "name,phone_number_id\n".to_owned();
        for n in 1..=rows {
            let _ = writeln!(csv, "SMS {n},00000000-0000-4000-8000-{n:012}");
        }
        std::fs::write(folder.path().join("numbers.csv"), csv).unwrap();
        Self { sandbox: sandbox.start().await.unwrap(), folder, rows, options }
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

    /// Kills `kills` runs after a time of up to `most`, and waits until the next run ends.
    async fn kill_and_finish(&self, seed: u64, kills: u32, most: Duration) -> Tally {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tally = Tally::default();
        for _ in 0..kills {
            let mut process = self.command(&[]).spawn().unwrap();
            tally.runs += 1;
            let moment = most.mul_f64(rng.f64());
            let ended = tokio::time::timeout(moment, process.wait()).await;
            assert!(ended.is_err(), "seed {seed}: the batch ended before the last kill: {ended:?}");
            process.kill().await.unwrap();
            tally.kills += 1;
        }
        let status = self.command(&[]).status().await.unwrap();
        tally.runs += 1;
        // Up to here no POST was sent whose row may have had a POST before. A 409 would be a second creation on a
        // server that allows a second connector.
        assert_eq!(self.sandbox.response_count(409), 0, "seed {seed}: a POST was sent twice");
        let settled = self.settle(&mut tally, status.code()).await;
        assert!(settled, "the batch does not settle: {:?}", self.last_events());
        tally
    }

    /// Does what an operator does: retries rows whose outcome is unknown, and adopts the connectors that exist. Returns
    /// whether all rows are ready in the end.
    pub(crate) async fn settle(&self, tally: &mut Tally, mut code: Option<i32>) -> bool {
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
                    tally.adopted += 1;
                }
            }
            code = self.command(&more).status().await.unwrap().code();
            tally.runs += 1;
        }
        false
    }

    /// Checks that each row has one connector, and that the journal has its channel.
    fn assert_complete(&self) {
        let stored = self.sandbox.connectors();
        assert_eq!(stored.len(), self.rows as usize);
        let events = self.last_events();
        for connector in stored {
            let event = &events[&connector.phone_number_id];
            assert_eq!(event["event"], "ready", "{event}");
            assert_eq!(event["connectorId"], connector.id.to_string());
            assert_eq!(event["channelId"], connector.channel_id.to_string());
        }
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
    let crash = Crash::new(200, None).await;
    crash.kill_and_finish(1, 8, Duration::from_millis(150)).await;
    crash.assert_complete();
}

// Fault 33.
#[tokio::test]
async fn a_batch_that_is_killed_while_the_server_fails_installs_each_row_once() {
    let crash = Crash::new(200, Some("random:5:10")).await;
    crash.kill_and_finish(2, 8, Duration::from_millis(150)).await;
    crash.assert_complete();
}

/// `cargo xtask crash`
#[tokio::test]
#[ignore = "200 kills of batches of 1,000 rows"]
async fn a_hundred_kills() {
    for (name, fault, seed) in [("no faults", None, 11), ("10 % faults", Some("random:7:10"), 12)] {
        let crash = Crash::new(1000, fault).await;
        let tally = crash.kill_and_finish(seed, 100, Duration::from_millis(150)).await;
        crash.assert_complete();
        println!(
            "{name}: {} kills in {} runs; 1000 connectors, each once and with its channel in the \
             journal; {} of them were created without an entry in the journal, and adopted",
            tally.kills, tally.runs, tally.adopted
        );
    }
}
