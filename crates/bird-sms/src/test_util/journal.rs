//! A conformance check for implementations of [`Journal`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    ConnectorState, Journal, JournalEntry, JournalFuture, JournalState, NextStep, PhoneNumberId,
    RowState, UnknownRows, Warning, WorkspaceId,
};

/// A journal in memory, for tests.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use std::sync::Arc;
///
/// use bird_sms::{JournalEntry, test_util::MemoryJournal};
///
/// # let number = bird_sms::uuid::Uuid::from_u128(1).into();
/// // An earlier run was killed just before it sent its POST.
/// let intent = JournalEntry::Intent { name: "My SMS channel".to_owned() };
/// let journal = Arc::new(MemoryJournal::from_iter([(number, intent)]));
/// let install = workspace.install_sms_channel("My SMS channel", number).journal(journal);
/// assert!(install.await.is_err()); // the outcome is unknown, so no other POST is sent
/// assert_eq!(sandbox.post_count(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<(Timestamp, PhoneNumberId, JournalEntry)>>);

impl MemoryJournal {
    /// Returns the entries, in the order in which they were appended.
    #[must_use]
    pub fn entries(&self) -> Vec<(PhoneNumberId, JournalEntry)> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|(_, number, entry)| (*number, entry.clone())).collect()
    }
}

/// Creates a journal with the entries of an earlier run.
impl FromIterator<(PhoneNumberId, JournalEntry)> for MemoryJournal {
    fn from_iter<I: IntoIterator<Item = (PhoneNumberId, JournalEntry)>>(entries: I) -> Self {
        let now = Timestamp::now();
        let entries = entries.into_iter().map(|(number, entry)| (now, number, entry));
        Self(Mutex::new(entries.collect()))
    }
}

impl Journal for MemoryJournal {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        let mut state = JournalState::default();
        for (at, number, entry) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            state.apply(*number, entry, Some(*at));
        }
        Box::pin(async { Ok(state) })
    }

    fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push((Timestamp::now(), phone_number_id, entry));
        Box::pin(async { Ok(()) })
    }
}

/// The number of rows in each workspace.
const ROWS: usize = 8;

/// How often the process starts, appends entries and crashes.
const LIVES: u32 = 20;

/// The minimum length of the longest message, in bytes.
const LARGE: usize = 1024 * 1024;

/// The store of the journals that [`check_journal`] opens, crashes and reads.
pub trait JournalStore {
    /// The journal of one workspace.
    type Journal: Journal;

    /// Opens the journal of a workspace. The check has the journals of two workspaces open at once, but never opens one
    /// that is still open.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be used, which ends the check.
    fn open(
        &mut self,
        workspace_id: WorkspaceId,
    ) -> impl Future<Output = io::Result<Arc<Self::Journal>>>;

    /// Simulates a crash of the process: whatever is not durable may be lost, and nothing more is written. The check drops
    /// the journals and the futures of its appends first.
    fn crash(&mut self) -> impl Future<Output = ()>;

    /// Returns the entries of a workspace after a crash. The entries of each row are in the order of their appends.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be used, which ends the check.
    fn entries(
        &mut self,
        workspace_id: WorkspaceId,
    ) -> impl Future<Output = io::Result<Vec<(PhoneNumberId, JournalEntry)>>>;

    /// Makes one of the next operations fail, and every later one until the [`crash`](Self::crash), as a full disk or a lost
    /// connection would. Returns `false` if the store can't do that, which is the default.
    fn fail(&mut self) -> bool {
        false
    }
}

/// A promise that a journal broke, and the entry that shows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalViolation {
    /// An entry whose future completed did not survive a crash.
    #[error("an entry was acknowledged and then lost: {0}")]
    Lost(String),
    /// An entry was lost after the store was made to fail, but its future completed without an error.
    #[error("an entry was lost, but its append reported no error: {0}")]
    ErrorSwallowed(String),
    /// The entries of a row are not in the order in which they were appended.
    #[error("the entries of a row were reordered: {0}")]
    Reordered(String),
    /// A field of an entry is missing or differs.
    #[error("an entry was changed: {0}")]
    Changed(String),
    /// An entry is in the wrong row or workspace.
    #[error("an entry is in the wrong row or workspace: {0}")]
    Mixed(String),
    /// An entry was never appended, or is there twice.
    #[error("an entry was stored twice, or was never appended: {0}")]
    Invented(String),
    /// The loaded state differs from the state that [`RowState::apply`] derives from the entries.
    #[error("the loaded state does not match the entries: {0}")]
    StateDiffers(String),
    /// The store failed, but [`JournalStore::fail`] had not been called.
    #[error("the store failed")]
    Failed(#[source] io::Error),
}

