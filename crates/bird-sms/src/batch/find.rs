//! The search for the connector of a row whose outcome is unknown.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use jiff::Timestamp;

use super::slot::{Batch, BatchSlot, Found, journal_error};
use super::{JournalEntry, RowState, UnknownRows};
use crate::Error;
use crate::transport::Deadline;
use crate::workflow::{Search, Searched};

impl Batch {
    /// Searches for the connector of a row whose creation ended with `error`, and writes the result to the journal.
    /// The search ends at the deadline, which started with the install of the row.
    ///
    /// Fails with the error of the creation if the search settles nothing.
    pub(super) async fn find(
        self: &Arc<Self>,
        slot: &Arc<BatchSlot>,
        state: &mut RowState,
        deadline: Deadline,
        error: Error,
    ) -> Result<Found, Error> {
        if slot.item().unknown != UnknownRows::Find {
            return Err(error);
        }
        let (request, workspace) = (slot.request(), &self.workspace);
        let since = if state.connector_state().may_exist() {
            // A journal without times leaves the age open.
            state.unknown_since()
        } else {
            let runtime = workspace.client().runtime();
            let elapsed = deadline.elapsed(runtime.now());
            Timestamp::try_from(runtime.system_time() - elapsed).ok()
        };
        let events = &self.events(slot);
        let result = {
            let search =
                Search { searches: &self.searches, workspace, request, since, deadline, events };
            match select(self.cancellation.clone(), pin!(search.run(&error))).await {
                Either::Left(((), _)) => Searched::Unsettled(None),
                Either::Right((result, _)) => result,
            }
        };
        let (entry, found) = match result {
            Searched::Found(pending) => {
                let (connector_id, warning) = (pending.connector_id(), pending.creation_warning());
                let entry = JournalEntry::Created { connector_id, warning };
                (entry, Found::Connector(pending))
            }
            Searched::Absent => (JournalEntry::Absent, Found::Nothing(error.absent())),
            Searched::Unsettled(reason) => return Err(error.searched(reason)),
        };
        let before = *state;
        state.apply(&entry, None);
        match self.append(request, entry).await {
            Ok(()) => Ok(found),
            Err(source) => {
                // The journal still has a row whose outcome is unknown.
                let row = if matches!(found, Found::Connector(_)) { *state } else { before };
                Err(journal_error(row, None, source))
            }
        }
    }
}
