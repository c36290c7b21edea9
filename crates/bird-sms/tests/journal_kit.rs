//! The conformance kit of `Journal`: it passes for the journal in a file, whatever operation of its disk fails, and finds
//! stores that break a promise.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use bird_sms::test_util::{JournalStore, JournalViolation, check_journal};
use bird_sms::uuid::Uuid;
use bird_sms::{
    FileJournal, Journal, JournalEntry, JournalFuture, JournalState, JournalStorage, PhoneNumberId,
    WorkspaceId,
};
use tokio::task::JoinHandle;

type Entries = Vec<(PhoneNumberId, JournalEntry)>;

/// A disk that loses what was not synced, whole or in part.
struct Disk {
    files: HashMap<WorkspaceId, Content>,
    rng: fastrand::Rng,
    /// The operations that are left until each of them fails.
    until_failure: Option<usize>,
    /// Whether a sync does nothing.
    forgets_syncs: bool,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
    has_name: bool,
}

impl Disk {
    fn operate(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.until_failure {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.until_failure = None;
        self.files.retain(|_, file| file.has_name);
        for file in self.files.values_mut() {
            let kept = self.rng.usize(file.synced..=file.bytes.len());
            file.bytes.truncate(kept);
            file.synced = kept;
        }
    }
}

struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    workspace_id: WorkspaceId,
    read: usize,
}

impl SimulatedFile {
    fn with<T>(&self, operate: impl FnOnce(&mut Disk, &mut Content) -> T) -> T {
        let disk = &mut *self.disk.lock().unwrap();
        let mut file = disk.files.remove(&self.workspace_id).unwrap_or_default();
        let result = operate(disk, &mut file);
        disk.files.insert(self.workspace_id, file);
        result
    }
}

