//! The disk with the journal: it fills up, writes less than it was given, and loses what was not synced when the process
//! is killed.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bird_sms::jiff::Timestamp;
use bird_sms::{
    FileJournal, Journal, JournalEntry, JournalFuture, JournalState, JournalStorage, PhoneNumberId,
};

use crate::clock;
use crate::server::{number_of, row_of, workspace_id};
use crate::world::{Shared, World, hold};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    file: Vec<u8>,
    /// The length of the part that survives a crash.
    synced: usize,
    /// Whether the name of the file survives a crash.
    named: bool,
}

impl World {
    /// Loses what was not synced, or keeps it or a part of it, with or without zeros in place of the rest.
    pub(crate) fn crash_disk(&mut self) {
        let Disk { file, synced, named } = &mut self.disk;
        let length = file.len();
        let kept = match self.rng.u8(..3) {
            0 => *synced,
            1 => length,
            _ => self.rng.usize(*synced..=length),
        };
        file.truncate(kept);
        if self.rng.u8(..8) == 0 {
            file.resize(length, 0);
        }
        if !*named && self.rng.bool() {
            file.clear();
        }
        (*synced, *named) = (file.len(), !file.is_empty());
    }

    fn sync_time(&mut self) -> Duration {
        let longest = u64::try_from(self.scenario.sync.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.rng.u64(..=longest))
    }

    /// Takes what the process read from the journal.
    fn resume(&mut self, rows: Range<usize>, journal: &JournalState) {
        for row in rows {
            let state = journal.row(number_of(row));
            hold!(self, knowledge_only_grows(row, &self.rows[row].promised, &state));
            hold!(self, state_is_true(row, state.connector_state(), state.channel_id()));
            hold!(self, what_is_on_disk_is_final(row, &state));
            (self.rows[row].promised, self.rows[row].resumed) = (state, state);
        }
    }

    /// Takes an entry that the journal promised to keep.
    fn promise(&mut self, row: usize, entry: &JournalEntry) {
        let now = clock::now();
        let book = &mut self.rows[row];
        match *entry {
            JournalEntry::Intent { .. } => {
                (book.intent, book.not_before) = (Some(now), Duration::ZERO);
                // The deadline of a look before does not count.
                book.began = None;
                book.posts_before_intent = book.posts.len();
            }
            JournalEntry::Created { connector_id, .. }
            | JournalEntry::Found { connector_id, .. }
            | JournalEntry::NotReady { connector_id, .. } => {
                book.named = Some((connector_id, None));
            }
            JournalEntry::Ready { connector_id, channel_id, .. } => {
                book.named = Some((connector_id, Some(channel_id)));
            }
            _ => {}
        }
        let before = book.promised;
        book.promised.apply(entry, None);
        let state = book.promised;
        hold!(self, knowledge_only_grows(row, &before, &state));
        hold!(self, state_is_true(row, state.connector_state(), state.channel_id()));
        hold!(self, what_is_on_disk_is_final(row, &state));
        self.note(|_| format!("row {row}: on disk: {entry:?}"));
    }
}

/// The file of the journal, as one life of the process has it open.
struct SimFile {
    world: Shared,
    position: usize,
}

impl SimFile {
    /// Takes a step of the process, and then another one after what is done to the disk.
    fn act<T>(&self, act: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let world = &mut *self.world.lock();
        let dead = || io::Error::other("the process is dead");
        if !world.step() {
            return Err(dead());
        }
        let result = act(world);
        if world.step() { result } else { Err(dead()) }
    }
}

impl Read for SimFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.world.lock().disk.file[self.position..]).read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.act(|world| {
            let room = world.plan.disk.unwrap_or(usize::MAX).saturating_sub(world.disk.file.len());
            let all = world.calm || world.rng.u8(..8) > 0;
            let written = if all { bytes.len() } else { world.rng.usize(1..=bytes.len()) };
            let written = written.min(room);
            world.disk.file.extend_from_slice(&bytes[..written]);
            hold!(world, the_key_is_not_shown("the journal", &String::from_utf8_lossy(bytes)));
            if written == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(written) }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl JournalStorage for SimFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.act(|world| {
            world.disk.file.truncate(length);
            world.disk.synced = world.disk.synced.min(length);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.act(|world| {
            world.disk.synced = world.disk.file.len();
            Ok(())
        })
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.act(|world| {
            world.disk.named = true;
            Ok(())
        })
    }

    fn ensure_unchanged(&self, length: u64) -> io::Result<()> {
        let found = self.world.lock().disk.file.len() as u64;
        if found == length { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(clock::system_time()).expect("a time of this century")
    }
}

/// The journal of one life of the process.
pub(crate) struct SimJournal {
    world: Shared,
    file: Arc<FileJournal>,
    /// The rows of a batch.
    pub(crate) rows: Range<usize>,
}

impl SimJournal {
    /// Opens the journal, and starts the task that writes it. Fails if the disk is full.
    pub(crate) fn open(world: &Shared) -> Option<Self> {
        let file = SimFile { world: world.clone(), position: 0 };
        let path = Path::new("journal.jsonl");
        let opened = FileJournal::with_storage(file, path, workspace_id(), "https://x");
        let mut locked = world.lock();
        hold!(locked, a_journal_can_be_opened(opened.as_ref().map(drop)));
        let (file, write) = opened.ok()?;
        drop(locked);
        let world = world.clone();
        let slow = world.clone();
        tokio::spawn(async move {
            let (mut write, mut sync) = (pin!(write), None);
            // What is appended meanwhile is written together.
            poll_fn(|cx| {
                let slow = || Box::pin(tokio::time::sleep(slow.lock().sync_time()));
                ready!(sync.get_or_insert_with(slow).as_mut().poll(cx));
                sync = None;
                write.as_mut().poll(cx)
            })
            .await;
        });
        let rows = 0..world.lock().rows.len();
        Some(Self { world, file: Arc::new(file), rows })
    }

    /// Returns the journal of one row, in the same file.
    pub(crate) fn of_row(&self, row: usize) -> Self {
        Self { world: self.world.clone(), file: Arc::clone(&self.file), rows: row..row + 1 }
    }

    async fn store(&self, row: usize, entry: JournalEntry) -> io::Result<()> {
        self.world.step().await;
        let stored = self.file.append(number_of(row), entry.clone()).await;
        self.world.step().await;
        match &stored {
            Ok(()) => self.world.lock().promise(row, &entry),
            Err(error) => {
                self.world.lock().note(|_| format!("row {row}: not written: {entry:?}: {error}"));
            }
        }
        self.world.step().await;
        stored
    }
}

impl Journal for SimJournal {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        Box::pin(async {
            let state = self.file.load().await?;
            self.world.lock().resume(self.rows.clone(), &state);
            Ok(state)
        })
    }

    fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        Box::pin(self.store(row_of(phone_number_id), entry))
    }
}
