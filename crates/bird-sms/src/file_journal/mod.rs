//! A journal in an append-only file. `format` defines its lines, and `storage` handles the file and its
//! locks.

mod format;
mod storage;

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use self::format::JournalContent;
use self::format::{EntryLine, Owner, encode};
pub use self::storage::JournalStorage;
use self::storage::{LockedFile, open_regular_file};
use crate::error::chain;
use crate::transport::lock;
use crate::{
    Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId, Workspace, WorkspaceId,
};

/// A [`Journal`] in a file of JSON Lines, like the journal of `bird-sms batch`. Needs the feature `file-journal`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().provisioning_delay(std::time::Duration::ZERO).in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use std::sync::Arc;
///
/// use bird_sms::FileJournal;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("channels.jsonl");
/// # let requests = [bird_sms::SmsConnectorRequest::new("My SMS channel", bird_sms::uuid::Uuid::from_u128(1).into())];
/// let journal = Arc::new(FileJournal::open(path, &workspace)?);
/// let mut outcomes = workspace.install_sms_channels(requests).journal(journal).start();
/// while let Some(outcome) = outcomes.next().await {
///     println!("{}: {:?}", outcome.request.phone_number_id(), outcome.result);
/// }
/// # Ok(())
/// # }
/// ```
///
/// After a crash, the same code installs what is left.
///
/// Entries that are appended during a sync share the next sync. After a failed write or sync, the end of the file is
/// not known, so every further entry fails with the same error. [`open`](Self::open) repairs the file.
///
/// Nothing else may touch the file while it is open. If it was moved, replaced, truncated or extended, the next entry
/// and all after it fail with [`InvalidData`](ErrorKind::InvalidData), and nothing more is written.
/// [`drain`](Self::drain) checks this once more after the last entry.
///
/// # Cancel safety
///
/// Cancel safe: an entry whose future was polled is appended even if the future is dropped.
#[derive(Debug)]
pub struct FileJournal {
    workspace_id: WorkspaceId,
    entries: mpsc::UnboundedSender<Pending>,
    /// The state of each row, according to the entries that are stored.
    rows: Arc<Mutex<JournalState>>,
    torn_line: Option<u64>,
    /// Dropped after `entries`, because the thread ends when `entries` is dropped.
    thread: Option<WriterThread>,
}

/// When this is dropped, it waits until the thread that writes has closed the file. Then the file can be opened again.
#[derive(Debug)]
struct WriterThread(Mutex<std::sync::mpsc::Receiver<()>>);

/// How long a drop waits for the thread. A disk that hangs must not keep the program from ending.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Ok(closed) = self.0.get_mut() {
            let _ = closed.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}

/// An entry, and the future that waits until the entry survives a crash. Without an entry, the future waits for the
/// entries before it.
#[derive(Debug)]
struct Pending {
    entry: Option<(PhoneNumberId, JournalEntry)>,
    stored: oneshot::Sender<io::Result<()>>,
}

impl FileJournal {
    /// Stands in for the base URL of a sandbox that ends with its process.
    #[doc(hidden)]
    pub const SANDBOX: &str = "sandbox";

    /// Opens or creates a journal for this workspace. Blocks while the file is read.
    ///
    /// The file is locked until the journal is dropped. A second lock keeps other journals of the workspace in the same
    /// folder from being opened. It is on the file `.bird-sms-WORKSPACE.lock`, which is not removed. If the path is a
    /// symbolic link, the folder is the target's. A last line that a crash tore is removed, because no step was taken
    /// after it. A thread writes the file; dropping the journal waits at most a second for this thread.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, is locked, is damaged, or is not a journal of this workspace at the base URL
    /// of its client.
    pub fn open(path: impl AsRef<Path>, workspace: &Workspace) -> Result<Self, FileJournalError> {
        Self::open_at(path.as_ref(), workspace.id(), workspace.client().base_url())
    }

