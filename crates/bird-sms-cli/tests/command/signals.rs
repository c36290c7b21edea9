//! Tests of signals at every stage of a command. A row that was sent must be reported, and never counted as not begun.
//! Faults 34, 40 and 41 in docs/reliability.md.

use std::process::Stdio;
use std::time::Duration;

use bird_test_peer::fixtures::{CONNECTOR_ID, PHONE_NUMBER_ID, nth_id, pending};
use bird_test_peer::{Backend, Reply};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::harness::{
    Ended, OUT, Rows, assert_no_duplicates, at, end_of, peer, program, replies, settled, signal,
    spawn, until, with_default_sighup, wrap,
};

const INSTALL: [&str; 6] =
    ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];

/// Starts a backend that delays each response to a POST by up to `most`.
async fn slow_backend(seed: u64, most: Duration) -> Backend {
    let mut random = fastrand::Rng::with_seed(seed);
    Backend::start().await.unwrap().delay(move |_| most.mul_f64(random.f64()))
}

/// Runs a batch, and sends it signals once it has sent this many POSTs. Pauses before each signal.
async fn run_with_signals(
    command: &Command,
    backend: &Backend,
    posts: usize,
    signals: &[&str],
    pause: Duration,
) -> Ended {
    let process = spawn(with_default_sighup(command));
    until(|| backend.peer().posts() >= posts).await;
    for name in signals {
        tokio::time::sleep(pause).await;
        signal(&process, name);
    }
    end_of(process).await.hides("panicked")
}

