use std::io;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    ChannelId, ConnectorId, ConnectorState, Error, SmsChannel, SmsConnectorRequest, Warning,
};

/// A write-ahead log of a batch, such as a file or a table of a database. If the process is killed at any moment,
/// another process can resume from the journal.
///
/// Each entry is appended before the next step is taken. When the future of [`append`](Self::append) completes, the
/// entry must survive a crash. If the future fails, the install ends with [`Error::Journal`]; before the POST this
/// means that nothing is sent.
///
/// To resume, fold the entries of each phone number with [`RowState::apply`](super::RowState::apply), in the order in
/// which they were appended, and hand the row to the batch with [`BatchItem::resume`](super::BatchItem::resume). A
/// [`JournalState`](super::JournalState) folds all rows.
///
/// ```
/// use std::sync::Mutex;
/// use bird_sms::{Journal, JournalEntry, JournalFuture, JournalState, SmsConnectorRequest};
///
/// /// A journal in memory, for tests.
/// #[derive(Default)]
/// struct Memory(Mutex<JournalState>);
///
/// impl Journal for Memory {
///     fn append<'a>(&'a self, request: &'a SmsConnectorRequest, entry: JournalEntry) -> JournalFuture<'a> {
///         self.0.lock().unwrap().apply(request.phone_number_id(), &entry, None);
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait Journal: Send + Sync {
    /// Stores an entry for a request. Entries of different requests are appended concurrently.
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a>;
}

impl<J: Journal + ?Sized> Journal for Arc<J> {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        J::append(self, request, entry)
    }
}

/// The future of [`Journal::append`]: completes when the entry is stored.
pub type JournalFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// A step of an install. Serializes as a JSON object with the field `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are ids and messages")]
pub enum JournalEntry {
    /// The POST is about to be sent. From here on a connector may exist.
    Intent { name: String },
    /// The connector exists.
    Created {
        connector_id: ConnectorId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<Warning>,
    },
    /// An operator named the connector of a row whose outcome was unknown.
    Adopted { connector_id: ConnectorId },
    /// The channel is ready.
    Ready {
        connector_id: ConnectorId,
        channel_id: ChannelId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<Warning>,
    },
    /// The connector exists, and its channel is not ready.
    NotReady { connector_id: ConnectorId, message: String },
    /// The request was refused: this attempt created no connector.
    Refused { message: String },
    /// Bird was not reached: this attempt created no connector.
    Unreachable { message: String },
    /// A connector may exist.
    Unknown { message: String },
    /// A connector exists, and its id is not known.
    Exists { message: String },
}

impl JournalEntry {
    /// Creates the last entry of an install.
    pub(crate) fn ended(result: &Result<SmsChannel, Error>) -> Self {
        let error = match result {
            Ok(channel) => {
                let SmsChannel { connector_id, id, warning, .. } = *channel;
                return Self::Ready { connector_id, channel_id: id, warning };
            }
            Err(error) => error,
        };
        let message = error.chain();
        match error.connector_state() {
            ConnectorState::Exists(connector_id) => Self::NotReady { connector_id, message },
            ConnectorState::ExistsIdUnknown => Self::Exists { message },
            ConnectorState::Unknown => Self::Unknown { message },
            ConnectorState::NotCreated if matches!(error, Error::Unreachable(_)) => {
                Self::Unreachable { message }
            }
            ConnectorState::NotCreated => Self::Refused { message },
        }
    }
}
