//! The lease of a workspace, and its journal.

use bird_sms::uuid::Uuid;
use bird_sms::{
    ConnectorState, Journal, JournalEntry, NextStep, SmsConnectorRequest, UnknownRows, WorkspaceId,
};
use fleet::{Lease, SCHEMA, enqueue};
use tokio_postgres::Client;

use crate::postgres::Postgres;

/// Makes a workspace with a job, and returns the request of the job.
async fn workspace(session: &Client) -> (WorkspaceId, SmsConnectorRequest) {
    session.batch_execute(SCHEMA).await.unwrap();
    let id = WorkspaceId::from(Uuid::from_u128(1));
    // A NUL is JSON, and no text of PostgreSQL.
    let request = SmsConnectorRequest::new("SMS\0", Uuid::from_u128(2).into());
    assert_eq!(enqueue(session, id, std::slice::from_ref(&request)).await.unwrap(), 1);
    (id, request)
}

fn intent() -> JournalEntry {
    JournalEntry::Intent { name: "SMS\0".to_owned() }
}

#[tokio::test]
async fn the_next_owner_reads_every_entry_and_the_one_before_appends_nothing_more() {
    let Some(postgres) = Postgres::start().await else { return };
    let (session, database) = (postgres.connect().await, postgres.config());
    let (id, request) = workspace(&session).await;
    let first = Lease::take(&database, &[id]).await.unwrap().unwrap();
    assert!(Lease::take(&database, &[id]).await.unwrap().is_none(), "two owners");
    let journal = first.journal();
    journal.append(&request, intent()).await.unwrap();

    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    session.execute(end, &[]).await.unwrap();
    first.lost().await;
    let second = Lease::take(&database, &[id]).await.unwrap().unwrap();
    let refused = JournalEntry::Refused { message: String::new() };
    assert!(journal.append(&request, refused).await.is_err());
    let row = second.read_journal().await.unwrap().row(request.phone_number_id());
    assert_eq!(row.connector_state(), ConnectorState::Unknown);
    assert_eq!(row.next(UnknownRows::Find), NextStep::Find);
}
