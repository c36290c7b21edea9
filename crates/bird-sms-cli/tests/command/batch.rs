//! Tests of `bird-sms batch`: rows, journal and outcomes.

use std::time::Duration;

use bird_test_peer::Reply;
use bird_test_peer::fixtures::{PHONE_NUMBER_ID, USE_CASE_ID, WORKSPACE_ID, nth_id, pending};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{OUT, Rows, call, end_of, peer, run, sandbox, spawn, started, until};

const ONE_AT_A_TIME: [&str; 2] = ["--concurrency", "1"];

#[tokio::test]
async fn every_row_is_installed_and_every_step_is_in_the_journal() {
    let sandbox = started("").await;
    let rows = Rows::new(50);
    let end = rows.run(&sandbox, &["--out", "out.csv"]).await.code(0);
    end.prints("50 of 50 rows ready (0 before this run), 50 connectors");
    let entries = rows.journal();
    let mut out = csv::Reader::from_path(rows.path("out.csv")).unwrap();
    let columns = "line,name,phone_number_id,status,connector_id,channel_id,error,warning";
    assert_eq!(out.headers().unwrap(), columns.split(',').collect::<Vec<_>>());
    let outcomes: Vec<_> = out.records().map(Result::unwrap).collect();
    assert_eq!(outcomes.len(), 50);
    for stored in sandbox.connectors() {
        let number = &*stored.phone_number_id;
        let [connector, channel] = [stored.id, stored.channel_id].map(|id| id.to_string());
        assert_eq!(rows.events(number), ["intent", "created", "ready"]);
        let of_row = |entry: &&Value| entry["phoneNumberId"] == number;
        let of_row: Vec<_> = entries.iter().filter(of_row).collect();
        assert_eq!(
            (&of_row[1]["connectorId"], &of_row[2]["channelId"]),
            (&json!(connector), &json!(channel))
        );
        let outcome = outcomes.iter().find(|row| row[2] == *number).unwrap();
        assert_eq!([&outcome[3], &outcome[4], &outcome[5]], ["ready", &connector, &channel]);
    }
}

#[tokio::test]
async fn the_same_command_skips_ready_rows_and_installs_new_ones() {
    let sandbox = started("").await;
    let rows = Rows::new(5);
    rows.run(&sandbox, &[]).await.code(0);
    std::fs::copy(Rows::new(8).path("numbers.csv"), rows.path("numbers.csv")).unwrap();
    let summary = rows.run(&sandbox, &[&OUT[..], &["--json"]].concat()).await.code(0).object();
    let counts = ["rows", "ready", "readyBefore", "created"].map(|name| summary[name].as_u64());
    assert_eq!(counts, [Some(8), Some(8), Some(5), Some(3)]);
    assert_eq!(sandbox.post_count(), 8);
    let outcomes = rows.outcomes();
    let is_ready = |row: &Value| row["status"] == "ready" && row["channel_id"].is_string();
    assert!(outcomes.len() == 8 && outcomes.values().all(is_ready), "{outcomes:?}");
}

#[tokio::test]
async fn refused_rows_are_counted_by_code_and_sent_again_later() {
    let sandbox = started("post:422x2").await;
    let rows = Rows::new(5);
    let end = rows.run(&sandbox, &[]).await.code(3);
    let end = end
        .prints("2 refused, no connector created (422 InvalidPayload: 2)")
        .says(": the request was refused, and no connector was created: HTTP 422");
    // Both rows have the same hint.
    assert_eq!(end.stderr.matches("hint: ").count(), 1, "{}", end.stderr);
    let end = rows.run(&sandbox, &[]).await.code(0);
    end.prints("5 of 5 rows ready (3 before this run), 2 connectors");
}

#[tokio::test]
async fn each_failed_row_is_a_json_event_with_its_hint() {
    let sandbox = started("post:422 post:504").await;
    let rows = Rows::new(3);
    let end = rows.run(&sandbox, &[&ONE_AT_A_TIME[..], &["--json"]].concat()).await.code(5);
    let events = end.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failed: Vec<_> = events.filter(|event| event["event"] == "failed").collect();
    let fields = |event: &Value| ["line", "status"].map(|name| event[name].clone());
    let expected = [[json!(2), json!("refused")], [json!(3), json!("unknown")]];
    assert_eq!(failed.iter().map(fields).collect::<Vec<_>>(), expected);
    assert!(failed[0]["hint"].as_str().unwrap().contains("bird-sms help scenarios"), "{end:?}");
    assert!(failed.iter().all(|event| event["error"].is_string()), "{end:?}");
}