    /// Opens a journal as [`open`](Self::open) does, for the API at a base URL. If the base URL is
    /// [`SANDBOX`](Self::SANDBOX), the workspace is not locked, because it ends with the process.
    ///
    /// # Errors
    ///
    /// Fails as [`open`](Self::open) does.
    #[doc(hidden)]
    pub fn open_at(
        path: &Path,
        workspace_id: WorkspaceId,
        base_url: &str,
    ) -> Result<Self, FileJournalError> {
        let file = LockedFile::open(path, (base_url != Self::SANDBOX).then_some(workspace_id))?;
        let (mut journal, write) = Self::with_storage(file, path, workspace_id, base_url)?;
        let (close, closed) = std::sync::mpsc::channel::<()>();
        let spawn = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            thread::Builder::new().name("journal".to_owned()).spawn(move || {
                runtime.block_on(write);
                // The file was closed when `write` was dropped.
                drop(close);
            })
        };
        spawn().map_err(|source| FileJournalError::Io { path: path.to_owned(), source })?;
        journal.thread = Some(WriterThread(Mutex::new(closed)));
        Ok(journal)
    }

    /// Opens a journal in the caller's storage. Errors show `path` as its name. Nothing is locked, and no thread is
    /// started. The returned future stores the entries, so it must be polled, for example by a task. It ends when the
    /// journal is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the storage fails, is damaged, or is not a journal of this workspace at this base URL.
    #[doc(hidden)]
    pub fn with_storage<S: JournalStorage>(
        storage: S,
        path: &Path,
        workspace_id: WorkspaceId,
        base_url: &str,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<S>), FileJournalError> {
        let (mut writer, torn_line) = Writer::open(storage, path, workspace_id, base_url)?;
        let rows = Arc::clone(&writer.rows);
        let (entries, mut pending) = mpsc::unbounded_channel();
        let write = async move {
            while let Some(first) = pending.recv().await {
                writer.store(first, &mut pending);
            }
        };
        Ok((Self { workspace_id, entries, rows, torn_line, thread: None }, write))
    }

    /// Returns the number of the last line, from 1, if it was torn by a crash when the journal was opened. No step was
    /// taken after such a line.
    #[must_use]
    pub fn torn_line(&self) -> Option<u64> {
        self.torn_line
    }

    /// Waits until every entry that was appended survives a crash.
    ///
    /// # Errors
    ///
    /// Fails if an entry could not be written, or if something else changed the file.
    pub async fn drain(&self) -> io::Result<()> {
        self.store(None).await
    }

    async fn store(&self, entry: Option<(PhoneNumberId, JournalEntry)>) -> io::Result<()> {
        let gone = || io::Error::other("the journal's writer has ended");
        let (stored, wait) = oneshot::channel();
        self.entries.send(Pending { entry, stored }).map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

impl Journal for FileJournal {
    fn workspace_id(&self) -> Option<WorkspaceId> {
        Some(self.workspace_id)
    }

    fn load(&self) -> JournalFuture<'_, JournalState> {
        Box::pin(async {
            self.drain().await?;
            Ok(lock(&self.rows).clone())
        })
    }

    fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        Box::pin(self.store(Some((phone_number_id, entry))))
    }
}

/// Writes lines to the end of a journal.
struct Writer<S> {
    storage: S,
    rows: Arc<Mutex<JournalState>>,
    /// The length of the file, in bytes.
    length: u64,
    failed: Option<(ErrorKind, String)>,
}

impl<S: JournalStorage> Writer<S> {
    /// Reads a journal, and writes its first line if there is none. Returns the number of the last line if a crash tore
    /// it.
    fn open(
        mut storage: S,
        path: &Path,
        workspace_id: WorkspaceId,
        base_url: &str,
    ) -> Result<(Self, Option<u64>), FileJournalError> {
        let owner = Owner { path, workspace_id: Some(workspace_id), base_url };
        let content = JournalContent::of(&mut storage, owner)?;
        let mut start = if content.unterminated { b"\n".to_vec() } else { Vec::new() };
        if !content.has_header {
            start.extend(format::header(storage.now(), workspace_id, base_url));
        }
        // Everything is synced, even if nothing is written: an earlier process may have ended between a write and its
        // syncs, and what this process acts upon must not be lost.
        storage
            .truncate(content.end)
            .and_then(|()| storage.write_all(&start))
            .and_then(|()| storage.sync_data())
            .and_then(|()| storage.sync_folder())
            .map_err(|error| owner.failed(error))?;
        let length = content.end + start.len() as u64;
        let rows = Arc::new(Mutex::new(content.rows));
        Ok((Self { storage, rows, length, failed: None }, content.torn_line))
    }

