use std::{fmt, io};

use super::Error;
use crate::{ConnectorState, SmsChannel, Warning};

/// The details of [`Error::Journal`].
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// What is known about the connector.
    pub state: ConnectorState,
    /// Set when an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    /// The result of the install, if the entry that could not be written is that of the result.
    pub ended: Option<Result<SmsChannel, Error>>,
    /// The error of the journal.
    pub source: io::Error,
}

impl JournalError {
    pub(super) fn help(&self) -> &'static str {
        match self.state {
            ConnectorState::NotCreated => {
                "Correct the cause of the journal error and run again. Nothing is lost."
            }
            ConnectorState::Exists(_) if self.ended.is_some() => {
                "Correct the cause of the journal error and run again: the journal has the id of the connector."
            }
            ConnectorState::Exists(_) => {
                "Note the id of the connector, because the journal does not have it."
            }
            ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
                "Check the Bird dashboard for the connector before you retry."
            }
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ended, self.state) {
            (Some(Ok(SmsChannel { id, connector_id, .. })), _) => {
                write!(f, "channel {id} of connector {connector_id} is ready")?;
            }
            (Some(Err(error)), _) => f.write_str(&error.chain())?,
            (None, ConnectorState::Exists(id)) => write!(f, "connector {id} exists")?,
            (None, ConnectorState::NotCreated) => f.write_str("no connector was created")?,
            (None, _) => f.write_str("a connector may exist")?,
        }
        f.write_str(", and the journal could not be written")
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