#[tokio::test]
async fn a_batch_stops_if_every_request_gets_a_429() {
    // Each 429 asks for a wait of one second, so a timeout of two seconds passes with nothing but 429s.
    let sandbox = started("post:429x50").await;
    let rows = Rows::new(8);
    let end = rows.run(&sandbox, &[&ONE_AT_A_TIME[..], &["--timeout", "2s"]].concat()).await;
    end.code(3)
        .prints(" not begun")
        .says("with 429 for a whole timeout, and the batch was stopped: ")
        .says("Run the same command later");
    assert_eq!(sandbox.connectors().len(), 0);
}

// Fault 84 in docs/reliability.md.
#[tokio::test]
async fn a_rate_limit_pause_is_printed_once() {
    let limited = Reply::with_headers(429, &["retry-after: 60"], "");
    let limited = limited.delayed(Duration::from_millis(300));
    let peer = peer(vec![limited; 3]).await;
    let rows = Rows::new(3);
    // The pause is longer than the timeout, so each row ends with its 429.
    let end = rows.run(&peer, &["--timeout", "10s"]).await.code(3);
    assert_eq!(end.stderr.matches("Paused for 60 s by the rate limit\n").count(), 1, "{end}");
    assert_eq!(peer.posts(), 3);
}

// Fault 33 in docs/reliability.md.
#[tokio::test]
async fn a_refused_key_stops_the_batch_before_other_rows_begin() {
    let sandbox = started("").await;
    let rows = Rows::new(5);
    let mut command = rows.batch(&sandbox, &[&ONE_AT_A_TIME[..], &OUT].concat());
    command.env("BIRD_ACCESS_KEY", "bk_us1_Ab3xKq9mP2wR5tY8");
    let end = run(command).await.code(3).prints("\n1 refused").prints("\n4 not begun\n");
    assert!(end.stderr.starts_with("error: the access key was refused, and the batch was stopped"));
    end.says("keys that begin with bk_ or test_").says("Run `bird-sms check` for details.");
    assert_eq!((sandbox.post_count(), rows.outcomes().len()), (1, 1));
    // The same command installs the refused row, and the rows that were not begun.
    rows.run(&sandbox, &[]).await.code(0);
}

// Fault 99 in docs/reliability.md.
#[tokio::test]
async fn rows_stopped_by_a_refused_key_are_counted_but_not_listed() {
    // No channel becomes ready before the 401.
    let sandbox = sandbox().provisioning_delay(Duration::MAX).fault("get:401".parse().unwrap());
    let sandbox = sandbox.start().await.unwrap();
    let rows = Rows::new(5);
    let end = rows.run(&sandbox, &[]).await.code(6).hides("line 3");
    end.prints("\n1 exist without a channel").prints("\n4 stopped, but their connectors exist");
}

#[tokio::test]
async fn the_json_error_of_a_batch_agrees_with_its_exit_code() {
    let sandbox = started("post:504x1 post:401@1").await;
    let rows = Rows::new(3);
    let error =
        rows.run(&sandbox, &[&ONE_AT_A_TIME[..], &["--json"]].concat()).await.code(5).error();
    assert_eq!((&error["exitCode"], &error["connectorState"]), (&json!(5), &json!("unknown")));
}

// Faults 36 and 77 in docs/reliability.md.
#[tokio::test]
async fn a_row_retried_after_a_503_has_a_warning_in_every_output() {
    let sandbox = started("post:503").await;
    let rows = Rows::new(2);
    let end = rows.run(&sandbox, &[&ONE_AT_A_TIME[..], &OUT].concat()).await.code(0);
    let end = end.prints("\n1 may have a second connector");
    assert_eq!(sandbox.post_count(), 3);
    let entries = rows.journal();
    let outcomes = rows.outcomes();
    for (number, warned) in [(nth_id(1), true), (nth_id(2), false)] {
        let outcome = &outcomes[&number];
        assert_eq!(outcome["warning"] == "possible-duplicate", warned, "{outcome}");
        for event in ["created", "ready"] {
            let is_it =
                |entry: &&Value| entry["phoneNumberId"] == *number && entry["event"] == event;
            let entry = entries.iter().find(is_it).unwrap();
            assert_eq!(entry["warning"].is_object(), warned, "{entry}");
        }
        assert_eq!(end.stderr.contains(&format!("{number}: warning: ")), warned, "{end}");
    }
}

