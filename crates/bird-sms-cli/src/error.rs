//! The errors of the command, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use bird_sms::{
    CheckError, CheckProblem, ConfigurationError, ConnectorId, ConnectorState, Error,
    ErrorResponse, FileJournalError, ParseIdError, Warning,
};
use serde::Serialize;

use crate::args::ConnectionArgs;
use crate::exit::Code;
use crate::json::to_json;

/// The error of a command.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The input cannot be used: nothing was sent.
    Usage(String),
    /// The journal cannot be used: nothing was sent.
    Journal(FileJournalError),
    /// An install failed.
    Install(Error),
    /// A wait or a read failed.
    Read(Error),
    /// A check failed.
    Check(CheckError),
    /// The command ended before its install did, or before its result was written.
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
    /// What to do next, if it does not follow from the state.
    pub(crate) hint: Option<&'static str>,
}

impl From<ConfigurationError> for CliError {
    fn from(error: ConfigurationError) -> Self {
        Self::Usage(error.to_string())
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
            Self::Install(error) => Code::of_install(error),
            Self::Read(error) => Code::of_read(error),
            Self::Check(error) => Code::of_check(error),
            Self::Aborted(aborted) => aborted.code,
            Self::Unexpected(_) => Code::Unexpected,
        }
    }

    /// Prints the error to stderr. `options` complete the command of the hint.
    pub(crate) fn print(&self, json: bool, options: Option<&ConnectionArgs>) {
        let text = if json { self.json(options) } else { self.text(options) };
        // Nothing is left to do when stderr is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    fn library_error(&self) -> Option<&Error> {
        match self {
            Self::Install(error) | Self::Read(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            // The hint and the exit code say that nothing was created.
            Self::Install(Error::Configuration(error))
            | Self::Read(Error::Configuration(error)) => error.to_string(),
            Self::Install(error) | Self::Read(error) => error.chain(),
            Self::Check(error) => error.chain(),
            Self::Journal(error) => error.chain(),
            Self::Aborted(aborted) => aborted.message.clone(),
            Self::Usage(message) | Self::Unexpected(message) => message.clone(),
        }
    }

    fn state(&self) -> ConnectorState {
        match self {
            Self::Install(error) | Self::Read(error) => error.connector_state(),
            Self::Aborted(aborted) => aborted.state,
            Self::Check(_) | Self::Usage(_) | Self::Journal(_) | Self::Unexpected(_) => {
                ConnectorState::NotCreated
            }
        }
    }

    /// Returns what to do next. `options` complete the command that waits for a connector.
    fn hint(&self, options: Option<&ConnectionArgs>) -> Option<String> {
        let wait = |id: ConnectorId| match options {
            Some(options) if options.sandbox => {
                "The sandbox has ended, and its connector.".to_owned()
            }
            _ => {
                let options = options.map(ConnectionArgs::to_options).unwrap_or_default();
                format!("Continue with: bird-sms wait {id}{options}")
            }
        };
        match (self, self.state()) {
            (Self::Aborted(Aborted { hint: Some(hint), .. }), _) => Some((*hint).to_owned()),
            (Self::Install(Error::NotReady(_)) | Self::Aborted(_), ConnectorState::Exists(id)) => {
                Some(wait(id))
            }
            (Self::Install(error @ Error::Read(_)), ConnectorState::Exists(id)) => {
                Some(format!("{} {}", error.help().unwrap_or_default(), wait(id)))
            }
            (Self::Read(Error::NotReady(error)), ConnectorState::Exists(id)) if error.seen => {
                Some(wait(id))
            }
            (Self::Aborted(_), ConnectorState::Unknown | ConnectorState::ExistsIdUnknown) => {
                Some("Check the Bird dashboard for the connector before you retry.".to_owned())
            }
            (Self::Install(error) | Self::Read(error), _) => {
                let help = error.help()?;
                let options = options.map(ConnectionArgs::to_options).unwrap_or_default();
                let more = format!(" `bird-sms check{options}` says more.");
                Some(help.to_owned() + if error.is_access_refused() { &more } else { "" })
            }
            (Self::Check(error), _) => Some(error.help().to_owned()),
            (Self::Journal(error), _) => Some(error.help().to_owned()),
            _ => None,
        }
    }

    fn text(&self, options: Option<&ConnectionArgs>) -> String {
        let mut text = format!("error: {}", self.message());
        let conflict = self.library_error().and_then(Error::response);
        let conflict = conflict.filter(|response| response.status == 409);
        for id in conflict.map(ErrorResponse::ids).unwrap_or_default() {
            // It may be the id of the connector that exists.
            let _ = write!(text, "\nid in the response: {id}");
        }
        if let Some(hint) = self.hint(options) {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        text
    }

    fn json(&self, options: Option<&ConnectionArgs>) -> String {
        let error = self.library_error();
        let check = match self {
            Self::Check(error) => Some(error),
            _ => None,
        };
        let response = error.and_then(Error::response).or(check.and_then(CheckError::response));
        let malformed = match error {
            Some(Error::CreatedIdUnknown(error)) => Some(&error.response),
            _ => None,
        };
        let state = self.state();
        to_json(&JsonError {
            error: self.code().name(),
            exit_code: self.code() as u8,
            problem: check.map(|error| error.problem),
            message: self.message(),
            hint: self.hint(options),
            connector_may_exist: state.may_exist(),
            connector_id: state.connector_id(),
            warning: error.and_then(Error::warning),
            status: response.map(|r| r.status).or(malformed.map(|r| r.status)),
            code: response.and_then(|r| r.code.as_deref()),
            details: response.map(|r| &r.details).filter(|details| !details.is_empty()),
            request_id: response
                .and_then(|r| r.request_id.as_deref())
                .or(malformed.and_then(|r| r.request_id.as_deref())),
            attempts: error.map(|error| error.attempts().count),
            elapsed_seconds: error.map(|error| error.attempts().elapsed.as_secs_f64()),
        })
    }
}

/// An error with `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonError<'a> {
    error: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<CheckProblem>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    connector_may_exist: bool,
    connector_id: Option<ConnectorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Warning>,
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
