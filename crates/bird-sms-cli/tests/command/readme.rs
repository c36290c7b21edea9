//! Runs every block of shell code in the READMEs and in `docs/reliability.md` as a script, as a reader would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_sms::{TransportErrorKind, test_util};
use bird_sms_cli::exit::Code;
use bird_test_peer::fixtures::{PHONE_NUMBER_ID, USE_CASE_ID, nth_id};
use tokio::process::Command;

use crate::harness::{Rows, at, configure, program, run, sandbox};

/// The `cargo` commands in the documents that this test does not run, because they take long or run all tests.
/// `.ci/run` runs them.
const RUN_BY_THE_GATE: [&str; 2] =
    ["cargo test --workspace --locked", "cargo install --locked --path crates/bird-sms-cli"];

/// Shell functions that replace `cargo` and `bird-sms`, and write each call to the file `log`.
///
/// `bird-sms sandbox` runs until it is interrupted, so it is terminated once it has printed its three exports.
const FUNCTIONS: &str = r#"
cargo() {
    echo "cargo $*" >>log
    case "$*" in
        "run -p bird-sms-cli -- "*) shift 4; bird-sms "$@" ;;
        *) grep -qxF "cargo $*" run-by-the-gate || { echo "not run by the gate: cargo $*" >&2; return 1; } ;;
    esac
}
bird-sms() {
    echo "bird-sms $1" >>log
    if [[ $1 != sandbox ]]; then
        command bird-sms "$@"
        return
    fi
    command bird-sms "$@" >exports &
    until [[ $(wc -l <exports) -eq 3 ]]; do kill -0 $!; sleep 0.02; done
    kill -TERM $!
    # The status is 143 if SIGTERM comes before the sandbox handles signals.
    wait $! || (( $? == 143 ))
    cat exports
}
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the blocks of shell code in a document.
fn shell_blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut parts = document.split("```");
    parts.next();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        blocks.extend(block.strip_prefix("sh\n").map(str::to_owned));
    }
    blocks
}

/// A folder in which the scripts run, and the sandbox that they talk to.
struct Shell {
    sandbox: Sandbox,
    folder: Rows,
}

impl Shell {
    async fn new() -> Self {
        let sandbox =
            sandbox().provisioning_delay(Duration::from_millis(50)).start().await.unwrap();
        let shell = Self { sandbox, folder: Rows::new(0) };
        let gate = RUN_BY_THE_GATE.map(|line| format!("{line}\n")).concat();
        shell.folder.write("run-by-the-gate", &gate);
        #[cfg(unix)]
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bird-sms"), shell.folder.path("bird-sms"))
            .unwrap();
        shell
    }

    /// Installs a channel and returns the id of its connector.
    async fn connector(&self) -> String {
        let args = ["install", "--name", "n", "--phone-number-id", &nth_id(1)];
        run(at(&self.sandbox, &args)).await.code(0);
        self.sandbox.connectors()[0].id.to_string()
    }

