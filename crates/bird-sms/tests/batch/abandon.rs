//! Batches that are abandoned or dropped on two threads at any moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_sms::test_util::MemoryJournal;
use bird_sms::{
    Backoff, BatchOutcome, BatchOutcomes, ClientBuilder, ConnectorState, Journal, JournalEntry,
    JournalFuture, JournalState, PhoneNumberId, RateLimits, RetryPolicy, SmsConnectorRequest,
};
use futures_util::future::poll_immediate;
use futures_util::{FutureExt, Stream};
use tokio::time::Instant;

use crate::server::{Call, Reply, Server, requests};

const ROWS: u128 = 16;
const ROUNDS: u128 = 15_000;
/// The longest time for the rounds.
const TIME: Duration = Duration::from_secs(2);

/// No request waits for the rate limit, and every other retry waits for nothing: a delay of less than half a nanosecond
/// is none.
fn at_once(client: ClientBuilder) -> ClientBuilder {
    let limits = RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX };
    let nanosecond = Duration::from_nanos(1);
    let backoff = Backoff { initial: nanosecond, multiplier: 1.0, max: nanosecond, jitter: 1.0 };
    client.rate_limits(limits).retry_policy(RetryPolicy { backoff, ..Default::default() })
}

/// Runs rounds of a batch of 16 rows: `start` gets the first number of its rows, and after 0 to 100 µs `end` gets the
/// batch and the outcomes that came. Returns when no task is left.
async fn rounds<S>(
    start: impl Fn(u128) -> BatchOutcomes<S>,
    mut end: impl FnMut(u128, BatchOutcomes<S>, Vec<BatchOutcome>),
) where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    let began = Instant::now();
    for round in (0..ROUNDS).take_while(|_| began.elapsed() < TIME) {
        let first = 1 + round * ROWS;
        let mut batch = start(first);
        let mut outcomes = Vec::new();
        let delay = Duration::from_nanos(u64::try_from(round * 7919 % 100_000).unwrap());
        let started = Instant::now();
        loop {
            while let Some(Some(outcome)) = poll_immediate(batch.next()).await {
                outcomes.push(outcome);
            }
            if started.elapsed() >= delay {
                break;
            }
            std::hint::spin_loop();
        }
        end(first, batch, outcomes);
    }
    // The tasks of the last batch may still run.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Asserts that each POST has an outcome, that no row has two, and that no outcome says less than the truth.