#[tokio::test]
async fn an_unknown_row_is_left_alone_until_retried_or_adopted() {
    let sandbox = started("post:lost").await;
    let rows = Rows::new(3);
    for _ in 0..2 {
        let end = rows.run(&sandbox, &OUT).await.code(5);
        end.prints("1 unknown: a connector may exist");
        assert_eq!(sandbox.post_count(), 3);
    }
    let lost = &sandbox.connectors()[0];
    let error = rows.outcomes()[&*lost.phone_number_id]["error"].to_string();
    assert!(error.starts_with("\"it is not known whether an earlier run"), "{error}");
    // The response to a second POST shows that a connector exists, but not its id.
    for _ in 0..2 {
        let end = rows.run(&sandbox, &["--retry-unknown"]).await.code(5);
        end.prints("1 exist, but the id of their connector is not known");
        assert_eq!(sandbox.post_count(), 4);
    }
    // The operator finds the connector's id and adopts the connector.
    let adopt = ["--adopt", &format!("{}={}", lost.phone_number_id, lost.id)];
    let end = rows.run(&sandbox, &[&adopt[..], &["--dry-run"]].concat()).await.code(0);
    end.prints("0 would be installed, 1 waited for, 2 are ready");
    rows.run(&sandbox, &adopt).await.code(0);
    // The same command changes nothing when it is run again, even if a GET would get a 403.
    sandbox.add_fault("get:403".parse().unwrap());
    let end = rows.run(&sandbox, &adopt).await.code(0);
    end.prints("3 of 3 rows ready (3 before this run)");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (4, 3));
    let events = ["intent", "unknown", "intent", "exists", "adopted", "ready"];
    assert_eq!(rows.events(&lost.phone_number_id), events);
}

#[tokio::test]
async fn a_lost_response_is_settled_by_a_lookup_of_the_number() {
    let sandbox = started("post:lostx2").await;
    let rows = Rows::new(3);
    let args = ["batch", "numbers.csv", "--journal", "j.jsonl"];
    run(rows.command(&sandbox, &args)).await.code(0).prints("3 of 3 rows ready");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (3, 3));
    assert_eq!(rows.journal().iter().filter(|entry| entry["event"] == "found").count(), 2);
    sandbox.add_fault("post:lost".parse().unwrap());
    let args = ["install", "--name", "n", "--phone-number-id", &nth_id(9)];
    let end = call(&sandbox, &args).await.code(0);
    assert_eq!(end.stdout.trim(), sandbox.connectors()[3].channel_id.to_string());
}

// Fault 102 in docs/reliability.md.
#[tokio::test]
async fn a_connector_created_by_hand_can_be_adopted() {
    let sandbox = started("").await;
    let rows = Rows::new(1);
    let number = nth_id(1);
    let args = ["install", "--name", "by hand", "--phone-number-id", &number];
    call(&sandbox, &args).await.code(0);
    let adopt = format!("{number}={}", sandbox.connectors()[0].id);
    let args = ["batch", "numbers.csv", "--journal", "j.jsonl"];
    let end = run(rows.command(&sandbox, &args)).await.code(3);
    end.says(&format!("one you want: bird-sms {} --workspace-id", args.join(" ")))
        .says(&format!(" --adopt {adopt}\n"));
    rows.run(&sandbox, &["--adopt", &adopt]).await.code(0).prints("1 of 1 rows ready");
    let other = format!("{number}={}", nth_id(2));
    for more in [vec!["--adopt", &other], vec!["--adopt", &other, "--dry-run"]] {
        rows.run(&sandbox, &more).await.code(2).says("has a ready channel");
    }
    assert_eq!(sandbox.post_count(), 2);
}

#[tokio::test]
async fn adopting_or_retrying_a_number_without_a_row_is_refused() {
    let sandbox = started("").await;
    let rows = Rows::new(2);
    let [number, connector] = [3, 4].map(nth_id);
    let adopt = ["--adopt", &format!("{number}={connector}")];
    for option in [&adopt, &["--retry-unknown", &*number]] {
        for more in [&[][..], &["--dry-run"]] {
            let end = rows.run(&sandbox, &[&option[..], more].concat()).await.code(2);
            end.says(&format!("no row has the phone number id {number} of {}", option[0]));
        }
    }
    assert!(sandbox.requests().is_empty() && !rows.path("j.jsonl").exists());
    rows.run(&sandbox, &["--retry-unknown", &nth_id(2)]).await.code(0);
}