/// Checks that a store keeps the promises of [`Journal`] despite crashes and failures, whose times depend on the seed.
///
/// ```
/// # use std::{collections::HashMap, io, sync::Arc};
/// # use bird_sms::{JournalEntry, PhoneNumberId, WorkspaceId};
/// use bird_sms::test_util::{JournalStore, MemoryJournal, check_journal};
///
/// /// A store that loses nothing, because its `crash` does nothing.
/// #[derive(Default)]
/// struct Memory(HashMap<WorkspaceId, Arc<MemoryJournal>>);
///
/// impl JournalStore for Memory {
///     type Journal = MemoryJournal;
///
///     async fn open(&mut self, workspace_id: WorkspaceId) -> io::Result<Arc<MemoryJournal>> {
///         Ok(self.0.entry(workspace_id).or_default().clone())
///     }
///
///     async fn crash(&mut self) {}
///
///     async fn entries(&mut self, workspace_id: WorkspaceId) -> io::Result<Vec<(PhoneNumberId, JournalEntry)>> {
///         Ok(self.0[&workspace_id].entries())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// check_journal(&mut Memory::default(), 1).await.unwrap();
/// # }
/// ```
///
/// The check appends entries to rows of two workspaces at the same time. Both workspaces have the same phone number ids. The
/// entries include every variant with every field, several scripts, and a message of 1 MiB. As in a batch, a row appends its
/// next entry when the last one is acknowledged. Then the process crashes in the middle. After the crash, each row must have
/// every acknowledged entry, in order, and may have one more, whose append failed or was interrupted.
///
/// The check uses random workspace ids, and appends fewer than a thousand entries. It needs a Tokio runtime only if the store
/// does.
///
/// # Errors
///
/// Fails with the first promise that was broken. The same seed repeats the check, as far as the store is deterministic.
pub async fn check_journal(
    store: &mut impl JournalStore,
    seed: u64,
) -> Result<(), JournalViolation> {
    let mut check = Check::new(seed);
    for life in 0..LIVES {
        check.live(store, life).await?;
    }
    check.open(store).await.map(drop)
}

/// Creates a violation from a description of the entry that shows it.
type MakeViolation = fn(String) -> JournalViolation;

/// A row: its workspace, and its index among the phone numbers.
type RowKey = (WorkspaceId, usize);

/// The entries that a row must have.
#[derive(Default)]
struct Row {
    stored: Vec<JournalEntry>,
    /// The entry whose append was not acknowledged. The row may have it.
    pending: Option<JournalEntry>,
    /// The number of entries that were acknowledged before the store was made to fail.
    before_failure: Option<usize>,
}

struct Check {
    rng: fastrand::Rng,
    workspaces: [WorkspaceId; 2],
    numbers: [PhoneNumberId; ROWS],
    rows: HashMap<RowKey, Row>,
    /// A counter that makes each text unique.
    tag: u32,
}