    /// Runs a block, and returns what it printed.
    async fn run(&self, block: &str) -> String {
        let mut path = vec![self.folder.folder().to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut bash = Command::new("bash");
        bash.current_dir(self.folder.folder()).kill_on_drop(true).env_remove("RUST_LOG");
        bash.args(["--norc", "-euo", "pipefail", "-c", &format!("{FUNCTIONS}{block}")]);
        configure(&mut bash, &self.sandbox);
        bash.env("PATH", std::env::join_paths(path).unwrap());
        run(bash).await.code(0).stdout
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_shell_commands_in_the_documents_work() {
    if program("bash").is_none() || program("curl").is_none() {
        return;
    }
    let shell = Shell::new().await;
    let connector = shell.connector().await;
    let documents = ["README.md", "docs/reliability.md", "crates/bird-sms-cli/README.md"];
    let blocks: Vec<_> = documents.iter().flat_map(|path| shell_blocks(&read(path))).collect();
    let text = blocks.concat();
    let mut printed = String::new();
    for block in &blocks {
        let script = block
            .replace(
                "BIRD_ACCESS_KEY=…",
                &format!("BIRD_ACCESS_KEY={}", shell.sandbox.access_key()),
            )
            .replace(
                "BIRD_WORKSPACE_ID=…",
                &format!("BIRD_WORKSPACE_ID={}", shell.sandbox.workspace_id()),
            )
            // The install and `curl` must not use the same number: a number has one connector.
            .replace("PHONE_NUMBER_ID", &nth_id(2))
            .replace("USE_CASE_ID", USE_CASE_ID)
            .replace("CONNECTOR_ID", &connector)
            // The thousand rows of the README take 23 seconds, so only `.ci/run` installs them all.
            .replace("seq 1000", "seq 50");
        assert!(!script.contains("=…"), "a placeholder has no value: {script}");
        printed.push_str(&shell.run(&script).await);
    }
    // Four commands print the id of a channel: `install --sandbox` in each README, the other `install`, and `wait`.
    let is_id = |line: &&str| line.parse::<bird_sms::ChannelId>().is_ok();
    assert_eq!(printed.lines().filter(is_id).count(), 4, "{printed}");
    for effect in [
        &format!("id: {connector}\n"),
        "--phone-number-id",
        "10 of 10 rows ready (0 before this run), 10 connectors created",
        "Number +12025550101",
        "50 of 50 rows ready (0 before this run), 50 connectors created",
    ] {
        assert!(printed.contains(effect), "no {effect:?} in {printed}");
    }
    let connectors = shell.sandbox.connectors();
    let (all, others): (Vec<_>, Vec<_>) =
        connectors.iter().partition(|connector| connector.name.starts_with("SMS +"));
    let others: Vec<_> = others.iter().map(|connector| &*connector.phone_number_id).collect();
    assert_eq!((all.len(), others), (10, vec![&*nth_id(1), &nth_id(2), PHONE_NUMBER_ID]));
    // The last `bird-sms numbers` in the README shows the new connectors.
    assert!(all.iter().all(|connector| printed.contains(&format!("\t{}\n", connector.id))));
    // The documents use every subcommand, and every `cargo` command in them reached the shell function.
    let log = std::fs::read_to_string(shell.folder.path("log")).unwrap();
    let called: BTreeSet<_> =
        log.lines().filter_map(|line| line.strip_prefix("bird-sms ")).collect();
    let subcommands = [
        "batch",
        "check",
        "completions",
        "connector",
        "install",
        "numbers",
        "sandbox",
        "use-cases",
        "wait",
    ];
    assert_eq!(called.into_iter().collect::<Vec<_>>(), subcommands);
    assert_eq!(log.matches("cargo ").count(), text.matches("cargo ").count(), "{log}");
}

#[test]
fn the_gate_runs_the_commands_that_the_test_skips() {
    let readme = read("README.md");
    let gate = read(".ci/run");
    let main_job = readme.lines().find(|line| line.starts_with("cargo run ")).unwrap();
    for command in RUN_BY_THE_GATE.iter().chain([&main_job]) {
        assert!(gate.contains(command), ".ci/run does not run `{command}`");
    }
    let command = read("crates/bird-sms-cli/README.md");
    let batch =
        command.lines().find(|line| line.starts_with("bird-sms batch numbers.csv ")).unwrap();
    assert!(gate.contains("seq 1000") && gate.contains(batch), ".ci/run does not run `{batch}`");
}

#[test]
fn the_readme_lists_the_exit_code_of_each_state() {
    let readme = read("README.md");
    let errors = [
        ("NotCreated", test_util::create_error(test_util::response(422, "{}"))),
        (
            "NotCreated",
            test_util::create_error(test_util::no_response(TransportErrorKind::Dns, false)),
        ),
        ("Unknown", test_util::create_error(test_util::response(504, "{}"))),
        ("ExistsIdUnknown", test_util::create_error(test_util::response(201, "{}"))),
        (
            "Exists(id)",
            test_util::read_error(PHONE_NUMBER_ID.parse().unwrap(), test_util::response(403, "{}")),
        ),
    ];
    for (state, error) in errors {
        assert!(format!("{:?}", error.connector_state()).starts_with(&state.replace("id)", "")));
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{state}` |"))).unwrap();
        let codes = row.split('|').nth(2).unwrap();
        let code = Code::of_install(&error) as u8;
        assert!(codes.contains(&code.to_string()), "{code} is not in {row}");
    }
}
