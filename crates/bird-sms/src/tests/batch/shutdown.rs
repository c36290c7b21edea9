//! Batches that their caller or a refusal shuts down, and the outcomes of abandoned batches.

use super::*;
use crate::{NotReadyReason, RateLimits, UnknownReason, UnknownRows, Warning};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_shutdown_awaits_the_request_in_flight_and_sends_no_other() {
    let bird = InMemory::with_handler(|_| Reply::json(201, pending()).delayed(SECOND));
    let (journal, steps) = recording(&bird, "nowhere");
    let batch = scripted(&bird).install_sms_channels(requests(1, 100)).concurrency(1);
    let mut batch = batch.journal(journal).start();
    run_until(&mut batch, || bird.posts() == 1).await;
    batch.shut_down();
    let outcomes: Vec<_> = batch.collect().await;
    let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
    let error = outcome.result.as_ref().unwrap_err();
    assert!(matches!(error, Error::NotReady(..)), "{error:?}");
    assert_eq!(error.connector_id(), Some(connector_id()));
    assert_eq!(*steps.lock().unwrap(), [("intent", 0, 0), ("created", 1, 0), ("failed", 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_lose_a_ready_channel() {
    let bird = InMemory::with_handler(|_| Reply::json(201, ready()).delayed(SECOND));
    let mut batch = scripted(&bird).install_sms_channels(requests(1, 1)).start();
    run_until(&mut batch, || bird.posts() == 1).await;
    batch.shut_down();
    let channel = batch.next().await.unwrap().result.unwrap();
    assert_eq!(channel.id.to_string(), CHANNEL);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_between_attempts_ends_with_the_last_error() {
    for (status, may_exist) in [(503, true), (429, false)] {
        let hour = ["retry-after: 3600"];
        let bird = InMemory::with_handler(move |_| Reply::with_headers(status, &hour, ""));
        let client = client(&bird).look_up(false).install_timeout(7200 * SECOND);
        let retry = RetryPolicy { retry_after_cap: 3600 * SECOND, ..Default::default() };
        let workspace = workspace(client.retry_policy(retry));
        let mut batch = workspace.install_sms_channels(requests(1, 1)).start();
        run_until(&mut batch, || bird.posts() == 1).await;
        batch.shut_down();
        let error = batch.next().await.unwrap().result.unwrap_err();
        assert_eq!(error.connector_state().may_exist(), may_exist, "{error:?}");
        assert!(!matches!(error, Error::Unreachable(_)), "{error:?}");
        assert_eq!(bird.posts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_stops_the_batch() {
    let run = async |status, entries: Vec<_>| {
        let bird = InMemory::with_handler(move |_| Reply::status(status));
        let batch = scripted(&bird).install_sms_channels(requests(1, 100)).concurrency(1);
        let batch = batch.journal(journal(entries)).unknown_rows(UnknownRows::Retry);
        let outcomes = all(batch).await;
        assert_eq!(outcomes.len(), bird.posts());
        let first = outcomes[0].result.as_ref().unwrap_err();
        (outcomes.len(), first.connector_state())
    };
    for status in [401, 402, 403] {
        assert_eq!(run(status, vec![]).await, (1, ConnectorState::NotCreated), "{status}");
    }
    // A 401 does not settle a row that an earlier run left unknown.
    let unknown = (1..=100).map(|n| intent(number(n))).collect();
    assert_eq!(run(401, unknown).await, (1, ConnectorState::Unknown));
    assert_eq!(run(422, vec![]).await, (100, ConnectorState::NotCreated));
}

#[tokio::test(start_paused = true)]
async fn a_403_does_not_stop_a_batch_after_an_accepted_request() {
    let mut gets = 0;
    let bird = InMemory::with_handler(move |request| {
        if request.method == "POST" {
            return connector(request, false);
        }
        gets += 1;
        if gets == 6 { Reply::status(403) } else { connector(request, true) }
    });
    let outcomes = all(scripted(&bird).install_sms_channels(requests(1, 20)).concurrency(1)).await;
    let failed: Vec<_> = outcomes.iter().filter_map(|row| row.result.as_ref().err()).collect();
    let statuses: Vec<_> = failed.iter().map(|error| error.status()).collect();
    assert_eq!((outcomes.len(), &statuses[..]), (20, &[Some(403)][..]));
}

#[tokio::test(start_paused = true)]
async fn rows_ended_by_a_refused_key_report_it_as_the_reason() {
    let bird = InMemory::with_handler(|request| match &*request.method {
        "POST" => connector(request, false),
        _ => Reply::status(401),
    });
    let limits = RateLimits { gets_per_second: 1, ..RateLimits::default() };
    let workspace = workspace(client(&bird).look_up(false).rate_limits(limits));
    let outcomes = all(workspace.install_sms_channels(requests(1, 5))).await;
    let reasons: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.result {
            Err(Error::NotReady(_, reason, _)) => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [NotReadyReason::AccessRefused; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_422_after_a_429_means_not_created() {
    let bird = InMemory::script([429, 422].map(Reply::status));
    let outcomes = all(scripted(&bird).install_sms_channels([request()])).await;
    assert_eq!((outcomes[0].connector_state(), bird.posts()), (ConnectorState::NotCreated, 2));
    assert!(matches!(outcomes[0].result, Err(Error::Refused(_))), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_batch_reports_exactly_the_rows_that_were_sent() {
    let bird = InMemory::with_handler(|_| Reply::Silence);
    let journal = journal([intent(number(1)), created(number(1)), intent(number(2))]);
    let batch = scripted(&bird).install_sms_channels(requests(1, 100)).concurrency(5);
    let mut batch = batch.journal(journal).unknown_rows(UnknownRows::Retry).start();
    run_until(&mut batch, || bird.posts() == 4).await;
    let outcomes = batch.abandon();
    for outcome in &outcomes {
        if let Err(Error::OutcomeUnknown(reason, _)) = &outcome.result {
            assert_eq!(*reason, UnknownReason::Abandoned);
        }
    }
    let mut states: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.request.phone_number_id(), outcome.connector_state()))
        .collect();
    states.sort_by_key(|(number, _)| *number);
    let mut expected = vec![(number(1), ConnectorState::Exists(connector_id()))];
    expected.extend((2..=5).map(|n| (number(n), ConnectorState::Unknown)));
    assert_eq!(states, expected);
    assert!(batch.next().await.is_none());
}

/// Abandons a batch of one row while its journal writes one kind of entry, and returns the outcome.
async fn abandon_while_writing(
    replies: impl IntoIterator<Item = Reply>,
    is_slow: fn(&JournalEntry) -> bool,
) -> BatchOutcome {
    let journal = HookedJournal::new(move |entry| match entry {
        Some(entry) if is_slow(entry) => Box::pin(std::future::pending()),
        _ => go_on(),
    });
    let bird = InMemory::script(replies);
    let mut batch = scripted(&bird).install_sms_channels(requests(1, 1)).journal(journal).start();
    let outcome = tokio::time::timeout(10 * SECOND, batch.next()).await;
    assert!(outcome.is_err(), "{outcome:?}");
    let mut outcomes = batch.abandon();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_row_includes_the_entry_being_written() {
    let replies = [Reply::status(503), Reply::json(201, pending())];
    let is_created: fn(&JournalEntry) -> bool = |it| matches!(it, JournalEntry::Created { .. });
    let outcome = abandon_while_writing(replies, is_created).await;
    assert_eq!(outcome.state.warning(), Some(Warning::PossibleDuplicate { status: Some(503) }));
    assert_eq!(outcome.connector_state(), ConnectorState::Exists(connector_id()));

    let is_ready: fn(&JournalEntry) -> bool = |it| matches!(it, JournalEntry::Ready { .. });
    let outcome = abandon_while_writing([Reply::json(201, ready())], is_ready).await;
    let channel = outcome.result.unwrap().id;
    assert_eq!((channel.to_string(), outcome.state.channel_id()), (CHANNEL.into(), Some(channel)));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_row_is_unknown_until_its_refusal_is_written() {
    let is_refused: fn(&JournalEntry) -> bool = |it| matches!(it, JournalEntry::Refused { .. });
    let outcome = abandon_while_writing([Reply::status(422)], is_refused).await;
    assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
}
