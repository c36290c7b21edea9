//! The state of each row, according to the journal, and its next step.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::JournalEntry;
use crate::client::Workspace;
use crate::{ChannelId, ConnectorId, ConnectorState, PhoneNumberId, SmsChannel, Warning};

/// The state of one row, folded from its journal entries.
///
/// ```
/// use bird_sms::{JournalEntry, NextStep, RowState, UnknownRows};
///
/// let mut row = RowState::default();
/// row.apply(&JournalEntry::Intent { name: "My SMS channel".to_owned() }, None);
/// // The process was killed here. The POST may have been sent.
/// assert_eq!(row.next(UnknownRows::LeaveAlone), NextStep::LeaveAlone);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowState {
    connector: ConnectorState,
    channel_id: Option<ChannelId>,
    /// Whether a POST before the last one may have created a connector.
    earlier: bool,
    warning: Option<Warning>,
    /// Whether a person named the connector.
    pub(super) adopted: bool,
    /// When the connector was created, if its id is known; otherwise, when the first POST with an unknown outcome was
    /// sent. One field for both keeps a row small.
    since: Option<Timestamp>,
}

/// What to do with rows whose outcome is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownRows {
    /// No POST is sent, because a second one may create a second connector.
    #[default]
    LeaveAlone,
    /// Another POST is sent, unless a connector exists whose id is not known.
    Retry,
}

/// The next step of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Create the connector.
    Create,
    /// The connector exists. Wait for its channel.
    Wait(ConnectorId),
    /// Send no POST: a connector exists or may exist, but its id is not known. A lookup or a person may find it.
    LeaveAlone,
    /// The channel is ready.
    Done,
}

impl RowState {
    /// Returns a row whose connector is in this state, with nothing else known.
    pub(super) fn of(connector: ConnectorState) -> Self {
        Self { connector, ..Self::default() }
    }

    /// Returns what is known about the connector.
    #[must_use]
    pub fn connector_state(&self) -> ConnectorState {
        self.connector
    }

    /// Returns the id of the channel, if the channel is ready.
    #[must_use]
    pub fn channel_id(&self) -> Option<ChannelId> {
        self.channel_id
    }

