//! Tests of a batch with limits on file sizes and file descriptors: faults 35, 57 and 62 in docs/reliability.md.

use std::collections::BTreeSet;
use std::time::Duration;

use bird_test_peer::Backend;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::{OUT, Rows, assert_no_duplicates, run, settled, wrap};

/// Returns the command that runs the batch with a limit set by `ulimit`.
fn limited(rows: &Rows, limit: &str, more: &[&str], backend: &Backend) -> Command {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    wrap("sh", &["-c", &script], &rows.batch(backend, more))
}

/// Runs a batch whose journal reaches its size limit. Asserts that each connector is in the outcomes, and in the
/// journal or printed.
async fn run_full(json: bool) {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(300));
    let rows = Rows::new(200);
    // The outcomes go to a pipe because the limit applies to all files.
    let more: &[&str] = if json { &["--out", "-", "--json"] } else { &["--out", "-"] };
    // `ulimit` counts blocks of 512 bytes, so this is 10 KiB.
    let end = run(limited(&rows, "-f 20", more, &backend)).await;
    assert!(end.code == 5 || end.code == 6, "{end}");
    let connectors = settled(&backend).await;
    assert_no_duplicates(&connectors);
    let ids: BTreeSet<_> = connectors.values().flatten().cloned().collect();
    let recorded = rows.recorded();
    let missing: Vec<_> = ids.difference(&recorded).collect();
    assert!(missing.len() > 20, "the limit is too high: {} connectors", ids.len());
    assert!(ids.len() < rows.count, "the batch did not stop");

    let printed: Vec<&str> = end.stderr.lines().collect();
    for id in &missing {
        let of_it: Vec<_> = printed.iter().filter(|line| line.contains(id.as_str())).collect();
        assert!(!of_it.is_empty(), "{id} was not printed: {end}");
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
            assert!(line.matches(words).count() <= 1, "repeats itself: {line}");
        }
    }
    if json {
        let error = end.error();
        assert_eq!(error["exitCode"], end.code);
        assert_ne!(error["connectorState"], "not-created");
        assert!(error["connectorId"].is_string() || end.code == 5, "{error}");
    }
    for (number, ids) in &connectors {
        let row = end.stdout.lines().find(|line| line.contains(number));
        assert!(row.is_some_and(|row| row.contains(&ids[0])), "{number} {ids:?}: {row:?}");
    }
    end.hides("More failures are not shown");

    // Without the limit, the same command leaves alone the rows whose connectors the journal lacks. There may be
    // more such rows, because the write that failed may have stored intents of rows that were never sent.
    let summary = rows.run(&backend, &["--json"]).await.code(5).object();
    assert!(summary["unknown"].as_u64() >= Some(missing.len() as u64), "{summary}");
    assert_no_duplicates(&settled(&backend).await);
}

#[tokio::test]
async fn a_batch_with_a_full_journal_prints_each_unrecorded_connector() {
    tokio::join!(run_full(false), run_full(true));
}

#[tokio::test]
async fn a_batch_with_few_file_descriptors_creates_each_row_once() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(100));
    let rows = Rows::new(100);
    run(limited(&rows, "-n 40", &OUT, &backend)).await.code(0);
    let connectors = settled(&backend).await;
    assert_eq!(connectors.len(), rows.count);
    assert_no_duplicates(&connectors);
    assert_eq!(rows.recorded().len(), rows.count);
}

#[tokio::test]
async fn a_batch_against_a_hanging_server_loses_no_row() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_secs(3600));
    let rows = Rows::new(200);
    let more = [&OUT[..], &["--timeout", "2s"]].concat();
    run(limited(&rows, "-n 128", &more, &backend)).await.code(5);
    let connectors = settled(&backend).await;
    assert_no_duplicates(&connectors);
    assert!(connectors.len() > 80 && connectors.len() < 128, "{}", connectors.len());
    assert_eq!(rows.outcomes().len(), rows.count);
    for (number, last) in rows.last_entries() {
        let unknown = connectors.contains_key(&number);
        assert_eq!(last["event"], if unknown { "unknown" } else { "unreachable" }, "{last}");
    }
}
