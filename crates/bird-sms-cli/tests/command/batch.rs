//! `bird-sms batch` as a process: its input, its journal, its output.

use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::{Builder, Sandbox};
use bird_test_peer::fixtures::nth_id;
use bird_test_peer::{Peer, Reply};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::rows::{Rows, lines};
use crate::{bird_sms, in_sandbox, run};

fn fast() -> Builder {
    Sandbox::builder()
        .provisioning_delay(Duration::from_millis(50))
        .get_limit(u32::MAX)
        .post_limit(u32::MAX)
}

async fn failing(fault: &str) -> Sandbox {
    fast().fault(fault.parse().unwrap()).start().await.unwrap()
}

#[tokio::test]
async fn a_batch_installs_every_row_and_writes_every_step_to_the_journal() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(50));
    let (code, stdout, stderr) = batch.run(&sandbox, &["--out", "out.csv"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.starts_with("50 of 50 rows ready (0 before this run), 50 connectors"),
        "{stdout}"
    );
    let events = batch.journal();
    for connector in sandbox.connectors() {
        let of_row: Vec<_> = events
            .iter()
            .filter(|event| event["phoneNumberId"] == *connector.phone_number_id)
            .collect();
        let names: Vec<_> = of_row.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["intent", "created", "ready"]);
        assert_eq!(of_row[1]["connectorId"], connector.id.to_string());
        assert_eq!(of_row[2]["channelId"], connector.channel_id.to_string());
    }
    let mut out = csv::Reader::from_path(batch.path("out.csv")).unwrap();
    assert_eq!(
        out.headers().unwrap(),
        vec![
            "line",
            "name",
            "phone_number_id",
            "status",
            "connector_id",
            "channel_id",
            "error",
            "warning"
        ]
    );
    assert_eq!(out.records().filter(|row| row.as_ref().unwrap()[3] == *"ready").count(), 50);
}

#[tokio::test]
async fn the_same_command_again_skips_what_is_ready_and_installs_what_is_new() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(5));
    assert_eq!(batch.run(&sandbox, &[]).await.0, 0);
    let more = Rows::new(8);
    std::fs::copy(more.path("numbers.csv"), batch.path("numbers.csv")).unwrap();
    let (code, stdout, _) = batch.run(&sandbox, &["--json", "--out", "out.jsonl"]).await;
    assert_eq!(code, 0);
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["ready"], &summary["readyBefore"], &summary["created"]),
        (&8.into(), &8.into(), &5.into(), &3.into())
    );
    assert_eq!(sandbox.post_count(), 8);
    // The output has all rows, and those of the earlier run with their channel.
    let rows = lines(&batch.path("out.jsonl"));
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row["status"] == "ready" && row["channel_id"].is_string()));
}

#[tokio::test]
async fn a_refusal_is_counted_by_its_code_and_sent_again_the_next_time() {
    let (sandbox, batch) = (failing("post:422x2").await, Rows::new(5));
    let (code, stdout, stderr) = batch.run(&sandbox, &[]).await;
    assert_eq!(code, 3, "{stdout}");
    assert!(stdout.contains("2 refused, no connector created (422 InvalidPayload: 2)"), "{stdout}");
    assert!(
        stderr.contains(": the request was refused, and no connector was created: HTTP 422"),
        "{stderr}"
    );
    let (code, stdout, _) = batch.run(&sandbox, &[]).await;
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.starts_with("5 of 5 rows ready (3 before this run), 2 connectors"), "{stdout}");
}

#[tokio::test]
async fn a_batch_of_which_every_request_is_throttled_stops_and_says_why() {
    // The sandbox asks for a second, and two of them are a timeout.
    let (sandbox, batch) = (failing("post:429x50").await, Rows::new(8));
    let more = ["--concurrency", "1", "--timeout", "2s"];
    let (code, stdout, stderr) = batch.run(&sandbox, &more).await;
    assert_eq!((code, sandbox.connectors().len()), (3, 0), "{stdout} {stderr}");
    assert!(stdout.contains(" not begun"), "{stdout}");
    let why = "refused with 429, and the batch was stopped: ";
    assert!(stderr.contains(why) && stderr.contains("Run the same command later"), "{stderr}");
}