    /// Returns the warning that another connector may exist, if there is one.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        self.warning
    }

    /// Returns when the connector was created. `None` after an adoption, or if the journal stores no times.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.connector.connector_id().is_some())
    }

    /// Returns when the first POST whose outcome is unknown was sent. `None` if the id of the connector is known, or if
    /// the journal stores no times.
    #[must_use]
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.connector.connector_id().is_none())
    }

    /// Returns whether a connector exists or may exist, but has no channel yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.connector.may_exist() && self.channel_id.is_none()
    }

    /// Returns the next step.
    #[must_use]
    pub fn next(&self, unknown: UnknownRows) -> NextStep {
        match (self.connector, self.channel_id) {
            (_, Some(_)) => NextStep::Done,
            (ConnectorState::Exists(id), None) => NextStep::Wait(id),
            (ConnectorState::ExistsIdUnknown, None) => NextStep::LeaveAlone,
            (ConnectorState::Unknown, None) if unknown == UnknownRows::LeaveAlone => {
                NextStep::LeaveAlone
            }
            (ConnectorState::Unknown | ConnectorState::NotCreated, None) => NextStep::Create,
        }
    }

    /// Applies the next entry of the row. `at` is when it was appended, or `None` if the journal stores no times. An
    /// entry that tells less about the connector than earlier entries doesn't change its state.
    pub fn apply(&mut self, entry: &JournalEntry, at: Option<Timestamp>) {
        match *entry {
            JournalEntry::Intent { .. } => {
                if self.connector == ConnectorState::Unknown {
                    self.earlier = true;
                }
                self.since = self.since.or(at);
                self.grow(ConnectorState::Unknown);
            }
            JournalEntry::Refused { .. } | JournalEntry::Unreachable { .. } => {
                // A refusal settles the last attempt, but not the attempts before it.
                if !self.earlier {
                    self.settle();
                }
            }
            JournalEntry::Unknown { .. } => self.grow(ConnectorState::Unknown),
            JournalEntry::Exists { .. } => self.grow(ConnectorState::ExistsIdUnknown),
            JournalEntry::Created { connector_id, warning }
            | JournalEntry::Found { connector_id, warning } => {
                self.grow(ConnectorState::Exists(connector_id));
                self.warning = self.warning.or(warning);
                self.since = at;
            }
            JournalEntry::Adopted { connector_id } => {
                // An adoption replaces an earlier one, which may have named a wrong connector. But a channel that is
                // ready stays ready.
                if self.channel_id.is_none() {
                    self.connector = ConnectorState::Exists(connector_id);
                    self.adopted = true;
                    self.since = None;
                }
            }
            JournalEntry::NotReady { connector_id, .. } => {
                self.grow(ConnectorState::Exists(connector_id));
            }
            JournalEntry::Ready { connector_id, channel_id, warning, .. } => {
                self.grow(ConnectorState::Exists(connector_id));
                self.channel_id = Some(channel_id);
                self.warning = self.warning.or(warning);
            }
        }
    }

    /// Returns the warning if more than one attempt may have created a connector.
    pub(super) fn repeated_warning(&self) -> Option<Warning> {
        self.earlier.then_some(Warning::PossibleDuplicate { status: None })
    }

    /// Returns whether any POST so far may have created a connector.
    pub(super) fn earlier_may_exist(&self) -> bool {
        self.earlier || self.connector == ConnectorState::Unknown
    }

    /// Records that a connector exists, but not the one whose id is known.
    pub(super) fn forget_connector(&mut self) {
        self.connector = ConnectorState::ExistsIdUnknown;
        self.since = None;
    }

    /// Records that no attempt created a connector.
    fn settle(&mut self) {
        if self.connector == ConnectorState::Unknown {
            self.connector = ConnectorState::NotCreated;
            self.since = None;
        }
    }

    /// Returns the channel, if it is ready. It has no response, because a journal stores no responses.
    pub(super) fn channel(&self, workspace: &Workspace) -> Option<SmsChannel> {
        let id = self.channel_id?;
        let connector_id = self.connector.connector_id()?;
        let channel = SmsChannel::new(
            id,
            connector_id,
            workspace.id(),
            &Bytes::new(),
            workspace.client().key(),
        );
        Some(channel.warning(self.warning))
    }

    /// Replaces the state of the connector, unless the new state tells less or the channel is ready.
    fn grow(&mut self, state: ConnectorState) {
        let knowledge = |state| match state {
            ConnectorState::NotCreated => 0,
            ConnectorState::Unknown => 1,
            ConnectorState::ExistsIdUnknown => 2,
            ConnectorState::Exists(_) => 3,
        };
        if self.channel_id.is_none() && knowledge(state) >= knowledge(self.connector) {
            self.connector = state;
        }
    }
}

/// The state of every row of a journal.
#[derive(Clone, Debug, Default)]
pub struct JournalState {
    rows: HashMap<PhoneNumberId, RowState>,
}

impl JournalState {
    /// Applies the next entry of the journal. `at` is when it was appended, or `None` if the journal stores no times.
    pub fn apply(
        &mut self,
        phone_number_id: PhoneNumberId,
        entry: &JournalEntry,
        at: Option<Timestamp>,
    ) {
        self.rows.entry(phone_number_id).or_default().apply(entry, at);
    }

    /// Returns the state of a row. A row without entries is [`NotCreated`](ConnectorState::NotCreated).
    #[must_use]
    pub fn row(&self, phone_number_id: PhoneNumberId) -> RowState {
        self.rows.get(&phone_number_id).copied().unwrap_or_default()
    }

