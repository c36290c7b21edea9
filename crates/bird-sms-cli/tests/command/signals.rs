//! Signals in every moment: what was sent is reported, and nothing that was sent counts as not begun. Faults 34, 40
//! and 41.

use std::process::Stdio;
use std::time::Duration;

use bird_test_peer::fixtures::{CONNECTOR_ID, PHONE_NUMBER_ID, nth_id, pending};
use bird_test_peer::{Backend, Peer, Reply};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::rows::{
    BATCH, OUT, Rows, assert_no_duplicates, at, configure, end_of, program, settled, until,
};
use crate::{hung_up_by_default, run, signal};

/// The end of a batch that got signals.
#[derive(Debug)]
struct End {
    code: i32,
    /// The JSON summary, or the text.
    stdout: String,
}

/// A backend whose responses to POSTs take up to `most`.
async fn slow_backend(seed: u64, most: Duration) -> Backend {
    let mut random = fastrand::Rng::with_seed(seed);
    Backend::start().await.unwrap().delay(move |_| most.mul_f64(random.f64()))
}

/// Runs a batch that gets a signal once the server has this many connectors, and the other signals after a pause each.
async fn run_with_signals(
    rows: &Rows,
    backend: &Backend,
    more: &[&str],
    connectors: usize,
    signals: &[(&str, Duration)],
) -> End {
    let mut command = hung_up_by_default(&rows.command(&backend.base_url(), more));
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| backend.peer().posts() >= connectors).await;
    let pid = process.id().unwrap().to_string();
    let send = async {
        for (name, pause) in signals {
            tokio::time::sleep(*pause).await;
            // The process may have ended, and is not waited for yet: its id is still its own.
            let mut kill = std::process::Command::new("kill");
            let _ = kill.args([&format!("-{name}"), &pid]).stderr(Stdio::null()).status();
        }
    };
    let ((code, stdout, stderr), ()) = tokio::join!(end_of(process), send);
    assert!(!stderr.contains("panicked"), "{stderr}");
    End { code, stdout }
}

/// Asserts that the summary, the outcomes and the journal agree with the server. Returns how many rows are unknown, and
/// how many were not begun.
async fn assert_consistent(rows: &Rows, backend: &Backend, end: &End) -> (u64, u64) {
    let summary: Value = serde_json::from_str(&end.stdout).expect(&end.stdout);
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
    assert!((exist..=exist + unknown).contains(&at_server), "{at_server} at the server: {summary}");

    let outcomes = rows.outcomes();
    assert_eq!(outcomes.len() as u64, rows.count as u64 - not_begun, "{summary}");
    let recorded = rows.recorded();
    for (number, ids) in &connectors {
        let outcome =
            outcomes.get(number).unwrap_or_else(|| panic!("{number} is not in the output"));
        match outcome["status"].as_str().unwrap() {
            "ready" | "not-ready" | "stopped" => {
                assert_eq!(outcome["connector_id"], ids[0], "{outcome}");
            }
            "unknown" => assert!(outcome["connector_id"].is_null(), "{outcome}"),
            other => panic!("{number} has a connector and is {other}"),
        }
        if let Some(id) = outcome["connector_id"].as_str() {
            assert!(recorded.contains(id), "{outcome} is not in the journal");
        }
    }
    let entries = rows.journal();
    let has_intent = |number: &String| {
        entries.iter().any(|entry| entry["event"] == "intent" && entry["phoneNumberId"] == **number)
    };
    assert!(connectors.keys().all(has_intent));
    (unknown, not_begun)
}

