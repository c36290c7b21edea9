//! The lease of a workspace, and its journal.

use bird_sms::uuid::Uuid;
use bird_sms::{
    ConnectorState, Journal, JournalEntry, NextStep, SmsConnectorRequest, UnknownRows, WorkspaceId,
};
use fleet::{Lease, SCHEMA, enqueue};

use crate::postgres::Postgres;

/// Takes a workspace, which gets a job if it has none.
pub(crate) async fn take(postgres: &Postgres, id: WorkspaceId) -> Option<Lease> {
    // A NUL is JSON, and no text of PostgreSQL.
    let request = SmsConnectorRequest::new("SMS\0", Uuid::from_u128(2).into());
    enqueue(&postgres.connect().await, id, &[request]).await.unwrap();
    Lease::take(&postgres.config(), &[id]).await.unwrap()
}

#[tokio::test]
async fn the_next_owner_reads_every_entry_and_the_one_before_appends_nothing_more() {
    let Some(postgres) = Postgres::start().await else { return };
    let session = postgres.connect().await;
    session.batch_execute(SCHEMA).await.unwrap();
    let id = Uuid::from_u128(1).into();
    let first = take(&postgres, id).await.unwrap();
    assert!(take(&postgres, id).await.is_none(), "two owners");
    let journal = first.journal();
    let request = SmsConnectorRequest::new("SMS\0", Uuid::from_u128(2).into());
    let intent = JournalEntry::Intent { name: "SMS\0".to_owned() };
    journal.append(&request, intent).await.unwrap();

    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    session.execute(end, &[]).await.unwrap();
    first.lost().await;
    let second = take(&postgres, id).await.unwrap();
    let refused = JournalEntry::Refused { message: String::new() };
    assert!(journal.append(&request, refused).await.is_err());
    let row = second.read_journal().await.unwrap().row(request.phone_number_id());
    assert_eq!(row.connector_state(), ConnectorState::Unknown);
    assert_eq!(row.next(UnknownRows::Find), NextStep::Find);
}

#[tokio::test]
async fn an_entry_that_is_appended_survives_a_crash_of_the_server() {
    let Some(mut postgres) = Postgres::start().await else { return };
    postgres.connect().await.batch_execute(SCHEMA).await.unwrap();
    let id = Uuid::from_u128(1).into();
    let lease = take(&postgres, id).await.unwrap();
    let request = SmsConnectorRequest::new("SMS", Uuid::from_u128(2).into());
    let intent = JournalEntry::Intent { name: "SMS".to_owned() };
    lease.journal().append(&request, intent).await.unwrap();
    postgres.crash().await;
    let row = take(&postgres, id).await.unwrap().read_journal().await.unwrap();
    assert_eq!(row.row(request.phone_number_id()).connector_state(), ConnectorState::Unknown);
}
