//! Batches: the order of journal entries and requests, and the outcomes after a shutdown.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bird_test_peer::{Peer, Reply, head_and_body};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;
use crate::{
    AdoptionError, BatchItem, BatchOutcome, BatchOutcomes, ConfigurationError, ConnectorState,
    Journal, JournalEntry, JournalFuture, PhoneNumberId, RateLimits, RowState, UnknownReason,
    UnknownRows, Warning,
};

fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}

fn requests(count: u128) -> impl Iterator<Item = SmsConnectorRequest> + Send {
    (1..=count).map(|n| SmsConnectorRequest::new("n", number(n)))
}

/// A journal of the name of each step, and the number of POSTs and GETs that the peer had received by then.
struct Steps {
    peer: Arc<Peer>,
    seen: Mutex<Vec<(&'static str, usize, usize)>>,
    fails_at: &'static str,
}

impl Steps {
    fn new(peer: &Arc<Peer>, fails_at: &'static str) -> Arc<Self> {
        Arc::new(Self { peer: Arc::clone(peer), seen: Mutex::default(), fails_at })
    }

    fn seen(&self) -> Vec<(&'static str, usize, usize)> {
        self.seen.lock().unwrap().clone()
    }
}

impl Journal for Steps {
    fn append<'a>(&'a self, _: &'a SmsConnectorRequest, step: JournalEntry) -> JournalFuture<'a> {
        let name = match step {
            JournalEntry::Intent { .. } => "intent",
            JournalEntry::Created { .. } => "created",
            JournalEntry::Ready { .. } => "ready",
            _ => "failed",
        };
        Box::pin(async move {
            // The entry takes a while to write, and the next step waits for it.
            tokio::task::yield_now().await;
            self.seen.lock().unwrap().push((name, self.peer.posts(), self.peer.gets()));
            if name == self.fails_at { Err(io::Error::other("disk full")) } else { Ok(()) }
        })
    }
}

async fn install_one(
    script: impl IntoIterator<Item = Reply>,
    fails_at: &'static str,
) -> (Outcome, Arc<Steps>) {
    let peer = Arc::new(Peer::script(script).await.unwrap());
    let steps = Steps::new(&peer, fails_at);
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let batch = workspace.install_sms_channels(requests(1)).journal(Arc::clone(&steps));
    let mut outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!(outcomes.len(), 1);
    (outcomes.remove(0).result, steps)
}

type Outcome = Result<SmsChannel, Error>;

/// Takes all outcomes, and shuts the batch down at the signal.
async fn until(
    mut outcomes: BatchOutcomes<impl Stream<Item: Into<BatchItem>> + Send>,
    signal: impl Future<Output = ()>,
) -> Vec<BatchOutcome> {
    let (mut signal, mut all) = (pin!(signal.fuse()), Vec::new());
    loop {
        tokio::select! {
            outcome = outcomes.next() => match outcome {
                Some(outcome) => all.push(outcome),
                None => return all,
            },
            () = &mut signal => outcomes.shut_down(),
        }
    }
}

// Fault 33.
#[tokio::test]
async fn each_step_is_in_the_journal_before_the_next_is_taken() {
    let (result, steps) =
        install_one([Reply::json(201, pending()), Reply::json(200, ready())], "nowhere").await;
    assert_eq!(result.unwrap().id.to_string(), CHANNEL);
    assert_eq!(steps.seen(), [("intent", 0, 0), ("created", 1, 0), ("ready", 1, 1)]);
}

// Fault 33.
#[tokio::test]
async fn an_install_that_fails_is_in_the_journal_too() {
    let (result, steps) = install_one([Reply::Close], "nowhere").await;
    assert!(matches!(result, Err(Error::OutcomeUnknown(_))));
    assert_eq!(steps.seen(), [("intent", 0, 0), ("failed", 1, 0)]);
}

#[tokio::test]
async fn nothing_is_sent_when_the_intent_cannot_be_written() {
    let (result, steps) = install_one([], "intent").await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Journal(_)) && !error.connector_may_exist(), "{error:?}");
    assert_eq!(steps.peer.posts(), 0);
    assert!(error.chain().contains("disk full"), "{error}");
}

