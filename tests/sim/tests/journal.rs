//! Checks that `FileJournal` keeps the promises of `Journal` on a simulated disk.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bird_sim::{Disk, DiskFile};
use bird_sms::test_util::{JournalStore, JournalViolation, check_journal};
use bird_sms::{FileJournal, Journal, JournalEntry, PhoneNumberId, WorkspaceId};
use fastrand::Rng;
use tokio::task::JoinHandle;

type Entries = Vec<(PhoneNumberId, JournalEntry)>;

/// The journals of several workspaces, each on its own disk.
struct FileStore {
    disks: HashMap<WorkspaceId, Arc<Mutex<(Disk, Rng)>>>,
    writers: Vec<JoinHandle<()>>,
    forgets_syncs: bool,
    rng: Rng,
}

impl FileStore {
    fn new(seed: u64, forgets_syncs: bool) -> Self {
        let rng = Rng::with_seed(seed);
        Self { disks: HashMap::new(), writers: Vec::new(), forgets_syncs, rng }
    }
}

impl JournalStore for FileStore {
    type Journal = FileJournal;

    async fn open(&mut self, workspace_id: WorkspaceId) -> io::Result<Arc<FileJournal>> {
        let new = || Arc::new(Mutex::new((Disk::default(), self.rng.fork())));
        let disk = self.disks.entry(workspace_id).or_insert_with(new);
        disk.lock().unwrap().0.forgets_syncs = self.forgets_syncs;
        let file = DiskFile::open(Arc::clone(disk));
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
        for disk in self.disks.values() {
            let (disk, rng) = &mut *disk.lock().unwrap();
            disk.crash(rng);
        }
    }

    async fn entries(&mut self, workspace_id: WorkspaceId) -> io::Result<Entries> {
        let mut entries = Entries::new();
        let Some(disk) = self.disks.get(&workspace_id) else { return Ok(entries) };
        for line in disk.lock().unwrap().0.file().split(|byte| *byte == b'\n').skip(1) {
            // A crash may have torn the last line.
            let Ok(line) = serde_json::from_slice::<serde_json::Value>(line) else { break };
            let number = serde_json::from_value(line["phoneNumberId"].clone())?;
            entries.push((number, serde_json::from_value(line)?));
        }
        Ok(entries)
    }

    fn fail(&mut self) -> bool {
        for disk in self.disks.values() {
            let (disk, rng) = &mut *disk.lock().unwrap();
            disk.until_full = Some(rng.usize(..8));
        }
        true
    }
}

#[tokio::test]
async fn a_file_journal_keeps_its_promises_whichever_operation_fails() {
    for seed in 0..4 {
        let result = check_journal(&mut FileStore::new(seed, false), seed).await;
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

#[tokio::test]
async fn check_journal_detects_a_disk_that_forgets_syncs() {
    let violation = check_journal(&mut FileStore::new(1, true), 1).await.unwrap_err();
    assert!(matches!(violation, JournalViolation::Lost(_)), "{violation}");
}

#[tokio::test]
async fn opening_a_journal_syncs_it_before_returning() {
    for seed in 0..20 {
        // The disk ignores the syncs of the first process, as if the process had been killed before them.
        let mut store = FileStore::new(seed, true);
        let id = bird_sms::uuid::Uuid::from_u128(1).into();
        let number = bird_sms::uuid::Uuid::from_u128(2).into();
        let journal = store.open(id).await.unwrap();
        let entry = JournalEntry::Intent { name: "n".to_owned() };
        journal.append(number, entry).await.unwrap();
        store.forgets_syncs = false;
        let journal = store.open(id).await.unwrap();
        assert!(journal.load().await.unwrap().row(number).is_unfinished());
        store.crash().await;
        assert_eq!(store.entries(id).await.unwrap().len(), 1, "seed {seed}");
    }
}