#[tokio::test]
async fn a_batch_with_a_key_of_another_product_says_so() {
    let refused = Reply::json(401, r#"{"code": "Unauthorized", "message": "Unknown key"}"#);
    let (peer, batch) = (Peer::script([refused]).await.unwrap(), Rows::new(1));
    let mut command = batch.command(&peer.base_url(), &[]);
    command.env("BIRD_ACCESS_KEY", "bk_us1_Ab3xKq9mP2wR5tY8");
    let (code, _, stderr) = run(command).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("keys that begin with bk_ or test_"), "{stderr}");
    assert!(stderr.contains("Run `bird-sms check` for details."), "{stderr}");
}

// Fault 84.
#[tokio::test]
async fn a_pause_by_the_rate_limit_is_one_line() {
    let limited = Reply::with_headers(429, &["retry-after: 60"], "");
    let limited = limited.delayed(Duration::from_millis(500));
    let (peer, batch) = (Peer::script(vec![limited; 3]).await.unwrap(), Rows::new(3));
    // The pause is longer than the timeout, so each row ends with its 429.
    let (code, _, stderr) = run(batch.command(&peer.base_url(), &["--timeout", "10s"])).await;
    assert_eq!((code, peer.posts()), (3, 3), "{stderr}");
    assert_eq!(stderr.matches("Paused for 60 s by the rate limit\n").count(), 1, "{stderr}");
}

// Fault 33.
#[tokio::test]
async fn a_refused_key_stops_the_batch_and_the_rows_that_were_not_begun_are_counted() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(5));
    let mut command = batch.in_sandbox(&sandbox, &["--concurrency", "1", "--out", "out.csv"]);
    command.env("BIRD_ACCESS_KEY", "another-key");
    let (code, stdout, stderr) = run(command).await;
    assert_eq!((code, sandbox.post_count()), (3, 1), "{stderr}");
    assert!(stdout.contains("\n1 refused") && stdout.ends_with("\n4 not begun\n"), "{stdout}");
    assert!(stderr.starts_with("error: the access key is refused, and the batch was stopped"));
    // Nothing is known of the rows that were not begun, so that the same command begins them.
    assert_eq!(std::fs::read_to_string(batch.path("out.csv")).unwrap().lines().count(), 2);
    assert_eq!(batch.run(&sandbox, &[]).await.0, 0);
}

#[tokio::test]
async fn the_error_of_a_batch_agrees_with_its_exit_code_and_its_rows() {
    let faults = ["post:504x1", "post:401@1"].map(|fault| fault.parse().unwrap());
    let (sandbox, batch) = (fast().faults(faults).start().await.unwrap(), Rows::new(3));
    let one_at_a_time = ["--json", "--concurrency", "1"];
    let (code, _, stderr) = batch.run(&sandbox, &one_at_a_time).await;
    let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!((code, &error["exitCode"]), (5, &5.into()), "{stderr}");
    assert_eq!(error["connectorState"], "unknown", "{stderr}");
}

// Fault 36.
#[tokio::test]
async fn a_row_that_is_sent_again_after_a_503_has_a_warning_in_output_journal_and_stderr() {
    let (sandbox, batch) = (failing("post:503").await, Rows::new(2));
    let more = ["--concurrency", "1", "--out", "out.jsonl"];
    let (code, stdout, stderr) = batch.run(&sandbox, &more).await;
    assert_eq!((code, sandbox.post_count()), (0, 3), "{stderr}");
    // Fault 77.
    assert!(stdout.contains("\n1 may have a second connector"), "{stdout}");
    let (events, rows) = (batch.journal(), lines(&batch.path("out.jsonl")));
    for (number, warned) in [(nth_id(1), true), (nth_id(2), false)] {
        let row = rows.iter().find(|row| row["phone_number_id"] == *number).unwrap();
        assert_eq!(row["warning"] == "possible-duplicate", warned, "{row}");
        for name in ["created", "ready"] {
            let mut of_row = events.iter().filter(|event| event["phoneNumberId"] == *number);
            let event = of_row.find(|event| event["event"] == name).unwrap();
            assert_eq!(event["warning"].is_object(), warned, "{event}");
        }
        let printed = format!("{number}: warning: ");
        assert_eq!(stderr.lines().any(|line| line.contains(&printed)), warned, "{stderr}");
    }
}

