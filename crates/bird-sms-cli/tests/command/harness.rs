//! Runs the command against a server, in a folder with the rows, the journal and the outcomes of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use bird_sandbox::{Builder, Sandbox};
use bird_test_peer::fixtures::{ACCESS_KEY, WORKSPACE_ID, nth_id};
use bird_test_peer::{Backend, Peer, Reply};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A server that the command can be run against.
pub(crate) trait Server {
    fn url(&self) -> String;
}

impl Server for Sandbox {
    fn url(&self) -> String {
        self.base_url()
    }
}

impl Server for Peer {
    fn url(&self) -> String {
        self.base_url()
    }
}

impl Server for Backend {
    fn url(&self) -> String {
        self.base_url()
    }
}

impl Server for String {
    fn url(&self) -> String {
        self.clone()
    }
}

/// Returns a builder of a sandbox without rate limits, in which channels are ready at once.
pub(crate) fn sandbox() -> Builder {
    Sandbox::builder()
        .access_key(ACCESS_KEY)
        .workspace_id(WORKSPACE_ID.parse().unwrap())
        .provisioning_delay(Duration::ZERO)
        .get_limit(u32::MAX)
        .post_limit(u32::MAX)
}

/// Starts [`sandbox`] with faults such as `post:503`, separated by spaces.
pub(crate) async fn started(faults: &str) -> Sandbox {
    let faults = faults.split_whitespace().map(|fault| fault.parse().unwrap());
    sandbox().faults(faults).start().await.unwrap()
}

/// Starts a peer that gives one of these replies to each request, in order.
pub(crate) async fn peer(script: impl IntoIterator<Item = Reply>) -> Peer {
    Peer::script(script).await.unwrap()
}

/// Starts a peer that gives one reply to POSTs and another one to all other requests.
pub(crate) async fn replies(post: Reply, other: Reply) -> Peer {
    let handler = move |request: &bird_test_peer::Request| match request.method.as_str() {
        "POST" => post.clone(),
        _ => other.clone(),
    };
    Peer::with_handler(handler).await.unwrap()
}

/// Returns the command with these arguments, without the environment variables that would affect it.
pub(crate) fn bird_sms(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bird-sms"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["BIRD_ACCESS_KEY", "BIRD_API_URL", "BIRD_WORKSPACE_ID", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Returns the command with a key, a workspace id and this server's URL in its environment.
pub(crate) fn at(server: &impl Server, args: &[&str]) -> Command {
    let mut command = bird_sms(args);
    configure(&mut command, server);
    command
}

/// Sets the environment of the command, or of a program that starts it.
pub(crate) fn configure(command: &mut Command, server: &impl Server) {
    command
        .env("BIRD_ACCESS_KEY", ACCESS_KEY)
        .env("BIRD_API_URL", server.url())
        .env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
}

/// Returns a command by which `program` starts another command, in the same folder and with the same environment.
pub(crate) fn wrap(program: &str, args: &[&str], wrapped: &Command) -> Command {
    let wrapped = wrapped.as_std();
    let mut command = Command::new(program);
    command.args(args).arg(wrapped.get_program()).args(wrapped.get_args());
    for (name, value) in wrapped.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = wrapped.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Returns the command with the default action for SIGHUP, even if the tests run under `nohup`, which ignores it.
pub(crate) fn with_default_sighup(command: &Command) -> Command {
    // Only GNU `env` has this option. Without it, a test would need unsafe code to set the action.
    let options: &[&str] = if cfg!(target_os = "linux") { &["--default-signal=HUP"] } else { &[] };
    wrap("env", options, command)
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Asserts that stdout contains this text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout has no {text:?}: {self}");
        self
    }

    /// Asserts that stderr contains this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr has no {text:?}: {self}");
        self
    }

    /// Asserts that neither stdout nor stderr contains this text.
    #[track_caller]
    pub(crate) fn hides(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "has {text:?}: {self}");
        self
    }

    /// Asserts that stdout is empty.
    #[track_caller]
    pub(crate) fn prints_nothing(self) -> Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// Asserts that stderr is empty.
    #[track_caller]
    pub(crate) fn says_nothing(self) -> Self {
        assert_eq!(self.stderr, "", "{self}");
        self
    }

    /// Returns the JSON object in the last line of stdout.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap_or_default()).expect(&self.stdout)
    }

    /// Returns the JSON object in the last line of stderr.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str(self.stderr.lines().last().unwrap_or_default()).expect(&self.stderr)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a command, which must end within a minute.
pub(crate) async fn run(mut command: Command) -> Ended {
    Ended::of(within_a_minute(command.output()).await.unwrap())
}

/// Runs the command with these arguments against a server.
pub(crate) async fn call(server: &impl Server, args: &[&str]) -> Ended {
    run(at(server, args)).await
}

