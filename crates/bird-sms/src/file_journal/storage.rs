use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::FileJournalError;
use crate::WorkspaceId;

/// The file of a [`FileJournal`](super::FileJournal). A simulated disk implements this trait to lose what was not
/// synced, to write less than it was given, or to fail when it is full.
///
/// A journal reads the file once, from its start to its end, and truncates it to the end of the last whole line. From
/// then on, it only writes at the end. It writes the first line if there is none, and calls [`sync_data`] and
/// [`sync_folder`]. To store entries, it calls [`ensure_unchanged`], writes them, and calls [`sync_data`]. After one of
/// these has failed, it writes nothing more.
///
/// [`ensure_unchanged`]: Self::ensure_unchanged
/// [`sync_data`]: Self::sync_data
/// [`sync_folder`]: Self::sync_folder
pub trait JournalStorage: Read + Write + Send {
    /// Cuts the file to this length in bytes. Later writes start there.
    ///
    /// # Errors
    ///
    /// Fails as [`File::set_len`] does.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Waits until what was written survives a crash.
    ///
    /// # Errors
    ///
    /// Fails as [`File::sync_data`] does. It is then unknown what survives.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Waits until the name of a new file survives a crash.
    ///
    /// # Errors
    ///
    /// Fails as [`File::sync_all`] does.
    fn sync_folder(&mut self) -> io::Result<()>;

    /// Checks that the file has this length in bytes, and that the next run would read this file.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::InvalidData`] if something else changed, moved or replaced the file.
    fn ensure_unchanged(&self, length: u64) -> io::Result<()>;

    /// Returns the time for an entry.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A file that only this process writes.
pub(super) struct LockedFile {
    file: File,
    path: PathBuf,
    /// The path of the file without symbolic links.
    real_path: PathBuf,
    /// Holds the lock of the workspace.
    _lock: Option<File>,
}

impl LockedFile {
    /// Opens or creates a file and locks it. If a workspace is given, it is locked first.
    pub(super) fn open(
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, FileJournalError> {
        let real_path = real_path(path)
            .map_err(|source| FileJournalError::Io { path: path.to_owned(), source })?;
        // The workspace is locked first, so a run that must wait for another run creates no journal. Without this lock,
        // another run could start a new journal after the journal in use was moved, and would create every connector
        // again.
        let lock = |id| {
            let path = real_path.with_file_name(format!(".bird-sms-{id}.lock"));
            open_and_lock(&path, FileJournalError::WorkspaceInUse { workspace_id: id })
        };
        let lock = workspace_id.map(lock).transpose()?;
        let file = open_and_lock(&real_path, FileJournalError::InUse { path: path.to_owned() })?;
        Ok(Self { file, path: path.to_owned(), real_path, _lock: lock })
    }

    /// Returns whether the path still names the file. Opens no file, because the process may have no file descriptors
    /// left.
    #[cfg(unix)]
    fn is_in_place(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let there = std::fs::metadata(&self.path)?;
        let here = self.file.metadata()?;
        Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> io::Result<bool> {
        use same_file::Handle;
        Ok(Handle::from_path(&self.path)? == Handle::from_file(self.file.try_clone()?)?)
    }
}

impl Read for LockedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for LockedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl JournalStorage for LockedFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length)).map(drop)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        File::open(folder_of(&self.real_path))?.sync_all()
    }

    fn ensure_unchanged(&self, length: u64) -> io::Result<()> {
        let how = match self.is_in_place() {
            Ok(true) if self.file.metadata()?.len() == length => return Ok(()),
            Ok(true) => "changed by something else",
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => "moved or replaced",
        };
        let message = format!("{} was {how} while in use", self.path.display());
        Err(io::Error::new(ErrorKind::InvalidData, message))
    }
}

/// Returns the path of a regular file without symbolic links. The file need not exist.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    ensure_regular(path)?;
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Ok(target) = path.read_link() {
                // A cycle of links is a different error, so this recursion ends.
                return real_path(&folder_of(path).join(target));
            }
            let name = path.file_name().ok_or(error)?;
            Ok(folder_of(path).canonicalize()?.join(name))
        }
        result => result,
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn open_and_lock(path: &Path, in_use: FileJournalError) -> Result<File, FileJournalError> {
    let failed = |source| FileJournalError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    // Appending never overwrites what something else wrote, not even between the check of the length and the write.
    options.read(true).write(true).append(cfg!(unix)).create(true).truncate(false);
    let file = open_regular_file(path, &options).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens a regular file with these options, which may create the file. A FIFO would block, a device has no end, and a
/// directory cannot be written.
pub(super) fn open_regular_file(path: &Path, options: &OpenOptions) -> io::Result<File> {
    // Checked before opening, because opening a FIFO blocks, and after, because the path may have changed.
    ensure_regular(path)?;
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Fails if the path exists but is not a regular file.
fn ensure_regular(path: &Path) -> io::Result<()> {
    if path.exists() && !path.is_file() { Err(not_regular()) } else { Ok(()) }
}

fn not_regular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")
}