#[tokio::test]
async fn a_connector_that_the_journal_does_not_have_is_reported_with_its_id() {
    for fails_at in ["created", "ready"] {
        let script = [Reply::json(201, pending()), Reply::json(200, ready())];
        let (result, _) = install_one(script, fails_at).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Journal(_)) && error.connector_may_exist(), "{error:?}");
        assert_eq!(error.connector_id(), Some(connector_id()));
        assert!(error.chain().contains(CONNECTOR), "{error}");
    }
}

#[tokio::test]
async fn a_warning_that_the_journal_does_not_have_is_in_the_outcome() {
    for fails_at in ["created", "ready"] {
        let script =
            [Reply::json(503, "{}"), Reply::json(201, pending()), Reply::json(200, ready())];
        let (result, _) = install_one(script, fails_at).await;
        let warning = result.unwrap_err().warning();
        assert_eq!(warning, Some(Warning::PossibleDuplicate { status: Some(503) }), "{fails_at}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_that_the_journal_does_not_have_stays_unknown() {
    let (result, _) = install_one([Reply::Close], "failed").await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Journal(_)) && error.connector_may_exist(), "{error:?}");
    assert!(error.help().unwrap().contains("dashboard"), "{error}");
}

#[tokio::test]
async fn the_result_of_an_install_is_reported_when_the_journal_does_not_have_it() {
    let refused = Reply::json(401, r#"{"code": "Unauthorized", "message": "unknown key"}"#);
    let (result, _) = install_one([refused], "failed").await;
    let error = result.unwrap_err();
    assert!(error.chain().contains("disk full") && error.chain().contains("HTTP 401"));
    let Error::Journal(journal) = error else { panic!("{error:?}") };
    assert!(matches!(journal.ended, Some(Err(Error::Refused(_)))), "{journal:?}");
    let (result, _) = install_one([Reply::json(201, ready())], "ready").await;
    let error = result.unwrap_err();
    assert!(error.chain().contains(CHANNEL), "{error}");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_an_outcome_and_no_entry() {
    let peer = Arc::new(Peer::script([]).await.unwrap());
    let steps = Steps::new(&peer, "nowhere");
    let empty = SmsConnectorRequest::new(" ", number(1));
    let batch = workspace(without_sleep(&peer.base_url()).0)
        .install_sms_channels([empty.clone()])
        .journal(Arc::clone(&steps));
    let outcomes: Vec<_> = batch.start().collect().await;
    let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(outcome.request, empty);
    let error = outcome.result.as_ref().unwrap_err();
    assert!(matches!(error, Error::Configuration(ConfigurationError::EmptyName)), "{error:?}");
    assert_eq!(steps.seen(), []);
}

#[tokio::test]
async fn a_connector_that_exists_is_waited_for_and_not_created_again() {
    let peer = Peer::script([Reply::json(200, ready())]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let items = stream::iter([BatchItem::resume(request(), connector_id())]);
    let outcomes: Vec<_> = workspace.install_sms_channel_stream(items).start().collect().await;
    assert_eq!(outcomes[0].result.as_ref().unwrap().id.to_string(), CHANNEL);
    assert!(!outcomes[0].created);
    assert_eq!((peer.posts(), peer.gets()), (0, 1));
}

#[tokio::test]
async fn a_row_whose_channel_is_ready_costs_no_request() {
    let (channel_id, warning) =
        (CHANNEL.parse().unwrap(), Some(Warning::PossibleDuplicate { status: None }));
    let mut state = RowState::default();
    let ready = JournalEntry::Ready { connector_id: connector_id(), channel_id, warning };
    state.apply(&ready, None);
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let item = BatchItem::resume(request(), state);
    let outcome = workspace.install_sms_channels([item]).start().next().await.unwrap();
    let channel = outcome.result.unwrap();
    assert_eq!((channel.id, channel.connector_id), (channel_id, connector_id()));
    assert_eq!((channel.warning, peer.connections()), (warning, 0));
}

#[tokio::test]
async fn a_refusal_after_a_429_settles_the_row() {
    let peer = Peer::script([429, 422].map(Reply::status)).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let outcome = workspace.install_sms_channels([request()]).start().next().await.unwrap();
    assert_eq!((outcome.connector_state(), peer.posts()), (ConnectorState::NotCreated, 2));
    assert!(matches!(outcome.result, Err(Error::Refused(_))), "{outcome:?}");
}

#[tokio::test]
async fn requests_are_taken_only_as_installs_end() {
    let peer = Peer::with_handler(|_| Reply::json(201, ready())).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let requests = requests(1000).inspect(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut outcomes = Box::pin(workspace.install_sms_channels(requests).concurrency(8).start());
    for ended in 1..=100 {
        outcomes.next().await.unwrap().result.unwrap();
        assert!(taken.load(Ordering::Relaxed) <= ended + 8);
    }
    drop(outcomes);
    assert!(peer.posts() <= 108, "{}", peer.posts());
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_in_flight_and_starts_nothing_more() {
    let posted = Arc::new(Notify::new());
    let on_post = Arc::clone(&posted);
    let peer = Peer::with_handler(move |_| {
        on_post.notify_one();
        // The response ends long after the shutdown.
        Reply::Drip(head_and_body(201, &[], &pending()), Duration::from_millis(1))
    });
    let peer = Arc::new(peer.await.unwrap());
    let steps = Steps::new(&peer, "nowhere");
    // Only the first permit is available at once.
    let limits = RateLimits { posts_per_second: 1, ..Default::default() };
    let batch = workspace(without_sleep(&peer.base_url()).0.rate_limits(limits))
        .install_sms_channels(requests(100))
        .concurrency(1)
        .journal(Arc::clone(&steps));
    let outcomes = until(batch.start(), posted.notified()).await;
    let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
    let error = outcome.result.as_ref().unwrap_err();
    assert!(matches!(error, Error::NotReady(_)), "{error:?}");
    assert_eq!(error.connector_id(), Some(connector_id()));
    assert_eq!(steps.seen(), [("intent", 0, 0), ("created", 1, 0), ("failed", 1, 0)]);
}

#[tokio::test]
async fn a_channel_that_is_ready_is_not_lost_to_a_shutdown() {
    let posted = Arc::new(Notify::new());
    let on_post = Arc::clone(&posted);
    let peer = Peer::with_handler(move |_| {
        on_post.notify_one();
        // The response ends long after the shutdown.
        Reply::Drip(head_and_body(201, &[], &ready()), Duration::from_millis(1))
    });
    let peer = peer.await.unwrap();
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(1));
    let outcomes = until(batch.start(), posted.notified()).await;
    assert_eq!(outcomes[0].result.as_ref().unwrap().id.to_string(), CHANNEL);
}

#[tokio::test]
async fn a_shutdown_ends_the_wait_for_another_attempt_with_the_error_of_the_last() {
    for (response, may_exist) in [(Reply::status(503), true), (Reply::status(429), false)] {
        let posted = Arc::new(Notify::new());
        let on_post = Arc::clone(&posted);
        let peer = Peer::with_handler(move |_| {
            on_post.notify_one();
            response.clone()
        });
        let peer = peer.await.unwrap();
        let batch = with_long_sleeps(&peer).install_sms_channels(requests(1));
        let outcomes = until(batch.start(), posted.notified()).await;
        let error = outcomes[0].result.as_ref().unwrap_err();
        assert_eq!(error.connector_may_exist(), may_exist, "{error:?}");
        assert!(!matches!(error, Error::Unreachable(_)), "{error:?}");
        assert_eq!(peer.posts(), 1);
    }
}

#[tokio::test]
async fn installs_continue_while_an_outcome_is_processed() {
    let peer = Peer::with_handler(|request| match request.method.as_str() {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, ready()),
    });
    let peer = peer.await.unwrap();
    let limits = RateLimits { gets_per_second: 1, ..Default::default() };
    let workspace = workspace(without_sleep(&peer.base_url()).0.rate_limits(limits));
    let mut outcomes = workspace.install_sms_channels(requests(8)).start();
    outcomes.next().await.unwrap().result.unwrap();
    // No outcome is taken, and all installs end. A GET in between gets a permit.
    workspace.connector(connector_id()).await.unwrap();
    while peer.gets() < 9 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        outcomes.filter(|outcome| std::future::ready(outcome.result.is_ok())).count().await,
        7
    );
}

#[tokio::test]
#[should_panic(expected = "the journal panics")]
async fn a_panic_of_the_journal_is_not_swallowed() {
    struct Panics;
    impl Journal for Panics {
        fn append<'a>(&'a self, _: &'a SmsConnectorRequest, _: JournalEntry) -> JournalFuture<'a> {
            panic!("the journal panics")
        }
    }
    let peer = Peer::script([]).await.unwrap();
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(1));
    batch.journal(Panics).start().next().await;
}

#[tokio::test]
async fn a_dropped_batch_leaves_the_intent_in_the_journal() {
    let peer = Arc::new(Peer::script([Reply::Silence]).await.unwrap());
    let steps = Steps::new(&peer, "nowhere");
    let batch = workspace(without_sleep(&peer.base_url()).0)
        .install_sms_channels(requests(1))
        .journal(Arc::clone(&steps));
    let mut outcomes = Box::pin(batch.start());
    while peer.posts() == 0 {
        assert!(futures_util::future::poll_immediate(outcomes.next()).await.is_none());
        tokio::task::yield_now().await;
    }
    drop(outcomes);
    assert_eq!(steps.seen(), [("intent", 0, 0)]);
}

// Fault 55.
#[tokio::test]
async fn a_batch_stops_when_the_access_key_is_refused() {
    for status in [401, 403] {
        let peer = Peer::with_handler(move |_| Reply::status(status)).await.unwrap();
        let batch =
            workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(100));
        let outcomes: Vec<_> = batch.concurrency(1).start().collect().await;
        assert_eq!((outcomes.len(), peer.posts()), (1, 1), "{status}");
        assert!(matches!(outcomes[0].result, Err(Error::Refused(_))));
    }
    // Also of rows that are created again, whose outcome stays unknown.
    let mut unknown = RowState::default();
    unknown.apply(&JournalEntry::Intent { name: "n".to_owned() }, None);
    let peer = Peer::with_handler(|_| Reply::status(401)).await.unwrap();
    let items = requests(100)
        .map(move |request| BatchItem::resume(request, unknown).unknown_rows(UnknownRows::Retry));
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(items);
    let outcomes: Vec<_> = batch.concurrency(1).start().collect().await;
    assert_eq!((outcomes.len(), peer.posts()), (1, 1));
    let error = outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::Unknown, "{error:?}");
    let peer = Peer::with_handler(|_| Reply::status(422)).await.unwrap();
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(10));
    assert_eq!(batch.concurrency(1).start().count().await, 10);
}

