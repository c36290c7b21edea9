//! Tests that the conformance kit for `Journal` detects stores that break a promise.

use std::collections::HashMap;
use std::io;
use std::sync::MutexGuard;

use super::*;
use crate::test_util::{JournalStore, JournalViolation, check_journal};
use crate::{Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId};

type Entries = Vec<(PhoneNumberId, JournalEntry)>;

/// A bug that makes a store break a promise of `Journal`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    LosesTheLastEntryInACrash,
    ReordersARow,
    SwallowsErrors,
    MixesRows,
    MixesWorkspaces,
    ForgetsTheWarning,
    CutsTheMessage,
    AppendsTwice,
    LoadsWithoutTheLastEntry,
}

/// A store in memory that may have a bug. It loses entries in a crash only if that is its bug.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<TableContent>>);

#[derive(Default)]
struct TableContent {
    bug: Option<Bug>,
    durable: HashMap<WorkspaceId, Entries>,
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
            // Let other rows append first.
            tokio::task::yield_now().await;
            let table = &mut *self.0.lock();
            if table.fails {
                let swallows = table.bug == Some(Bug::SwallowsErrors);
                return if swallows { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
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
        table.fails = false;
        if table.bug == Some(Bug::LosesTheLastEntryInACrash) {
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
async fn each_bug_is_reported_as_the_promise_that_it_breaks() {
    use JournalViolation as V;

    check_table(None).await.unwrap();
    let bugs: [(Bug, IsExpected); 9] = [
        (Bug::LosesTheLastEntryInACrash, |v| matches!(v, V::Lost(_))),
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
        assert!(is_expected(&violation), "{bug:?}: {violation}");
    }
}
