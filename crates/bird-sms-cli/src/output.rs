//! The result on stdout, and messages on stderr.

use std::fmt::Display;
use std::io::{self, Write};

use bird_sms::{Connector, ConnectorId, ConnectorState, SmsChannel, Warning, escape_controls};
use serde_json::json;

use crate::error::{Aborted, CliError};
use crate::exit::Code;
use crate::json::to_json;

/// Prints the id of the channel, or one object with `--json`.
pub(crate) fn print_channel(channel: &SmsChannel, json: bool) -> Result<(), CliError> {
    let SmsChannel { id, connector_id, .. } = *channel;
    let text = if json { to_json(channel) } else { id.to_string() };
    print_result(&text, &format!("channel {id} of connector {connector_id} is ready"), connector_id)
}

/// Prints the id of a connector without waiting for its channel, or one object with `--json`.
pub(crate) fn print_pending(
    id: ConnectorId,
    warning: Option<Warning>,
    json: bool,
) -> Result<(), CliError> {
    let object = json!({ "connectorId": id, "warning": warning });
    let text = if json { to_json(&object) } else { id.to_string() };
    print_result(&text, &format!("connector {id} exists"), id)
}

/// Prints a result. If that fails, the error message contains `known` and the state of the connector.
fn print_result(text: &str, known: &str, id: ConnectorId) -> Result<(), CliError> {
    write(&format!("{text}\n")).map_err(|error| {
        CliError::Aborted(Aborted {
            code: Code::Unexpected,
            message: format!("{known}, but the result could not be written: {error}"),
            state: ConnectorState::Exists(id),
            hint: None,
        })
    })
}

/// Prints the connector with the field names of the API: a line for each field, or the object with `--json`.
pub(crate) fn print_connector(connector: &Connector, json: bool) -> Result<(), CliError> {
    let text = match serde_json::from_str(connector.json()) {
        _ if json => to_json(connector),
        Ok(serde_json::Value::Object(fields)) => {
            let mut lines = Vec::new();
            for (name, value) in &fields {
                flatten(name, value, &mut lines);
            }
            lines.join("\n")
        }
        _ => connector.json().to_owned(),
    };
    print_line(&text)
}

/// Adds a line for each field. Control characters are escaped because a terminal would interpret them.
fn flatten(path: &str, value: &serde_json::Value, lines: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&format!("{path}.{name}"), value, lines);
            }
        }
        serde_json::Value::String(text) => {
            lines.push(escape_controls(&format!("{path}: {text}")).into_owned());
        }
        other => lines.push(escape_controls(&format!("{path}: {other}")).into_owned()),
    }
}

/// Prints a message to stderr. Errors are ignored: if stderr is closed, nothing can be printed.
pub(crate) fn print_message(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub(crate) fn print_line(text: &str) -> Result<(), CliError> {
    print(&format!("{text}\n"))
}

pub(crate) fn print(text: &str) -> Result<(), CliError> {
    write(text)
        .map_err(|error| CliError::Unexpected(format!("the result could not be written: {error}")))
}

/// Writes to stdout, and also to stderr if stdout was closed. `println!` would panic if the write failed.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    if was_closed(&stdout) { io::stderr().write_all(text.as_bytes()) } else { Ok(()) }
}

/// Returns whether stdout was closed when the process started. In that case, Rust opens `/dev/null` in its place for
/// reading and writing, while a shell redirection opens it only for writing.
#[cfg(unix)]
fn was_closed(stdout: &io::Stdout) -> bool {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use same_file::Handle;

    let is_null = Handle::stdout().ok() == Handle::from_path("/dev/null").ok();
    let read = || File::from(stdout.as_fd().try_clone_to_owned()?).read(&mut [0]);
    is_null && read().is_ok()
}

#[cfg(not(unix))]
fn was_closed(_: &io::Stdout) -> bool {
    false
}
