//! The entries that a batch writes to its journal, and how a batch continues from earlier entries.

use futures_util::stream;

use super::*;
use crate::{AdoptionError, ConfigurationError, RateLimits, UnknownReason, UnknownRows, Warning};

/// Installs one row with a journal that fails to write one kind of entry.
async fn install_one(
    replies: impl IntoIterator<Item = Reply>,
    fails_at: &'static str,
) -> (Result<SmsChannel, Error>, Steps) {
    let bird = InMemory::script(replies);
    let (journal, steps) = recording(&bird, fails_at);
    let batch = scripted(&bird).install_sms_channels(requests(1, 1)).journal(journal);
    let mut outcomes = all(batch).await;
    assert_eq!(outcomes.len(), 1);
    (outcomes.remove(0).result, steps)
}

#[tokio::test(start_paused = true)]
async fn each_entry_is_written_before_the_next_request() {
    let replies = [Reply::json(201, pending()), Reply::json(200, ready())];
    let (result, steps) = install_one(replies, "nowhere").await;
    assert_eq!(result.unwrap().id.to_string(), CHANNEL);
    let steps = steps.lock().unwrap().clone();
    assert_eq!(steps, [("intent", 0, 0), ("created", 1, 0), ("ready", 1, 1)]);
    let (result, steps) = install_one([Reply::Close], "nowhere").await;
    assert!(matches!(result, Err(Error::OutcomeUnknown(..))));
    assert_eq!(*steps.lock().unwrap(), [("intent", 0, 0), ("failed", 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_journal_error_reports_what_could_not_be_written() {
    let created = Reply::json(201, pending());
    let ready = Reply::json(200, ready());
    let refused = Reply::json(401, r#"{"code": "Unauthorized", "message": "unknown key"}"#);
    let exists = ConnectorState::Exists(connector_id());
    let duplicate = Some(Warning::PossibleDuplicate { status: Some(503) });
    let not_created = ConnectorState::NotCreated;
    let unknown = ConnectorState::Unknown;
    for (replies, fails_at, state, warning, shown) in [
        (vec![], "intent", not_created, None, "disk full"),
        (vec![created.clone()], "created", exists, None, CONNECTOR),
        (vec![created.clone(), ready.clone()], "ready", exists, None, CHANNEL),
        (vec![Reply::status(503), created.clone()], "created", exists, duplicate, CONNECTOR),
        (vec![Reply::status(503), created, ready], "ready", exists, duplicate, CHANNEL),
        (vec![Reply::Close], "failed", unknown, None, "the connection ended"),
        (vec![refused], "failed", not_created, None, "HTTP 401"),
    ] {
        let posts = replies.len();
        let (result, steps) = install_one(replies, fails_at).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Journal(_)), "{error:?}");
        assert_eq!((error.connector_state(), error.warning()), (state, warning), "{error:?}");
        let chain = error.chain();
        assert!(chain.contains(shown) && chain.contains("disk full"), "{chain}");
        let hint = error.hint().unwrap();
        assert_eq!(hint.contains("dashboard"), state == unknown, "{hint}");
        let last = steps.lock().unwrap().last().copied().unwrap();
        assert!(last.0 == fails_at && last.1 + last.2 == posts, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsent_request_has_an_outcome_but_no_entry() {
    let bird = InMemory::script([]);
    let (journal, steps) = recording(&bird, "nowhere");
    let empty = SmsConnectorRequest::new(" ", number(1));
    let batch = scripted(&bird).install_sms_channels([empty.clone()]).journal(journal);
    let outcomes = all(batch).await;
    let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(outcome.request, empty);
    let error = outcome.result.as_ref().unwrap_err();
    assert!(matches!(error, Error::Configuration(ConfigurationError::EmptyName)), "{error:?}");
    assert_eq!(*steps.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_connector_in_the_journal_is_polled_but_not_created() {
    let bird = InMemory::script([Reply::json(200, ready())]);
    let number = request().phone_number_id();
    let batch = scripted(&bird).install_sms_channel_stream(stream::iter([request()]));
    let outcomes = all(batch.journal(journal([intent(number), created(number)]))).await;
    assert_eq!(outcomes[0].result.as_ref().unwrap().id.to_string(), CHANNEL);
    assert!(!outcomes[0].created && !outcomes[0].from_journal);
    assert_eq!(outcomes[0].kind(), "ready");
    assert_eq!((bird.posts(), bird.gets()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_in_the_journal_needs_no_request() {
    let channel_id = CHANNEL.parse().unwrap();
    let warning = Some(Warning::PossibleDuplicate { status: None });
    let ready = JournalEntry::Ready { connector_id: connector_id(), channel_id, warning };
    let journal = journal([(request().phone_number_id(), ready)]);
    let bird = InMemory::script([]);
    let workspace = scripted(&bird);
    let batch = workspace.install_sms_channels([request()]).journal(journal.clone());
    let outcome = batch.start().next().await.unwrap();
    assert!(outcome.from_journal && !outcome.created);
    let channel = outcome.result.unwrap();
    assert_eq!((channel.id, channel.connector_id), (channel_id, connector_id()));
    let channel = workspace.install(request()).journal(journal).await.unwrap();
    assert_eq!((channel.id, channel.connector_id), (channel_id, connector_id()));
    assert_eq!(channel.warning, warning);
    assert_eq!(bird.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_observer_panicked_has_an_outcome() {
    let bird = InMemory::with_handler(|request| connector(request, true));
    let batch = scripted(&bird).install_sms_channels(requests(1, 1));
    let panics = |_: &SmsConnectorRequest, event: &Event| {
        assert!(!matches!(event, Event::Created { .. }), "the observer panics");
    };
    let mut outcomes = batch.observe(panics).start();
    let panicked = std::panic::AssertUnwindSafe(outcomes.next());
    assert!(futures_util::FutureExt::catch_unwind(panicked).await.is_err());
    let rest = tokio::time::timeout(Duration::from_secs(60), outcomes.collect::<Vec<_>>());
    let rest = rest.await.expect("the stream ends");
    assert!(rest.len() == 1 && rest[0].connector_state().may_exist(), "{rest:?}");
}

#[tokio::test]
#[should_panic(expected = "the journal panics")]
async fn a_panic_in_the_journal_reaches_the_caller() {
    let journal = HookedJournal::new(|entry| match entry {
        Some(_) => panic!("the journal panics"),
        None => go_on(),
    });
    let batch = scripted(&InMemory::script([])).install_sms_channels(requests(1, 1));
    batch.journal(journal).start().next().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_batch_leaves_its_intent_in_the_journal() {
    let bird = InMemory::script([Reply::Silence]);
    let (journal, steps) = recording(&bird, "nowhere");
    let mut batch = scripted(&bird).install_sms_channels(requests(1, 1)).journal(journal).start();
    run_until(&mut batch, || bird.posts() == 1).await;
    drop(batch);
    assert_eq!(*steps.lock().unwrap(), [("intent", 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_an_unreadable_journal_sends_nothing() {
    let journal = HookedJournal::new(|entry| {
        assert!(entry.is_none(), "nothing should be appended");
        Box::pin(async { Err(io::Error::other("no route to the database")) })
    });
    let bird = InMemory::script([]);
    let batch = scripted(&bird).install_sms_channels(requests(1, 3)).journal(journal);
    let outcomes = all(batch).await;
    assert_eq!((outcomes.len(), bird.posts()), (3, 0));
    for outcome in outcomes {
        assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
        let error = outcome.result.unwrap_err();
        assert_eq!((error.kind(), error.connector_state()), ("journal", ConnectorState::Unknown));
        assert!(error.chain().contains("no route to the database"), "{}", error.chain());
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_serves_one_batch_at_a_time() {
    let bird = InMemory::with_handler(|_| Reply::Silence);
    let workspace = scripted(&bird);
    let journal = journal([]);
    let batch = || workspace.install_sms_channels(requests(1, 2)).journal(journal.clone());
    let mut first = batch().start();
    run_until(&mut first, || bird.posts() == 2).await;
    let second = all(batch()).await;
    assert_eq!(second.len(), 2);
    for outcome in second {
        let Err(Error::Journal(error)) = &outcome.result else { panic!("{outcome:?}") };
        assert_eq!(error.source.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
    }
    let adoption = workspace.adopt(&*journal, number(1), connector_id()).await;
    assert!(matches!(adoption, Err(AdoptionError::Journal(_))), "{adoption:?}");
    assert_eq!((bird.posts(), bird.gets()), (2, 0));
    drop(first);
    let resumed = all(batch()).await;
    assert!(resumed.iter().all(|outcome| outcome.from_journal), "{resumed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_install_is_resumed_from_its_journal() {
    let replies = [Reply::json(201, pending()), Reply::Silence, Reply::json(200, ready())];
    let bird = InMemory::script(replies);
    let workspace = scripted(&bird);
    let journal = journal([]);
    let first = workspace.install(request()).journal(journal.clone());
    let dropped = tokio::time::timeout(Duration::from_secs(5), first.into_future()).await;
    assert!(dropped.is_err() && bird.gets() == 1, "{dropped:?}");
    let channel = workspace.install(request()).journal(journal.clone()).await.unwrap();
    assert_eq!((channel.id.to_string(), bird.posts()), (CHANNEL.to_owned(), 1));
    let entries = journal.entries();
    assert!(matches!(entries.last(), Some((_, JournalEntry::Ready { .. }))), "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_row_is_left_alone_unless_the_batch_retries_it() {
    let leave = UnknownRows::LeaveAlone;
    for (rows, named, posts) in
        [(leave, false, 0), (UnknownRows::Retry, false, 1), (leave, true, 1)]
    {
        let bird = InMemory::script([Reply::json(201, ready())]);
        let number = request().phone_number_id();
        let batch = scripted(&bird).install_sms_channels([request()]);
        let batch = batch.journal(journal([intent(number)])).unknown_rows(rows);
        let outcomes = all(if named { batch.retry_unknown(number) } else { batch }).await;
        assert_eq!((outcomes.len(), bird.posts()), (1, posts));
        assert_eq!((outcomes[0].created, outcomes[0].from_journal), (posts == 1, posts == 0));
        assert!(outcomes[0].connector_state().may_exist());
        if posts == 1 {
            assert!(outcomes[0].result.is_ok(), "{outcomes:?}");
            continue;
        }
        let error = outcomes[0].result.as_ref().unwrap_err();
        let Error::OutcomeUnknown(reason, _) = error else { panic!("{error:?}") };
        assert_eq!(*reason, UnknownReason::EarlierAttempt);
        assert!(!error.chain().contains("attempts"), "{}", error.chain());
        assert_eq!(outcomes[0].kind(), "outcome-unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_taken_only_as_installs_end() {
    let bird = InMemory::with_handler(|request| connector(request, true));
    let limits = RateLimits { posts_per_second: 10, ..Default::default() };
    let workspace = workspace(client(&bird).rate_limits(limits));
    let taken = Arc::new(Mutex::new(0));
    let count = Arc::clone(&taken);
    let requests = requests(1, 1000).inspect(move |_| *count.lock().unwrap() += 1);
    let mut batch = workspace.install_sms_channels(requests).concurrency(8).start();
    for ended in 1..=100 {
        batch.next().await.unwrap().result.unwrap();
        assert!(*taken.lock().unwrap() <= ended + 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_requests_that_arrive_later() {
    let bird = InMemory::script([Reply::json(201, ready())]);
    let later = stream::once(async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        request()
    });
    let mut batch = scripted(&bird).install_sms_channel_stream(Box::pin(later)).start();
    assert!(batch.next().await.unwrap().result.is_ok());
    assert!(batch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn installs_continue_while_no_outcome_is_taken() {
    let bird = InMemory::with_handler(|request| connector(request, request.method == "GET"));
    let limits = RateLimits { gets_per_second: 1, ..Default::default() };
    let workspace = workspace(client(&bird).rate_limits(limits));
    let mut batch = workspace.install_sms_channels(requests(1, 8)).start();
    batch.next().await.unwrap().result.unwrap();
    // A GET outside the batch gets a permit between the polls.
    workspace.connector(connector_id()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bird.gets(), 9);
    let ready = batch.filter(|outcome| std::future::ready(outcome.result.is_ok()));
    assert_eq!(ready.count().await, 7);
}