// Fault 98 in docs/reliability.md.
#[tokio::test]
async fn each_unknown_row_is_printed_with_the_commands_that_settle_it() {
    let sandbox = started("post:resetx2").await;
    let rows = Rows::new(3);
    // The commands repeat the options that change what is sent.
    let options = format!(
        "--use-case-id {USE_CASE_ID} --channel-message-type promotional --conversational true --retry-create never"
    );
    let given: Vec<_> = options.split(' ').collect();
    let run = async |more: &[&str]| rows.run(&sandbox, &[&given, more].concat()).await;
    let command = format!(
        "bird-sms batch numbers.csv --journal j.jsonl --workspace-id {WORKSPACE_ID} {options} --no-look-up"
    );
    let named = |stderr: &str| {
        let is_named = |n: &usize| {
            let number = nth_id(*n);
            let has = |text: &str| stderr.contains(text);
            let label = has(&format!("line {}, SMS {n}, {number}: a connector may exist", n + 1));
            let check = format!("check --phone-number-id {number} --workspace-id {WORKSPACE_ID}`");
            assert_eq!(has(&check), label, "{stderr}");
            assert_eq!(has(&format!("{command} --adopt {number}=CONNECTOR_ID")), label, "{stderr}");
            assert_eq!(has(&format!("{command} --retry-unknown {number}")), label, "{stderr}");
            label
        };
        (1..=3).filter(is_named).collect::<Vec<_>>()
    };
    for more in [&ONE_AT_A_TIME[..], &[], &["--dry-run"]] {
        let end = run(more).await.says("with the name SMS 1, created about 20");
        assert_eq!(named(&end.stderr), [1, 2]);
    }
    let end = run(&["--json"]).await;
    let line: Value = serde_json::from_str(end.stderr.lines().next().unwrap()).unwrap();
    let fields = ["event", "name", "line", "phoneNumberId"].map(|name| line[name].clone());
    assert_eq!(fields, [json!("unknown"), json!("SMS 1"), json!(2), json!(nth_id(1))]);
    assert!(line["sentAt"].is_string(), "{line}");
    // Retry one of the two unknown rows.
    let end = run(&["--retry-unknown", &nth_id(2)]).await.code(5);
    assert_eq!((sandbox.post_count(), named(&end.stderr)), (4, vec![1]));
}

// Faults 95 and 103 in docs/reliability.md.
#[tokio::test]
async fn outcomes_keep_the_separator_and_byte_order_mark_of_the_rows() {
    let sandbox = started("").await;
    for (rows, outcomes) in [(String::new(), 0), (format!("\r\n\r\nx;{}", nth_id(1)), 1)] {
        let batch = Rows::of(&format!("\u{feff}name;phone_number_id{rows}\r\n"));
        batch.run(&sandbox, &["--out", "out.csv"]).await.code(0);
        let out = std::fs::read_to_string(batch.path("out.csv")).unwrap();
        assert!(out.starts_with("\u{feff}line;name;phone_number_id;status"), "{out}");
        assert_eq!(out.matches("\n3;x;").count(), outcomes, "{out}");
        assert_eq!(out.lines().count(), outcomes + 1, "{out}");
    }
}