impl Check {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut id = || Uuid::from_u128(rng.u128(..));
        let workspaces = [id().into(), id().into()];
        let numbers = std::array::from_fn(|_| id().into());
        let rows =
            workspaces.iter().flat_map(|id| (0..ROWS).map(|row| ((*id, row), Row::default())));
        Self { workspaces, numbers, rows: rows.collect(), tag: 0, rng }
    }

    /// Opens the journals, appends entries, crashes the process, and compares the entries that are left.
    async fn live<S: JournalStore>(
        &mut self,
        store: &mut S,
        life: u32,
    ) -> Result<(), JournalViolation> {
        let journals = self.open(store).await?;
        let mut scripts: Vec<(RowKey, Vec<JournalEntry>)> = Vec::new();
        for workspace_id in self.workspaces {
            scripts.extend((0..ROWS).map(|row| ((workspace_id, row), self.script(life, row))));
        }
        if life == 0 {
            let message = self.text(LARGE);
            scripts[0].1.push(JournalEntry::Unknown { message });
        }
        let total: usize = scripts.iter().map(|(_, script)| script.len()).sum();
        // The first life appends every entry. Lives with odd numbers have a failure.
        let stop = if life == 0 { total } else { self.rng.usize(1..=total) };
        let failure = (life % 2 == 1).then(|| self.rng.usize(..stop));
        let mut failing = false;
        let mut ended = 0;
        let numbers = self.numbers;
        let append = async |key: RowKey, entry: JournalEntry, rest| {
            let journal = &journals[usize::from(key.0 == self.workspaces[1])];
            (key, journal.append(numbers[key.1], entry).await, rest)
        };
        let mut appends = FuturesUnordered::new();
        let mut next = scripts;
        loop {
            if failure == Some(ended) && !failing && store.fail() {
                failing = true;
                for row in self.rows.values_mut() {
                    row.before_failure = Some(row.stored.len());
                }
            }
            for (key, mut script) in next.drain(..) {
                let rest = script.split_off(1);
                let entry = script.remove(0);
                self.rows.get_mut(&key).expect("the row exists").pending = Some(entry.clone());
                appends.push(append(key, entry, rest));
            }
            let Some((key, result, rest)) = appends.next().await else { break };
            ended += 1;
            match result {
                Ok(()) => {
                    let row = self.rows.get_mut(&key).expect("the row exists");
                    row.stored.extend(row.pending.take());
                    if !rest.is_empty() {
                        next.push((key, rest));
                    }
                }
                Err(error) if !failing => return Err(JournalViolation::Failed(error)),
                Err(_) => {}
            }
            if ended == stop {
                break;
            }
        }
        drop(appends);
        if life == 0 {
            for (workspace_id, journal) in self.workspaces.into_iter().zip(&journals) {
                self.load(workspace_id, &**journal).await?;
            }
        }
        drop(journals);
        store.crash().await;
        for workspace_id in self.workspaces {
            let found = store.entries(workspace_id).await.map_err(JournalViolation::Failed)?;
            self.compare(workspace_id, &found)?;
        }
        Ok(())
    }

    /// Opens the journal of each workspace, and compares its state with the entries.
    async fn open<S: JournalStore>(
        &self,
        store: &mut S,
    ) -> Result<Vec<Arc<S::Journal>>, JournalViolation> {
        let mut journals = Vec::new();
        for workspace_id in self.workspaces {
            let journal = store.open(workspace_id).await.map_err(JournalViolation::Failed)?;
            self.load(workspace_id, &*journal).await?;
            journals.push(journal);
        }
        Ok(journals)
    }

    /// Loads a journal, and compares its state with the entries.
    async fn load(
        &self,
        workspace_id: WorkspaceId,
        journal: &impl Journal,
    ) -> Result<(), JournalViolation> {
        let state = journal.load().await.map_err(JournalViolation::Failed)?;
        for (index, number) in self.numbers.into_iter().enumerate() {
            let mut expected = RowState::default();
            for entry in &self.rows[&(workspace_id, index)].stored {
                expected.apply(entry, None);
            }
            let found = state.row(number);
            if meaning(found) != meaning(expected) {
                return Err(JournalViolation::StateDiffers(format!(
                    "{number} of workspace {workspace_id} is {found:?} instead of {expected:?}"
                )));
            }
        }
        let foreign = |(number, _)| self.index(number).is_none().then_some(number);
        match state.rows().find_map(foreign) {
            Some(number) => {
                Err(JournalViolation::Mixed(format!("{number} is not a row of {workspace_id}")))
            }
            None => Ok(()),
        }
    }

    fn index(&self, number: PhoneNumberId) -> Option<usize> {
        self.numbers.iter().position(|known| *known == number)
    }

    /// Compares the entries of a workspace after a crash with the expected entries.
    fn compare(
        &mut self,
        workspace_id: WorkspaceId,
        all: &[(PhoneNumberId, JournalEntry)],
    ) -> Result<(), JournalViolation> {
        if let Some((number, entry)) = all.iter().find(|(number, _)| self.index(*number).is_none())
        {
            let shown = Shown(*number, workspace_id, entry).to_string();
            return Err(JournalViolation::Mixed(shown));
        }
        for (index, number) in self.numbers.into_iter().enumerate() {
            let key = (workspace_id, index);
            let found = all.iter().filter(|(other, _)| *other == number);
            let found: Vec<_> = found.map(|(_, entry)| entry).collect();
            let row = &self.rows[&key];
            if let Some(violation) = self.violation(row, &found, all) {
                let (make, entry) = violation;
                return Err(make(Shown(number, workspace_id, entry).to_string()));
            }
            let stored = found.into_iter().cloned().collect();
            self.rows.insert(key, Row { stored, ..Row::default() });
        }
        Ok(())
    }

    /// Returns what is wrong with the entries of a row, and the entry that shows it.
    fn violation<'a>(
        &self,
        row: &'a Row,
        found: &[&'a JournalEntry],
        all: &[(PhoneNumberId, JournalEntry)],
    ) -> Option<(MakeViolation, &'a JournalEntry)> {
        let expected: Vec<_> = row.stored.iter().chain(&row.pending).collect();
        if *found == expected[..row.stored.len()] || *found == expected {
            return None;
        }
        let lost = row.stored.iter().enumerate().find(|(_, entry)| !found.contains(entry));
        if let Some(foreign) = found.iter().find(|entry| !expected.contains(entry)) {
            let appended =
                |row: &Row| row.stored.iter().chain(&row.pending).any(|entry| entry == *foreign);
            let variant = std::mem::discriminant(*foreign);
            return Some(if self.rows.values().any(appended) {
                (JournalViolation::Mixed as MakeViolation, foreign)
            } else if expected
                .iter()
                .any(|entry| std::mem::discriminant(*entry) == variant && !found.contains(entry))
            {
                (JournalViolation::Changed, foreign)
            } else {
                (JournalViolation::Invented, foreign)
            });
        }
        if let Some((nth, entry)) = lost {
            let swallowed = row.before_failure.is_some_and(|before| nth >= before);
            let elsewhere = all.iter().any(|(_, other)| other == entry);
            return Some(if elsewhere {
                (JournalViolation::Mixed, entry)
            } else if swallowed {
                (JournalViolation::ErrorSwallowed, entry)
            } else {
                (JournalViolation::Lost, entry)
            });
        }
        let twice = |(nth, entry): &(usize, &&JournalEntry)| found[..*nth].contains(entry);
        if let Some((_, entry)) = found.iter().enumerate().find(twice) {
            return Some((JournalViolation::Invented, entry));
        }
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        differs.map(|(entry, _)| (JournalViolation::Reordered as MakeViolation, *entry))
    }

    /// Returns the entries that a row appends in this life. In the first life, these are all entries.
    fn script(&mut self, life: u32, row: usize) -> Vec<JournalEntry> {
        let mut entries = self.all_entries();
        if life == 0 {
            entries.rotate_left(row);
        } else {
            self.rng.shuffle(&mut entries);
            entries.truncate(self.rng.usize(1..=3));
        }
        entries
    }

    /// Returns entries of all variants, with and without their optional fields.
    fn all_entries(&mut self) -> Vec<JournalEntry> {
        let warnings = [
            None,
            Some(Warning::PossibleDuplicate { status: None }),
            Some(Warning::PossibleDuplicate { status: Some(503) }),
        ];
        let mut entries = vec![
            JournalEntry::Intent { name: self.text(0) },
            JournalEntry::Adopted { connector_id: self.id() },
            JournalEntry::NotReady { connector_id: self.id(), message: self.text(300) },
            JournalEntry::Refused { message: self.text(5000) },
            JournalEntry::Unreachable { message: self.text(0) },
            JournalEntry::Unknown { message: self.text(0) },
            JournalEntry::Exists { message: self.text(0) },
        ];
        for warning in warnings {
            let connector_id = self.id();
            let channel_id = self.id();
            entries.push(JournalEntry::Created { connector_id, warning });
            entries.push(JournalEntry::Found { connector_id, warning });
            entries.push(JournalEntry::Ready { connector_id, channel_id, warning });
        }
        entries
    }

    fn id<T: From<Uuid>>(&mut self) -> T {
        Uuid::from_u128(self.rng.u128(..)).into()
    }

    /// Returns a text of at least this length, with characters that a store may have to escape.
    fn text(&mut self, length: usize) -> String {
        self.tag += 1;
        let text =
            format!("{}: \"é\" 'ß' \\ 電話 📱\t\r\n{{}}; -- %s $1 NULL\u{7f}\u{2028} ", self.tag);
        // Text that was truncated lacks this end.
        format!("{}{}", text.repeat(length / text.len() + 1), self.tag)
    }
}

