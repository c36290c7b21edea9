//! The journal of one life of the process, on the simulated disk.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bird_sms::jiff::Timestamp;
use bird_sms::{FileJournal, Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId};
use fastrand::Rng;

use crate::clock;
use crate::disk::{Disk, DiskFile, DiskOwner};
use crate::server::{number_of, row_of, workspace_id};
use crate::world::{Shared, World, hold};

/// The process may be killed before or after each disk operation.
impl DiskOwner for Shared {
    fn change<T>(
        &self,
        operation: impl FnOnce(&mut Disk, &mut Rng) -> io::Result<T>,
    ) -> io::Result<T> {
        let world = &mut *self.lock();
        let dead = || io::Error::other("the process is dead");
        if !world.step() {
            return Err(dead());
        }
        let result = operation(&mut world.disk, &mut world.rng);
        if world.step() { result } else { Err(dead()) }
    }

    fn read<T>(&self, read: impl FnOnce(&Disk) -> T) -> T {
        read(&self.lock().disk)
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(clock::system_time()).expect("the time is in this century")
    }
}

impl World {
    fn sync_time(&mut self) -> Duration {
        let longest = u64::try_from(self.scenario.sync.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.rng.u64(..=longest))
    }

    /// Checks the state that the process loads from the journal.
    fn resume(&mut self, rows: Range<usize>, journal: &JournalState) {
        for row in rows {
            let state = journal.row(number_of(row));
            hold!(self, knowledge_only_grows(row, &self.rows[row].promised, &state));
            hold!(self, state_is_true(row, state.connector_state(), state.channel_id()));
            hold!(self, what_is_on_disk_is_final(row, &state));
            self.rows[row].promised = state;
            self.rows[row].resumed = state;
        }
    }

    /// Checks an entry that was appended successfully. From now on, a crash must not lose it.
    fn promise(&mut self, row: usize, entry: &JournalEntry) {
        let now = clock::now();
        let book = &mut self.rows[row];
        match *entry {
            JournalEntry::Intent { .. } => {
                book.intent = Some(now);
                book.not_before = Duration::ZERO;
                // The deadline of the install starts now. A lookup before the intent had a separate deadline.
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

/// A journal that checks each state that is loaded and each entry that is written.
pub(crate) struct SimJournal {
    world: Shared,
    file: Arc<FileJournal>,
    /// The rows that use this journal.
    pub(crate) rows: Range<usize>,
}

impl SimJournal {
    /// Opens the journal and starts the task that writes to it. Returns `None` if the disk is full.
    pub(crate) fn open(world: &Shared) -> Option<Self> {
        let file = DiskFile::open(world.clone());
        let path = Path::new("journal.jsonl");
        let opened = FileJournal::with_storage(file, path, workspace_id(), "https://x");
        let mut locked = world.lock();
        hold!(locked, a_journal_can_be_opened(opened.as_ref().map(drop)));
        let (file, write) = opened.ok()?;
        drop(locked);
        let world = world.clone();
        let slow = world.clone();
        tokio::spawn(async move {
            let mut write = pin!(write);
            let mut sync = None;
            // Entries that are appended during a sync are written together afterwards.
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

    /// Returns a journal for one row that shares this file.
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
