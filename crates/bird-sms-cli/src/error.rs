//! The errors of the command, as text and as JSON.

use std::error::Error as _;
use std::fmt::Write as _;

use bird_sandbox::StartError;
use bird_sms::{
    CheckError, ConfigurationError, ConnectorId, ConnectorState, Error, ErrorResponse,
    FileJournalError, NumbersError, ParseIdError, PhoneNumberId,
};
use serde_json::{Value, json};

use crate::args::ConnectionArgs;
use crate::exit::Code;
use crate::json::to_json;
use crate::output::print_message;

/// The error of a command.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The input cannot be used. Nothing was sent.
    Usage(String),
    /// The journal cannot be used. Nothing was sent.
    Journal(FileJournalError),
    /// The install of a phone number failed.
    Install(Error, PhoneNumberId),
    /// A wait or a read failed. The flag is true if a response had shown the connector before.
    Read(Error, bool),
    /// A signal ended a wait before a response showed the connector.
    Unread(Code, ConnectorId),
    /// A check failed.
    Check(CheckError),
    /// Numbers, requirements or use cases could not be read.
    Numbers(NumbersError),
    /// The command ended before its install ended or its result was written.
    Aborted(Aborted),
    /// Another error. No connector was created.
    Unexpected(String),
}

/// The error of a command that ended early, and what is known about its connector.
#[derive(Debug)]
pub(crate) struct Aborted {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) state: ConnectorState,
    /// What to do next, unless the state determines it.
    pub(crate) hint: Option<String>,
}

impl From<ConfigurationError> for CliError {
    fn from(error: ConfigurationError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Usage(format!("{error}{cause}"))
    }
}

