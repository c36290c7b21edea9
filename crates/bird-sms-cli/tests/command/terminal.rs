//! Tests of `bird-sms` at a pseudo-terminal: control characters (fault 48 in docs/reliability.md), Ctrl-C and progress.

use std::process::{ExitStatus, Stdio};

use bird_test_peer::Reply;
use bird_test_peer::fixtures::{
    CHANNEL_ID, CONNECTOR_ID, PHONE_NUMBER_ID, WORKSPACE_ID, pending, ready,
};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::harness::{Rows, Server, configure, peer, program, replies, until};

/// A command that runs at a pseudo-terminal, in a folder with one row.
struct Terminal {
    /// The program `script`. Its stdout is what the terminal shows, and its stdin is the keyboard.
    process: Child,
    _rows: Rows,
}

fn at_terminal(server: &impl Server, args: &str) -> Option<Terminal> {
    at_terminal_of("xterm-256color", 100, server, args)
}

/// Starts the command at a terminal of this type and width.
fn at_terminal_of(term: &str, columns: u16, server: &impl Server, args: &str) -> Option<Terminal> {
    let script = program("script")?;
    let rows = Rows::new(1);
    let bird_sms = env!("CARGO_BIN_EXE_bird-sms");
    let line = format!("stty rows 24 cols {columns}; exec '{bird_sms}' {args}");
    let mut command = Command::new(script);
    command.args(["-qec", &line, "/dev/null"]).current_dir(rows.folder()).kill_on_drop(true);
    configure(&mut command, server);
    command.env("SHELL", "/bin/sh").env("TERM", term).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(Terminal { process: command.spawn().unwrap(), _rows: rows })
}

/// Waits until the command ends. Returns its status, and everything that reached the terminal.
async fn ended(Terminal { mut process, _rows }: Terminal) -> (ExitStatus, String) {
    // If stdin were closed, `script` would send Ctrl-D to the command.
    let _stdin = process.stdin.take();
    let mut bytes = Vec::new();
    process.stdout.take().unwrap().read_to_end(&mut bytes).await.unwrap();
    let status = process.wait().await.unwrap();
    (status, String::from_utf8(bytes).unwrap())
}

/// JSON-escaped text that would change a terminal's title, colors and text direction if it were printed raw.
const HOSTILE: &str = r"\u001b]0;title\u0007\u001b[31mred\u009b32mgreen\u009d0;x\u009c\u202eback\u202c\u2066isolated\u2069\u200f\u061c\u0085\u0000\r\n\u007f";

/// Returns the control characters from [`HOSTILE`] that reached the terminal. Those that only draw the progress do
/// not count.
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
async fn no_control_character_from_a_server_reaches_the_terminal() {
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
    let batch = "batch numbers.csv --journal j.jsonl";
    let rejected = Reply::json(422, &refusal);
    let raw_rejected = Reply::json(422, raw);
    let mut reached = Vec::new();
    for (args, reply, code) in [
        (&*show, Reply::json(200, &connector), 0),
        (&show, Reply::json(403, &refusal), 7),
        (&show, Reply::json(200, &unreadable), 7),
        (&show, Reply::json(403, raw), 7),
        (&install, Reply::json(201, &connector), 0),
        (&install, rejected.clone(), 3),
        (&install, Reply::json(201, &unreadable), 5),
        (&install, Reply::json(201, raw), 5),
        (&install, raw_rejected.clone(), 3),
        (batch, rejected, 3),
        (batch, raw_rejected, 3),
    ] {
        for json in ["", " --json"] {
            let peer = replies(reply.clone(), reply.clone()).await;
            let args = format!("{args}{json} --timeout 2s");
            let Some(process) = at_terminal(&peer, &args) else { return };
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
async fn ctrl_c_during_an_install_exits_with_130_and_prints_the_id() {
    let peer = replies(Reply::json(201, pending()), Reply::json(200, pending())).await;
    let args = format!("install --name x --phone-number-id {PHONE_NUMBER_ID}");
    let Some(mut terminal) = at_terminal(&peer, &args) else { return };
    until(|| peer.gets() != 0).await;
    let mut keyboard = terminal.process.stdin.take().unwrap();
    keyboard.write_all(b"\x03").await.unwrap();
    keyboard.flush().await.unwrap();
    let (status, text) = ended(terminal).await;
    assert_eq!(status.code(), Some(130), "{text:?}");
    let last = text.rsplit("error: ").next().unwrap();
    assert!(last.contains(&format!("bird-sms wait {CONNECTOR_ID}")), "{text:?}");
}

#[tokio::test]
async fn progress_fits_narrow_terminals_and_is_hidden_on_dumb_ones() {
    let install = format!("install --name x --phone-number-id {PHONE_NUMBER_ID}");
    let batch = "batch numbers.csv --journal j.jsonl";
    let terminals =
        [("xterm", 20, ""), ("dumb", 100, ""), ("xterm", 100, "--json"), ("xterm", 100, "--quiet")];
    let cases = terminals.iter().flat_map(|terminal| [(terminal, &*install), (terminal, batch)]);
    join_all(cases.map(async |(&(term, columns, more), args)| {
        let mut script = [Reply::json(201, pending()), Reply::json(200, pending())].to_vec();
        script.push(Reply::json(200, ready()));
        let peer = peer(script).await;
        let args = format!("{args} --poll-interval 300ms {more}");
        let Some(process) = at_terminal_of(term, columns, &peer, &args) else { return };
        let (status, text) = ended(process).await;
        assert!(status.success(), "{text:?}");
        // A carriage return starts each new drawing of the progress.
        let drawn = text.split(['\r', '\n']).filter(|part| part.contains(" 0s "));
        let width = |part: &str| part.split('\u{1b}').next().unwrap().chars().count();
        assert!(drawn.clone().all(|part| width(part) <= columns.into()), "{text:?}");
        assert_eq!(drawn.count() > 0, columns == 20, "{text:?}");
        assert_eq!(text.contains('\u{1b}'), columns == 20, "{text:?}");
    }))
    .await;
}

#[tokio::test]
async fn the_elapsed_seconds_are_updated_between_polls() {
    let peer = peer([Reply::Silence]).await;
    let Some(mut terminal) = at_terminal(&peer, &format!("wait {CONNECTOR_ID}")) else { return };
    let mut bytes = [0; 1024];
    let mut text = String::new();
    while !text.contains(" 1s Waiting for") {
        let count = terminal.process.stdout.as_mut().unwrap().read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "{text:?}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert_eq!(peer.gets(), 1);
}
