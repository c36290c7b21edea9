use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::JournalState;
use crate::transport::lock;
use crate::{
    ChannelId, ConnectorId, ConnectorState, Error, PhoneNumberId, SmsChannel, Warning, WorkspaceId,
};

/// A write-ahead log of installs, such as a file or a database table. If the process is killed at any moment, running
/// the same installs with the same journal resumes them.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use bird_sms::{Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId};
///
/// /// A journal in memory, for tests.
/// #[derive(Default)]
/// struct Memory(Mutex<JournalState>);
///
/// impl Journal for Memory {
///     fn load(&self) -> JournalFuture<'_, JournalState> {
///         Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
///     }
///
///     fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
///         self.0.lock().unwrap().apply(phone_number_id, &entry, None);
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// let journal = Arc::new(Memory::default());
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// workspace.install_sms_channel("My SMS channel", number).journal(journal.clone()).await?;
/// // Sends nothing: the journal has the channel.
/// workspace.install_sms_channel("My SMS channel", number).journal(journal).await?;
/// # assert_eq!(sandbox.post_count(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Entries
///
/// Each entry is appended before the next step is taken. A row is the install of one phone number. Its entries come in
/// the order below. A run may end after any of them, and the next run continues from there:
///
/// ```text
/// row     = { attempt }, [ ( Created | Found | Adopted ), wait ]
/// attempt = Intent, [ Refused | Unreachable | Unknown | Exists ]
/// wait    = { NotReady | Adopted }, [ Ready ]
/// ```
///
/// - If the last entry is `Intent` or `Unknown`, a connector may exist. Another attempt follows only with
///   [`UnknownRows::Retry`](super::UnknownRows::Retry). After `Exists`, no attempt ever follows.
/// - `Created` follows the `Intent` of its attempt. `Found` follows an attempt whose outcome is unknown, in the same
///   run or a later one.
/// - Nothing follows `Ready`.
/// - `Adopted` is appended by [`Workspace::adopt`](crate::Workspace::adopt), after it has checked the connector.
///
/// [`RowState::apply`](super::RowState::apply) defines what an entry means.
///
/// # One writer at a time
///
/// A journal serves one batch at a time. While a batch runs, an adoption or another batch with the same `Arc` fails
/// with [`ResourceBusy`](ErrorKind::ResourceBusy). A store that several processes share must ensure this itself, for
/// example with a lock, as `FileJournal` does. Installs that run at the same time each need their own journal. Each may
/// be a view of a shared table: the rows for one phone number. Two installs of one number at the same time may create
/// two connectors, whatever their journals are.
pub trait Journal: Send + Sync {
    /// Returns the workspace that the journal belongs to, if it knows. Installs in another workspace fail with
    /// [`Error::Journal`] and send nothing. Default: `None`, which allows every workspace.
    fn workspace_id(&self) -> Option<WorkspaceId> {
        None
    }

    /// Returns the state of every row, including what this process appended.
    fn load(&self) -> JournalFuture<'_, JournalState>;

    /// Appends an entry for a phone number. When the future completes, the entry must survive a crash. If it fails, the
    /// install ends with [`Error::Journal`]. If the POST was not sent yet, it is not sent.
    ///
    /// Entries of different phone numbers are appended concurrently. If the future is dropped, the entry may or may not
    /// be stored.
    fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_>;
}

/// The future that [`Journal::load`] and [`Journal::append`] return.
pub type JournalFuture<'a, T = ()> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The addresses of the journals in use.
static IN_USE: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Marks a journal as in use by one batch or adoption, until this is dropped.
pub(super) struct InUse(usize);

impl InUse {
    pub(super) fn begin(journal: &dyn Journal, workspace_id: WorkspaceId) -> io::Result<Self> {
        if let Some(other) = journal.workspace_id().filter(|id| *id != workspace_id) {
            let message = format!("the journal belongs to another workspace, {other}");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let address = std::ptr::from_ref(journal).addr();
        if lock(&IN_USE).insert(address) {
            Ok(Self(address))
        } else {
            Err(io::Error::new(ErrorKind::ResourceBusy, "the journal is in use by another batch"))
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        lock(&IN_USE).remove(&self.0);
    }
}

/// Marks a journal as in use, and reads it.
pub(super) async fn load(
    journal: Arc<dyn Journal>,
    workspace_id: WorkspaceId,
) -> io::Result<(InUse, JournalState)> {
    let in_use = InUse::begin(&*journal, workspace_id)?;
    let state = journal.load().await?;
    Ok((in_use, state))
}

/// A step of an install, as a [`Journal`] stores it.
///
/// ```
/// use bird_sms::JournalEntry;
///
/// let entry = JournalEntry::Intent { name: "My SMS channel".to_owned() };
/// let json = serde_json::to_string(&entry)?;
/// assert_eq!(json, r#"{"event":"intent","name":"My SMS channel"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are ids and messages")]
pub enum JournalEntry {
    /// The POST is about to be sent. From here on a connector may exist.
    Intent { name: String },
    /// Bird created the connector.
    Created {
        connector_id: ConnectorId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<Warning>,
    },
    /// A lookup found the connector of an attempt whose outcome was unknown.
    Found {
        connector_id: ConnectorId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<Warning>,
    },
    /// A person named the connector, with [`Workspace::adopt`](crate::Workspace::adopt).
    Adopted { connector_id: ConnectorId },
    /// The channel is ready.
    Ready {
        connector_id: ConnectorId,
        channel_id: ChannelId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<Warning>,
    },
    /// The connector exists, but its channel is not ready.
    NotReady { connector_id: ConnectorId, message: String },
    /// The request was refused: this attempt created no connector.
    Refused { message: String },
    /// Bird was not reached: this attempt created no connector.
    Unreachable { message: String },
    /// The outcome of the attempt is unknown: a connector may exist.
    Unknown { message: String },
    /// A connector exists, but its id is not known.
    Exists { message: String },
}

impl JournalEntry {
    /// Returns the entry for the result of an install.
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
