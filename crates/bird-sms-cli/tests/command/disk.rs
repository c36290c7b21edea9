//! Limits of the system. A journal that reaches the file size limit in mid-batch: whatever the journal does not have is
//! printed. Faults 35, 57 and 62.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bird_test_peer::Backend;
use serde_json::Value;
use tokio::process::Command;

use crate::rows::{BATCH, OUT, Rows, assert_no_duplicates, configure, settled};
use crate::run;

/// Returns a command of the shell that runs the batch with a limit of `ulimit`.
fn limited(rows: &Rows, limit: &str, more: &[&str], url: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_bird-sms")).args(BATCH).args(more).current_dir(rows.folder());
    configure(&mut command, url);
    command
}

/// Returns what the journal has, up to where it was torn.
fn recorded(journal: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(journal).unwrap();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter_map(|entry| Some(entry["connectorId"].as_str()?.to_owned())).collect()
}

/// Runs a batch whose journal gets full, and asserts that each connector is in the journal or printed, and in the
/// outcomes.
async fn run_full(json: bool) {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(500));
    let rows = Rows::new(300);
    // The limit holds for the outcomes as well, unless they go to a pipe.
    let more: &[&str] = if json { &["--out", "-", "--json"] } else { &["--out", "-"] };
    // 16 KiB, in blocks of 512 bytes.
    let command = limited(&rows, "-f 32", more, &backend.base_url());
    let (code, stdout, stderr) = run(command).await;
    assert!(code == 5 || code == 6, "{code}: {stderr}");
    let connectors = settled(&backend).await;
    assert_no_duplicates(&connectors);
    let recorded = recorded(&rows.path("j.jsonl"));
    let ids: BTreeSet<_> = connectors.values().flatten().cloned().collect();
    let missing: Vec<_> = ids.difference(&recorded).collect();
    assert!(missing.len() > 20, "the limit was high enough: {}", ids.len());
    assert!(ids.len() < rows.count, "the batch did not stop");

    let printed: Vec<&str> = stderr.lines().collect();
    for id in &missing {
        let of_it: Vec<_> = printed.iter().filter(|line| line.contains(id.as_str())).collect();
        assert!(!of_it.is_empty(), "{id} is printed nowhere: {stderr}");
        if json {
            let objects = of_it.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let mut missing = objects.filter(|object| object["event"] == "not-in-journal");
            let object = missing.next().unwrap_or_else(|| panic!("{id}: {of_it:?}"));
            assert_eq!(object["connectorId"], id.as_str(), "{object}");
            assert_ne!(object["connectorState"], "not-created", "{object}");
            assert_eq!(missing.next(), None);
        }
    }
    for line in &printed {
        for words in ["File too large", "journal could not", "not be recorded"] {
            assert!(line.matches(words).count() <= 1, "said twice: {line}");
        }
    }
    if json {
        let error: Value = serde_json::from_str(printed.last().unwrap()).expect(&stderr);
        assert_eq!(
            (&error["exitCode"], error["connectorState"] == "not-created"),
            (&code.into(), false)
        );
        assert!(error["connectorId"].is_string() || code == 5, "{error}");
    } else {
        assert!(!stderr.contains("more failures are not shown"), "{stderr}");
    }

    for (number, ids) in &connectors {
        let row = stdout.lines().find(|line| line.contains(number));
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
async fn at_the_file_size_limit_each_connector_that_the_journal_lacks_is_printed() {
    run_full(false).await;
}

#[tokio::test]
async fn at_the_file_size_limit_each_connector_that_the_journal_lacks_is_a_json_line() {
    run_full(true).await;
}

#[tokio::test]
async fn a_batch_with_few_file_descriptors_writes_its_journal_and_creates_each_row_once() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(300));
    let rows = Rows::new(300);
    let command = limited(&rows, "-n 64", &OUT, &backend.base_url());
    let (code, stdout, stderr) = run(command).await;
    assert_eq!(code, 0, "{stdout} {stderr}");
    let connectors = settled(&backend).await;
    assert_eq!(connectors.len(), rows.count);
    assert_no_duplicates(&connectors);
    assert_eq!(rows.recorded().len(), rows.count);
}

#[tokio::test]
async fn a_server_that_hangs_gets_no_more_connections_than_descriptors_and_no_row_is_lost() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_secs(3600));
    let rows = Rows::new(400);
    let more = [&OUT[..], &["--timeout", "3s"]].concat();
    let command = limited(&rows, "-n 256", &more, &backend.base_url());
    let (code, stdout, stderr) = run(command).await;
    assert_eq!(code, 5, "{stdout} {stderr}");
    let connectors = settled(&backend).await;
    assert_no_duplicates(&connectors);
    assert!(connectors.len() > 200 && connectors.len() < 256, "{}", connectors.len());
    assert_eq!(rows.outcomes().len(), rows.count);
    for (number, last) in rows.last_entries() {
        let unknown = connectors.contains_key(&number);
        assert_eq!(last["event"], if unknown { "unknown" } else { "unreachable" }, "{last}");
    }
}