/// Asserts that the summary, the outcomes and the journal agree with the server. Returns how many rows are unknown, and
/// how many were not begun.
async fn assert_consistent(rows: &Rows, backend: &Backend, end: &Ended) -> (u64, u64) {
    let summary = end.object();
    let count = |name: &str| summary[name].as_u64().unwrap();
    let unknown = count("unknown") + count("exists");
    let not_begun = count("notBegun");
    let refused: u64 =
        summary["refused"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let exist = count("ready") + count("notReady") + count("stopped");
    let total = exist + unknown + refused + count("unreachable") + not_begun;
    assert_eq!((total, count("rows")), (rows.count as u64, rows.count as u64), "{summary}");

    let connectors = settled(backend).await;
    assert_no_duplicates(&connectors);
    let at_server = connectors.len() as u64;
    assert!((exist..=exist + unknown).contains(&at_server), "{at_server} on the server: {summary}");

    let outcomes = rows.outcomes();
    assert_eq!(outcomes.len() as u64, rows.count as u64 - not_begun, "{summary}");
    let recorded = rows.recorded();
    for (number, ids) in &connectors {
        assert!(rows.events(number).contains(&"intent".to_owned()));
        let outcome =
            outcomes.get(number).unwrap_or_else(|| panic!("{number} is not in the output"));
        match outcome["status"].as_str().unwrap() {
            "ready" | "not-ready" | "stopped" => {
                assert_eq!(outcome["connector_id"], ids[0], "{outcome}");
                assert!(recorded.contains(&ids[0]), "{outcome} is not in the journal");
            }
            "unknown" => assert!(outcome["connector_id"].is_null(), "{outcome}"),
            other => panic!("{number} has a connector but is {other}"),
        }
    }
    (unknown, not_begun)
}

/// Runs the batch again, and asserts that no row that was sent before is sent again.
async fn assert_that_the_next_run_doubles_nothing(rows: &Rows, backend: &Backend) {
    let end = rows.run(backend, &OUT).await;
    assert!(end.code == 0 || end.code == 5, "{end}");
    let connectors = settled(backend).await;
    assert_no_duplicates(&connectors);
    let outcomes = rows.outcomes();
    assert_eq!(outcomes.len(), rows.count);
    for n in 1..=rows.count {
        let status = &outcomes[&nth_id(n)]["status"];
        assert!(status == "ready" || status == "unknown", "{status}");
        assert!(status == "unknown" || connectors.contains_key(&nth_id(n)));
    }
}

/// Sends two signals to a batch while POSTs are in flight. Asserts that each row that was sent is reported.
async fn signal_twice(seed: u64, more: &[&str], signals: [&str; 2], codes: [i32; 2]) {
    let rows = Rows::new(100);
    let backend = slow_backend(seed, Duration::from_secs(1)).await;
    let command = rows.batch(&backend, &[&OUT[..], &["--json"], more].concat());
    let end = run_with_signals(&command, &backend, 10, &signals, Duration::from_millis(60)).await;
    assert!(codes.contains(&end.code), "{end}");
    let (unknown, not_begun) = assert_consistent(&rows, &backend, &end).await;
    assert!(unknown > 0, "the second signal came too late: {end}");
    assert!(more.is_empty() || not_begun >= 50, "{end}");
    assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
}

#[tokio::test]
async fn a_second_signal_reports_every_row_that_was_sent() {
    tokio::join!(
        signal_twice(1, &[], ["INT", "INT"], [130, 130]),
        signal_twice(2, &[], ["TERM", "INT"], [143, 130]),
        signal_twice(3, &[], ["HUP", "TERM"], [129, 143]),
        // With only ten rows at a time, most rows have not begun.
        signal_twice(4, &["--concurrency", "10"], ["INT", "INT"], [130, 130]),
    );
}

#[tokio::test]
async fn a_signal_waits_for_requests_in_flight_and_sets_the_exit_code() {
    let signals = [(6, "INT", 130), (7, "TERM", 143), (8, "HUP", 129)];
    join_all(signals.map(async |(seed, name, code)| {
        let rows = Rows::new(60);
        let backend = slow_backend(seed, Duration::from_millis(100)).await;
        let more = [&OUT[..], &["--json", "--concurrency", "10"]].concat();
        let command = rows.batch(&backend, &more);
        let end =
            run_with_signals(&command, &backend, 15, &[name], Duration::ZERO).await.code(code);
        // The batch waited for every response, so no outcome is unknown.
        let (unknown, not_begun) = assert_consistent(&rows, &backend, &end).await;
        assert!(unknown == 0 && not_begun > 0, "{end}");
        assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
    }))
    .await;
}

/// Each sync takes 0.2 s, so the ids are known but not yet on disk when the second signal comes.
#[tokio::test]
async fn a_second_signal_loses_no_id_to_a_slow_journal() {
    if program("strace").is_none() {
        return;
    }
    // With `-D`, strace runs as a grandchild, so the signals go to the command itself.
    let inject = "inject=fdatasync:delay_enter=200000";
    let slow = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject];
    let probe = wrap("strace", &slow, &Command::new("true")).status().await;
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: `strace` is not allowed here");
        return;
    }
    let rows = Rows::new(10);
    let backend = Backend::start().await.unwrap();
    let command = rows.batch(&backend, &[&OUT[..], &["--json"]].concat());
    let process = spawn(wrap("strace", &slow, &command));
    until(|| backend.peer().posts() == rows.count).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        signal(&process, "INT");
    }
    let end = end_of(process).await.code(130);
    assert_consistent(&rows, &backend, &end).await;
    assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
}

// Fault 33 in docs/reliability.md.
#[tokio::test]
async fn a_batch_that_is_killed_repeatedly_installs_each_row_once() {
    let sandbox = crate::harness::sandbox().provisioning_delay(Duration::from_millis(200));
    let sandbox = sandbox.start().await.unwrap();
    let rows = Rows::new(200);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..4 {
        let mut process = rows.batch(&sandbox, &[]).spawn().unwrap();
        let moment = Duration::from_millis(random.u64(..150));
        let ended = tokio::time::timeout(moment, process.wait()).await;
        assert!(ended.is_err(), "the batch ended before it could be killed: {ended:?}");
        process.kill().await.unwrap();
    }
    let code = rows.run(&sandbox, &[]).await.code;
    // The command was not yet told to retry a row. A 409 would mean that it sent a second POST by itself.
    assert_eq!(sandbox.response_count(409), 0, "a POST was sent twice");
    assert!(rows.settle(&sandbox, code).await, "not every row is ready: {:?}", rows.last_entries());
    let stored = sandbox.connectors();
    assert_eq!(stored.len(), rows.count);
    let entries = rows.last_entries();
    for connector in stored {
        let entry = &entries[&connector.phone_number_id];
        assert_eq!(entry["event"], "ready", "{entry}");
        assert_eq!(entry["connectorId"], connector.id.to_string());
        assert_eq!(entry["channelId"], connector.channel_id.to_string());
    }
}

