//! Tests of a batch with unsuitable files: devices, pipes, and one file for two purposes. Faults 50 and 51 in
//! docs/reliability.md.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use bird_test_peer::Backend;
use bird_test_peer::fixtures::{ACCESS_KEY, nth_id};
use futures_util::future::join_all;
use tokio::process::Command;

use crate::harness::{Ended, OUT, Rows, call, end_of, run, spawn, started, until};

/// Runs a command that must not wait for a file.
async fn run_at_once(command: Command) -> Ended {
    tokio::time::timeout(Duration::from_secs(10), run(command)).await.expect("it waits for a file")
}

fn make_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Creates a directory, a FIFO and two links in the folder. Returns their names and the paths of three devices.
fn irregular_files(folder: &Path) -> [&'static str; 7] {
    std::fs::create_dir(folder.join("directory")).unwrap();
    make_fifo(&folder.join("fifo"));
    symlink("fifo", folder.join("link-to-fifo")).unwrap();
    symlink("/dev/zero", folder.join("link-to-device")).unwrap();
    ["directory", "fifo", "link-to-fifo", "link-to-device", "/dev/full", "/dev/zero", "/dev/null"]
}

#[tokio::test]
async fn a_journal_must_be_a_regular_file() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    for journal in irregular_files(rows.folder()) {
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["batch", "numbers.csv", "--journal", journal], more].concat();
            let end = run_at_once(rows.command(&backend, &args)).await;
            end.code(2).prints_nothing().says(journal);
        }
    }
    assert_eq!(backend.peer().connections(), 0);
}

// Fault 86 in docs/reliability.md.
#[tokio::test]
async fn a_key_file_that_yields_no_key_is_refused_within_the_timeout() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    join_all(irregular_files(rows.folder()).map(async |key| {
        let more = ["--timeout", "1s", "--access-key-file", key];
        let end = run_at_once(rows.batch(&backend, &more)).await.code(2).prints_nothing().says(key);
        assert!(!key.ends_with("fifo") || end.stderr.contains("did not come in time"), "{end}");
    }))
    .await;
    assert_eq!(backend.peer().connections(), 0);
}

// Fault 86 in docs/reliability.md.
#[tokio::test]
async fn a_key_may_come_from_a_pipe_or_from_standard_input() {
    let sandbox = started("").await;
    let rows = Rows::new(0);
    let text = format!("{ACCESS_KEY}\r\n");
    irregular_files(rows.folder());
    for key in ["fifo", "-"] {
        let mut command = rows.batch(&sandbox, &["--access-key-file", key]);
        command.env_remove("BIRD_ACCESS_KEY");
        rows.write("text", &text);
        command.stdin(std::fs::File::open(rows.path("text")).unwrap());
        let fifo = rows.path("fifo");
        let text = text.clone();
        let write = tokio::task::spawn_blocking(move || {
            if key == "fifo" { std::fs::write(fifo, text) } else { Ok(()) }
        });
        run_at_once(command).await.code(0);
        write.await.unwrap().unwrap();
    }
    let both = ["batch", "-", "--journal", "j.jsonl", "--access-key-file", "-"];
    call(&sandbox, &both).await.code(2).says("both the access key and the rows");
}

#[tokio::test]
async fn the_key_file_rows_and_journal_are_refused_as_outputs() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    rows.write("key", ACCESS_KEY);
    std::fs::create_dir(rows.path("sub")).unwrap();
    // In the second pass, the journal exists and has entries.
    for pass in 0..2 {
        for needed in ["key", "numbers.csv", "j.jsonl"] {
            if rows.path(needed).exists() {
                symlink(needed, rows.path("symlink")).unwrap();
                std::fs::hard_link(rows.path(needed), rows.path("hard-link")).unwrap();
            }
            let before = std::fs::read(rows.path(needed)).ok();
            let absolute = rows.path(needed);
            let around = format!("sub/../{needed}");
            let dotted = format!("./{needed}");
            let names =
                [needed, &dotted, &around, absolute.to_str().unwrap(), "symlink", "hard-link"];
            for out in names.iter().filter(|name| before.is_some() || !name.ends_with("link")) {
                let command = rows.batch(&backend, &["--access-key-file", "key", "--out", out]);
                run_at_once(command).await.code(2).hides(ACCESS_KEY);
                if let Some(before) = &before {
                    let after = std::fs::read(rows.path(needed)).unwrap();
                    assert_eq!(&after, before, "{needed} was changed through {out}");
                }
            }
            let _ = std::fs::remove_file(rows.path("symlink"));
            let _ = std::fs::remove_file(rows.path("hard-link"));
        }
        assert_eq!(backend.peer().posts(), pass * rows.count);
        rows.run(&backend, &OUT).await.code(0);
    }
}

