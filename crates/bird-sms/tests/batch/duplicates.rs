//! Two requests for one phone number.

use std::sync::Arc;
use std::time::Duration;

use bird_sms::test_util::MemoryJournal;
use bird_sms::{ConfigurationError, Error, JournalEntry, SmsConnectorRequest};
use futures_util::StreamExt;

use crate::server::{Reply, Server, number};

fn twice() -> impl Iterator<Item = SmsConnectorRequest> + Send {
    ["first", "second"].into_iter().map(|name| SmsConnectorRequest::new(name, number(1)))
}

#[tokio::test(start_paused = true)]
async fn the_second_request_for_a_phone_number_is_neither_sent_nor_in_the_journal() {
    let server = Server::new(Duration::from_secs(1), |_| Reply::Ready);
    let journal = Arc::new(MemoryJournal::default());
    let batch = server.workspace(|client| client).install_sms_channels(twice());
    let outcomes: Vec<_> = batch.journal(journal.clone()).start().collect().await;
    let [second, first] = &outcomes[..] else { panic!("{outcomes:?}") };
    let duplicate = ConfigurationError::DuplicatePhoneNumber(number(1));
    assert!(matches!(&second.result, Err(Error::Configuration(error)) if *error == duplicate));
    assert_eq!((first.request.name(), first.result.is_ok()), ("first", true));
    assert_eq!(server.posts().len(), 1);
    let entries = journal.entries();
    assert_eq!(entries.len(), 3, "intent, created, ready: {entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_request_does_not_settle_the_first_one_for_a_resume_after_a_crash() {
    let server = Server::new(Duration::from_secs(1), |_| Reply::Ready);
    let journal = Arc::new(MemoryJournal::default());
    let workspace = server.workspace(|client| client.look_up(false));
    let batch = || workspace.install_sms_channels(twice()).journal(journal.clone()).start();
    let mut crashed = batch();
    assert!(crashed.next().await.unwrap().result.is_err());
    tokio::select! {
        outcome = crashed.next() => panic!("{outcome:?}"),
        () = tokio::time::sleep(Duration::from_millis(500)) => {}
    }
    drop(crashed);
    assert_eq!((journal.entries().len(), server.posts().len()), (1, 1));

    let outcomes: Vec<_> = batch().collect().await;
    assert_eq!((outcomes.len(), server.posts().len()), (2, 1));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.from_journal).count(), 1);
    assert!(outcomes.iter().any(|outcome| outcome.connector_state().may_exist()));
    assert!(matches!(journal.entries()[..], [(_, JournalEntry::Intent { .. })]));
}
