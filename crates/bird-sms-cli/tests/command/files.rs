//! Files that are not what they should be: devices, pipes, and names of one file for two purposes. Faults 50 and 51.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_test_peer::Backend;
use bird_test_peer::fixtures::{ACCESS_KEY, nth_id};
use tokio::process::Command;

use crate::rows::{Rows, at, end_of, until};
use crate::{in_sandbox, run};

/// Runs a command that must not wait for a file.
async fn run_at_once(command: Command) -> (i32, String, String) {
    tokio::time::timeout(Duration::from_secs(10), run(command)).await.expect("waits for a file")
}

/// Puts a FIFO, a directory and links to devices into the folder, and returns their names.
fn irregular_files(folder: &Path) -> Vec<&'static str> {
    std::fs::create_dir(folder.join("directory")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(folder.join("fifo")).status().unwrap();
    assert!(fifo.success());
    std::os::unix::fs::symlink("fifo", folder.join("link-to-fifo")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("link-to-device")).unwrap();
    vec![
        "directory",
        "fifo",
        "link-to-fifo",
        "link-to-device",
        "/dev/full",
        "/dev/zero",
        "/dev/null",
    ]
}

#[tokio::test]
async fn a_journal_that_is_not_a_regular_file_is_refused_and_nothing_is_sent() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    for journal in irregular_files(rows.folder()) {
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["batch", "numbers.csv", "--journal", journal], more].concat();
            let mut command = at(&backend.base_url(), &args);
            command.current_dir(rows.folder());
            let (code, stdout, stderr) = run_at_once(command).await;
            assert_eq!((code, stdout.as_str()), (2, ""), "{journal}: {stderr}");
            assert!(stderr.contains(journal), "{stderr}");
        }
    }
    assert_eq!(backend.peer().connections(), 0);
}

// Fault 86.
#[tokio::test]
async fn a_key_file_without_a_key_is_refused_in_time_and_nothing_is_sent() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    let batch = ["batch", "numbers.csv", "--journal", "j.jsonl", "--timeout", "1s"];
    for key in irregular_files(rows.folder()) {
        let mut command =
            at(&backend.base_url(), &[&batch, &["--access-key-file", key][..]].concat());
        command.current_dir(rows.folder());
        let (code, stdout, stderr) = run_at_once(command).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{key}: {stderr}");
        assert!(stderr.contains(key), "{stderr}");
        assert!(!key.ends_with("fifo") || stderr.contains("did not come in time"), "{stderr}");
    }
    assert_eq!(backend.peer().connections(), 0);
}

// Fault 86.
#[tokio::test]
async fn a_key_may_come_from_a_pipe_or_from_standard_input() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let rows = Rows::new(0);
    let text = format!("{}\r\n", sandbox.access_key());
    irregular_files(rows.folder());
    for key in ["fifo", "-"] {
        let args = ["batch", "numbers.csv", "--journal", "j.jsonl", "--access-key-file", key];
        let mut command = in_sandbox(&sandbox, &args);
        command.current_dir(rows.folder()).env_remove("BIRD_ACCESS_KEY");
        std::fs::write(rows.path("text"), &text).unwrap();
        command.stdin(std::fs::File::open(rows.path("text")).unwrap());
        let (fifo, text) = (rows.path("fifo"), text.clone());
        let write = tokio::task::spawn_blocking(move || {
            if key == "fifo" { std::fs::write(fifo, text) } else { Ok(()) }
        });
        let (code, _, stderr) = run_at_once(command).await;
        assert_eq!(code, 0, "{key}: {stderr}");
        write.await.unwrap().unwrap();
    }
    let both = ["batch", "-", "--journal", "j.jsonl", "--access-key-file", "-"];
    let (code, _, stderr) = run(in_sandbox(&sandbox, &both)).await;
    assert!(code == 2 && stderr.contains("both the access key and the rows"), "{stderr}");
}