/// Returns what a batch reads from a row, except for times, which a journal need not store.
fn meaning(mut row: RowState) -> impl PartialEq {
    let known = (row.connector_state(), row.channel_id(), row.warning());
    // After a refusal, the state shows whether an earlier run may have created a connector.
    row.apply(&JournalEntry::Refused { message: String::new() }, None);
    let refused: (ConnectorState, NextStep) = (row.connector_state(), row.next(UnknownRows::Retry));
    (known, refused)
}

/// Formats an entry with its row and workspace. A long entry is truncated.
struct Shown<'a>(PhoneNumberId, WorkspaceId, &'a JournalEntry);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = format!("{:?}", self.2);
        let end = entry.char_indices().nth(200).map_or(entry.len(), |(at, _)| at);
        write!(f, "{} of workspace {}: {}", self.0, self.1, &entry[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_appends_every_variant_of_an_entry() {
        let mut variants: Vec<_> = Check::new(1)
            .all_entries()
            .iter()
            .map(|entry| match entry {
                JournalEntry::Intent { .. } => 0,
                JournalEntry::Created { .. } => 1,
                JournalEntry::Adopted { .. } => 2,
                JournalEntry::Ready { .. } => 3,
                JournalEntry::NotReady { .. } => 4,
                JournalEntry::Refused { .. } => 5,
                JournalEntry::Unreachable { .. } => 6,
                JournalEntry::Unknown { .. } => 7,
                JournalEntry::Exists { .. } => 8,
                JournalEntry::Found { .. } => 9,
            })
            .collect();
        variants.sort_unstable();
        variants.dedup();
        assert_eq!(variants, (0..10).collect::<Vec<_>>());
    }
}
