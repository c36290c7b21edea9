//! `bird-sms` at a pseudo-terminal: fault 48, and Ctrl-C.

use std::process::{ExitStatus, Stdio};

use bird_test_peer::fixtures::{
    CHANNEL_ID, CONNECTOR_ID, PHONE_NUMBER_ID, WORKSPACE_ID, pending, ready,
};
use bird_test_peer::{Peer, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::rows::{Rows, configure, program, until};

/// Starts the command at a pseudo-terminal. What it prints comes over stdout, and what is written to stdin is typed.
fn at_terminal(api_url: &str, args: &str) -> Option<Child> {
    at_terminal_of("xterm-256color", 100, api_url, args)
}

/// Starts the command at a pseudo-terminal of this type and width.
fn at_terminal_of(term: &str, columns: u16, api_url: &str, args: &str) -> Option<Child> {
    let script = program("script")?;
    let mut command = Command::new(script);
    let line =
        format!("stty rows 24 cols {columns}; exec '{}' {args}", env!("CARGO_BIN_EXE_bird-sms"));
    command.args(["-qec", &line, "/dev/null"]);
    configure(&mut command, api_url);
    command.env("SHELL", "/bin/sh").env("TERM", term);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(command.spawn().unwrap())
}

/// Returns how the command ended, and all that reached the terminal.
async fn ended(mut process: Child) -> (ExitStatus, String) {
    // An end of the input would be typed as Ctrl-D.
    let _stdin = process.stdin.take();
    let mut bytes = Vec::new();
    process.stdout.take().unwrap().read_to_end(&mut bytes).await.unwrap();
    let status = process.wait().await.unwrap();
    (status, String::from_utf8(bytes).unwrap())
}

/// Text that changes the title, the colour and the direction of a terminal that gets it raw.
const HOSTILE: &str = r"\u001b]0;title\u0007\u001b[31mred\u009b32mgreen\u009d0;x\u009c\u202eback\u202c\u2066isolated\u2069\u200f\u061c\u0085\u0000\r\n\u007f";

/// Returns the controls of the hostile text that reached the terminal. The progress is drawn with controls of its own.
fn hostile_controls(text: &str) -> Vec<String> {
    const STRINGS: [&str; 3] = ["\u{1b}]", "\u{1b}[31m", "\r\r\n"];
    let is_hostile = |c| {
        matches!(c, '\0' | '\u{7}' | '\u{7f}'..='\u{9f}')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let strings =
        STRINGS.iter().filter(|string| text.contains(**string)).map(|it| format!("{it:?}"));
    let mut found: Vec<_> =
        text.chars().filter(|c| is_hostile(*c)).map(|c| format!("{c:?}")).collect();
    found.sort();
    found.dedup();
    strings.chain(found).collect()
}

#[tokio::test]
async fn no_control_of_a_hostile_server_reaches_the_terminal() {
    let connector = format!(
        r#"{{"id": "{CONNECTOR_ID}", "workspaceId": "{WORKSPACE_ID}", "name": "{HOSTILE}",
            "createdAt": "2025-01-21T01:43:10.940Z", "{HOSTILE}": "{HOSTILE}", "platform": "{HOSTILE}",
            "number": {{"phoneNumber": "{HOSTILE}"}}, "list": ["{HOSTILE}"],
            "channel": {{"channelId": "{CHANNEL_ID}"}}}}"#
    );
    let refusal = format!(
        r#"{{"code": "{HOSTILE}", "message": "{HOSTILE}", "details": {{"{HOSTILE}": ["{HOSTILE}"]}}}}"#
    );
    let unreadable = format!(r#"{{"id": "{HOSTILE}", "name": "{HOSTILE}"}}"#);
    let raw = "\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}32m\u{202e}";
    let install = format!("install --name x --phone-number-id {PHONE_NUMBER_ID}");
    let show = format!("connector {CONNECTOR_ID}");
    let (rows, mut reached) = (Rows::new(1), Vec::new());
    let folder = rows.folder().display();
    let batch = format!("batch {folder}/numbers.csv --journal {folder}/j.jsonl");
    for (args, reply, code) in [
        (&show, Reply::json(200, &connector), 0),
        (&show, Reply::json(403, &refusal), 7),
        (&show, Reply::json(200, &unreadable), 7),
        (&show, Reply::json(403, raw), 7),
        (&install, Reply::json(201, &connector), 0),
        (&install, Reply::json(422, &refusal), 3),
        (&install, Reply::json(201, &unreadable), 5),
        (&install, Reply::json(201, raw), 5),
        (&install, Reply::json(422, raw), 3),
        (&batch, Reply::json(422, &refusal), 3),
        (&batch, Reply::json(422, raw), 3),
    ] {
        for json in ["", " --json"] {
            let reply = reply.clone();
            let peer = Peer::with_handler(move |_| reply.clone()).await.unwrap();
            let args = format!("{args}{json} --timeout 2s");
            // Each peer is another server.
            let _ = std::fs::remove_file(rows.path("j.jsonl"));
            let Some(process) = at_terminal(&peer.base_url(), &args) else { return };
            let (status, text) = ended(process).await;
            assert_eq!(status.code(), Some(code), "{args}: {text:?}");
            let controls = hostile_controls(&text);
            if !controls.is_empty() {
                reached.push(format!("{args}: {} in {text:?}", controls.join(", ")));
            }
        }
    }
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[tokio::test]
async fn ctrl_c_at_the_terminal_ends_an_install_with_130_and_the_id() {
    let peer = Peer::with_handler(|request| match request.method.as_str() {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, pending()),
    });
    let peer = peer.await.unwrap();
    let args = format!("install --name x --phone-number-id {PHONE_NUMBER_ID}");
    let Some(mut process) = at_terminal(&peer.base_url(), &args) else { return };
    until(|| peer.gets() != 0).await;
    let mut keyboard = process.stdin.take().unwrap();
    keyboard.write_all(b"\x03").await.unwrap();
    keyboard.flush().await.unwrap();
    let (status, text) = ended(process).await;
    assert_eq!(status.code(), Some(130), "{text:?}");
    let last = text.rsplit("error: ").next().unwrap();
    assert!(last.contains(&format!("bird-sms wait {CONNECTOR_ID}")), "{text:?}");
}

/// Returns a peer that provisions the channel of its only connector with the `polls`th GET.
async fn provisioning_peer(polls: usize) -> Peer {
    let mut gets = 0;
    let peer = Peer::with_handler(move |request| {
        gets += usize::from(request.method == "GET");
        match (request.method.as_str(), gets == polls) {
            ("POST", _) => Reply::json(201, pending()),
            (_, false) => Reply::json(200, pending()),
            (_, true) => Reply::json(200, ready()),
        }
    });
    peer.await.unwrap()
}

#[tokio::test]
async fn progress_is_cut_at_a_narrow_terminal_and_drawn_at_no_dumb_or_quiet_one() {
    let rows = Rows::new(1);
    let folder = rows.folder().display();
    let install = format!("install --name x --phone-number-id {PHONE_NUMBER_ID}");
    let batch = format!("batch {folder}/numbers.csv --journal {folder}/j.jsonl");
    for (term, columns, more) in
        [("xterm", 20, ""), ("dumb", 100, ""), ("xterm", 100, "--json"), ("xterm", 100, "--quiet")]
    {
        for args in [&install, &batch] {
            let peer = provisioning_peer(2).await;
            let args = format!("{args} --poll-interval 300ms {more}");
            let process = at_terminal_of(term, columns, &peer.base_url(), &args);
            let Some(process) = process else { return };
            let (status, text) = ended(process).await;
            assert!(status.success(), "{text:?}");
            // What is drawn again is between two carriage returns.
            let drawn = text.split(['\r', '\n']).filter(|part| part.contains(" 0s "));
            let width = |part: &str| part.split('\u{1b}').next().unwrap().chars().count();
            assert!(drawn.clone().all(|part| width(part) <= columns.into()), "{text:?}");
            assert_eq!(drawn.count() > 0, columns == 20, "{text:?}");
            assert_eq!(text.contains('\u{1b}'), columns == 20, "{text:?}");
        }
        std::fs::remove_file(rows.path("j.jsonl")).unwrap();
    }
}

#[tokio::test]
async fn the_seconds_of_a_wait_tick_between_its_polls() {
    let peer = Peer::script([Reply::Silence]).await.unwrap();
    let args = format!("wait {CONNECTOR_ID}");
    let Some(mut process) = at_terminal(&peer.base_url(), &args) else { return };
    let (mut bytes, mut text) = ([0; 1024], String::new());
    while !text.contains(" 1s Waiting for") {
        let count = process.stdout.as_mut().unwrap().read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "{text:?}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert_eq!(peer.gets(), 1);
}