/// Starts a command whose output is kept for [`end_of`].
pub(crate) fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for a process, which must end within a minute.
pub(crate) async fn end_of(process: Child) -> Ended {
    Ended::of(within_a_minute(process.wait_with_output()).await.unwrap())
}

/// Sends a signal such as `INT` to a process. The process may have ended, but must not have been waited for.
pub(crate) fn signal(process: &Child, name: &str) {
    let pid = process.id().unwrap().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args([&format!("-{name}"), &pid]).status().unwrap().success());
}

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it takes over a minute")
}

/// Waits until the condition is true, which must be within a minute.
pub(crate) async fn until(mut happened: impl FnMut() -> bool) {
    let wait = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within_a_minute(wait).await;
}

/// The arguments of a batch that polls fast, and leaves unknown outcomes unknown because it looks up no connector.
pub(crate) const BATCH: [&str; 9] = [
    "batch",
    "numbers.csv",
    "--journal",
    "j.jsonl",
    "--gets-per-second",
    "5000",
    "--poll-interval",
    "20ms",
    "--no-look-up",
];
/// The arguments that write the outcomes of a batch to a file.
pub(crate) const OUT: [&str; 2] = ["--out", "out.jsonl"];

/// A folder with the rows of a batch, its journal and its outcomes.
pub(crate) struct Rows {
    folder: TempDir,
    pub(crate) count: usize,
}

impl Rows {
    /// Creates one row for each of the phone number ids `nth_id(1)` to `nth_id(count)`.
    pub(crate) fn new(count: usize) -> Self {
        let mut csv = "name,phone_number_id\n".to_owned();
        for n in 1..=count {
            let _ = writeln!(csv, "SMS {n},{}", nth_id(n));
        }
        Self::of(&csv)
    }

    /// Creates the rows of a CSV text that has a header.
    pub(crate) fn of(csv: &str) -> Self {
        let rows = Self { folder: TempDir::new().unwrap(), count: csv.lines().count() - 1 };
        rows.write("numbers.csv", csv);
        rows
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Returns the command with these arguments, to run in the folder.
    pub(crate) fn command(&self, server: &impl Server, args: &[&str]) -> Command {
        let mut command = at(server, args);
        command.current_dir(self.folder());
        command
    }

    /// Returns the command that runs the batch.
    pub(crate) fn batch(&self, server: &impl Server, more: &[&str]) -> Command {
        self.command(server, &[&BATCH[..], more].concat())
    }

    /// Runs the batch.
    pub(crate) async fn run(&self, server: &impl Server, more: &[&str]) -> Ended {
        run(self.batch(server, more)).await
    }

    /// Runs the batch again until every row is ready. As an operator would, retries unknown rows and adopts connectors
    /// that exist. Gives up after 20 runs. Returns whether every row became ready.
    pub(crate) async fn settle(&self, sandbox: &Sandbox, mut code: i32) -> bool {
        for _ in 0..20 {
            if code == 0 {
                return true;
            }
            let mut more = vec!["--retry-unknown".to_owned()];
            for (number, entry) in self.last_entries() {
                if entry["event"] == "exists" {
                    let stored = sandbox.connectors();
                    let connector = stored.iter().find(|stored| stored.phone_number_id == number);
                    let connector = connector.expect("the sandbox has the connector");
                    more.push(format!("--adopt={number}={}", connector.id));
                }
            }
            let more: Vec<_> = more.iter().map(String::as_str).collect();
            code = self.run(sandbox, &more).await.code;
        }
        false
    }

    /// Returns the outcome of each phone number.
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

    /// Returns the events of a phone number in the journal.
    pub(crate) fn events(&self, number: &str) -> Vec<String> {
        let of_number = |entry: &Value| entry["phoneNumberId"] == number;
        let event = |entry: Value| entry["event"].as_str().unwrap().to_owned();
        self.journal().into_iter().filter(of_number).map(event).collect()
    }

    /// Returns the last journal entry of each phone number.
    pub(crate) fn last_entries(&self) -> BTreeMap<String, Value> {
        let number = |entry: &Value| entry["phoneNumberId"].as_str().unwrap().to_owned();
        self.journal().into_iter().map(|entry| (number(&entry), entry)).collect()
    }

    /// Returns the ids of the connectors in the journal, without a last line that was cut.
    pub(crate) fn recorded(&self) -> BTreeSet<String> {
        let id = |entry: Value| Some(entry["connectorId"].as_str()?.to_owned());
        lines(&self.path("j.jsonl")).into_iter().filter_map(id).collect()
    }
}

/// Parses a JSON Lines file. Skips a last line that has no line break.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Returns the backend's connectors by phone number, once the backend has read everything that the command sent.
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

/// Returns the path of a program, or prints that the test is skipped without it.
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
