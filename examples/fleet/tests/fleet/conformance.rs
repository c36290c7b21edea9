//! The journal of the fleet passes the conformance kit of the library.

use std::io;

use bird_sms::test_util::{JournalStore, check_journal};
use bird_sms::uuid::Uuid;
use bird_sms::{JournalEntry, JournalState, PhoneNumberId, WorkspaceId};
use fleet::{Lease, PgJournal, SCHEMA};
use tokio_postgres::types::Json;

use crate::journal::take;
use crate::postgres::{Postgres, signal};

/// The sessions that have a lease.
const OWNERS: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'";

/// The journals of the fleet.
struct Store {
    postgres: Postgres,
    leases: Vec<Lease>,
    /// The processes of the sessions.
    owners: Vec<u32>,
    crashes: u32,
}

impl JournalStore for Store {
    type Journal = PgJournal;

    async fn open(&mut self, id: WorkspaceId) -> io::Result<(PgJournal, JournalState)> {
        let lease = take(&self.postgres, id).await.expect("no other owner");
        let owners = self.postgres.connect().await.query(OWNERS, &[]).await;
        self.owners =
            owners.unwrap().iter().map(|row| row.get::<_, i32>(0).cast_unsigned()).collect();
        let opened = (lease.journal(), lease.read_journal().await.map_err(io::Error::other)?);
        self.leases.push(lease);
        Ok(opened)
    }

    async fn crash(&mut self) {
        self.leases.clear();
        self.crashes += 1;
        if self.crashes.is_multiple_of(5) {
            self.postgres.crash().await;
        } else {
            self.fail();
        }
        let session = self.postgres.connect().await;
        while !session.query(OWNERS, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn entries(&mut self, id: WorkspaceId) -> io::Result<Vec<(PhoneNumberId, JournalEntry)>> {
        let entries =
            "SELECT phone_number_id, entry FROM journal WHERE workspace_id = $1 ORDER BY id";
        let rows = self.postgres.connect().await.query(entries, &[id.as_uuid()]).await;
        let rows = rows.map_err(io::Error::other)?;
        Ok(rows
            .iter()
            .map(|row| (row.get::<_, Uuid>(0).into(), row.get::<_, Json<_>>(1).0))
            .collect())
    }

    /// Ends the sessions.
    fn fail(&mut self) -> bool {
        self.owners.drain(..).for_each(|owner| signal("TERM", owner));
        true
    }
}

#[tokio::test]
async fn the_journal_conforms_over_lost_sessions_and_crashes_of_the_server() {
    let Some(postgres) = Postgres::start().await else { return };
    postgres.connect().await.batch_execute(SCHEMA).await.unwrap();
    let (leases, owners) = (Vec::new(), Vec::new());
    check_journal(&mut Store { postgres, leases, owners, crashes: 0 }, 1).await.unwrap();
}