#[tokio::test]
async fn a_batch_waits_for_requests_that_come_later() {
    let peer = Peer::script([Reply::json(201, ready())]).await.unwrap();
    let later = Arc::new(Notify::new());
    let notified = Arc::clone(&later).notified_owned();
    let requests = stream::once(notified.map(|()| request()));
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let mut outcomes = workspace.install_sms_channel_stream(requests).start();
    assert!(futures_util::future::poll_immediate(outcomes.next()).await.is_none());
    later.notify_one();
    assert!(outcomes.next().await.unwrap().result.is_ok());
    assert!(outcomes.next().await.is_none());
}

// Fault 34.
#[tokio::test]
async fn an_abandoned_batch_reports_what_was_sent_and_nothing_else() {
    let peer = Peer::with_handler(|_| Reply::Silence).await.unwrap();
    let resumed = |n, state: RowState| {
        BatchItem::resume(SmsConnectorRequest::new("n", number(n)), state)
            .unknown_rows(UnknownRows::Retry)
    };
    let mut unknown = RowState::default();
    unknown.apply(&JournalEntry::Intent { name: "n".to_owned() }, None);
    let items = [resumed(1, connector_id().into()), resumed(2, unknown)];
    let fresh = (3..=100).map(|n| SmsConnectorRequest::new("n", number(n)).into());
    let items = items.into_iter().chain(fresh);
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(items);
    let mut outcomes = batch.concurrency(5).start();
    while peer.posts() < 4 {
        assert!(futures_util::future::poll_immediate(outcomes.next()).await.is_none());
        tokio::task::yield_now().await;
    }
    let abandoned = outcomes.abandon();
    for outcome in &abandoned {
        if let Err(Error::OutcomeUnknown(error)) = &outcome.result {
            assert_eq!(error.reason, UnknownReason::Abandoned);
        }
    }
    let mut states: Vec<_> = abandoned
        .iter()
        .map(|outcome| (outcome.request.phone_number_id(), outcome.connector_state()))
        .collect();
    states.sort_by_key(|(number, _)| *number);
    let expected = [
        (number(1), ConnectorState::Exists(connector_id())),
        (number(2), ConnectorState::Unknown),
        (number(3), ConnectorState::Unknown),
        (number(4), ConnectorState::Unknown),
        (number(5), ConnectorState::Unknown),
    ];
    assert_eq!(states, expected);
    assert!(outcomes.next().await.is_none());
}

