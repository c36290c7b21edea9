//! Two requests for one phone number, and one connector for two phone numbers.

use super::*;
use crate::ConfigurationError;

fn twice() -> impl Iterator<Item = SmsConnectorRequest> + Send {
    ["first", "second"].into_iter().map(|name| SmsConnectorRequest::new(name, number(1)))
}

#[tokio::test(start_paused = true)]
async fn the_second_request_for_a_number_is_neither_sent_nor_written() {
    let second = Duration::from_secs(1);
    let bird = InMemory::with_handler(move |request| connector(request, true).delayed(second));
    let journal = journal([]);
    let outcomes =
        all(scripted(&bird).install_sms_channels(twice()).journal(journal.clone())).await;
    let [second, first] = &outcomes[..] else { panic!("{outcomes:?}") };
    let duplicate = ConfigurationError::DuplicatePhoneNumber(number(1));
    assert!(matches!(&second.result, Err(Error::Configuration(error)) if *error == duplicate));
    assert_eq!((first.request.name(), first.result.is_ok()), ("first", true));
    assert_eq!(bird.posts(), 1);
    let entries = journal.entries();
    assert_eq!(entries.len(), 3, "expected intent, created and ready: {entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_request_does_not_settle_an_unknown_row() {
    let bird = InMemory::with_handler(|_| Reply::Silence);
    let journal = journal([]);
    let workspace = scripted(&bird);
    let batch = || workspace.install_sms_channels(twice()).journal(journal.clone());
    let mut crashed = batch().start();
    assert!(crashed.next().await.unwrap().result.is_err());
    run_until(&mut crashed, || bird.posts() == 1).await;
    drop(crashed);
    assert_eq!(journal.entries().len(), 1);

    let outcomes = all(batch()).await;
    assert_eq!((outcomes.len(), bird.posts()), (2, 1));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.from_journal).count(), 1);
    assert!(outcomes.iter().any(|outcome| outcome.connector_state().may_exist()));
    assert!(matches!(journal.entries()[..], [(_, JournalEntry::Intent { .. })]));
}

#[tokio::test(start_paused = true)]
async fn one_connector_never_serves_two_rows() {
    let bird = InMemory::with_handler(|request| match &*request.method {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, ready()),
    });
    let workspace = scripted(&bird);
    let journal = journal([]);
    let batch = workspace.install_sms_channels(requests(1, 2)).journal(journal.clone());
    let (ready, failed): (Vec<_>, Vec<_>) =
        all(batch).await.into_iter().partition(|outcome| outcome.result.is_ok());
    assert_eq!((ready.len(), failed.len()), (1, 1));
    assert_eq!(failed[0].connector_state(), ConnectorState::ExistsIdUnknown);
    let error = failed[0].result.as_ref().unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
    let owner = ready[0].request.phone_number_id().to_string();
    assert!(error.chain().contains(&owner), "{}", error.chain());
    // In a later run, the journal shows that the connector belongs to another row.
    let third = SmsConnectorRequest::new("n", number(3));
    let error = workspace.install(third).journal(journal).await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
}

/// Returns the JSON of a connector, changed to belong to phone number 2.
fn of_number_2(connector: &str) -> String {
    let arguments = format!(r#"{{"arguments": {{"phoneNumberId": "{}"}},"#, number(2));
    connector.replacen('{', &arguments, 1)
}

#[tokio::test(start_paused = true)]
async fn a_connector_of_another_number_is_never_used() {
    let of_post = vec![Reply::json(201, of_number_2(&pending()))];
    let of_get = vec![Reply::json(201, pending()), Reply::json(200, of_number_2(&ready()))];
    for replies in [of_post, of_get] {
        let count = replies.len();
        let bird = InMemory::script(replies);
        let error = scripted(&bird).install(request()).await.unwrap_err();
        assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
        assert!(error.chain().contains(&number(2).to_string()), "{}", error.chain());
        assert_eq!((bird.posts(), bird.requests().len()), (1, count));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_of_another_number_keeps_the_warning_of_a_503() {
    let of_post = vec![Reply::json(201, of_number_2(&pending()))];
    let of_get = vec![Reply::json(201, pending()), Reply::json(200, of_number_2(&ready()))];
    for replies in [of_post, of_get] {
        let replies = [vec![Reply::status(503)], replies].concat();
        let single = scripted(&InMemory::script(replies.clone())).install(request()).await;
        assert!(single.unwrap_err().warning().is_some());
        let bird = InMemory::script(replies);
        let outcomes = all(scripted(&bird).install_sms_channels([request()])).await;
        assert!(outcomes[0].result.as_ref().unwrap_err().warning().is_some());
        assert_eq!(outcomes[0].connector_state(), ConnectorState::ExistsIdUnknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_poll_does_not_accept_a_connector_of_another_number() {
    let bird =
        InMemory::script([Reply::json(201, pending()), Reply::json(200, of_number_2(&ready()))]);
    let mut pending = scripted(&bird).create_sms_connector(&request()).await.unwrap();
    let error = pending.poll().await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_uses_a_connector_of_another_number() {
    let bird = InMemory::with_handler(|request| match &*request.method {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, of_number_2(&ready())),
    });
    let journal = journal([]);
    for gets in 1..=2 {
        let batch = scripted(&bird).install_sms_channels([request()]).journal(journal.clone());
        let outcomes = all(batch).await;
        assert_eq!(outcomes[0].connector_state(), ConnectorState::ExistsIdUnknown);
        assert_eq!(outcomes[0].kind(), "outcome-unknown");
        assert_eq!((bird.posts(), bird.gets()), (1, gets));
    }
}
