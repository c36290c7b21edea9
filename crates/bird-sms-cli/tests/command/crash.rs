//! `bird-sms batch`, killed again and again: nothing is lost and nothing is created twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::in_sandbox;

/// How a run of kills went.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    runs: u32,
    /// Rows whose connector was created in a moment that nobody recorded, and was looked up.
    adopted: usize,
}

struct Crash {
    sandbox: Sandbox,
    folder: TempDir,
    rows: u32,
}

impl Crash {
    async fn new(rows: u32, fault: Option<&str>) -> Self {
        let mut sandbox = Sandbox::builder()
            .provisioning_delay(Duration::from_millis(200))
            .get_limit(u32::MAX)
            .post_limit(u32::MAX);
        if let Some(fault) = fault {
            sandbox = sandbox.fault(fault.parse().unwrap());
        }
        let folder = TempDir::new().unwrap();
        let mut csv = "name,phone_number_id\n".to_owned();
        for n in 1..=rows {
            let _ = writeln!(csv, "SMS {n},00000000-0000-4000-8000-{n:012}");
        }
        std::fs::write(folder.path().join("numbers.csv"), csv).unwrap();
        Self { sandbox: sandbox.start().await.unwrap(), folder, rows }
    }

    fn command(&self, more: &[String]) -> Command {
        // Slow enough that all the kills come before the end, and fast enough to see it.
        let args = "batch numbers.csv --journal j.jsonl --gets-per-second 100 --concurrency 100";
        let args: Vec<_> = args.split(' ').chain(more.iter().map(String::as_str)).collect();
        let mut command = in_sandbox(&self.sandbox, &args);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The last event of each phone number.
    fn standings(&self) -> BTreeMap<String, Value> {
        last_events(&self.folder.path().join("j.jsonl"))
    }

    /// Kills `kills` runs after a time of up to `most`, and lets the next one end.
    async fn kill_and_finish(&self, seed: u64, kills: u32, most: Duration) -> Tally {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tally = Tally::default();
        for _ in 0..kills {
            let mut process = self.command(&[]).spawn().unwrap();
            tally.runs += 1;
            let moment = most.mul_f64(rng.f64());
            let ended = tokio::time::timeout(moment, process.wait()).await;
            assert!(ended.is_err(), "seed {seed}: it ended before the last kill: {ended:?}");
            process.kill().await.unwrap();
            tally.kills += 1;
        }
        let status = self.command(&[]).status().await.unwrap();
        tally.runs += 1;
        // Up to here nothing was sent that might have been sent before. A 409 would be a second creation
        // on a server that allows one.
        assert_eq!(self.sandbox.response_count(409), 0, "seed {seed}: something was sent twice");
        self.settle(&mut tally, status.code()).await;
        tally
    }

    /// Does what an operator does: sends what is in doubt again, and looks up what then turns out to exist.
    async fn settle(&self, tally: &mut Tally, mut code: Option<i32>) {
        for _ in 0..20 {
            if code == Some(0) {
                return;
            }
            let mut more = vec!["--retry-unknown".to_owned()];
            for (number, event) in self.standings() {
                if event["event"] == "exists" {
                    let stored = self.sandbox.connectors();
                    let connector = stored.iter().find(|stored| stored.phone_number_id == number);
                    let connector = connector.expect("what exists is in the dashboard");
                    more.push(format!("--adopt={number}={}", connector.id));
                    tally.adopted += 1;
                }
            }
            code = self.command(&more).status().await.unwrap().code();
            tally.runs += 1;
        }
        panic!("it does not settle: {:?}", self.standings());
    }

    fn assert_whole(&self) {
        let stored = self.sandbox.connectors();
        assert_eq!(stored.len(), self.rows as usize);
        let standings = self.standings();
        for connector in stored {
            let event = &standings[&connector.phone_number_id];
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
async fn a_batch_that_is_killed_again_and_again_ends_whole() {
    let crash = Crash::new(200, None).await;
    crash.kill_and_finish(1, 8, Duration::from_millis(150)).await;
    crash.assert_whole();
}

// Fault 33.
#[tokio::test]
async fn a_batch_that_is_killed_while_the_server_fails_ends_whole() {
    let crash = Crash::new(200, Some("random:5:10")).await;
    crash.kill_and_finish(2, 8, Duration::from_millis(150)).await;
    crash.assert_whole();
}

/// `cargo xtask crash`
#[tokio::test]
#[ignore = "200 kills of batches of 1,000 rows"]
async fn a_hundred_kills() {
    for (name, fault, seed) in [("no faults", None, 11), ("10 % faults", Some("random:7:10"), 12)] {
        let crash = Crash::new(1000, fault).await;
        let tally = crash.kill_and_finish(seed, 100, Duration::from_millis(150)).await;
        crash.assert_whole();
        println!(
            "{name}: {} kills in {} runs; 1000 connectors, each once and with its channel in the \
             journal; {} of them were created in a moment that nobody recorded, and looked up",
            tally.kills, tally.runs, tally.adopted
        );
    }
}
