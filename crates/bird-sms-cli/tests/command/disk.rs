//! A journal whose disk fills in mid-batch: whatever the journal does not have is printed. Faults 35 and 57.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bird_test_peer::Backend;
use serde_json::Value;
use tokio::process::Command;

use crate::rows::{BATCH, Rows, assert_no_duplicates, configure, run, settled};

/// How the room for the journal is limited.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// A tmpfs of 64 KiB holds the journal. Needs a mount namespace.
    Tmpfs,
    /// No file may grow beyond 16 KiB.
    FileSize,
}

/// Runs a program of the shell in the folder of the rows.
fn shell(rows: &Rows, namespace: bool, script: &str, args: &[&str]) -> Command {
    let mut command = if namespace {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", script, env!("CARGO_BIN_EXE_bird-sms")]).args(args);
    command.current_dir(rows.folder());
    command
}

/// Returns the batch with a journal that gets full, and the journal in `j.jsonl` afterwards. `None`, and a line that
/// says so, if the system does not allow it.
async fn full_disk(limit: Limit, rows: &Rows, url: &str, more: &[&str]) -> Option<Command> {
    let mut command = match limit {
        Limit::Tmpfs => {
            let mount = "mkdir disk && mount -t tmpfs -o size=64k none disk";
            // The mount is gone when the last process of its namespace is.
            if !shell(rows, true, mount, &[]).status().await.is_ok_and(|status| status.success()) {
                println!("skipped: a tmpfs cannot be mounted here");
                return None;
            }
            std::fs::remove_dir(rows.path("disk")).unwrap();
            let script = "&& \"$0\" \"$@\"; code=$?; cp disk/j.jsonl .; exit $code";
            let args = BATCH.map(|arg| if arg == "j.jsonl" { "disk/j.jsonl" } else { arg });
            let args: Vec<_> = args.iter().chain(more).copied().collect();
            shell(rows, true, &format!("{mount} {script}"), &args)
        }
        Limit::FileSize => {
            // The limit holds for the outcomes as well, unless they go to a pipe.
            let args = BATCH.map(|arg| if arg == "out.jsonl" { "-" } else { arg });
            let args: Vec<_> = args.iter().chain(more).copied().collect();
            // In blocks of 512 bytes.
            shell(rows, false, "ulimit -f 32; exec \"$0\" \"$@\"", &args)
        }
    };
    configure(&mut command, url);
    Some(command)
}

/// Returns what the journal has, up to where it was torn.
fn recorded(journal: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(journal).unwrap();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter_map(|entry| Some(entry["connectorId"].as_str()?.to_owned())).collect()
}

/// Runs a batch whose journal gets full, and asserts that each connector is in the journal or printed, and in the
/// outcomes.
async fn run_full(limit: Limit, json: bool) {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(150));
    let rows = Rows::new(300);
    let more: &[&str] = if json { &["--json"] } else { &[] };
    let Some(command) = full_disk(limit, &rows, &backend.base_url(), more).await else { return };
    let (code, stdout, stderr) = run(command).await;
    assert!(code == 5 || code == 6, "{code}: {stderr}");
    let connectors = settled(&backend).await;
    assert_no_duplicates(&connectors);
    let recorded = recorded(&rows.path("j.jsonl"));
    let ids: BTreeSet<_> = connectors.values().flatten().cloned().collect();
    let missing: Vec<_> = ids.difference(&recorded).collect();
    assert!(missing.len() > 20, "{limit:?}: the disk was large enough: {}", ids.len());
    assert!(ids.len() < rows.count, "{limit:?}: the batch did not stop");

    let printed: Vec<&str> = stderr.lines().collect();
    for id in &missing {
        let of_it: Vec<_> = printed.iter().filter(|line| line.contains(id.as_str())).collect();
        assert!(!of_it.is_empty(), "{id} is printed nowhere: {stderr}");
        if json {
            let objects = of_it.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let mut missing = objects.filter(|object| object["event"] == "not-in-journal");
            let object = missing.next().unwrap_or_else(|| panic!("{id}: {of_it:?}"));
            assert_eq!(object["connectorId"], id.as_str(), "{object}");
            assert_eq!(object["connectorMayExist"], true, "{object}");
            assert_eq!(missing.next(), None);
        }
    }
    for line in &printed {
        for words in ["No space left", "File too large", "journal could not", "not be recorded"] {
            assert!(line.matches(words).count() <= 1, "said twice: {line}");
        }
    }
    if json {
        let error: Value = serde_json::from_str(printed.last().unwrap()).expect(&stderr);
        assert_eq!((&error["connectorMayExist"], &error["exitCode"]), (&true.into(), &code.into()));
        assert!(error["connectorId"].is_string() || code == 5, "{error}");
    } else {
        assert!(!stderr.contains("more failures are not shown"), "{stderr}");
    }

    // The outcomes of the file size limit are on stdout, and CSV without --json.
    let out = match limit {
        Limit::Tmpfs => std::fs::read_to_string(rows.path("out.jsonl")).unwrap(),
        Limit::FileSize => stdout,
    };
    for (number, ids) in &connectors {
        let row = out.lines().find(|line| line.contains(number));
        assert!(row.is_some_and(|row| row.contains(&ids[0])), "{number} {ids:?}: {row:?}");
    }

    // With room again, the same command leaves alone what the journal does not have. An intent may have been written
    // in the write that failed, and then its row was not sent.
    let (code, stdout, stderr) = run(rows.command(&backend.base_url(), &["--json"])).await;
    let summary: Value = serde_json::from_str(&stdout).expect(&stderr);
    assert_eq!(code, 5, "{summary}");
    assert!(summary["unknown"].as_u64() >= Some(missing.len() as u64), "{summary}");
    assert_no_duplicates(&settled(&backend).await);
}

