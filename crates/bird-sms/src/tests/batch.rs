//! Batches: the order of journal entries and requests, and the outcomes after a shutdown.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bird_test_peer::{Peer, Reply, head_and_body};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;
use crate::test_util::MemoryJournal;
use crate::{
    AdoptionError, BatchOutcome, BatchOutcomes, ConfigurationError, ConnectorState, Journal,
    JournalEntry, JournalFuture, JournalState, NotReadyReason, PhoneNumberId, RateLimits,
    UnknownReason, UnknownRows, Warning,
};

fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}

fn requests(count: u128) -> impl Iterator<Item = SmsConnectorRequest> + Send {
    (1..=count).map(|n| SmsConnectorRequest::new("n", number(n)))
}

/// Returns the response to the creation of another connector each time.
fn another(response: &str) -> Reply {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    // Not the id of a phone number.
    let id = Uuid::from_u128((1 << 64) + COUNT.fetch_add(1, Ordering::Relaxed) as u128);
    Reply::json(201, response.replace(CONNECTOR, &id.to_string()))
}

/// Returns the response to a GET: the channel is ready.
fn read(request: &bird_test_peer::Request) -> Reply {
    Reply::json(200, ready().replace(CONNECTOR, request.path.rsplit('/').next().unwrap()))
}

fn intent(number: PhoneNumberId) -> (PhoneNumberId, JournalEntry) {
    (number, JournalEntry::Intent { name: "n".to_owned() })
}

fn created(number: PhoneNumberId) -> (PhoneNumberId, JournalEntry) {
    (number, JournalEntry::Created { connector_id: connector_id(), warning: None })
}

/// Returns a journal of an earlier run.
fn journal(entries: impl IntoIterator<Item = (PhoneNumberId, JournalEntry)>) -> Arc<MemoryJournal> {
    Arc::new(entries.into_iter().collect())
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

fn empty() -> JournalFuture<'static, JournalState> {
    Box::pin(async { Ok(JournalState::default()) })
}

impl Journal for Steps {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        empty()
    }

    fn append(&self, _: PhoneNumberId, step: JournalEntry) -> JournalFuture<'_> {
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
    let batch = workspace.install_sms_channels(requests(1)).journal(steps.clone());
    let mut outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!(outcomes.len(), 1);
    (outcomes.remove(0).result, steps)
}

type Outcome = Result<SmsChannel, Error>;

/// Takes all outcomes, and shuts the batch down at the signal.
async fn until(
    mut outcomes: BatchOutcomes<impl Stream<Item = SmsConnectorRequest> + Send>,
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
    assert!(error.hint().unwrap().contains("dashboard"), "{error}");
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
        .journal(steps.clone());
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
    let number = request().phone_number_id();
    let batch = workspace.install_sms_channel_stream(stream::iter([request()]));
    let batch = batch.journal(journal([intent(number), created(number)]));
    let outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!(outcomes[0].result.as_ref().unwrap().id.to_string(), CHANNEL);
    assert!(!outcomes[0].created && !outcomes[0].from_journal);
    assert_eq!(outcomes[0].kind(), "ready");
    assert_eq!((peer.posts(), peer.gets()), (0, 1));
}

#[tokio::test]
async fn a_row_whose_channel_is_ready_costs_no_request() {
    let (channel_id, warning) =
        (CHANNEL.parse().unwrap(), Some(Warning::PossibleDuplicate { status: None }));
    let ready = JournalEntry::Ready { connector_id: connector_id(), channel_id, warning };
    let journal = journal([(request().phone_number_id(), ready)]);
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let batch = workspace.install_sms_channels([request()]).journal(journal.clone());
    let outcome = batch.start().next().await.unwrap();
    assert!(outcome.from_journal && !outcome.created);
    let channel = outcome.result.unwrap();
    assert_eq!((channel.id, channel.connector_id), (channel_id, connector_id()));
    let channel = workspace.install(request()).journal(journal).await.unwrap();
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
    let peer = Peer::with_handler(|_| another(&ready())).await.unwrap();
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
        .journal(steps.clone());
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
        "POST" => another(&pending()),
        _ => read(request),
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
        fn load(&self) -> JournalFuture<'_, JournalState> {
            empty()
        }

        fn append(&self, _: PhoneNumberId, _: JournalEntry) -> JournalFuture<'_> {
            panic!("the journal panics")
        }
    }
    let peer = Peer::script([]).await.unwrap();
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(1));
    batch.journal(Arc::new(Panics)).start().next().await;
}