/// Abandons a batch of one row while the journal writes the entry after the intent.
async fn abandon_while_writing(script: impl IntoIterator<Item = Reply>) -> Vec<BatchOutcome> {
    struct Stuck(Arc<Notify>);
    impl Journal for Stuck {
        fn append<'a>(&'a self, _: &SmsConnectorRequest, step: JournalEntry) -> JournalFuture<'a> {
            if matches!(step, JournalEntry::Intent { .. }) {
                return Box::pin(async { Ok(()) });
            }
            self.0.notify_one();
            Box::pin(std::future::pending())
        }
    }
    let peer = Peer::script(script).await.unwrap();
    let stuck = Arc::new(Notify::new());
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(1));
    let mut outcomes = batch.journal(Stuck(Arc::clone(&stuck))).start();
    tokio::select! {
        outcome = outcomes.next() => panic!("{outcome:?}"),
        () = stuck.notified() => {}
    }
    outcomes.abandon()
}

#[tokio::test]
async fn an_abandoned_batch_keeps_the_warning_of_a_creation_that_the_journal_is_writing() {
    let script = [Reply::json(503, "{}"), Reply::json(201, pending())];
    let [outcome] = &abandon_while_writing(script).await[..] else { panic!("not one outcome") };
    assert_eq!(outcome.state.warning(), Some(Warning::PossibleDuplicate { status: Some(503) }));
    assert_eq!(outcome.connector_state(), ConnectorState::Exists(connector_id()));
}

