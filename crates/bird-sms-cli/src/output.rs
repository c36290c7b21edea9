//! The result on stdout.

use std::io::{self, Write};

use bird_sms::{Connector, ConnectorState, SmsChannel, escape_controls};

use crate::error::{Aborted, CliError};
use crate::exit::Code;
use crate::json::to_json;

/// Prints the id of the channel, or one object with `--json`. If that fails, the error has the ids.
pub(crate) fn print_channel(channel: &SmsChannel, json: bool) -> Result<(), CliError> {
    let SmsChannel { id, connector_id, .. } = *channel;
    let text = if json { to_json(channel) } else { id.to_string() };
    write(&format!("{text}\n")).map_err(|error| {
        CliError::Aborted(Aborted {
            code: Code::Unexpected,
            message: format!(
                "channel {id} of connector {connector_id} is ready, and the result could not be written: {error}"
            ),
            state: ConnectorState::Exists(connector_id),
            hint: None,
        })
    })
}

/// Prints what the API returned, with its own field names: a line for each field, or the object with `--json`.
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

/// Adds a line for each field. Control characters are escaped, because a terminal would interpret them.
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

pub(crate) fn print_line(text: &str) -> Result<(), CliError> {
    print(&format!("{text}\n"))
}

pub(crate) fn print(text: &str) -> Result<(), CliError> {
    write(text)
        .map_err(|error| CliError::Unexpected(format!("the result could not be written: {error}")))
}

/// Writes to stdout. `println!` would panic when stdout is closed.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