    /// Returns the rows that have entries, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = (PhoneNumberId, RowState)> {
        self.rows.iter().map(|(number, row)| (*number, *row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn intent() -> JournalEntry {
        JournalEntry::Intent { name: "n".to_owned() }
    }

    fn refused() -> JournalEntry {
        JournalEntry::Refused { message: "m".to_owned() }
    }

    fn fold(entries: &[JournalEntry]) -> RowState {
        let mut row = RowState::default();
        for entry in entries {
            row.apply(entry, None);
        }
        row
    }

    #[test]
    fn a_refusal_settles_only_its_own_attempt() {
        assert_eq!(fold(&[intent(), refused()]).next(UnknownRows::LeaveAlone), NextStep::Create);
        let row = fold(&[intent(), intent(), refused()]);
        assert_eq!(row.connector_state(), ConnectorState::Unknown);
        assert_eq!(row.next(UnknownRows::LeaveAlone), NextStep::LeaveAlone);
        assert_eq!(row.next(UnknownRows::Retry), NextStep::Create);
    }

    #[test]
    fn an_adoption_clears_the_creation_time() {
        let connector_id = ID.parse().unwrap();
        let at = Timestamp::from_second(7).unwrap();
        let mut row = RowState::default();
        row.apply(&intent(), Some(Timestamp::from_second(1).unwrap()));
        assert_eq!(row.created_at(), None);
        row.apply(&JournalEntry::Created { connector_id, warning: None }, Some(at));
        assert_eq!(row.created_at(), Some(at));
        row.apply(&JournalEntry::Adopted { connector_id }, Some(at));
        assert_eq!(row.created_at(), None);
    }

    #[test]
    fn a_row_is_unfinished_until_it_is_refused_or_ready() {
        let connector_id = ID.parse().unwrap();
        let channel_id = ID.parse().unwrap();
        let created = JournalEntry::Created { connector_id, warning: None };
        let ready = JournalEntry::Ready { connector_id, channel_id, warning: None };
        assert!(!fold(&[]).is_unfinished());
        assert!(fold(&[intent()]).is_unfinished());
        assert!(!fold(&[intent(), refused()]).is_unfinished());
        assert!(fold(&[intent(), created.clone()]).is_unfinished());
        assert!(!fold(&[intent(), created, ready]).is_unfinished());
    }

    #[test]
    fn an_entry_that_tells_less_changes_nothing() {
        let connector_id = ID.parse().unwrap();
        let channel_id = ID.parse().unwrap();
        let created = JournalEntry::Created { connector_id, warning: None };
        let ready = JournalEntry::Ready { connector_id, channel_id, warning: None };
        let unknown = JournalEntry::Unknown { message: String::new() };
        for less in [intent(), refused(), unknown] {
            let row = fold(&[intent(), created.clone(), less.clone()]);
            assert_eq!(row.next(UnknownRows::Retry), NextStep::Wait(connector_id));
            let row = fold(&[intent(), created.clone(), ready.clone(), less, created.clone()]);
            assert_eq!(row.next(UnknownRows::Retry), NextStep::Done);
        }
    }

    #[test]
    fn the_last_adoption_counts_until_the_channel_is_ready() {
        let right = ID.parse().unwrap();
        let wrong = "5f4f2c5e-6b0c-4a35-9f5d-0c6a5d0a7c11".parse().unwrap();
        let adopted = |connector_id| JournalEntry::Adopted { connector_id };
        let row = fold(&[intent(), adopted(wrong), adopted(right)]);
        assert_eq!(row.next(UnknownRows::LeaveAlone), NextStep::Wait(right));
        let channel_id = ID.parse().unwrap();
        let ready = JournalEntry::Ready { connector_id: right, channel_id, warning: None };
        for again in [right, wrong] {
            let row = fold(&[intent(), adopted(right), ready.clone(), adopted(again)]);
            assert_eq!(row.next(UnknownRows::LeaveAlone), NextStep::Done);
            assert_eq!(row.connector_state(), ConnectorState::Exists(right));
        }
    }

    #[test]
    fn a_connector_with_an_unknown_id_is_not_created_again() {
        let exists = JournalEntry::Exists { message: String::new() };
        let row = fold(&[intent(), exists, intent(), refused()]);
        assert_eq!(row.next(UnknownRows::Retry), NextStep::LeaveAlone);
    }
}