    /// Stores an entry and all entries that wait behind it, with one sync.
    fn store(&mut self, first: Pending, more: &mut mpsc::UnboundedReceiver<Pending>) {
        let mut together = vec![first];
        together.extend(std::iter::from_fn(|| more.try_recv().ok()));
        if self.failed.is_none() {
            // After a failure, the end of the file is not known, so nothing more is written.
            self.failed =
                self.write(&together).err().map(|error| (error.kind(), error.to_string()));
        }
        for Pending { stored, .. } in together {
            let result = match &self.failed {
                None => Ok(()),
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            };
            // Sending fails if the install was dropped.
            let _ = stored.send(result);
        }
    }

    fn write(&mut self, together: &[Pending]) -> io::Result<()> {
        self.storage.ensure_unchanged(self.length)?;
        let at = self.storage.now();
        let entries = together.iter().filter_map(|pending| pending.entry.as_ref());
        let encode = |(number, entry): &(_, _)| {
            encode(&EntryLine { at, phone_number_id: *number, entry: Cow::Borrowed(entry) })
        };
        let lines: Vec<u8> = entries.flat_map(encode).collect();
        self.storage.write_all(&lines)?;
        self.length += lines.len() as u64;
        self.storage.sync_data()?;
        let mut rows = lock(&self.rows);
        for (number, entry) in together.iter().filter_map(|pending| pending.entry.as_ref()) {
            rows.apply(*number, entry, Some(at));
        }
        Ok(())
    }
}

/// Why a [`FileJournal`] can't be used. The file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are paths, ids and errors")]
pub enum FileJournalError {
    /// The file, or the lock file of its workspace, cannot be opened, read or written.
    #[error("the journal {} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Another process has the journal open.
    #[error("the journal {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// Another journal of the workspace in the same folder is open.
    #[error("another batch of workspace {workspace_id} is running with a journal in this folder")]
    WorkspaceInUse { workspace_id: WorkspaceId },
    /// The file is not a journal.
    #[error("{} is not a journal of bird-sms", path.display())]
    NotAJournal { path: PathBuf },
    /// A newer version of this crate wrote the journal.
    #[error("the journal {} has version {version}, which needs a newer bird-sms", path.display())]
    Newer { path: PathBuf, version: u32 },
    /// A line was changed, or a part of it is missing. Without the line, the journal could forget a connector.
    /// `is_header` is set for the first line.
    #[error("line {line} of the journal {} is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, line: u64, is_header: bool, problem: String },
    /// The journal belongs to another workspace.
    #[error("the journal {} is for workspace {found}, but this is workspace {expected}", path.display())]
    OtherWorkspace { path: PathBuf, found: WorkspaceId, expected: WorkspaceId },
    /// The journal belongs to another base URL.
    #[error("the journal {} is for the API at {found}, but this is the API at {expected}", path.display())]
    OtherServer { path: PathBuf, found: String, expected: String },
}

impl FileJournalError {
    /// Returns the error and its causes on one line, like anyhow's `{:#}`.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, in one or two sentences.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Correct the cause, or name another file.",
            Self::InUse { .. } | Self::WorkspaceInUse { .. } => {
                "Wait until the other batch has ended."
            }
            Self::NotAJournal { .. } => {
                "Check the name of the file. It was not changed. If it was a journal, restore it from a copy: a new \
                 journal would create every connector again."
            }
            Self::Newer { .. } => "Use a newer version of bird-sms.",
            Self::Damaged { is_header: true, .. } => {
                "Restore the file from a copy. Without a copy, start a new journal with only the phone numbers that \
                 have no connector in the Bird dashboard."
            }
            Self::Damaged { .. } => {
                "Restore the file from a copy. Without a copy, remove the line. Also remove the phone numbers that \
                 have a connector in the Bird dashboard from the rows, because the journal may have forgotten them."
            }
            Self::OtherWorkspace { .. } => {
                "Name another file; a sandbox is a new workspace each time it starts."
            }
            Self::OtherServer { .. } => {
                "Use the URL of the journal. If both URLs lead to the same workspace, a new journal would create every \
                 connector again."
            }
        }
    }
}
