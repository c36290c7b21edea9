use std::{fmt, io};

use super::Error;
use crate::{ConnectorState, SmsChannel};

/// See [`Error::Journal`].
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// What exists.
    pub state: ConnectorState,
    /// How the install ended, when its end is what could not be written.
    pub ended: Option<Result<SmsChannel, Error>>,
    /// The error of the journal.
    pub source: io::Error,
}

impl JournalError {
    pub(super) fn help(&self) -> &'static str {
        match self.state {
            ConnectorState::NotCreated => "Correct the journal and run again: nothing is lost.",
            ConnectorState::Exists(_) => {
                "Note the id of the connector: the journal does not have it."
            }
            ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
                "Look for the connector in the Bird dashboard before you try again."
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
