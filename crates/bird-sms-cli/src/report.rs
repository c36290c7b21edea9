//! What is told at the end: the result on stdout, or what failed on stderr.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bird_sms::{ConfigurationError, Connector, Error, ParseIdError, SmsChannel};
use serde::Serialize;

use crate::batch::JournalError;
use crate::exit::Code;

/// Why the command ends without a result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input makes no sense: nothing was sent.
    Usage(String),
    /// An install or a wait failed.
    Install(Error),
    /// A read failed.
    Read(Error),
    /// Something else ended it, such as a signal. The text says what is known of the connector.
    Ended { code: Code, message: String, connector_id: Option<String>, connector_may_exist: bool },
    /// Anything else.
    Unexpected(String),
}

impl From<ConfigurationError> for Failure {
    fn from(error: ConfigurationError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ParseIdError> for Failure {
    fn from(error: ParseIdError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Failure {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage(_) => Code::Usage,
            Self::Install(error) => Code::of_install(error),
            Self::Read(error) => Code::of_read(error),
            Self::Ended { code, .. } => *code,
            Self::Unexpected(_) => Code::Unexpected,
        }
    }

    /// Tells of it on stderr, for people or as one JSON object. `workspace` is for the advice.
    pub(crate) fn tell(&self, json: bool, workspace: Option<&str>) {
        let text = if json { self.json() } else { self.text(workspace) };
        // There is nobody left to tell when stderr is gone.
        let _ = writeln!(io::stderr(), "{text}");
    }

    fn message(&self) -> String {
        match self {
            Self::Usage(message) | Self::Unexpected(message) | Self::Ended { message, .. } => {
                message.clone()
            }
            Self::Install(error) | Self::Read(error) => error.to_string(),
        }
    }

    fn connector_id(&self) -> Option<String> {
        match self {
            Self::Install(error) | Self::Read(error) => {
                error.connector_id().map(|id| id.to_string())
            }
            Self::Ended { connector_id, .. } => connector_id.clone(),
            Self::Usage(_) | Self::Unexpected(_) => None,
        }
    }

    fn text(&self, workspace: Option<&str>) -> String {
        let mut text = format!("error: {}.", self.message().trim_end_matches('.'));
        if let (Some(id), Some(workspace)) = (self.connector_id(), workspace)
            && !matches!(self, Self::Read(_))
        {
            text.push_str("\nGo on with: bird-sms wait ");
            text.push_str(&id);
            text.push_str(" --workspace-id ");
            text.push_str(workspace);
        }
        text
    }

    fn json(&self) -> String {
        let error = match self {
            Self::Install(error) | Self::Read(error) => Some(error),
            _ => None,
        };
        let response = error.and_then(Error::response);
        let unreadable = match error {
            Some(Error::CreatedIdUnknown(error)) => Some(&error.response),
            _ => None,
        };
        let may_exist = match self {
            Self::Ended { connector_may_exist, .. } => *connector_may_exist,
            _ => error.is_some_and(Error::connector_may_exist),
        };
        to_json(&Told {
            error: match self.code() {
                Code::Done => "done",
                Code::Unexpected => "unexpected",
                Code::Usage => "usage",
                Code::Refused => "refused",
                Code::Unreachable => "unreachable",
                Code::MayExist => "outcome-unknown",
                Code::NotReady => "not-ready",
                Code::Interrupted => "interrupted",
                Code::Terminated => "terminated",
            },
            exit_code: self.code() as u8,
            message: self.message(),
            connector_may_exist: may_exist,
            connector_id: self.connector_id(),
            status: response.map(|a| a.status).or(unreadable.map(|a| a.status)),
            code: response.and_then(|a| a.code.as_deref()),
            details: response.map(|a| &a.details).filter(|details| !details.is_empty()),
            request_id: response
                .and_then(|a| a.request_id.as_deref())
                .or(unreadable.and_then(|a| a.request_id.as_deref())),
            attempts: error.map(|error| error.attempts().count),
            elapsed_seconds: error.map(|error| error.attempts().elapsed.as_secs_f64()),
        })
    }
}

/// An error with `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    error: &'static str,
    exit_code: u8,
    message: String,
    connector_may_exist: bool,
    connector_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_seconds: Option<f64>,
}

/// The result of an install or a wait, with `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    channel_id: String,
    connector_id: String,
    workspace_id: String,
    name: Option<String>,
    phone_number: Option<String>,
    platform: Option<String>,
    created_at: Option<String>,
}

pub(crate) fn channel(channel: &SmsChannel, json: bool) -> String {
    if !json {
        return channel.id.to_string();
    }
    let connector = channel.connector();
    let connector = connector.as_ref();
    to_json(&Installed {
        channel_id: channel.id.to_string(),
        connector_id: channel.connector_id.to_string(),
        workspace_id: channel.workspace_id.to_string(),
        name: connector.map(|connector| connector.name.clone()),
        phone_number: connector
            .and_then(|connector| connector.number.as_ref())
            .and_then(|number| number.phone_number.clone()),
        platform: connector.and_then(|connector| connector.platform.clone()),
        created_at: connector.map(|connector| connector.created_at.to_string()),
    })
}

/// What the API told, with its own field names: a field a line, or with `--json` the object as it came.
pub(crate) fn connector(connector: &Connector, json: bool) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(connector.json()) else {
        return connector.json().to_owned();
    };
    if json {
        return serde_json::Value::Object(fields).to_string();
    }
    let mut lines = Vec::new();
    for (name, value) in &fields {
        flatten(name, value, &mut lines);
    }
    lines.join("\n")
}

fn flatten(path: &str, value: &serde_json::Value, lines: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&format!("{path}.{name}"), value, lines);
            }
        }
        serde_json::Value::String(text) => lines.push(format!("{path}: {text}")),
        other => lines.push(format!("{path}: {other}")),
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