#[tokio::test]
async fn an_output_that_is_the_key_file_the_journal_or_the_rows_is_refused_whatever_its_name() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    std::fs::write(rows.path("key"), ACCESS_KEY).unwrap();
    std::fs::create_dir(rows.path("sub")).unwrap();
    // The second pass has a journal with entries.
    for pass in 0..2 {
        for needed in ["key", "numbers.csv", "j.jsonl"] {
            if rows.path(needed).exists() {
                std::os::unix::fs::symlink(needed, rows.path("symlink")).unwrap();
                std::fs::hard_link(rows.path(needed), rows.path("hard-link")).unwrap();
            }
            let before = std::fs::read(rows.path(needed)).ok();
            let absolute = rows.path(needed);
            let around = format!("sub/../{needed}");
            let dotted = format!("./{needed}");
            let names =
                [needed, &dotted, &around, absolute.to_str().unwrap(), "symlink", "hard-link"];
            for out in names.iter().filter(|name| before.is_some() || !name.ends_with("link")) {
                let args = [
                    "batch",
                    "numbers.csv",
                    "--journal",
                    "j.jsonl",
                    "--access-key-file",
                    "key",
                    "--out",
                    out,
                ];
                let mut command = at(&backend.base_url(), &args);
                command.current_dir(rows.folder());
                let (code, _, stderr) = run_at_once(command).await;
                assert_eq!(code, 2, "{out} of {needed}: {stderr}");
                assert!(!stderr.contains(ACCESS_KEY), "{stderr}");
                if let Some(before) = &before {
                    let after = std::fs::read(rows.path(needed)).unwrap();
                    assert_eq!(&after, before, "{out} of {needed} was changed");
                }
            }
            let _ = std::fs::remove_file(rows.path("symlink"));
            let _ = std::fs::remove_file(rows.path("hard-link"));
        }
        assert_eq!(backend.peer().posts(), pass * rows.count);
        assert_eq!(run(rows.command(&backend.base_url(), &[])).await.0, 0);
    }
}

// Fault 70.
#[tokio::test]
async fn an_output_that_is_the_journal_of_another_batch_is_refused_whatever_its_name() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    assert_eq!(run(rows.command(&backend.base_url(), &[])).await.0, 0);
    std::os::unix::fs::symlink("j.jsonl", rows.path("out.csv")).unwrap();
    let before = std::fs::read(rows.path("j.jsonl")).unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let args = ["batch", "numbers.csv", "--journal", "other", "--out", "out.csv"];
        let mut command = at(&backend.base_url(), &[&args, more].concat());
        command.current_dir(rows.folder());
        let (code, _, stderr) = run_at_once(command).await;
        assert!(code == 2 && stderr.contains("overwrite the journal of another"), "{stderr}");
        assert_eq!(std::fs::read(rows.path("j.jsonl")).unwrap(), before);
        assert!(!rows.path("other").exists());
    }
}

#[tokio::test]
async fn a_journal_that_is_the_key_file_or_the_rows_is_refused_and_not_changed() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    std::fs::write(rows.path("key"), ACCESS_KEY).unwrap();
    for needed in ["key", "numbers.csv"] {
        std::fs::hard_link(rows.path(needed), rows.path("hard-link")).unwrap();
        let before = std::fs::read(rows.path(needed)).unwrap();
        for journal in [needed, "hard-link"] {
            let args = ["batch", "numbers.csv", "--journal", journal, "--access-key-file", "key"];
            let mut command = at(&backend.base_url(), &args);
            command.current_dir(rows.folder());
            let (code, _, stderr) = run_at_once(command).await;
            assert_eq!(code, 2, "{journal}: {stderr}");
            assert!(!stderr.contains(ACCESS_KEY), "{stderr}");
        }
        assert_eq!(std::fs::read(rows.path(needed)).unwrap(), before);
        std::fs::remove_file(rows.path("hard-link")).unwrap();
    }
    assert_eq!(backend.peer().connections(), 0);
}

type Change = fn(&Path);

/// Starts a batch, and changes its journal in mid-batch. Returns its end.
async fn change_journal(change: Change) -> (i32, String) {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(100));
    let rows = Rows::new(40);
    let mut process = rows.command(&backend.base_url(), &["--concurrency", "4"]);
    let process = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| backend.peer().posts() >= 8).await;
    let journal = rows.path("j.jsonl");
    change(&journal);
    let changed = std::fs::read(&journal).ok();
    let (code, _, stderr) = end_of(process).await;
    assert!(backend.peer().posts() < rows.count, "the batch did not stop");
    assert_eq!(std::fs::read(&journal).ok(), changed, "something was appended");
    (code, stderr)
}