/// Runs the rest of the batch, and asserts that what was sent before is not sent again.
async fn assert_that_the_next_run_doubles_nothing(rows: &Rows, backend: &Backend) {
    let (code, stdout, stderr) = run(rows.command(&backend.base_url(), &["--json"])).await;
    assert!(code == 0 || code == 5, "{stdout} {stderr}");
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

/// Runs a batch that gets two signals while POSTs are in flight, and asserts that each row that was sent is reported.
async fn signal_twice(seed: u64, rows: usize, more: &[&str], signals: [&str; 2], codes: [i32; 2]) {
    let (rows, backend) = (Rows::new(rows), slow_backend(seed, Duration::from_secs(1)).await);
    let signals = signals.map(|name| (name, Duration::from_millis(60)));
    let more = [more, &["--json"]].concat();
    let end = run_with_signals(&rows, &backend, &more, 10, &signals).await;
    assert!(codes.contains(&end.code), "{end:?}");
    let (unknown, not_begun) = assert_consistent(&rows, &backend, &end).await;
    assert!(unknown > 0, "the second signal came too late: {end:?}");
    assert!(more.len() == 1 || not_begun >= 50, "{end:?}");
    assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
}

#[tokio::test]
async fn a_second_signal_while_posts_are_in_flight_leaves_no_row_that_was_sent_unreported() {
    tokio::join!(
        signal_twice(1, 100, &[], ["INT", "INT"], [130, 130]),
        signal_twice(2, 100, &[], ["TERM", "INT"], [143, 130]),
        signal_twice(3, 100, &[], ["HUP", "TERM"], [129, 143]),
        // Most rows wait for their turn.
        signal_twice(4, 100, &["--concurrency", "10"], ["INT", "INT"], [130, 130]),
    );
}

#[tokio::test]
async fn one_signal_awaits_what_was_sent_and_each_has_its_exit_code() {
    for (seed, name, code) in [(6, "INT", 130), (7, "TERM", 143), (8, "HUP", 129)] {
        let (rows, backend) = (Rows::new(60), slow_backend(seed, Duration::from_millis(100)).await);
        let more = ["--json", "--concurrency", "10"];
        let end = run_with_signals(&rows, &backend, &more, 15, &[(name, Duration::ZERO)]).await;
        assert_eq!(end.code, code, "{end:?}");
        // Each POST was awaited, so nothing is unknown.
        let (unknown, not_begun) = assert_consistent(&rows, &backend, &end).await;
        assert!(unknown == 0 && not_begun > 0, "{end:?}");
        assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
    }
}

/// With a disk whose every sync takes 0.3 s: the ids are known and not yet on disk when the second signal comes.
#[tokio::test]
async fn a_second_signal_while_the_journal_is_slow_loses_no_id_that_is_known() {
    let Some(strace) = program("strace") else { return };
    let mut traced = Command::new(strace);
    // The command is the process, and strace its grandchild.
    traced.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    traced.args(["-e", "inject=fdatasync:delay_enter=300000"]);
    let mut probe = Command::new(traced.as_std().get_program());
    probe.args(traced.as_std().get_args()).arg("true");
    if !probe.status().await.is_ok_and(|status| status.success()) {
        println!("skipped: strace is not allowed here");
        return;
    }
    let (rows, backend) = (Rows::new(10), Backend::start().await.unwrap());
    traced.arg(env!("CARGO_BIN_EXE_bird-sms")).args(BATCH).args(OUT).arg("--json");
    traced.current_dir(rows.folder());
    configure(&mut traced, &backend.base_url());
    let process = traced.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| backend.peer().posts() == rows.count).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        signal(&process, "INT");
    }
    let (code, stdout, stderr) = end_of(process).await;
    assert_eq!(code, 130, "{stderr}");
    let end = End { code, stdout };
    assert_consistent(&rows, &backend, &end).await;
    assert_that_the_next_run_doubles_nothing(&rows, &backend).await;
}

#[tokio::test]
async fn an_install_that_is_hung_up_ends_with_129_and_the_id() {
    let peer = Peer::with_handler(|request| match request.method.as_str() {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, pending()),
    });
    let peer = peer.await.unwrap();
    let install = ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    for args in [&install[..], &["wait", CONNECTOR_ID, "--json"]] {
        let gets = peer.gets();
        let mut command = hung_up_by_default(&at(&peer.base_url(), args));
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| peer.gets() != gets).await;
        signal(&process, "HUP");
        let (code, stdout, stderr) = end_of(process).await;
        assert_eq!((code, stdout.as_str()), (129, ""), "{stderr}");
        let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&error["exitCode"], &error["connectorId"]),
            (&129.into(), &CONNECTOR_ID.into())
        );
    }
}

