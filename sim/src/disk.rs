//! The journal: a file of JSON lines on a disk that fills up, and loses what was not synced when the process is killed.

use std::io;
use std::time::Duration;

use bird_sms::jiff::Timestamp;
use bird_sms::uuid::Uuid;
use bird_sms::{Journal, JournalEntry, JournalFuture, JournalState, SmsConnectorRequest};
use serde_json::json;

use crate::clock;
use crate::server::{number_of, row_of};
use crate::world::{KEY, Shared, World, hold};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    file: Vec<u8>,
    /// The length of the part that survives a crash.
    synced: usize,
    /// Whether a write failed in this life. Nothing more is written then.
    failed: bool,
}

impl Disk {
    /// Writes a line, or the part for which the disk has room.
    fn write(&mut self, line: &[u8], room: Option<usize>) -> io::Result<usize> {
        let room = room.map_or(line.len(), |size| size.saturating_sub(self.file.len()));
        if !self.failed {
            self.file.extend_from_slice(&line[..room.min(line.len())]);
            self.failed = room < line.len();
        }
        if self.failed {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        Ok(self.file.len())
    }
}

impl World {
    /// Loses what was not synced, or keeps it, or a part of it.
    pub(crate) fn crash_disk(&mut self) {
        let unsynced = self.disk.file.len() - self.disk.synced;
        let kept = match self.rng.u8(..3) {
            0 => 0,
            1 => unsynced,
            _ => self.rng.usize(..=unsynced),
        };
        self.disk.file.truncate(self.disk.synced + kept);
    }

    /// Reads the journal, without a line that was torn.
    pub(crate) fn open_journal(&mut self) -> JournalState {
        let mut journal = JournalState::default();
        let end = self.disk.file.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.disk.file.truncate(end);
        (self.disk.synced, self.disk.failed) = (end, false);
        for line in self.disk.file.split_inclusive(|byte| *byte == b'\n') {
            let mut line: serde_json::Value =
                serde_json::from_slice(line).expect("a whole line is JSON");
            let number: Uuid = serde_json::from_value(line["number"].take()).expect("a number");
            let at: Timestamp = serde_json::from_value(line["at"].take()).expect("a time");
            let entry = serde_json::from_value(line["entry"].take()).expect("an entry");
            journal.apply(number.into(), &entry, Some(at));
        }
        for row in 0..self.rows.len() {
            let state = journal.row(number_of(row));
            hold!(self, knowledge_only_grows(row, &self.rows[row].promised, &state));
            hold!(self, state_is_true(row, state.connector_state(), state.channel_id()));
            hold!(self, what_is_on_disk_is_final(row, &state));
            (self.rows[row].promised, self.rows[row].resumed) = (state, state);
        }
        journal
    }

    /// Takes an entry that is on disk.
    fn keep(&mut self, row: usize, entry: &JournalEntry, at: Timestamp, end: usize) {
        self.disk.synced = self.disk.synced.max(end);
        let now = clock::now();
        let book = &mut self.rows[row];
        match *entry {
            JournalEntry::Intent { .. } => {
                (book.intent, book.not_before) = (Some(now), Duration::ZERO);
            }
            JournalEntry::Created { connector_id, .. }
            | JournalEntry::NotReady { connector_id, .. } => {
                book.named = Some((connector_id, None));
            }
            JournalEntry::Ready { connector_id, channel_id, .. } => {
                book.named = Some((connector_id, Some(channel_id)));
            }
            _ => {}
        }
        let before = self.rows[row].promised;
        let mut state = before;
        state.apply(entry, Some(at));
        self.rows[row].promised = state;
        hold!(self, knowledge_only_grows(row, &before, &state));
        hold!(self, state_is_true(row, state.connector_state(), state.channel_id()));
        hold!(self, what_is_on_disk_is_final(row, &state));
        self.note(|_| format!("row {row}: on disk: {entry:?}"));
    }
}

/// The journal of one life of the process.
pub(crate) struct SimJournal(pub(crate) Shared);

impl SimJournal {
    pub(crate) async fn store(&self, row: usize, entry: JournalEntry) -> io::Result<()> {
        self.0.step().await;
        let at = Timestamp::try_from(clock::system_time()).expect("a time of this century");
        let line = json!({ "at": at, "number": number_of(row), "entry": entry }).to_string() + "\n";
        let (end, sync) = {
            let world = &mut *self.0.lock();
            hold!(world, the_key_is_not_shown("the journal", &line));
            let end = world.disk.write(line.as_bytes(), world.plan.disk);
            let longest = u64::try_from(world.scenario.sync.as_millis()).unwrap_or(u64::MAX);
            (end, Duration::from_millis(world.rng.u64(..=longest)))
        };
        if let Err(error) = &end {
            self.0.lock().note(|_| format!("row {row}: not written: {entry:?}: {error}"));
        }
        let end = end?;
        self.0.step().await;
        tokio::time::sleep(sync).await;
        self.0.step().await;
        self.0.lock().keep(row, &entry, at, end);
        self.0.step().await;
        Ok(())
    }
}

impl Journal for SimJournal {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        debug_assert!(!request.name().contains(KEY));
        Box::pin(self.store(row_of(request.phone_number_id()), entry))
    }
}