// Faults 68 and 69.
#[tokio::test]
async fn a_journal_that_is_changed_while_in_use_stops_the_batch() {
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
            // As a backup that is put back.
            |path| {
                std::fs::copy(path, path.with_extension("copy")).unwrap();
                std::fs::rename(path.with_extension("copy"), path).unwrap();
            },
            "moved or replaced",
        ),
    ];
    for (change, how) in changes {
        let (code, stderr) = change_journal(change).await;
        assert!(code == 5 || code == 6, "{code}: {stderr}");
        assert!(stderr.contains(&format!("j.jsonl was {how} while in use")), "{stderr}");
        assert!(!stderr.contains("the same command"), "{stderr}");
    }
}

// Fault 69.
#[tokio::test]
async fn a_journal_that_is_truncated_after_the_last_entry_is_reported() {
    // The outcomes are longer than what a pipe holds.
    let row = |n| format!("{},{}\n", "n".repeat(50_000), nth_id(n));
    let table = format!("name,phone_number_id\n{}{}", row(1), row(2));
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::of(&table));
    assert_eq!(run(rows.command(&backend.base_url(), &[])).await.0, 0);
    let fifo = std::process::Command::new("mkfifo").arg(rows.path("fifo")).status().unwrap();
    assert!(fifo.success());
    let args = ["batch", "numbers.csv", "--journal", "j.jsonl", "--out", "fifo"];
    let mut process = at(&backend.base_url(), &args);
    process.current_dir(rows.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = process.spawn().unwrap();
    let (journal, out) = (rows.path("j.jsonl"), rows.path("fifo"));
    let read = tokio::task::spawn_blocking(move || {
        let mut out = std::fs::File::open(out).unwrap();
        // The batch has read the journal, and waits until its outcomes are read.
        out.read_exact(&mut [0]).unwrap();
        std::fs::write(&journal, "").unwrap();
        std::io::copy(&mut out, &mut std::io::sink()).unwrap()
    });
    read.await.unwrap();
    let (code, stdout, stderr) = end_of(process).await;
    assert_eq!(code, 1, "{stdout} {stderr}");
    assert!(stderr.contains("j.jsonl was changed by something else"), "{stderr}");
}

// Fault 68.
#[tokio::test]
async fn nothing_says_that_the_same_command_continues_after_the_journal_is_gone() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_millis(100));
    for args in [&["--concurrency", "4"][..], &["--concurrency", "4", "--json"]] {
        let rows = Rows::new(20);
        let mut process = rows.command(&backend.base_url(), args);
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (before, process) = (backend.peer().posts(), process.spawn().unwrap());
        until(|| backend.peer().posts() >= before + 6).await;
        std::fs::remove_file(rows.path("j.jsonl")).unwrap();
        let (code, stdout, stderr) = end_of(process).await;
        assert!(code == 5 || code == 6, "{stdout} {stderr}");
        assert!(!format!("{stdout} {stderr}").contains("same command"), "{stdout} {stderr}");
        assert!(stderr.contains("Put the journal back"), "{stderr}");
    }
}

#[tokio::test]
async fn an_output_that_is_a_link_to_the_journal_to_be_is_refused() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(2));
    std::os::unix::fs::symlink("j.jsonl", rows.path("link")).unwrap();
    let args = ["batch", "numbers.csv", "--journal", "j.jsonl", "--out", "link"];
    let mut command = at(&backend.base_url(), &args);
    command.current_dir(rows.folder());
    let (code, _, stderr) = run(command).await;
    assert!(code == 2 && stderr.contains("would overwrite the journal"), "{stderr}");
    assert_eq!(run(rows.command(&backend.base_url(), &[])).await.0, 0);
}

#[tokio::test]
async fn an_empty_journal_is_named_before_its_rows_are_created() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(1));
    for (empty, told) in [(false, false), (true, true)] {
        if empty {
            std::fs::write(rows.path("j.jsonl"), "").unwrap();
        }
        let (_, _, stderr) = run(rows.command(&backend.base_url(), &[])).await;
        assert_eq!(stderr.contains("j.jsonl is empty: every row counts as new"), told, "{stderr}");
    }
}
