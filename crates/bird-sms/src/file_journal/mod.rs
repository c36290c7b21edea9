use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bird_sms::{
    ConnectorId, Journal, JournalEntry, JournalFuture, PhoneNumberId, SmsConnectorRequest,
    WorkspaceId,
};
use same_file::Handle;
use tokio::sync::oneshot;

use super::line::{EntryLine, Header, VERSION, encode};
use super::{JournalContent, JournalFileError};
use crate::regular_file::open_regular_file;

/// A journal file that only this process writes.
#[derive(Debug)]
pub(in crate::batch) struct JournalFile {
    lines: mpsc::Sender<Pending>,
    version: u32,
    /// Holds the lock of the workspace.
    _lock: Option<File>,
}

/// A line, and the future that waits until it is on disk.
#[derive(Debug)]
struct Pending {
    line: Vec<u8>,
    stored: oneshot::Sender<io::Result<()>>,
}

impl JournalFile {
    /// Opens or creates a journal for this workspace, and locks it until it is dropped. Also locks the workspace if
    /// `lock_workspace` is set.
    pub(in crate::batch) fn open(
        path: &Path,
        workspace_id: WorkspaceId,
        lock_workspace: bool,
    ) -> Result<(Self, JournalContent), JournalFileError> {
        let failed = |error| JournalFileError::Io(path.to_owned(), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = open_regular_file(path, &options).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalFileError::InUse(path.to_owned()),
            TryLockError::Error(error) => failed(error),
        })?;
        let lock = lock_workspace.then(|| lock_folder(path, workspace_id)).transpose()?;
        let content = JournalContent::of(&file, path, Some(workspace_id))?;
        let path_of_file = Handle::from_path(path).map_err(failed)?;
        // The rest of a line that a crash tore off is removed. No step followed it.
        file.set_len(content.end).map_err(failed)?;
        file.seek(SeekFrom::Start(content.end)).map_err(failed)?;
        let version = if content.version == 0 { VERSION } else { content.version };
        if content.end == 0 {
            file.write_all(&encode(&Header::new(workspace_id), version))
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
            sync_folder(path).map_err(failed)?;
        } else if content.unterminated {
            file.write_all(b"\n").map_err(failed)?;
        }
        let (lines, pending) = mpsc::channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn({
                let target = Target { file, handle: path_of_file, path: path.to_owned() };
                move || target.write_lines(&pending)
            })
            .map_err(failed)?;
        Ok((Self { lines, version, _lock: lock }, content))
    }

    /// Appends that an operator named the connector of a row.
    pub(in crate::batch) async fn adopt(
        &self,
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    ) -> io::Result<()> {
        let entry = JournalEntry::Adopted { connector_id };
        self.store(encode(&EntryLine::new(phone_number_id, entry), self.version)).await
    }

    /// Waits until all entries that were appended are on disk. Returns whether they are, by the timeout.
    pub(in crate::batch) async fn drain(&self, timeout: Duration) -> bool {
        // Lines are stored in order, so that an empty one is stored after all others.
        let drained = tokio::time::timeout(timeout, self.store(Vec::new())).await;
        matches!(drained, Ok(Ok(())))
    }

    async fn store(&self, line: Vec<u8>) -> io::Result<()> {
        let gone = || io::Error::other("the thread that writes the journal ended");
        let (stored, wait) = oneshot::channel();
        self.lines.send(Pending { line, stored }).map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

impl Journal for JournalFile {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        let line = EntryLine::new(request.phone_number_id(), entry);
        Box::pin(self.store(encode(&line, self.version)))
    }
}

/// Locks the workspace for the journals in this folder. Without the lock, another run could start a new journal after
/// the journal in use was moved, and would create every connector again.
fn lock_folder(journal: &Path, workspace_id: WorkspaceId) -> Result<File, JournalFileError> {
    let path = journal.with_file_name(format!(".bird-sms-{workspace_id}.lock"));
    let failed = |error| JournalFileError::Io(path.clone(), error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = open_regular_file(&path, &options).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalFileError::WorkspaceInUse(workspace_id)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The file to which lines are written.
struct Target {
    file: File,
    handle: Handle,
    path: PathBuf,
}

impl Target {
    /// Writes lines as they come, with one sync for all lines that came during the sync before.
    fn write_lines(mut self, pending: &mpsc::Receiver<Pending>) {
        let mut failed: Option<(ErrorKind, String)> = None;
        while let Ok(first) = pending.recv() {
            let together: Vec<_> = std::iter::once(first).chain(pending.try_iter()).collect();
            if failed.is_none() {
                // After a failure the end of the file is not known, so that nothing more is written to it.
                failed = self.write(&together).err().map(|error| (error.kind(), error.to_string()));
            }
            for Pending { stored, .. } in together {
                let result = match &failed {
                    None => Ok(()),
                    Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
                };
                // The install may have been dropped in the meantime.
                let _ = stored.send(result);
            }
        }
    }

    fn write(&mut self, pending: &[Pending]) -> io::Result<()> {
        if Handle::from_path(&self.path).ok().as_ref() != Some(&self.handle) {
            let path = self.path.display();
            return Err(io::Error::other(format!("{path} was moved or replaced while in use")));
        }
        let lines: Vec<u8> =
            pending.iter().flat_map(|pending| pending.line.iter().copied()).collect();
        self.file.write_all(&lines)?;
        self.file.sync_data()
    }
}

/// Syncs the folder of a new file, without which the file may be gone after a crash.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