#[tokio::test]
async fn a_dropped_batch_leaves_the_intent_in_the_journal() {
    let peer = Arc::new(Peer::script([Reply::Silence]).await.unwrap());
    let steps = Steps::new(&peer, "nowhere");
    let batch = workspace(without_sleep(&peer.base_url()).0)
        .install_sms_channels(requests(1))
        .journal(steps.clone());
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
    for status in [401, 402, 403] {
        let peer = Peer::with_handler(move |_| Reply::status(status)).await.unwrap();
        let batch =
            workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(100));
        let outcomes: Vec<_> = batch.concurrency(1).start().collect().await;
        assert_eq!((outcomes.len(), peer.posts()), (1, 1), "{status}");
        assert!(matches!(outcomes[0].result, Err(Error::Refused(_))));
    }
    // Also of rows that are created again, whose outcome stays unknown.
    let peer = Peer::with_handler(|_| Reply::status(401)).await.unwrap();
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(100));
    let batch = batch.journal(journal((1..=100).map(|n| intent(number(n)))));
    let batch = batch.unknown_rows(UnknownRows::Retry);
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
    let batch = workspace(without_sleep(&peer.base_url()).0).install_sms_channels(requests(100));
    let journal = journal([intent(number(1)), created(number(1)), intent(number(2))]);
    let batch = batch.journal(journal).unknown_rows(UnknownRows::Retry);
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
        fn load(&self) -> JournalFuture<'_, JournalState> {
            empty()
        }

        fn append(&self, _: PhoneNumberId, step: JournalEntry) -> JournalFuture<'_> {
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
    let mut outcomes = batch.journal(Arc::new(Stuck(stuck.clone()))).start();
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
        let journal = journal([intent(number(1))]);
        let result = workspace.adopt(&*journal, number(1), connector_id()).await;
        let adopted = JournalEntry::Adopted { connector_id: connector_id() };
        assert_eq!(journal.entries().contains(&(number(1), adopted)), result.is_ok());
        result
    };
    let ours = format!(
        r#""connectorTemplateRef": "sms-messagebird:1", "arguments": {{"phoneNumberId": "{}"}}"#,
        number(1)
    );
    for agreeing in [with(&ours), Reply::json(200, ready())] {
        adopt(agreeing).await.unwrap();
    }
    let error = adopt(with(r#""connectorTemplateRef": "whatsapp:1""#)).await.unwrap_err();
    assert!(matches!(&error, AdoptionError::OtherTemplate(template) if template == "whatsapp:1"));
    let other = with(&format!(r#""arguments": {{"phoneNumberId": "{}"}}"#, number(2)));
    let error = adopt(other).await.unwrap_err();
    assert!(matches!(error, AdoptionError::OtherPhoneNumber(other) if other == number(2)));
    // A connector that was deleted cannot be adopted.
    assert!(matches!(adopt(Reply::status(404)).await, Err(AdoptionError::Read(_))));
}

#[tokio::test]
async fn only_a_row_without_a_connector_of_its_own_adopts_one() {
    let refused = (number(1), JournalEntry::Refused { message: "409".to_owned() });
    let other: ConnectorId = CHANNEL.parse().unwrap();
    let channel_id = CHANNEL.parse().unwrap();
    let is_ready = JournalEntry::Ready { connector_id: other, channel_id, warning: None };
    let adopt = async |entries: &[(PhoneNumberId, JournalEntry)], script: &[u16]| {
        let reply = |status: &u16| match status {
            200 => Reply::json(200, ready()),
            other => Reply::status(*other),
        };
        let peer = Peer::script(script.iter().map(reply)).await.unwrap();
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        let journal = journal(entries.iter().cloned());
        let result = workspace.adopt(&*journal, number(1), connector_id()).await;
        assert_eq!(peer.gets(), script.len());
        result.map(|()| journal.entries().len() - entries.len())
    };
    // Fault 102: somebody installed the number by hand.
    assert_eq!(adopt(&[intent(number(1)), refused], &[200]).await.unwrap(), 1);
    // The same connector again.
    assert_eq!(adopt(&[created(number(1))], &[]).await.unwrap(), 0);
    let ready_before = [(number(1), is_ready.clone())];
    assert!(matches!(adopt(&ready_before, &[]).await, Err(AdoptionError::Ready)));
    let of_other = adopt(&[created(number(2))], &[]).await;
    assert!(matches!(of_other, Err(AdoptionError::OtherRow(row)) if row == number(2)));
    // Fault 74: a connector of the row that was deleted can be replaced, one that exists cannot.
    let own = JournalEntry::Created { connector_id: other, warning: None };
    assert_eq!(adopt(&[(number(1), own)], &[404, 200]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_whose_outcome_is_unknown_is_left_alone_unless_the_batch_retries_it() {
    let (leave, retry) = (UnknownRows::LeaveAlone, UnknownRows::Retry);
    for (rows, named, posts) in [(leave, false, 0), (retry, false, 1), (leave, true, 1)] {
        let peer = Peer::script([Reply::json(201, ready())]).await.unwrap();
        let number = request().phone_number_id();
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        let batch = workspace.install_sms_channels([request()]).journal(journal([intent(number)]));
        let batch = batch.unknown_rows(rows);
        let batch = if named { batch.retry_unknown(number) } else { batch };
        let outcomes: Vec<_> = batch.start().collect().await;
        assert_eq!((outcomes.len(), peer.posts()), (1, posts));
        assert_eq!((outcomes[0].created, outcomes[0].from_journal), (posts == 1, posts == 0));
        assert!(outcomes[0].connector_state().may_exist());
        match &outcomes[0].result {
            Ok(_) => assert_eq!(posts, 1),
            Err(error @ Error::OutcomeUnknown(unknown)) => {
                assert_eq!((unknown.reason, posts), (UnknownReason::EarlierAttempt, 0));
                // Fault 89.
                assert!(!error.chain().contains("attempts"), "{}", error.chain());
                assert_eq!(outcomes[0].kind(), "outcome-unknown");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_install_with_a_journal_continues_after_it_was_dropped() {
    let script = [Reply::json(201, pending()), Reply::Silence, Reply::json(200, ready())];
    let peer = Peer::script(script).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let journal = journal([]);
    let first = workspace.install(request()).journal(journal.clone());
    let mut first = first.into_future();
    while peer.gets() == 0 {
        assert!(futures_util::future::poll_immediate(&mut first).await.is_none());
        tokio::task::yield_now().await;
    }
    drop(first);
    let channel = workspace.install(request()).journal(journal.clone()).await.unwrap();
    assert_eq!((channel.id.to_string(), peer.posts()), (CHANNEL.to_owned(), 1));
    let entries = journal.entries();
    assert!(matches!(entries.last(), Some((_, JournalEntry::Ready { .. }))), "{entries:?}");
}

#[tokio::test]
async fn a_journal_serves_one_batch_at_a_time() {
    let peer = Peer::script([Reply::Silence]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let journal = journal([]);
    let batch = || workspace.install_sms_channels(requests(2)).journal(journal.clone());
    let mut first = batch().start();
    while peer.posts() == 0 {
        assert!(futures_util::future::poll_immediate(first.next()).await.is_none());
        tokio::task::yield_now().await;
    }
    let second: Vec<_> = batch().start().collect().await;
    assert_eq!(second.len(), 2);
    for outcome in second {
        let Err(Error::Journal(error)) = &outcome.result else { panic!("{outcome:?}") };
        assert_eq!(error.source.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
    }
    let adoption = workspace.adopt(&*journal, number(1), connector_id()).await;
    assert!(matches!(adoption, Err(AdoptionError::Journal(_))), "{adoption:?}");
    assert_eq!((peer.posts(), peer.gets()), (2, 0));
    drop(first);
    let resumed: Vec<_> = batch().start().collect().await;
    assert!(resumed.iter().all(|outcome| outcome.from_journal), "{resumed:?}");
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_sends_nothing() {
    struct Broken;
    impl Journal for Broken {
        fn load(&self) -> JournalFuture<'_, JournalState> {
            Box::pin(async { Err(io::Error::other("no route to the database")) })
        }

        fn append(&self, _: PhoneNumberId, _: JournalEntry) -> JournalFuture<'_> {
            panic!("nothing is appended")
        }
    }
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let batch = workspace.install_sms_channels(requests(3)).journal(Arc::new(Broken));
    let outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!((outcomes.len(), peer.connections()), (3, 0));
    for outcome in outcomes {
        assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
        let error = outcome.result.unwrap_err();
        assert_eq!((error.kind(), error.connector_state()), ("journal", ConnectorState::Unknown));
        assert!(error.chain().contains("no route to the database"), "{}", error.chain());
    }
}

// Fault 72.
#[tokio::test]
async fn one_connector_never_serves_two_rows() {
    let peer = Peer::with_handler(|request| match &*request.method {
        "POST" => Reply::json(201, pending()),
        _ => Reply::json(200, ready()),
    });
    let peer = peer.await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let journal = journal([]);
    let batch = workspace.install_sms_channels(requests(2)).journal(journal.clone());
    let outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.result.is_ok()).count(), 1);
    let other = outcomes.iter().find(|outcome| outcome.result.is_err()).unwrap();
    assert_eq!(other.connector_state(), ConnectorState::ExistsIdUnknown);
    let first = outcomes.iter().find(|outcome| outcome.result.is_ok()).unwrap();
    let first = first.request.phone_number_id().to_string();
    let error = other.result.as_ref().unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
    assert!(error.chain().contains(&first), "{}", error.chain());
    // Nor does a connector of the journal, in a later run.
    let third = SmsConnectorRequest::new("n", number(3));
    let outcome = workspace.install(third).journal(journal).await.unwrap_err();
    assert_eq!(outcome.connector_state(), ConnectorState::ExistsIdUnknown);
}

// Fault 72.
#[tokio::test]
async fn a_response_about_another_phone_number_has_no_id_for_this_one() {
    let other = format!(r#""arguments": {{"phoneNumberId": "{}"}}"#, number(2));
    let body = pending().replacen('{', &format!("{{{other},"), 1);
    let peer = Peer::script([Reply::json(201, body)]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let error = workspace.install(request()).await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
    assert!(error.chain().contains(&number(2).to_string()), "{}", error.chain());
    assert_eq!((peer.posts(), peer.gets()), (1, 0));
}

// Fault 101.
#[tokio::test]
async fn a_403_stops_a_batch_only_until_a_request_of_its_kind_was_accepted() {
    let gets = Arc::new(AtomicUsize::new(0));
    let peer = Peer::with_handler(move |request| match &*request.method {
        "POST" => another(&pending()),
        _ if gets.fetch_add(1, Ordering::Relaxed) == 5 => Reply::status(403),
        _ => read(request),
    });
    let peer = peer.await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let batch = workspace.install_sms_channels(requests(20)).concurrency(1);
    let outcomes: Vec<_> = batch.start().collect().await;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    assert_eq!((outcomes.len(), failed.len()), (20, 1));
    assert_eq!(failed[0].result.as_ref().unwrap_err().status(), Some(403));
}

#[tokio::test]
async fn a_row_that_a_shutdown_ends_says_so() {
    let peer = Peer::with_handler(|request| match &*request.method {
        "POST" => another(&pending()),
        _ => Reply::status(401),
    });
    let peer = peer.await.unwrap();
    let limits = RateLimits { gets_per_second: 1, ..RateLimits::default() };
    let workspace = workspace(without_sleep(&peer.base_url()).0.rate_limits(limits));
    let outcomes: Vec<_> = workspace.install_sms_channels(requests(5)).start().collect().await;
    let reasons: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.result {
            Err(Error::NotReady(error)) => Some(error.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [NotReadyReason::AccessRefused; 4]);
}

#[tokio::test]
async fn a_get_about_another_phone_number_is_never_ready() {
    let other = format!(r#""arguments": {{"phoneNumberId": "{}"}}"#, number(2));
    let read = ready().replacen('{', &format!("{{{other},"), 1);
    let script = || [Reply::json(201, pending()), Reply::json(200, &read)];
    let peer = Peer::script(script()).await.unwrap();
    let error = install_at(&peer).await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown);
    assert!(error.chain().contains(&number(2).to_string()), "{}", error.chain());
    // The same in a batch, and in its next run.
    let script = script().into_iter().chain([Reply::json(200, &read)]);
    let peer = Peer::script(script).await.unwrap();
    let (workspace, journal) = (workspace(without_sleep(&peer.base_url()).0), journal([]));
    for gets in 1..=2 {
        let batch = workspace.install_sms_channels([request()]).journal(journal.clone());
        let outcomes: Vec<_> = batch.start().collect().await;
        assert_eq!(outcomes[0].connector_state(), ConnectorState::ExistsIdUnknown);
        assert_eq!(outcomes[0].kind(), "outcome-unknown");
        assert_eq!((peer.posts(), peer.gets()), (1, gets));
    }
}
