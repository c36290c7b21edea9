//! A journal in a file: JSON Lines, which are only ever appended to. The first line has the id of the workspace. `line`
//! has the format of a line, `read` folds the lines, and `storage` has the file.

mod error;
mod line;
mod read;
mod storage;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use self::error::FileJournalError;
use self::line::{EntryLine, Header, VERSION, encode};
pub use self::read::JournalContent;
use self::storage::LockedFile;
pub use self::storage::{JournalStorage, open_regular_file};
use crate::{
    Journal, JournalEntry, JournalFuture, PhoneNumberId, SmsConnectorRequest, WorkspaceId,
};

/// A [`Journal`] in a file of JSON Lines, that of `bird-sms batch`. Needs the feature `file-journal`, and with it Rust
/// 1.89.
///
/// A service installs a batch, and after a crash installs what is left of it, by the same code:
///
/// ```no_run
/// use bird_sms::{BatchItem, FileJournal, SmsConnectorRequest, Workspace};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let requests: Vec<SmsConnectorRequest> = Vec::new();
/// let workspace = Workspace::from_env()?;
/// let (journal, content) = FileJournal::open("channels.jsonl", workspace.id())?;
/// let items = requests.into_iter().map(|request| {
///     let row = content.rows.row(request.phone_number_id());
///     BatchItem::resume(request, row)
/// });
/// let mut outcomes = workspace.install_sms_channels(items).journal(journal).start();
/// while let Some(outcome) = outcomes.next().await {
///     println!("{}: {:?}", outcome.request.phone_number_id(), outcome.result);
/// }
/// # Ok(())
/// # }
/// ```
///
/// The example `batch_with_journal` runs this against a sandbox.
///
/// The entries that are appended while others are synced share the next sync. After a write or a sync that failed, the
/// end of the file is not known: every further entry fails with the same error, and [`open`](Self::open) repairs the
/// file. The journal fails, too, if its file is moved or replaced while it is open.
///
/// # Cancel safety
///
/// An entry whose future was polled and dropped is appended nevertheless.
#[derive(Debug)]
pub struct FileJournal {
    entries: mpsc::UnboundedSender<Pending>,
    /// Dropped after `entries`.
    _thread: Option<WriterThread>,
}

/// Waits, when it is dropped, until the thread that writes has closed the file, so that it can be opened again.
#[derive(Debug)]
struct WriterThread(Mutex<std::sync::mpsc::Receiver<()>>);

/// A disk that hangs must not keep the program from ending.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Ok(closed) = self.0.get_mut() {
            let _ = closed.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}

/// An entry, and the future that waits until the entry survives a crash. Without an entry, the future waits for those
/// before it.
#[derive(Debug)]
struct Pending {
    entry: Option<(PhoneNumberId, JournalEntry)>,
    stored: oneshot::Sender<io::Result<()>>,
}

impl FileJournal {
    /// Opens or creates a journal for this workspace, and returns it with what it has. Blocks while the file is read.
    ///
    /// The file is locked until the journal is dropped, and so is the workspace for other journals in the same folder,
    /// by a file `.bird-sms-WORKSPACE.lock`, which stays. The rest of a line that a crash tore off is removed, because
    /// no step followed it. A thread writes the file; dropping the journal waits until the thread has written what was
    /// appended, for at most a second.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, is locked, is not a journal of this workspace, or is damaged.
    pub fn open(
        path: impl AsRef<Path>,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, JournalContent), FileJournalError> {
        Self::start(
            LockedFile::open(path.as_ref(), Some(workspace_id))?,
            path.as_ref(),
            workspace_id,
        )
    }

    /// Opens a journal as [`open`](Self::open) does, and does not lock the workspace: for a workspace that no other
    /// process knows, such as that of a sandbox.
    ///
    /// # Errors
    ///
    /// Fails as [`open`](Self::open) does.
    pub fn open_without_workspace_lock(
        path: impl AsRef<Path>,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, JournalContent), FileJournalError> {
        Self::start(LockedFile::open(path.as_ref(), None)?, path.as_ref(), workspace_id)
    }

