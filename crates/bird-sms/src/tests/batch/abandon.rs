//! Batches that are abandoned or dropped on two threads at any moment, in real time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;

use super::*;
use crate::{Backoff, RateLimits};

const ROWS: u128 = 16;
const ROUNDS: u128 = 15_000;
/// New rounds start until this much time has passed.
const TIME: Duration = Duration::from_secs(1);

/// Returns a workspace without rate limits. About half of its retries do not wait at all, because a delay below half a
/// nanosecond rounds to zero.
fn unlimited(bird: &InMemory) -> Workspace {
    let limits = RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX };
    let nanosecond = Duration::from_nanos(1);
    let backoff = Backoff { initial: nanosecond, multiplier: 1.0, max: nanosecond, jitter: 1.0 };
    let retry = RetryPolicy { backoff, ..Default::default() };
    workspace(client(bird).rate_limits(limits).retry_policy(retry))
}

/// Runs rounds with a batch of 16 rows each. A round calls `start` with the number of its first row, and up to 100 µs
/// later `end` with this number, the batch and its outcomes so far. Finally, gives the last tasks time to end.
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
    // Let the tasks of the last batch end.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Abandons batches at arbitrary moments. Asserts that each row that was sent has exactly one outcome, and that this
/// outcome says that a connector may exist.
async fn abandon_rounds(bird: &InMemory, abandoned: &AtomicBool) {
    let workspace = unlimited(bird);
    let mut outcomes = Vec::new();
    let start = |first| {
        abandoned.store(false, Ordering::Release);
        workspace.install_sms_channels(requests(first, ROWS)).start()
    };
    rounds(start, |_, mut batch, ended| {
        outcomes.extend(ended);
        outcomes.extend(batch.abandon());
        abandoned.store(true, Ordering::Release);
        assert!(batch.next().now_or_never().unwrap().is_none());
    })
    .await;
    let mut of_row: HashMap<PhoneNumberId, Vec<ConnectorState>> = HashMap::new();
    for outcome in &outcomes {
        let states = of_row.entry(outcome.request.phone_number_id()).or_default();
        states.push(outcome.connector_state());
    }
    let posted = posted(bird);
    // A busy machine runs fewer rounds, but even there more POSTs than this are expected.
    assert!(posted.len() > 100, "only {} POSTs", posted.len());
    let wrong = posted.iter().filter_map(|number| match of_row.get(number).map(Vec::as_slice) {
        Some([state]) if state.may_exist() => None,
        states => Some((number, states)),
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [], "of {} POSTs", posted.len());
    assert!(of_row.values().all(|states| states.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_post_of_an_abandoned_batch_has_exactly_one_outcome() {
    // The channel of every other row is ready at once.
    let bird = InMemory::with_handler(|request| match number_of(request) {
        Some(number) => connector(request, number.as_uuid().as_u128().is_multiple_of(2)),
        None => connector(request, true),
    });
    abandon_rounds(&bird, &AtomicBool::new(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_is_retried_after_its_batch_is_abandoned() {
    let abandoned = Arc::new(AtomicBool::new(false));
    let late = Arc::new(Mutex::new(HashMap::<PhoneNumberId, usize>::new()));
    let flag = Arc::clone(&abandoned);
    let count = Arc::clone(&late);
    let bird = InMemory::with_handler(move |request| {
        if let Some(number) = number_of(request)
            && flag.load(Ordering::Acquire)
        {
            *count.lock().unwrap().entry(number).or_default() += 1;
        }
        Reply::with_headers(429, &["retry-after: 0"], "")
    });
    abandon_rounds(&bird, &abandoned).await;
    // Abandoning a batch cannot stop a POST that is already being sent, but it stops the retry.
    let retried = late.lock().unwrap().values().filter(|posts| **posts > 1).count();
    assert_eq!(retried, 0, "rows were retried after their batch was abandoned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_batch_repeats_no_post_of_a_dropped_batch() {
    let bird = InMemory::with_handler(|request| connector(request, false));
    let workspace = unlimited(&bird);
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
    for number in posted(&bird) {
        *posts.entry(number).or_default() += 1;
    }
    let twice = posts.values().filter(|posts| **posts > 1).count();
    assert_eq!(twice, 0, "rows with several POSTs, of {} rows", posts.len());
}
