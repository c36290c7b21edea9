//! A batch in a folder, and what its files say afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_test_peer::Backend;
use bird_test_peer::fixtures::{ACCESS_KEY, WORKSPACE_ID, nth_id};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{bird_sms, ended, in_sandbox, run};

/// Returns the command with a key and a workspace, against this API.
pub(crate) fn at(api_url: &str, args: &[&str]) -> Command {
    let mut command = bird_sms(args);
    configure(&mut command, api_url);
    command
}

/// Sets the environment of the command, or of a program that starts it.
pub(crate) fn configure(command: &mut Command, api_url: &str) {
    command
        .env("BIRD_ACCESS_KEY", ACCESS_KEY)
        .env("BIRD_API_URL", api_url)
        .env("BIRD_WORKSPACE_ID", WORKSPACE_ID)
        .env_remove("RUST_LOG")
        .kill_on_drop(true);
}

/// The arguments of a batch. GETs are not limited, and an outcome that is unknown stays unknown.
pub(crate) const BATCH: [&str; 7] =
    ["batch", "numbers.csv", "--journal", "j.jsonl", "--gets-per-second", "5000", "--no-look-up"];
/// The arguments that write the outcomes of a batch to a file.
pub(crate) const OUT: [&str; 2] = ["--out", "out.jsonl"];

/// A folder with the rows of a batch, its journal and its outcomes.
pub(crate) struct Rows {
    folder: TempDir,
    pub(crate) count: usize,
}

impl Rows {
    /// Creates the rows of the phone numbers `nth_id(1)` to `nth_id(count)`.
    pub(crate) fn new(count: usize) -> Self {
        let mut csv = "name,phone_number_id\n".to_owned();
        for n in 1..=count {
            let _ = writeln!(csv, "SMS {n},{}", nth_id(n));
        }
        Self::of(&csv)
    }

    /// Creates the rows of a CSV file with a header.
    pub(crate) fn of(csv: &str) -> Self {
        let rows = Self { folder: TempDir::new().unwrap(), count: csv.lines().count() - 1 };
        std::fs::write(rows.path("numbers.csv"), csv).unwrap();
        rows
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Returns the command that runs the batch against this API, and writes its outcomes.
    pub(crate) fn command(&self, api_url: &str, more: &[&str]) -> Command {
        let mut command = at(api_url, &[&BATCH[..], &OUT, more].concat());
        command.current_dir(self.folder());
        command
    }

    /// Returns the command that runs the batch in a sandbox.
    pub(crate) fn in_sandbox(&self, sandbox: &Sandbox, more: &[&str]) -> Command {
        let mut command = in_sandbox(sandbox, &[&BATCH[..], more].concat());
        command.current_dir(self.folder());
        command
    }

    /// Runs the batch in a sandbox.
    pub(crate) async fn run(&self, sandbox: &Sandbox, more: &[&str]) -> (i32, String, String) {
        run(self.in_sandbox(sandbox, more)).await
    }

    /// Returns the last outcome of each phone number.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, Value> {
        let lines = lines(&self.path("out.jsonl"));
        let count = lines.len();
        let by_number: BTreeMap<_, _> = lines
            .into_iter()
            .map(|row| (row["phone_number_id"].as_str().unwrap().to_owned(), row))
            .collect();
        assert_eq!(by_number.len(), count, "a row has two outcomes");
        by_number
    }

    /// Returns the entries of the journal, without its first line.
    pub(crate) fn journal(&self) -> Vec<Value> {
        lines(&self.path("j.jsonl")).split_off(1)
    }

    /// Returns the last entry of each phone number.
    pub(crate) fn last_entries(&self) -> BTreeMap<String, Value> {
        let number = |entry: &Value| entry["phoneNumberId"].as_str().unwrap().to_owned();
        self.journal().into_iter().map(|entry| (number(&entry), entry)).collect()
    }

    /// Returns the connectors that the journal has with their ids.
    pub(crate) fn recorded(&self) -> BTreeSet<String> {
        let id = |entry: Value| Some(entry["connectorId"].as_str()?.to_owned());
        self.journal().into_iter().filter_map(id).collect()
    }
}

/// Parses JSON Lines. A last line without its line break is not whole, and is left out.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Waits for the end of a process, which must come within a minute.
pub(crate) async fn end_of(process: Child) -> (i32, String, String) {
    ended(within_a_minute(process.wait_with_output()).await.unwrap())
}

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("takes over a minute")
}

/// Waits until something has happened, which must be within a minute.
pub(crate) async fn until(mut happened: impl FnMut() -> bool) {
    let wait = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within_a_minute(wait).await;
}

/// Returns the connectors of the backend by phone number, once it has read what a client sent before it ended.
pub(crate) async fn settled(backend: &Backend) -> BTreeMap<String, Vec<String>> {
    let mut before = backend.connectors_by_number();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = backend.connectors_by_number();
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Asserts that no phone number has two connectors.
pub(crate) fn assert_no_duplicates(connectors: &BTreeMap<String, Vec<String>>) {
    for (number, ids) in connectors {
        assert_eq!(ids.len(), 1, "{number} has the connectors {ids:?}");
    }
}

/// Returns the path of a program, or says that the test is skipped without it.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}
