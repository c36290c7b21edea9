//! Two requests for one phone number.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_sms::{
    BatchItem, ConfigurationError, Error, Journal, JournalEntry, JournalFuture, JournalState,
    NextStep, SmsConnectorRequest, UnknownRows,
};
use futures_util::StreamExt;

use crate::server::{Reply, Server, number};

/// The entries of a journal, by name.
#[derive(Default)]
struct Entries(Mutex<Vec<(String, JournalEntry)>>);

impl Journal for Entries {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        self.0.lock().unwrap().push((request.name().to_owned(), entry));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_request_for_a_phone_number_is_neither_sent_nor_in_the_journal() {
    let twice =
        || ["first", "second"].into_iter().map(|name| SmsConnectorRequest::new(name, number(1)));
    let server = Server::new(Duration::from_secs(1), |_| Reply::Ready);
    let journal = Arc::new(Entries::default());
    let batch = server.workspace(|client| client).install_sms_channels(twice());
    let outcomes: Vec<_> = batch.journal(Arc::clone(&journal)).start().collect().await;
    let [second, first] = &outcomes[..] else { panic!("{outcomes:?}") };
    let duplicate = ConfigurationError::DuplicatePhoneNumber(number(1));
    assert!(matches!(&second.result, Err(Error::Configuration(error)) if *error == duplicate));
    assert_eq!((first.request.name(), first.result.is_ok()), ("first", true));
    assert_eq!(server.posts().len(), 1);
    assert!(journal.0.lock().unwrap().iter().all(|(name, _)| name == "first"));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_does_not_settle_the_first_one_for_a_resume_after_a_crash() {
    let twice =
        || ["first", "second"].into_iter().map(|name| SmsConnectorRequest::new(name, number(1)));
    let server = Server::new(Duration::from_secs(1), |_| Reply::Ready);
    let journal = Arc::new(Entries::default());
    let workspace = server.workspace(|client| client);
    let batch = workspace.install_sms_channels(twice()).journal(Arc::clone(&journal));
    let mut crashed = batch.start();
    assert!(crashed.next().await.unwrap().result.is_err());
    tokio::select! {
        outcome = crashed.next() => panic!("{outcome:?}"),
        () = tokio::time::sleep(Duration::from_millis(500)) => {}
    }
    drop(crashed);
    assert_eq!((journal.0.lock().unwrap().len(), server.posts().len()), (1, 1));

    let mut state = JournalState::default();
    for (_, entry) in &*journal.0.lock().unwrap() {
        state.apply(number(1), entry, None);
    }
    let row = state.row(number(1));
    assert_eq!(row.next(UnknownRows::LeaveAlone), NextStep::LeaveAlone);
    let items = twice().map(move |request| BatchItem::resume(request, row));
    let resumed = workspace.install_sms_channels(items).journal(Arc::clone(&journal));
    let outcomes: Vec<_> = resumed.start().collect().await;
    assert_eq!((outcomes.len(), server.posts().len()), (2, 1));
    assert!(outcomes.iter().all(|outcome| outcome.connector_state().may_exist()));
    assert_eq!(journal.0.lock().unwrap().len(), 1);
}