#[tokio::test]
async fn a_row_with_an_unknown_outcome_is_left_alone_until_it_is_retried_or_adopted() {
    let (sandbox, batch) = (failing("post:lost").await, Rows::new(3));
    for _ in 0..2 {
        let (code, stdout, _) = batch.run(&sandbox, &["--out", "out.csv"]).await;
        assert_eq!(code, 5, "{stdout}");
        assert!(stdout.contains("1 unknown: a connector may exist"), "{stdout}");
        assert_eq!(sandbox.post_count(), 3);
    }
    let out = std::fs::read_to_string(batch.path("out.csv")).unwrap();
    assert!(out.contains("unknown,,,\"it is not known whether an earlier run"), "{out}");
    // The response to a second attempt says that a connector exists, and not its id.
    for _ in 0..2 {
        let (code, stdout, _) = batch.run(&sandbox, &["--retry-unknown"]).await;
        assert_eq!(code, 5, "{stdout}");
        assert!(stdout.contains("1 exist, and the id of their connector is not known"), "{stdout}");
        assert_eq!(sandbox.post_count(), 4);
    }
    // The operator finds the id of the connector, and adopts it.
    let lost = &sandbox.connectors()[0];
    let adopt = format!("{}={}", lost.phone_number_id, lost.id);
    let (_, stdout, _) = batch.run(&sandbox, &["--adopt", &adopt, "--dry-run"]).await;
    assert!(stdout.contains("0 would be installed, 1 waited for, 2 are ready"), "{stdout}");
    let (code, stdout, stderr) = batch.run(&sandbox, &["--adopt", &adopt]).await;
    assert_eq!(code, 0, "{stdout} {stderr}");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (4, 3));
    // The same command again changes nothing, whatever the API responds.
    sandbox.add_fault("get:403".parse().unwrap());
    let (code, stdout, stderr) = batch.run(&sandbox, &["--adopt", &adopt]).await;
    assert_eq!(code, 0, "{stdout} {stderr}");
    assert!(stdout.contains("3 of 3 rows ready (3 before this run)"), "{stdout}");
    let events = batch.journal();
    let of_row: Vec<_> = events
        .iter()
        .filter(|event| event["phoneNumberId"] == *lost.phone_number_id)
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(of_row, ["intent", "unknown", "intent", "exists", "adopted", "ready"]);
}

#[tokio::test]
async fn a_connector_whose_response_was_lost_is_found_at_its_number() {
    let (sandbox, rows) = (failing("post:lostx2").await, Rows::new(3));
    let args = ["batch", "numbers.csv", "--journal", "j.jsonl"];
    let mut command = in_sandbox(&sandbox, &args);
    command.current_dir(rows.folder());
    let (code, stdout, stderr) = run(command).await;
    assert!(code == 0 && stdout.contains("3 of 3 rows ready"), "{stdout} {stderr}");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (3, 3));
    let found = rows.journal().iter().filter(|entry| entry["event"] == "found").count();
    assert_eq!(found, 2);
    sandbox.add_fault("post:lost".parse().unwrap());
    let args = ["install", "--name", "n", "--phone-number-id", &nth_id(9)];
    let (code, stdout, stderr) = run(in_sandbox(&sandbox, &args)).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.trim(), sandbox.connectors()[3].channel_id.to_string());
}