#[tokio::test]
async fn on_a_full_disk_each_connector_that_the_journal_lacks_is_printed() {
    run_full(Limit::Tmpfs, false).await;
}

#[tokio::test]
async fn on_a_full_disk_each_connector_that_the_journal_lacks_is_a_json_line() {
    run_full(Limit::Tmpfs, true).await;
}

#[tokio::test]
async fn at_the_file_size_limit_each_connector_that_the_journal_lacks_is_printed() {
    run_full(Limit::FileSize, false).await;
}

#[tokio::test]
async fn at_the_file_size_limit_each_connector_that_the_journal_lacks_is_a_json_line() {
    run_full(Limit::FileSize, true).await;
}

#[tokio::test]
async fn a_journal_that_is_full_before_the_first_row_sends_nothing() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    for json in [&[][..], &["--json"]] {
        let args: Vec<_> = BATCH.iter().chain(json).copied().collect();
        let script = "ulimit -f 0; exec \"$0\" \"$@\"";
        let mut command = shell(&rows, false, script, &args);
        configure(&mut command, &backend.base_url());
        // The copy of the rows would not have room either.
        let (code, _, stderr) = run(command).await;
        assert!(code == 1 || code == 2, "{code}: {stderr}");
        assert_eq!(backend.peer().connections(), 0);
    }
}

#[tokio::test]
async fn a_batch_with_few_file_descriptors_writes_its_journal_and_creates_each_row_once() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(300));
    let rows = Rows::new(300);
    let mut command = shell(&rows, false, "ulimit -n 64; exec \"$0\" \"$@\"", &BATCH);
    configure(&mut command, &backend.base_url());
    let (code, stdout, stderr) = run(command).await;
    assert_eq!(code, 0, "{stdout} {stderr}");
    let connectors = settled(&backend).await;
    assert_eq!(connectors.len(), rows.count);
    assert_no_duplicates(&connectors);
    assert_eq!(rows.recorded().len(), rows.count);
}