#[tokio::test]
async fn an_install_that_gets_sighup_exits_with_129_and_the_id() {
    let peer = replies(Reply::json(201, pending()), Reply::json(200, pending())).await;
    for args in [&INSTALL[..], &["wait", CONNECTOR_ID, "--json"]] {
        let gets = peer.gets();
        let process = spawn(with_default_sighup(&at(&peer, args)));
        // A second poll shows that the response to the first one was read.
        until(|| peer.gets() >= gets + 2).await;
        signal(&process, "HUP");
        let error = end_of(process).await.code(129).prints_nothing().error();
        assert_eq!(
            (&error["exitCode"], &error["connectorId"]),
            (&json!(129), &json!(CONNECTOR_ID))
        );
    }
}

#[tokio::test]
async fn an_install_killed_while_waiting_has_already_printed_the_id() {
    let peer = peer([Reply::json(201, pending()), Reply::Silence]).await;
    let mut process = spawn(at(&peer, &INSTALL));
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    until(|| peer.gets() != 0).await;
    signal(&process, "KILL");
    assert_eq!(process.wait().await.unwrap().code(), None);
    let created = lines.next_line().await.unwrap().unwrap();
    let created: Value = serde_json::from_str(&created).unwrap();
    assert_eq!(
        (&created["event"], &created["connectorId"]),
        (&json!("created"), &json!(CONNECTOR_ID))
    );
}

#[tokio::test]
async fn a_signal_before_a_connector_is_seen_does_not_claim_it_exists() {
    let wait = ["wait", CONNECTOR_ID, "--json"];
    let later = Reply::with_headers(429, &["retry-after: 60"], "");
    let unread = format!("terminated before connector {CONNECTOR_ID} was read");
    for (args, reply, message, state) in [
        (&INSTALL[..], later, "terminated, and no connector was created", "not-created"),
        (&wait, Reply::status(404), &unread, "unknown"),
    ] {
        let peer = replies(reply.clone(), reply).await;
        let process = spawn(at(&peer, args));
        until(|| peer.requests().len() == 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        signal(&process, "TERM");
        let error = end_of(process).await.code(143).error();
        assert_eq!((&error["message"], &error["connectorState"]), (&json!(message), &json!(state)));
    }
}

#[tokio::test]
async fn a_third_signal_ends_a_batch_whose_output_blocks() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(1000);
    let mut command = rows.batch(&backend, &["--out", "-"]);
    // Nobody reads the pipe, which has room for only a few hundred rows.
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let requests = backend.peer().requests().len();
        if requests > 100 && requests == before {
            break;
        }
        before = requests;
    }
    for _ in 0..3 {
        assert!(process.try_wait().unwrap().is_none());
        signal(&process, "TERM");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until(|| process.try_wait().unwrap().is_some()).await;
    assert_eq!(process.wait().await.unwrap().code(), Some(143));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_batch_under_nohup_survives_sighup() {
    let backend = slow_backend(1, Duration::from_millis(500)).await;
    let rows = Rows::new(100);
    let process = spawn(wrap("nohup", &[], &rows.batch(&backend, &[])));
    until(|| backend.peer().posts() > 10).await;
    signal(&process, "HUP");
    end_of(process).await.code(0);
}

#[tokio::test]
async fn a_signal_ends_a_batch_that_is_still_reading_its_rows() {
    let backend = Backend::start().await.unwrap();
    let rows = Rows::new(3);
    let mut command = rows.command(&backend, &["batch", "-", "--journal", "j.jsonl"]);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    let csv = std::fs::read(rows.path("numbers.csv")).unwrap();
    // Stdin stays open, so the batch waits for more rows.
    process.stdin.as_mut().unwrap().write_all(&csv).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(&process, "TERM");
    until(|| process.try_wait().unwrap().is_some()).await;
    assert_eq!(backend.peer().connections(), 0);
}