// Fault 70 in docs/reliability.md.
#[tokio::test]
async fn an_output_that_links_to_a_journal_is_refused() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    // A link to this batch's journal, which does not exist yet.
    symlink("j.jsonl", rows.path("out.csv")).unwrap();
    let end = rows.run(&backend, &["--out", "out.csv"]).await.code(2);
    end.says("would overwrite the journal");
    rows.run(&backend, &[]).await.code(0);
    // A link to the journal of another batch.
    let before = std::fs::read(rows.path("j.jsonl")).unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let args = ["batch", "numbers.csv", "--journal", "other", "--out", "out.csv"];
        let end = run_at_once(rows.command(&backend, &[&args, more].concat())).await;
        end.code(2).says("overwrite the journal of another");
        assert_eq!(std::fs::read(rows.path("j.jsonl")).unwrap(), before);
        assert!(!rows.path("other").exists());
    }
}

#[tokio::test]
async fn the_key_file_and_the_rows_are_refused_as_journals() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    rows.write("key", ACCESS_KEY);
    for needed in ["key", "numbers.csv"] {
        let hard_link = format!("link-to-{needed}");
        std::fs::hard_link(rows.path(needed), rows.path(&hard_link)).unwrap();
        let before = std::fs::read(rows.path(needed)).unwrap();
        for journal in [needed, &hard_link] {
            let args = ["batch", "numbers.csv", "--journal", journal, "--access-key-file", "key"];
            run_at_once(rows.command(&backend, &args)).await.code(2).hides(ACCESS_KEY);
        }
        assert_eq!(std::fs::read(rows.path(needed)).unwrap(), before);
    }
    assert_eq!(backend.peer().connections(), 0);
}

// Faults 68 and 69 in docs/reliability.md.
#[tokio::test]
async fn a_journal_changed_while_in_use_stops_the_batch() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 5] = [
        (|path| std::fs::write(path, "").unwrap(), "changed by something else"),
        (
            |path| {
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"\n").unwrap();
            },
            "changed by something else",
        ),
        (|path| std::fs::rename(path, path.with_extension("old")).unwrap(), "moved or replaced"),
        (|path| std::fs::remove_file(path).unwrap(), "moved or replaced"),
        (
            // Replaces the journal by a copy, as the restore of a backup does.
            |path| {
                std::fs::copy(path, path.with_extension("copy")).unwrap();
                std::fs::rename(path.with_extension("copy"), path).unwrap();
            },
            "moved or replaced",
        ),
    ];
    let cases = changes.iter().flat_map(|case| [(case, &[][..]), (case, &["--json"][..])]);
    join_all(cases.map(async |((change, how), more)| {
        let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(100));
        let rows = Rows::new(40);
        let process = spawn(rows.batch(&backend, &[&["--concurrency", "4"], more].concat()));
        until(|| backend.peer().posts() >= 8).await;
        let journal = rows.path("j.jsonl");
        change(&journal);
        let after = std::fs::read(&journal).ok();
        let end = end_of(process).await.says(&format!("j.jsonl was {how} while in use"));
        assert!(end.code == 5 || end.code == 6, "{end}");
        // With a new journal, the same command would create every connector again.
        end.says("Put the journal back").hides("same command");
        assert!(backend.peer().posts() < rows.count, "the batch did not stop");
        assert_eq!(std::fs::read(&journal).ok(), after, "the batch changed the file");
    }))
    .await;
}

// Fault 69 in docs/reliability.md.
#[tokio::test]
async fn truncating_the_journal_after_the_last_append_is_reported() {
    // The outcomes do not fit into the buffer of a pipe.
    let row = |n| format!("{},{}\n", "n".repeat(50_000), nth_id(n));
    let table = format!("name,phone_number_id\n{}{}", row(1), row(2));
    let backend = Backend::start().await.unwrap();
    let rows = Rows::of(&table);
    rows.run(&backend, &[]).await.code(0);
    make_fifo(&rows.path("fifo"));
    let process = spawn(rows.batch(&backend, &["--out", "fifo"]));
    let journal = rows.path("j.jsonl");
    let out = rows.path("fifo");
    let read = tokio::task::spawn_blocking(move || {
        let mut out = std::fs::File::open(out).unwrap();
        // By now the batch has read its journal, and waits for the outcomes to be read.
        out.read_exact(&mut [0]).unwrap();
        std::fs::write(&journal, "").unwrap();
        std::io::copy(&mut out, &mut std::io::sink()).unwrap()
    });
    read.await.unwrap();
    end_of(process).await.code(1).says("j.jsonl was changed by something else");
}

#[tokio::test]
async fn an_empty_journal_is_reported_because_every_row_counts_as_new() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(1);
    let told = "j.jsonl is empty: every row counts as new";
    rows.run(&backend, &[]).await.hides(told);
    rows.write("j.jsonl", "");
    rows.run(&backend, &[]).await.says(told);
    rows.write("j.jsonl", "");
    rows.run(&backend, &["--json"]).await.says(r#"{"event":"note","message":"The journal "#);
}