#[tokio::test]
async fn an_install_that_is_killed_while_it_waits_has_printed_the_id() {
    let peer = Peer::script([Reply::json(201, pending()), Reply::Silence]).await.unwrap();
    let install = ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    let mut command = at(&peer.base_url(), &install);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    until(|| peer.gets() != 0).await;
    signal(&process, "KILL");
    assert_eq!(process.wait().await.unwrap().code(), None);
    let mut printed = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        printed.push(serde_json::from_str::<Value>(&line).expect(&line));
    }
    let created = printed.iter().find(|event| event["event"] == "created");
    assert_eq!(
        created.map(|event| &event["connectorId"]),
        Some(&CONNECTOR_ID.into()),
        "{printed:?}"
    );
}

#[tokio::test]
async fn a_command_that_ends_before_a_connector_is_seen_or_after_a_refusal_does_not_say_that_it_exists()
 {
    let install = ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    let wait = ["wait", CONNECTOR_ID, "--json"];
    let later = || Reply::with_headers(429, &["retry-after: 60"], "");
    for (args, reply, message) in [
        (&install[..], later(), "terminated, and no connector was created"),
        (
            &wait,
            Reply::status(404),
            &format!("terminated before connector {CONNECTOR_ID} was read"),
        ),
    ] {
        let peer = Peer::with_handler(move |_| reply.clone()).await.unwrap();
        let mut command = at(&peer.base_url(), args);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| peer.requests().len() == 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        signal(&process, "TERM");
        let (code, _, stderr) = end_of(process).await;
        let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
        assert_eq!((code, &error["message"]), (143, &message.into()), "{stderr}");
    }
}

#[tokio::test]
async fn the_third_signal_ends_a_batch_whose_output_blocks() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(1500));
    let mut command = at(&backend.base_url(), &[&BATCH[..], &["--out", "-"]].concat());
    command.current_dir(rows.folder()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Nobody reads the pipe, which has room for some hundred rows.
    let mut process = command.spawn().unwrap();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let requests = backend.peer().requests().len();
        if requests > 100 && requests == before {
            break;
        }
        before = requests;
    }
    for _ in 0..3 {
        assert!(process.try_wait().unwrap().is_none());
        signal(&process, "TERM");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until(|| process.try_wait().unwrap().is_some()).await;
    assert_eq!(process.wait().await.unwrap().code(), Some(143));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_signal_that_the_parent_process_ignores_does_not_end_a_batch() {
    let (backend, rows) = (slow_backend(1, Duration::from_millis(500)).await, Rows::new(100));
    let batch = rows.command(&backend.base_url(), &[]);
    let batch = batch.as_std();
    let mut command = Command::new("nohup");
    command.arg(batch.get_program()).args(batch.get_args()).current_dir(rows.folder());
    configure(&mut command, &backend.base_url());
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| backend.peer().posts() > 10).await;
    signal(&process, "HUP");
    let (code, stdout, stderr) = end_of(process).await;
    assert_eq!(code, 0, "{stdout} {stderr}");
}

#[tokio::test]
async fn a_signal_before_the_first_row_ends_a_batch_that_has_sent_nothing() {
    let (backend, rows) = (Backend::start().await.unwrap(), Rows::new(3));
    let args = ["batch", "-", "--journal", "j.jsonl"];
    let mut command = at(&backend.base_url(), &args);
    command.current_dir(rows.folder()).stdin(Stdio::piped());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let csv = std::fs::read(rows.path("numbers.csv")).unwrap();
    // The end of the rows does not come.
    process.stdin.as_mut().unwrap().write_all(&csv).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(&process, "TERM");
    until(|| process.try_wait().unwrap().is_some()).await;
    assert_eq!(backend.peer().connections(), 0);
}