#[tokio::test]
async fn an_abandoned_row_is_unknown_until_the_journal_has_its_refusal() {
    let outcomes = abandon_while_writing([Reply::status(422)]).await;
    let [outcome] = &outcomes[..] else { panic!("not one outcome") };
    assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
}

#[tokio::test]
async fn a_connector_is_adopted_only_if_its_template_and_its_phone_number_agree() {
    let with = |field: &str| Reply::json(200, ready().replacen('{', &format!("{{{field},"), 1));
    let adopt = async |reply| {
        let peer = Peer::script([reply]).await.unwrap();
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        workspace.read_adoption(number(1), connector_id()).await
    };
    let ours = format!(
        r#""connectorTemplateRef": "sms-messagebird:1", "arguments": {{"phoneNumberId": "{}"}}"#,
        number(1)
    );
    for agreeing in [with(&ours), Reply::json(200, ready())] {
        assert!(adopt(agreeing).await.unwrap().is_ok());
    }
    let template = with(r#""connectorTemplateRef": "whatsapp:1""#);
    let error = adopt(template).await.unwrap().unwrap_err();
    assert_eq!(error, AdoptionError::OtherTemplate("whatsapp:1".to_owned()));
    let other = with(&format!(r#""arguments": {{"phoneNumberId": "{}"}}"#, number(2)));
    let error = adopt(other).await.unwrap().unwrap_err();
    assert_eq!(error, AdoptionError::OtherPhoneNumber(number(2)));
    // A connector that was deleted cannot be adopted.
    assert!(matches!(adopt(Reply::status(404)).await, Err(Error::Read(_))));
}

#[tokio::test]
async fn a_row_whose_outcome_is_unknown_is_left_alone_unless_the_item_says_otherwise() {
    let mut unknown = RowState::default();
    unknown.apply(&JournalEntry::Intent { name: "n".to_owned() }, None);
    for (rows, posts) in [(UnknownRows::LeaveAlone, 0), (UnknownRows::Retry, 1)] {
        let peer = Peer::script([Reply::json(201, ready())]).await.unwrap();
        let item = BatchItem::resume(request(), unknown).unknown_rows(rows);
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        let batch = workspace.install_sms_channels([item]);
        let outcomes: Vec<_> = batch.start().collect().await;
        assert_eq!((outcomes.len(), peer.posts()), (1, posts));
        assert_eq!(outcomes[0].created, posts == 1);
        assert!(outcomes[0].connector_state().may_exist());
        match &outcomes[0].result {
            Ok(_) => assert_eq!(posts, 1),
            Err(Error::OutcomeUnknown(error)) => {
                assert_eq!((error.reason, posts), (UnknownReason::EarlierAttempt, 0));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