impl Read for SimulatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.with(|_, file| (&file.bytes[self.read..]).read(buffer))?;
        self.read += read;
        Ok(read)
    }
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|disk, file| {
            let written = disk.rng.usize(0..bytes.len());
            // A write that fails may have written a part.
            file.bytes.extend_from_slice(&bytes[..written]);
            disk.operate()?;
            if disk.rng.bool() {
                return if written == 0 {
                    Err(io::ErrorKind::Interrupted.into())
                } else {
                    Ok(written)
                };
            }
            file.bytes.extend_from_slice(&bytes[written..]);
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl JournalStorage for SimulatedFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.with(|_, file| {
            file.bytes.truncate(usize::try_from(length).unwrap());
            file.synced = file.synced.min(file.bytes.len());
        });
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.with(|disk, file| {
            disk.operate()?;
            if !disk.forgets_syncs {
                file.synced = file.bytes.len();
            }
            Ok(())
        })
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.with(|disk, file| {
            file.has_name = true;
            disk.operate()
        })
    }

    fn ensure_unchanged(&self, length: u64) -> io::Result<()> {
        let found = self.with(|_, file| file.bytes.len() as u64);
        if found == length { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// The journals in files on a disk.
struct FileStore {
    disk: Arc<Mutex<Disk>>,
    writers: Vec<JoinHandle<()>>,
}

impl FileStore {
    fn new(seed: u64, forgets_syncs: bool) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let disk = Disk { files: HashMap::new(), rng, until_failure: None, forgets_syncs };
        Self { disk: Arc::new(Mutex::new(disk)), writers: Vec::new() }
    }
}

impl JournalStore for FileStore {
    type Journal = FileJournal;

    async fn open(&mut self, workspace_id: WorkspaceId) -> io::Result<Arc<FileJournal>> {
        let file = SimulatedFile { disk: Arc::clone(&self.disk), workspace_id, read: 0 };
        let path = Path::new("j.jsonl");
        let opened = FileJournal::with_storage(file, path, workspace_id, "https://x");
        let (journal, write) = opened.map_err(io::Error::other)?;
        self.writers.push(tokio::spawn(write));
        Ok(Arc::new(journal))
    }

    async fn crash(&mut self) {
        for writer in self.writers.drain(..) {
            writer.abort();
            let _ = writer.await;
        }
        self.disk.lock().unwrap().crash();
    }

    async fn entries(&mut self, workspace_id: WorkspaceId) -> io::Result<Entries> {
        let disk = self.disk.lock().unwrap();
        let Some(file) = disk.files.get(&workspace_id) else { return Ok(Entries::new()) };
        let mut entries = Entries::new();
        for line in file.bytes.split(|byte| *byte == b'\n').skip(1) {
            // The last line may be torn.
            let Ok(line) = serde_json::from_slice::<serde_json::Value>(line) else { break };
            let number = serde_json::from_value(line["phoneNumberId"].clone())?;
            entries.push((number, serde_json::from_value(line)?));
        }
        Ok(entries)
    }

    fn fail(&mut self) -> bool {
        let mut disk = self.disk.lock().unwrap();
        disk.until_failure = Some(disk.rng.usize(..8));
        true
    }
}

#[tokio::test]
async fn the_journal_in_a_file_passes_whatever_operation_fails() {
    for seed in 0..6 {
        let result = check_journal(&mut FileStore::new(seed, false), seed).await;
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

#[tokio::test]
async fn opening_a_journal_syncs_it_before_returning() {
    let (mut store, id) = (FileStore::new(1, false), Uuid::from_u128(1));
    let number = Uuid::from_u128(2).into();
    let journal = store.open(id.into()).await.unwrap();
    let entry = JournalEntry::Intent { name: "n".to_owned() };
    journal.append(number, entry).await.unwrap();
    // As if the process had ended between the write and the syncs.
    let content = |file: &mut Content| (file.synced, file.has_name) = (0, false);
    store.disk.lock().unwrap().files.values_mut().for_each(content);
    let journal = store.open(id.into()).await.unwrap();
    assert!(journal.load().await.unwrap().row(number).is_unfinished());
    store.crash().await;
    assert_eq!(store.entries(id.into()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_disk_that_forgets_syncs_is_found() {
    let violation = check_journal(&mut FileStore::new(1, true), 1).await.unwrap_err();
    assert!(matches!(violation, JournalViolation::Lost(_)), "{violation}");
}

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    AcknowledgesBeforeItIsDurable,
    LosesTheLastEntryOfACrash,
    ReordersARow,
    SwallowsErrors,
    MixesRows,
    MixesWorkspaces,
    ForgetsTheWarning,
    CutsTheMessage,
    AppendsTwice,
    LoadsWithoutTheLastEntry,
}

/// A store that survives a crash as far as its bug lets it.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<TableContent>>);

#[derive(Default)]
struct TableContent {
    bug: Option<Bug>,
    durable: HashMap<WorkspaceId, Entries>,
    /// What was acknowledged, and is made durable by the next entry.
    buffer: Option<(WorkspaceId, PhoneNumberId, JournalEntry)>,
    fails: bool,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, TableContent> {
        self.0.lock().unwrap()
    }
}

struct TableJournal(Table, WorkspaceId);

impl Journal for TableJournal {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        let table = self.0.lock();
        let mut entries = table.durable.get(&self.1).cloned().unwrap_or_default();
        if table.bug == Some(Bug::LoadsWithoutTheLastEntry) {
            entries.pop();
        }
        let mut state = JournalState::default();
        for (number, entry) in &entries {
            state.apply(*number, entry, None);
        }
        Box::pin(async { Ok(state) })
    }

    fn append(&self, mut number: PhoneNumberId, mut entry: JournalEntry) -> JournalFuture<'_> {
        Box::pin(async move {
            // The rows take turns.
            tokio::task::yield_now().await;
            let table = &mut *self.0.lock();
            if table.fails {
                let swallows = table.bug == Some(Bug::SwallowsErrors);
                return if swallows { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
            }
            if table.bug == Some(Bug::AcknowledgesBeforeItIsDurable) {
                if let Some((workspace_id, number, entry)) =
                    table.buffer.replace((self.1, number, entry))
                {
                    table.durable.entry(workspace_id).or_default().push((number, entry));
                }
                return Ok(());
            }
            let entries = table.durable.entry(self.1).or_default();
            let mut at = entries.len();
            match (table.bug, &mut entry) {
                (Some(Bug::MixesRows), JournalEntry::Created { .. }) => {
                    number = entries.first().map_or(number, |(first, _)| *first);
                }
                (Some(Bug::ReordersARow), _) if at == 20 => {
                    at = entries.iter().position(|(other, _)| *other == number).unwrap_or(at);
                }
                (Some(Bug::AppendsTwice), _) => entries.push((number, entry.clone())),
                (Some(Bug::ForgetsTheWarning), JournalEntry::Ready { warning, .. }) => {
                    *warning = None;
                }
                (Some(Bug::CutsTheMessage), JournalEntry::Unknown { message }) => {
                    *message = message.chars().take(10_000).collect();
                }
                _ => {}
            }
            entries.insert(at, (number, entry));
            Ok(())
        })
    }
}

impl JournalStore for Table {
    type Journal = TableJournal;

    async fn open(&mut self, workspace_id: WorkspaceId) -> io::Result<Arc<TableJournal>> {
        Ok(Arc::new(TableJournal(self.clone(), workspace_id)))
    }

    async fn crash(&mut self) {
        let table = &mut *self.lock();
        (table.buffer, table.fails) = (None, false);
        if table.bug == Some(Bug::LosesTheLastEntryOfACrash) {
            table.durable.values_mut().for_each(|entries| drop(entries.pop()));
        }
    }

    async fn entries(&mut self, workspace_id: WorkspaceId) -> io::Result<Entries> {
        let table = self.lock();
        if table.bug == Some(Bug::MixesWorkspaces) {
            return Ok(table.durable.values().flatten().cloned().collect());
        }
        Ok(table.durable.get(&workspace_id).cloned().unwrap_or_default())
    }

    fn fail(&mut self) -> bool {
        self.lock().fails = true;
        true
    }
}

async fn check_table(bug: Option<Bug>) -> Result<(), JournalViolation> {
    let content = TableContent { bug, ..TableContent::default() };
    check_journal(&mut Table(Arc::new(Mutex::new(content))), 1).await
}

type IsExpected = fn(&JournalViolation) -> bool;

#[tokio::test]
async fn each_faulty_store_is_found_by_the_property_that_it_breaks() {
    use JournalViolation as V;

    check_table(None).await.unwrap();
    let bugs: [(Bug, IsExpected); 10] = [
        (Bug::AcknowledgesBeforeItIsDurable, |v| matches!(v, V::Lost(_))),
        (Bug::LosesTheLastEntryOfACrash, |v| matches!(v, V::Lost(_))),
        (Bug::ReordersARow, |v| matches!(v, V::Reordered(_))),
        (Bug::SwallowsErrors, |v| matches!(v, V::ErrorSwallowed(_))),
        (Bug::MixesRows, |v| matches!(v, V::Mixed(_))),
        (Bug::MixesWorkspaces, |v| matches!(v, V::Mixed(_))),
        (Bug::ForgetsTheWarning, |v| matches!(v, V::Changed(_))),
        (Bug::CutsTheMessage, |v| matches!(v, V::Changed(_))),
        (Bug::AppendsTwice, |v| matches!(v, V::Invented(_))),
        (Bug::LoadsWithoutTheLastEntry, |v| matches!(v, V::StateDiffers(_))),
    ];
    for (bug, is_expected) in bugs {
        let violation = check_table(Some(bug)).await.expect_err(&format!("{bug:?}"));
        println!("{bug:?}: {violation}");
        assert!(is_expected(&violation), "{bug:?}: {violation}");
    }
}