// Fault 93 in docs/reliability.md.
#[tokio::test]
async fn a_sandbox_batch_resumes_and_never_reaches_the_real_workspace() {
    let sandbox = started("").await;
    let rows = Rows::new(3);
    let embedded = |more: &[&str]| {
        let args = [&["batch", "numbers.csv", "--journal", "j.jsonl", "--sandbox"], more].concat();
        // The environment has the URL and the workspace id of `sandbox`, which stands for the real workspace.
        run(rows.command(&sandbox, &args))
    };
    // The embedded sandbox needs more than a second to provision a channel.
    embedded(&["--timeout", "1s"]).await.code(6).prints("3 exist without a channel");
    embedded(&["--dry-run"]).await.code(0).prints("3 waited for");
    embedded(&[]).await.code(0);
    embedded(&[]).await.code(0).prints("3 of 3 rows ready (3 before this run)");
    for more in [&[][..], &["--dry-run"]] {
        rows.run(&sandbox, more).await.code(2).says("j.jsonl is for workspace");
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let sandbox = started("").await;
    let rows = Rows::new(20);
    let end = rows.run(&sandbox, &["--dry-run"]).await.code(0);
    end.prints("20 rows, nothing sent: 20 would be installed");
    assert!(!rows.path("j.jsonl").exists());
    rows.run(&sandbox, &[]).await.code(0);
    let before = std::fs::read(rows.path("j.jsonl")).unwrap();
    let end = rows.run(&sandbox, &["--dry-run"]).await.code(0);
    end.prints("0 would be installed, 0 waited for, 20 are ready");
    assert_eq!(std::fs::read(rows.path("j.jsonl")).unwrap(), before);
    // A dry run refuses whatever a real run refuses.
    for more in [["--out", "absent/out.csv"], ["--out", "j.jsonl"], ["--access-key-file", "x"]] {
        rows.run(&sandbox, &[&more[..], &["--dry-run"]].concat()).await.code(2);
    }
    assert_eq!(sandbox.post_count(), 20);
}

#[tokio::test]
async fn bad_rows_are_refused_before_anything_is_sent() {
    let sandbox = started("").await;
    for (rows, problem) in [
        (format!(",{}\nx,y\n", nth_id(1)), "numbers.csv: 2 rows of 2 cannot be used\n  line 2: "),
        (format!("a,{}\nb,{WORKSPACE_ID}\n", nth_id(1)), "is the id of the workspace"),
    ] {
        let rows = Rows::of(&format!("name,phone_number_id\n{rows}"));
        for more in [&[][..], &["--dry-run"]] {
            rows.run(&sandbox, more).await.code(2).prints_nothing().says(problem);
        }
        assert!(!rows.path("j.jsonl").exists());
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn rows_can_come_from_stdin_and_outcomes_go_to_stdout() {
    let sandbox = started("").await;
    let rows = Rows::new(0);
    let args = ["batch", "-", "--journal", "j.jsonl", "--out", "-", "--json"];
    let mut command = rows.command(&sandbox, &args);
    command.stdin(std::process::Stdio::piped());
    let mut process = spawn(command);
    let row = format!("{{\"name\":\"x\",\"phone_number_id\":\"{}\"}}\n", nth_id(1));
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(row.as_bytes()).await.unwrap();
    drop(stdin);
    let end = end_of(process).await.code(0).says("\"ready\":1");
    assert_eq!(end.object()["channel_id"], sandbox.connectors()[0].channel_id.to_string());
}

#[tokio::test]
async fn a_workspace_has_one_batch_at_a_time_and_its_own_journal() {
    let sandbox = sandbox().provisioning_delay(Duration::MAX).start().await.unwrap();
    let rows = Rows::new(1);
    let mut first = rows.batch(&sandbox, &[]).spawn().unwrap();
    until(|| !sandbox.connectors().is_empty()).await;
    for journal in ["j.jsonl", "other.jsonl"] {
        let args = ["batch", "numbers.csv", "--journal", journal];
        run(rows.command(&sandbox, &args)).await.code(2).says("another batch of workspace");
    }
    assert!(!rows.path("other.jsonl").exists());
    first.kill().await.unwrap();
    let other = ["--workspace-id", PHONE_NUMBER_ID];
    rows.run(&sandbox, &other).await.code(2).says("j.jsonl is for workspace");
    assert_eq!(sandbox.post_count(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_output_that_cannot_be_written_stops_the_batch_and_loses_nothing() {
    let sandbox = sandbox().provisioning_delay(Duration::from_millis(50)).start().await.unwrap();
    let rows = Rows::new(300);
    let more = ["--out", "/dev/full", "--concurrency", "20"];
    // The worst outcome, a connector without its channel, decides the exit code.
    rows.run(&sandbox, &more).await.code(6).says("run the same command to continue");
    assert!(sandbox.post_count() < 300, "the batch did not stop");
    rows.run(&sandbox, &[]).await.code(0);
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (300, 300));
}

#[tokio::test]
async fn an_unfinished_number_that_the_input_lacks_is_reported() {
    let sandbox = started("post:lost").await;
    let rows = Rows::new(1);
    rows.run(&sandbox, &[]).await.code(5);
    rows.write("numbers.csv", "name,phone_number_id\n");
    rows.run(&sandbox, &[])
        .await
        .code(0)
        .says("Left alone: 1 unfinished phone number in the journal");
}

// Fault 74 in docs/reliability.md.
#[tokio::test]
async fn a_deleted_connector_hints_at_adopting_another() {
    let script = [Reply::json(201, pending()), Reply::json(200, pending()), Reply::status(404)];
    let peer = peer(script).await;
    let rows = Rows::new(1);
    rows.run(&peer, &[]).await.code(6).says("was deleted, give --adopt");
}