// Fault 102.
#[tokio::test]
async fn a_number_that_somebody_installed_by_hand_is_adopted() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(1));
    let number = nth_id(1);
    let args = ["install", "--name", "by hand", "--phone-number-id", &number];
    assert_eq!(run(in_sandbox(&sandbox, &args)).await.0, 0);
    assert_eq!(batch.run(&sandbox, &[]).await.0, 3);
    let connector = sandbox.connectors()[0].id.to_string();
    let adopt = format!("{number}={connector}");
    let (code, stdout, stderr) = batch.run(&sandbox, &["--adopt", &adopt]).await;
    assert!(code == 0 && stdout.contains("1 of 1 rows ready"), "{stdout} {stderr}");
    let other = format!("{number}={}", nth_id(2));
    for more in [vec!["--adopt", &other], vec!["--adopt", &other, "--dry-run"]] {
        let (code, _, stderr) = batch.run(&sandbox, &more).await;
        assert!(code == 2 && stderr.contains("is ready"), "{stderr}");
    }
    assert_eq!(sandbox.post_count(), 2);
}

// Fault 98.
#[tokio::test]
async fn each_unknown_row_is_named_with_the_commands_that_settle_it() {
    let (sandbox, batch) = (failing("post:resetx2").await, Rows::new(3));
    let settle = |number: usize, option: &str| {
        let number = nth_id(number);
        let workspace = format!("--workspace-id {}", sandbox.workspace_id());
        format!("bird-sms batch numbers.csv --journal j.jsonl {workspace} {option} {number}")
    };
    let unknown = |stderr: &str| {
        let numbers = 1..=3;
        let is_named = |n: &usize| {
            let label = format!("line {}, SMS {n}, {}: a connector may exist", n + 1, nth_id(*n));
            let commands = [settle(*n, "--adopt") + "=CONNECTOR_ID", settle(*n, "--retry-unknown")];
            assert_eq!(stderr.contains(&label), commands.iter().all(|it| stderr.contains(it)));
            stderr.contains(&label)
        };
        numbers.filter(is_named).collect::<Vec<_>>()
    };
    let one_at_a_time = &["--concurrency", "1"][..];
    for more in [one_at_a_time, &[], &["--dry-run"]] {
        let (_, _, stderr) = batch.run(&sandbox, more).await;
        assert_eq!(unknown(&stderr), [1, 2], "{stderr}");
        assert!(stderr.contains("with the name SMS 1, created about 20"), "{stderr}");
    }
    let (_, _, stderr) = batch.run(&sandbox, &["--json"]).await;
    let line: Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["name"]), (&"unknown".into(), &"SMS 1".into()));
    assert_eq!((&line["line"], &line["phoneNumberId"]), (&2.into(), &nth_id(1).into()));
    assert!(line["sentAt"].is_string(), "{line}");
    // One of them is created again.
    let second = nth_id(2);
    let (code, stdout, stderr) = batch.run(&sandbox, &["--retry-unknown", &second]).await;
    assert_eq!((code, sandbox.post_count()), (5, 4), "{stdout}");
    assert_eq!(unknown(&stderr), [1], "{stderr}");
}

// Fault 99.
#[tokio::test]
async fn rows_that_a_refused_key_stopped_are_counted_apart_and_not_printed() {
    // No channel gets ready before.
    let sandbox = fast().provisioning_delay(Duration::MAX).fault("get:401".parse().unwrap());
    let (sandbox, batch) = (sandbox.start().await.unwrap(), Rows::new(5));
    let (code, stdout, stderr) = batch.run(&sandbox, &[]).await;
    assert_eq!(code, 6, "{stderr}");
    assert!(stdout.contains("\n1 exist without their channel"), "{stdout}");
    assert!(stdout.contains("\n4 stopped, and their connectors exist"), "{stdout}");
    assert!(!stderr.contains("line 3"), "{stderr}");
}