fn assert_one_outcome_for_each_post(posts: &[Call], outcomes: &[BatchOutcome]) {
    let mut of_row: HashMap<PhoneNumberId, Vec<ConnectorState>> = HashMap::new();
    for outcome in outcomes {
        let states = of_row.entry(outcome.request.phone_number_id()).or_default();
        states.push(outcome.connector_state());
    }
    let numbers: Vec<_> = posts.iter().filter_map(|call| call.post).collect();
    // On a machine with more to do there are fewer.
    assert!(numbers.len() > 100, "only {} POSTs", numbers.len());
    let without = numbers.iter().filter(|number| !of_row.contains_key(number)).count();
    let twice = of_row.values().filter(|states| states.len() > 1).count();
    let untrue = numbers
        .iter()
        .filter_map(|number| of_row.get(number))
        .filter(|states| states.iter().any(|state| !state.may_exist()))
        .count();
    assert_eq!(
        (without, twice, untrue),
        (0, 0, 0),
        "POSTs without an outcome, rows with two, POSTs that are said to have created nothing; of {} POSTs",
        numbers.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_post_of_an_abandoned_batch_has_exactly_one_outcome() {
    // Without a latency, the task that sends goes on to the GET and to its end.
    let server = Server::new(Duration::ZERO, |call| match call.post {
        Some(_) => Reply::Pending,
        None => Reply::Ready,
    });
    let workspace = server.workspace(at_once);
    let mut all = Vec::new();
    let start = |first| workspace.install_sms_channels(requests(first, ROWS)).start();
    rounds(start, |_, mut batch, outcomes| {
        all.extend(outcomes);
        all.extend(batch.abandon());
        assert!(batch.next().now_or_never().unwrap().is_none());
    })
    .await;
    assert_one_outcome_for_each_post(&server.posts(), &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_install_that_ends_while_its_batch_is_abandoned_has_two_outcomes() {
    let server = Server::new(Duration::ZERO, |_| Reply::Ready);
    let workspace = server.workspace(at_once);
    let mut all = Vec::new();
    let start = |first| workspace.install_sms_channels(requests(first, ROWS)).start();
    rounds(start, |_, mut batch, outcomes| {
        all.extend(outcomes);
        all.extend(batch.abandon());
        assert!(batch.next().now_or_never().unwrap().is_none());
    })
    .await;
    assert_one_outcome_for_each_post(&server.posts(), &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_is_sent_again_after_its_batch_is_abandoned() {
    let abandoned = Arc::new(AtomicBool::new(false));
    let late = Arc::new(Mutex::new(HashMap::<PhoneNumberId, usize>::new()));
    let (flag, count) = (Arc::clone(&abandoned), Arc::clone(&late));
    let server = Server::new(Duration::ZERO, move |call| {
        if let Some(number) = call.post
            && flag.load(Ordering::Acquire)
        {
            *count.lock().unwrap().entry(number).or_default() += 1;
        }
        Reply::TooMany(0)
    });
    let workspace = server.workspace(at_once);
    let mut all = Vec::new();
    let start = |first| {
        abandoned.store(false, Ordering::Release);
        workspace.install_sms_channels(requests(first, ROWS)).start()
    };
    rounds(start, |_, mut batch, outcomes| {
        all.extend(outcomes);
        all.extend(batch.abandon());
        abandoned.store(true, Ordering::Release);
    })
    .await;
    assert_one_outcome_for_each_post(&server.posts(), &all);
    // A POST that was about to leave may leave at this very moment, and its retry does not.
    let again = late.lock().unwrap().values().filter(|posts| **posts > 1).count();
    assert_eq!(again, 0, "rows with a retry after the end of their batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_resumes_a_dropped_one_sends_no_post_again() {
    let server = Server::new(Duration::ZERO, |_| Reply::Pending);
    let workspace = server.workspace(at_once);
    let journals = Mutex::new(HashMap::<u128, Arc<MemoryJournal>>::new());
    let start = |first| {
        let journal = journals.lock().unwrap().entry(first).or_default().clone();
        workspace.install_sms_channels(requests(first, ROWS)).journal(journal).start()
    };
    rounds(start, |first, batch, _| {
        drop(batch);
        let mut resumed = start(first);
        let _ = resumed.next().now_or_never();
        std::thread::sleep(Duration::from_micros(50));
    })
    .await;
    let mut posts = HashMap::<_, usize>::new();
    for call in server.posts() {
        *posts.entry(call.post).or_default() += 1;
    }
    let again = posts.values().filter(|posts| **posts > 1).count();
    assert_eq!(again, 0, "rows with two POSTs; of {} rows", posts.len());
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_ready_is_in_the_outcome_while_the_journal_writes_it() {
    struct Stuck;
    impl Journal for Stuck {
        fn load(&self) -> JournalFuture<'_, JournalState> {
            Box::pin(async { Ok(JournalState::default()) })
        }

        fn append(&self, _: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
            match entry {
                JournalEntry::Ready { .. } => Box::pin(std::future::pending()),
                _ => Box::pin(async { Ok(()) }),
            }
        }
    }
    let server = Server::new(Duration::from_millis(1), |_| Reply::Ready);
    let workspace = server.workspace(|client| client);
    let mut batch = workspace.install_sms_channels(requests(1, 1)).journal(Arc::new(Stuck)).start();
    let outcome = tokio::time::timeout(Duration::from_secs(1), batch.next()).await;
    assert!(outcome.is_err(), "{outcome:?}");
    let [outcome] = &batch.abandon()[..] else { panic!("not one outcome") };
    assert_eq!(outcome.result.as_ref().ok().map(|channel| channel.id), outcome.state.channel_id());
}
