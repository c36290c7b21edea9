//! The result on stdout.

use std::io::{self, Write};

use bird_sms::{
    ChannelId, Connector, ConnectorId, ConnectorState, SmsChannel, Warning, WorkspaceId,
    escape_controls,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Aborted, CliError};
use crate::exit::Code;
use crate::json::to_json;

/// The result of an install or a wait, with `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonChannel {
    channel_id: ChannelId,
    connector_id: ConnectorId,
    workspace_id: WorkspaceId,
    name: Option<String>,
    phone_number: Option<String>,
    platform: Option<String>,
    created_at: Option<Timestamp>,
    warning: Option<Warning>,
}

/// Prints the id of the channel, or one object with `--json`. If that fails, the error has the ids.
pub(crate) fn print_channel(channel: &SmsChannel, json: bool) -> Result<(), CliError> {
    let SmsChannel { id, connector_id, .. } = *channel;
    let text = if json { channel_as_json(channel) } else { id.to_string() };
    write(&format!("{text}\n")).map_err(|error| {
        CliError::Aborted(Aborted {
            code: Code::Unexpected,
            message: format!(
                "channel {id} of connector {connector_id} is ready, and the result could not be written: {error}"
            ),
            state: ConnectorState::Exists(connector_id),
        })
    })
}

fn channel_as_json(channel: &SmsChannel) -> String {
    let connector = channel.connector();
    let created_at = connector.as_ref().map(|connector| connector.created_at);
    let (name, platform, number) = match connector {
        Some(connector) => (Some(connector.name), connector.platform, connector.number),
        None => (None, None, None),
    };
    to_json(&JsonChannel {
        channel_id: channel.id,
        connector_id: channel.connector_id,
        workspace_id: channel.workspace_id,
        name,
        phone_number: number.and_then(|number| number.phone_number),
        platform,
        created_at,
        warning: channel.warning,
    })
}

/// Prints what the API returned, with its own field names: a line for each field, or the object with `--json`.
pub(crate) fn print_connector(connector: &Connector, json: bool) -> Result<(), CliError> {
    let text = match serde_json::from_str(connector.json()) {
        Ok(object) if json => to_json(&object),
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