// Faults 95 and 103.
#[tokio::test]
async fn the_output_has_the_separator_and_the_mark_of_the_rows_and_its_header() {
    let sandbox = fast().start().await.unwrap();
    for rows in ["", &format!("\r\n\r\nx;{}", nth_id(1))] {
        let batch = Rows::of(&format!("\u{feff}name;phone_number_id{rows}\r\n"));
        let (code, _, stderr) = batch.run(&sandbox, &["--out", "out.csv"]).await;
        assert_eq!(code, 0, "{stderr}");
        let out = std::fs::read_to_string(batch.path("out.csv")).unwrap();
        let mut lines = out.lines();
        assert!(lines.next().unwrap().starts_with("\u{feff}line;name;phone_number_id;status"));
        assert_eq!(
            lines.next().map(|line| line.starts_with("3;x;")),
            (!rows.is_empty()).then_some(true)
        );
    }
}

// Fault 93.
#[tokio::test]
async fn a_batch_in_the_embedded_sandbox_is_resumed_in_another_one() {
    let batch = Rows::new(3);
    let run_in = |more: &[&str]| {
        let args = [&["batch", "numbers.csv", "--journal", "j.jsonl", "--sandbox"], more].concat();
        let mut command = bird_sms(&args);
        command.current_dir(batch.folder());
        run(command)
    };
    // The channels take longer than that.
    let (code, stdout, _) = run_in(&["--timeout", "1s"]).await;
    assert!(code == 6 && stdout.contains("3 exist without their channel"), "{stdout}");
    let (code, stdout, _) = run_in(&["--dry-run"]).await;
    assert!(code == 0 && stdout.contains("3 waited for"), "{stdout}");
    assert_eq!(run_in(&[]).await.0, 0);
    let (code, stdout, _) = run_in(&[]).await;
    assert!(code == 0 && stdout.contains("3 of 3 rows ready (3 before this run)"), "{stdout}");
}

#[tokio::test]
async fn a_dry_run_prints_what_would_be_done_and_changes_nothing() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(100));
    let (code, stdout, _) = batch.run(&sandbox, &["--dry-run"]).await;
    assert_eq!(code, 0);
    assert!(stdout.contains("100 rows, nothing sent: 100 would be installed"), "{stdout}");
    assert!(!batch.path("j.jsonl").exists());
    assert_eq!(batch.run(&sandbox, &[]).await.0, 0);
    let before = std::fs::read(batch.path("j.jsonl")).unwrap();
    let (_, stdout, _) = batch.run(&sandbox, &["--dry-run"]).await;
    assert!(stdout.contains("0 would be installed, 0 waited for, 100 are ready"), "{stdout}");
    assert_eq!(std::fs::read(batch.path("j.jsonl")).unwrap(), before);
    assert_eq!(sandbox.post_count(), 100);
    // Whatever a run refuses is refused.
    for more in
        [&["--out", "absent/out.csv"][..], &["--out", "j.jsonl"], &["--access-key-file", "x"]]
    {
        let (code, _, stderr) = batch.run(&sandbox, &[more, &["--dry-run"]].concat()).await;
        assert_eq!(code, 2, "{stderr}");
    }
    let bad = Rows::of(&format!("name,phone_number_id\n,{}\nx,y\n", nth_id(1)));
    for more in [&[][..], &["--dry-run"]] {
        let (code, stdout, stderr) = bad.run(&sandbox, more).await;
        assert_eq!((code, &*stdout), (2, ""));
        assert!(stderr.contains("numbers.csv: 2 rows of 2 cannot be used\n  line 2: "), "{stderr}");
        assert!(!bad.path("j.jsonl").exists());
    }
}

#[tokio::test]
async fn rows_are_read_from_standard_input_and_written_to_standard_output() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(0));
    let args = ["batch", "-", "--journal", "j.jsonl", "--out", "-", "--json"];
    let mut command = in_sandbox(&sandbox, &args);
    command.current_dir(batch.folder()).stdin(Stdio::piped());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let row = format!("{{\"name\":\"x\",\"phone_number_id\":\"{}\"}}\n", nth_id(1));
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(row.as_bytes()).await.unwrap();
    drop(stdin);
    let (code, stdout, stderr) = crate::ended(process.wait_with_output().await.unwrap());
    assert_eq!(code, 0, "{stderr}");
    let row: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(row["channel_id"], sandbox.connectors()[0].channel_id.to_string());
    assert!(stderr.contains("\"ready\":1"), "{stderr}");
}

