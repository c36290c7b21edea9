//! A simulated disk for the journal. It can fill up, write only some of the bytes, and lose unsynced bytes in a crash.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bird_sms::JournalStorage;
use bird_sms::jiff::Timestamp;
use fastrand::Rng;

/// A disk with one file.
#[derive(Debug, Default)]
pub struct Disk {
    file: Vec<u8>,
    /// The number of bytes, from the start of the file, that survive a crash.
    synced: usize,
    /// Whether the file's name is on disk. If not, a crash may lose the whole file.
    named: bool,
    /// How many more operations succeed before the disk is full. A full disk fails them until the next crash.
    pub until_full: Option<usize>,
    /// Whether syncs report success without syncing anything.
    pub forgets_syncs: bool,
}

impl Disk {
    /// Returns the content of the file.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// Simulates a crash. It keeps all, some or none of the unsynced bytes, and may replace the lost ones with zeros.
    /// A file whose name was not synced may disappear.
    pub fn crash(&mut self, rng: &mut Rng) {
        let length = self.file.len();
        let kept = match rng.u8(..3) {
            0 => self.synced,
            1 => length,
            _ => rng.usize(self.synced..=length),
        };
        self.file.truncate(kept);
        if rng.u8(..8) == 0 {
            self.file.resize(length, 0);
        }
        if !self.named && rng.bool() {
            self.file.clear();
        }
        self.synced = self.file.len();
        self.named = !self.file.is_empty();
        self.until_full = None;
    }

    fn operate(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.until_full {
            *left = left.checked_sub(1).ok_or(ErrorKind::StorageFull)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], rng: &mut Rng) -> io::Result<usize> {
        let result = self.operate();
        let is_whole = result.is_ok() && rng.u8(..8) > 0;
        // A failed write may still have written some of the bytes.
        let written = if is_whole { bytes.len() } else { rng.usize(..=bytes.len()) };
        self.file.extend_from_slice(&bytes[..written]);
        result?;
        if written == 0 { Err(ErrorKind::Interrupted.into()) } else { Ok(written) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operate()?;
        if !self.forgets_syncs {
            self.synced = self.file.len();
        }
        Ok(())
    }

    fn sync_name(&mut self) -> io::Result<()> {
        self.operate()?;
        self.named |= !self.forgets_syncs;
        Ok(())
    }
}

/// Gives a [`DiskFile`] access to its disk.
pub trait DiskOwner: Send {
    /// Performs an operation that changes the disk.
    ///
    /// # Errors
    ///
    /// Fails if the operation fails, or if the owner prevents it.
    fn change<T>(
        &self,
        operation: impl FnOnce(&mut Disk, &mut Rng) -> io::Result<T>,
    ) -> io::Result<T>;

    /// Reads from the disk.
    fn read<T>(&self, read: impl FnOnce(&Disk) -> T) -> T;

    /// Returns the current time, for the timestamps of journal entries.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl DiskOwner for Arc<Mutex<(Disk, Rng)>> {
    fn change<T>(
        &self,
        operation: impl FnOnce(&mut Disk, &mut Rng) -> io::Result<T>,
    ) -> io::Result<T> {
        let (disk, rng) = &mut *self.lock().unwrap_or_else(PoisonError::into_inner);
        operation(disk, rng)
    }

    fn read<T>(&self, read: impl FnOnce(&Disk) -> T) -> T {
        read(&self.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// The file on a disk, opened for a journal.
#[derive(Debug)]
pub struct DiskFile<O> {
    owner: O,
    position: usize,
}

impl<O> DiskFile<O> {
    /// Opens the file on the owner's disk.
    #[must_use]
    pub fn open(owner: O) -> Self {
        Self { owner, position: 0 }
    }
}

impl<O: DiskOwner> Read for DiskFile<O> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.owner.read(|disk| (&disk.file[self.position..]).read(buffer))?;
        self.position += read;
        Ok(read)
    }
}

impl<O: DiskOwner> Write for DiskFile<O> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.owner.change(|disk, rng| disk.write(bytes, rng))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<O: DiskOwner> JournalStorage for DiskFile<O> {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.owner.change(|disk, _| {
            disk.operate()?;
            disk.file.truncate(length);
            disk.synced = disk.synced.min(length);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.owner.change(|disk, _| disk.sync())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.owner.change(|disk, _| disk.sync_name())
    }

    fn ensure_unchanged(&self, length: u64) -> io::Result<()> {
        let found = self.owner.read(|disk| disk.file.len() as u64);
        if found == length { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }

    fn now(&self) -> Timestamp {
        self.owner.now()
    }
}