impl From<FileJournalError> for CliError {
    fn from(error: FileJournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<ParseIdError> for CliError {
    fn from(error: ParseIdError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl CliError {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage(_) | Self::Journal(_) => Code::Usage,
            Self::Install(error, _) => Code::of_install(error),
            Self::Read(error, _) => Code::of_read(error),
            Self::Unread(code, _) => *code,
            Self::Check(error) => Code::of_check(error),
            Self::Numbers(error) => Code::of_numbers(error),
            Self::Aborted(aborted) => aborted.code,
            Self::Unexpected(_) => Code::Unexpected,
        }
    }

    /// Prints the error to stderr. `options` complete the command in the hint.
    pub(crate) fn print(&self, json: bool, options: Option<&ConnectionArgs>) {
        let text = if json { self.json(options) } else { self.text(options) };
        print_message(text);
    }

    pub(crate) fn message(&self) -> String {
        match self {
            // The hint and the exit code already say that no connector was created.
            Self::Install(Error::Configuration(error), _)
            | Self::Read(Error::Configuration(error), _) => error.to_string(),
            Self::Install(error, _) | Self::Read(error, _) => error.chain(),
            Self::Unread(code, id) => format!("{} before connector {id} was read", code.signal()),
            Self::Check(error) => error.chain(),
            Self::Numbers(error) => error.chain(),
            Self::Journal(error) => error.chain(),
            Self::Aborted(aborted) => aborted.message.clone(),
            Self::Usage(message) | Self::Unexpected(message) => message.clone(),
        }
    }

    fn state(&self) -> ConnectorState {
        match self {
            // The user gave the id, which may be wrong.
            Self::Read(Error::Read(..), false) | Self::Unread(..) => ConnectorState::Unknown,
            Self::Install(error, _) | Self::Read(error, _) => error.connector_state(),
            Self::Aborted(aborted) => aborted.state,
            Self::Check(_)
            | Self::Numbers(_)
            | Self::Usage(_)
            | Self::Journal(_)
            | Self::Unexpected(_) => ConnectorState::NotCreated,
        }
    }

    /// Returns what to do next. `options` complete the commands in it.
    fn hint(&self, options: Option<&ConnectionArgs>) -> Option<String> {
        match (self, self.state()) {
            (Self::Install(error, number), _) => install_hint(error, *number, options),
            (Self::Aborted(Aborted { hint: Some(hint), .. }), _) => Some(hint.clone()),
            (Self::Read(Error::NotReady(..), _) | Self::Aborted(_), ConnectorState::Exists(id)) => {
                Some(wait_hint(id, options))
            }
            (Self::Unread(_, id), _) => Some(wait_hint(*id, options)),
            (Self::Aborted(_), ConnectorState::Unknown | ConnectorState::ExistsIdUnknown) => {
                Some("Check the Bird dashboard for the connector before you retry.".to_owned())
            }
            (Self::Read(error, _), _) => library_hint(error, options),
            (Self::Check(error), _) => Some(error.hint().to_owned()),
            (Self::Numbers(error), _) => Some(error.hint()),
            (Self::Journal(error), _) => Some(error.hint().to_owned()),
            _ => None,
        }
    }

    fn text(&self, options: Option<&ConnectionArgs>) -> String {
        let mut text = format!("error: {}", self.message());
        let conflict = match self {
            Self::Install(error, _) | Self::Read(error, _) => error.response(),
            _ => None,
        };
        let conflict = conflict.filter(|response| response.status == 409);
        for id in conflict.map(ErrorResponse::ids).unwrap_or_default() {
            // An id in a 409 may be the id of the existing connector.
            let _ = write!(text, "\nid in the response: {id}");
        }
        if let Some(hint) = self.hint(options) {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        text
    }

    /// Returns the JSON of the library's error, or an object of the same shape, and adds the exit code.
    fn json(&self, options: Option<&ConnectionArgs>) -> String {
        let state = self.state();
        let mut object = match self {
            Self::Install(error, _) | Self::Read(error, _) => json!(error),
            Self::Check(error) => json!(error.response()),
            Self::Numbers(error) => json!(error.response()),
            _ => Value::Null,
        };
        if object.get("error").is_none() {
            object["error"] = self.code().name().into();
            object["message"] = self.message().into();
            object["connectorId"] = match self {
                Self::Unread(_, id) => json!(id),
                _ => json!(state.connector_id()),
            };
        }
        object["connectorState"] = state.kind().into();
        if let Self::Check(error) = self {
            object["problem"] = json!(error.problem);
        }
        if let Some(hint) = self.hint(options) {
            object["hint"] = hint.into();
        }
        object["exitCode"] = (self.code() as u8).into();
        to_json(&object)
    }
}

/// Returns what to do after an install failed. `options` complete the commands in it.
pub(crate) fn install_hint(
    error: &Error,
    number: PhoneNumberId,
    options: Option<&ConnectionArgs>,
) -> Option<String> {
    let shared = options.map(ConnectionArgs::to_options).unwrap_or_default();
    let in_sandbox = options.is_some_and(|options| options.sandbox);
    // Only a person can tell whether this is the connector that the request was to create.
    if let [id] = error.existing() {
        return Some(format!(
            "See what exists with: bird-sms connector {id}{shared}\n\
             If it is the one you want: bird-sms wait {id}{shared}"
        ));
    }
    match (error, error.connector_state()) {
        (Error::NotReady(..), ConnectorState::Exists(id)) => Some(wait_hint(id, options)),
        (Error::Read(..), ConnectorState::Exists(id)) => {
            Some(format!("{} {}", error.hint().unwrap_or_default(), wait_hint(id, options)))
        }
        (_, ConnectorState::Unknown | ConnectorState::ExistsIdUnknown) if !in_sandbox => {
            let check = format!("bird-sms check --phone-number-id {number}{shared}");
            let wait = format!("bird-sms wait CONNECTOR_ID{shared}");
            let hint = error.hint().unwrap_or_default();
            Some(format!(
                "Run `{check}` to see the connectors of this phone number, and `{wait}` if one is yours. {hint}"
            ))
        }
        _ => library_hint(error, options),
    }
}

/// Returns the hint of the library, and the command that tells more.
fn library_hint(error: &Error, options: Option<&ConnectionArgs>) -> Option<String> {
    let hint = error.hint()?;
    let shared = options.map(ConnectionArgs::to_options).unwrap_or_default();
    let check = format!(" Run `bird-sms check{shared}` for details.");
    let more = match error.status() {
        _ if error.is_access_refused() => &check,
        Some(422) => " Run `bird-sms help scenarios` for what each sender needs.",
        _ => "",
    };
    Some(hint.to_owned() + more)
}

fn wait_hint(id: ConnectorId, options: Option<&ConnectionArgs>) -> String {
    if options.is_some_and(|options| options.sandbox) {
        return "The sandbox and its connector are gone.".to_owned();
    }
    let shared = options.map(ConnectionArgs::to_options).unwrap_or_default();
    format!("Continue with: bird-sms wait {id}{shared}")
}