#[tokio::test]
async fn a_journal_is_for_one_process_and_one_workspace() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::MAX).start().await.unwrap();
    let batch = Rows::new(1);
    let mut first = batch.in_sandbox(&sandbox, &[]).spawn().unwrap();
    while sandbox.connectors().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for journal in ["j.jsonl", "other.jsonl"] {
        let mut command = in_sandbox(&sandbox, &["batch", "numbers.csv", "--journal", journal]);
        command.current_dir(batch.folder());
        let (code, _, stderr) = run(command).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("another batch of workspace"), "{stderr}");
    }
    assert!(!batch.path("other.jsonl").exists());
    first.kill().await.unwrap();
    let other = fast().start().await.unwrap();
    let (code, _, stderr) = batch.run(&other, &[]).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("j.jsonl is for workspace"), "{stderr}");
    assert_eq!((sandbox.post_count(), other.post_count()), (1, 0));
}

#[tokio::test]
async fn a_run_in_the_embedded_sandbox_is_not_taken_for_a_real_run() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(1));
    // The environment names the real workspace.
    let (code, stdout, stderr) = batch.run(&sandbox, &["--sandbox"]).await;
    assert_eq!((code, sandbox.post_count()), (0, 0), "{stdout} {stderr}");
    for more in [&[][..], &["--dry-run"]] {
        let (code, _, stderr) = batch.run(&sandbox, more).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("j.jsonl is for workspace"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_output_that_cannot_be_written_stops_the_batch_and_loses_nothing() {
    let (sandbox, batch) = (fast().start().await.unwrap(), Rows::new(600));
    let (code, _, stderr) =
        batch.run(&sandbox, &["--out", "/dev/full", "--concurrency", "20"]).await;
    // The exit code is that of the worst outcome: a connector exists without its channel.
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("the same command continues"), "{stderr}");
    assert!(sandbox.post_count() < 600, "the batch did not stop");
    let (code, stdout, _) = batch.run(&sandbox, &[]).await;
    assert_eq!(code, 0, "{stdout}");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (600, 600));
}

#[tokio::test]
async fn a_connector_of_a_row_that_is_not_in_the_input_is_reported() {
    let (sandbox, batch) = (failing("post:lost").await, Rows::new(1));
    assert_eq!(batch.run(&sandbox, &[]).await.0, 5);
    std::fs::write(batch.path("numbers.csv"), "name,phone_number_id\n").unwrap();
    let (code, _, stderr) = batch.run(&sandbox, &[]).await;
    assert_eq!(code, 0);
    assert!(stderr.contains("has 1 other phone number with"), "{stderr}");
}

// Fault 74.
#[tokio::test]
async fn a_row_whose_connector_was_deleted_says_what_to_do() {
    let (sandbox, rows) = (failing("get:hang").await, Rows::new(1));
    assert_eq!(rows.run(&sandbox, &["--timeout", "1s"]).await.0, 6);
    sandbox.add_fault("get:404x99".parse().unwrap());
    let (code, _, stderr) = rows.run(&sandbox, &["--timeout", "15s"]).await;
    assert!(code == 6 && stderr.contains("was deleted, give --adopt"), "{stderr}");
}

#[tokio::test]
async fn a_row_with_the_id_of_the_workspace_is_refused_before_anything_is_sent() {
    let sandbox = fast().start().await.unwrap();
    let table = format!("name,phone_number_id\na,{}\nb,{}\n", nth_id(1), sandbox.workspace_id());
    let rows = Rows::of(&table);
    for more in [&[][..], &["--dry-run"]] {
        let (code, _, stderr) = rows.run(&sandbox, more).await;
        assert!(code == 2 && stderr.contains("is the id of the workspace"), "{stderr}");
    }
    assert_eq!(sandbox.post_count(), 0);
}