    fn start(
        file: LockedFile,
        path: &Path,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, JournalContent), FileJournalError> {
        let (writer, content) = Writer::open(file, path, workspace_id)?;
        let (entries, mut pending) = mpsc::unbounded_channel();
        let (close, closed) = std::sync::mpsc::channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                // Dropped after `writer`, which closes the file.
                let _close: std::sync::mpsc::Sender<()> = close;
                let mut writer = writer;
                while let Some(first) = pending.blocking_recv() {
                    writer.store(first, &mut pending);
                }
            })
            .map_err(|source| FileJournalError::Io { path: path.to_owned(), source })?;
        Ok((Self { entries, _thread: Some(WriterThread(Mutex::new(closed))) }, content))
    }

    /// Opens a journal in a storage of the caller, which errors call `path`. Nothing is locked, and no thread is
    /// started: the future that is returned writes, and no entry is stored unless it is polled, for example by a task.
    /// It ends when the journal is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the storage fails, is not a journal of this workspace, or is damaged.
    pub fn with_storage(
        storage: impl JournalStorage,
        path: impl AsRef<Path>,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, JournalContent, impl Future<Output = ()> + Send), FileJournalError> {
        let (mut writer, content) = Writer::open(storage, path.as_ref(), workspace_id)?;
        let (entries, mut pending) = mpsc::unbounded_channel();
        let write = async move {
            while let Some(first) = pending.recv().await {
                writer.store(first, &mut pending);
            }
        };
        Ok((Self { entries, _thread: None }, content, write))
    }

    /// Appends an entry for a phone number, such as [`JournalEntry::Adopted`]. When the future completes, the entry
    /// survives a crash.
    ///
    /// # Errors
    ///
    /// Fails if this or an earlier entry could not be written. The entry may be in the file nevertheless.
    pub async fn append_entry(
        &self,
        phone_number_id: PhoneNumberId,
        entry: JournalEntry,
    ) -> io::Result<()> {
        self.store(Some((phone_number_id, entry))).await
    }

    /// Waits until all entries that were appended survive a crash.
    ///
    /// # Errors
    ///
    /// Fails if one of them could not be written.
    pub async fn drain(&self) -> io::Result<()> {
        self.store(None).await
    }

    async fn store(&self, entry: Option<(PhoneNumberId, JournalEntry)>) -> io::Result<()> {
        let gone = || io::Error::other("the writer of the journal ended");
        let (stored, wait) = oneshot::channel();
        self.entries.send(Pending { entry, stored }).map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

impl Journal for FileJournal {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        Box::pin(self.append_entry(request.phone_number_id(), entry))
    }
}

/// Writes lines to the end of a journal.
struct Writer<S> {
    storage: S,
    version: u32,
    failed: Option<(ErrorKind, String)>,
}

impl<S: JournalStorage> Writer<S> {
    /// Reads a journal of this workspace, and writes its first line if there is none.
    fn open(
        mut storage: S,
        path: &Path,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, JournalContent), FileJournalError> {
        let failed = |source| FileJournalError::Io { path: path.to_owned(), source };
        let content = JournalContent::of(&mut storage, path, Some(workspace_id))?;
        storage.truncate(content.end).map_err(failed)?;
        let version = if content.version == 0 { VERSION } else { content.version };
        let start = if content.end == 0 {
            encode(&Header::new(storage.now(), workspace_id), version)
        } else if content.unterminated {
            b"\n".to_vec()
        } else {
            Vec::new()
        };
        // Everything is synced, also if nothing is written: an earlier process may have ended between a write and its
        // syncs, and what this process acts upon must not be lost.
        storage
            .write_all(&start)
            .and_then(|()| storage.sync_data())
            .and_then(|()| storage.sync_folder())
            .map_err(failed)?;
        Ok((Self { storage, version, failed: None }, content))
    }

    /// Stores an entry and those that wait behind it, with one sync.
    fn store(&mut self, first: Pending, more: &mut mpsc::UnboundedReceiver<Pending>) {
        let mut together = vec![first];
        together.extend(std::iter::from_fn(|| more.try_recv().ok()));
        if self.failed.is_none() {
            // After a failure the end of the file is not known, so that nothing more is written to it.
            self.failed =
                self.write(&together).err().map(|error| (error.kind(), error.to_string()));
        }
        for Pending { stored, .. } in together {
            let result = match &self.failed {
                None => Ok(()),
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            };
            // The install may have been dropped in the meantime.
            let _ = stored.send(result);
        }
    }

    fn write(&mut self, together: &[Pending]) -> io::Result<()> {
        self.storage.ensure_in_place()?;
        let at = self.storage.now();
        let entries = together.iter().filter_map(|pending| pending.entry.as_ref());
        let lines: Vec<u8> = entries
            .flat_map(|(number, entry)| encode(&EntryLine::new(at, *number, entry), self.version))
            .collect();
        self.storage.write_all(&lines)?;
        self.storage.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};

    use super::*;

    /// A file of which it is known how much survives a crash.
    struct Synced {
        file: Cursor<Vec<u8>>,
        length: usize,
        named: bool,
    }

    impl Read for Synced {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.file.read(buffer)
        }
    }

    impl Write for Synced {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.file.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl JournalStorage for Synced {
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.file.get_mut().truncate(usize::try_from(length).unwrap());
            self.file.set_position(length);
            Ok(())
        }

        fn sync_data(&mut self) -> io::Result<()> {
            self.length = self.file.get_ref().len();
            Ok(())
        }

        fn sync_folder(&mut self) -> io::Result<()> {
            self.named = true;
            Ok(())
        }
    }

    #[test]
    fn what_is_read_survives_a_crash_before_it_is_acted_upon() {
        let id = WorkspaceId::from(uuid::Uuid::from_u128(1));
        let empty = Synced { file: Cursor::default(), length: 0, named: false };
        let (mut writer, _) = Writer::open(empty, Path::new("j"), id).unwrap();
        let entry = JournalEntry::Intent { name: "n".to_owned() };
        let number = PhoneNumberId::from(uuid::Uuid::from_u128(2));
        let line = EntryLine::new(writer.storage.now(), number, &entry);
        // A process ended between the write and the sync.
        writer.storage.write_all(&encode(&line, VERSION)).unwrap();
        let file = Cursor::new(writer.storage.file.into_inner());
        let (writer, content) =
            Writer::open(Synced { file, length: 0, named: false }, Path::new("j"), id).unwrap();
        assert!(content.rows.row(number).is_unfinished());
        assert_eq!(writer.storage.length, writer.storage.file.get_ref().len());
        assert!(writer.storage.named);
    }
}
