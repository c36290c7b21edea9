//! How long installs wait for channels that never become ready, and for the end of a pause.

use super::*;
use crate::RateLimits;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn too_many(seconds: u64) -> Reply {
    Reply::with_headers(429, &[&format!("retry-after: {seconds}")], "")
}

/// Creates a server that replies after a delay.
fn slow(delay: Duration, mut reply: impl FnMut(&Request) -> Reply + Send + 'static) -> InMemory {
    InMemory::with_handler(move |request| reply(request).delayed(delay))
}

/// Returns a workspace with an install timeout of three seconds.
fn impatient(bird: &InMemory) -> Workspace {
    workspace(client(bird).install_timeout(3 * SECOND))
}

/// Runs a batch to its end, and returns its outcomes and its duration.
async fn run(workspace: &Workspace, rows: u128) -> (Vec<BatchOutcome>, Duration) {
    let began = Instant::now();
    let outcomes = all(workspace.install_sms_channels(requests(1, rows))).await;
    (outcomes, began.elapsed())
}

fn all_exist(outcomes: &[BatchOutcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome.connector_state(), ConnectorState::Exists(_)))
}

#[tokio::test(start_paused = true)]
async fn rows_that_never_become_ready_end_soon_after_their_timeout() {
    let bird = slow(20 * MILLISECOND, |request| connector(request, false));
    let (outcomes, took) = run(&workspace(client(&bird)), 1000).await;
    assert!(outcomes.len() == 1000 && all_exist(&outcomes));
    assert!(outcomes.iter().all(|outcome| matches!(outcome.result, Err(Error::NotReady(..)))));
    assert!(took < Duration::from_secs(120 + 1000 / 49 + 10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn throttled_polls_do_not_add_a_pause_for_each_row() {
    let bird = slow(MILLISECOND, |request| match &*request.method {
        "POST" => connector(request, false),
        _ => too_many(3),
    });
    let (outcomes, took) = run(&impatient(&bird), 5).await;
    assert!(outcomes.len() == 5 && all_exist(&outcomes), "{outcomes:?}");
    assert!(took < 9 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_past_their_deadline_do_not_wait_for_a_pause() {
    let began = Instant::now();
    // After the rows have timed out, the polls that still wait for a permit would take another 20 s.
    let bird = slow(20 * MILLISECOND, move |request| {
        let is_throttled = began.elapsed() > 123 * SECOND;
        if request.method == "GET" && is_throttled {
            too_many(60)
        } else {
            connector(request, false)
        }
    });
    let (outcomes, took) = run(&workspace(client(&bird)), 1000).await;
    assert!(outcomes.len() == 1000 && all_exist(&outcomes));
    assert!(took < 125 * SECOND, "{took:?}, {} GETs", bird.gets());
}

#[tokio::test(start_paused = true)]
async fn a_row_ends_at_once_if_a_pause_outlasts_its_deadline() {
    let mut is_first = true;
    let bird = slow(MILLISECOND, move |request| {
        if request.method == "POST" && std::mem::take(&mut is_first) {
            Reply::status(503)
        } else {
            too_many(60)
        }
    });
    let (outcomes, took) = run(&impatient(&bird), 2).await;
    assert_eq!((outcomes.len(), bird.posts()), (2, 2));
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome.result, Err(Error::OutcomeUnknown(..))))
    );
    assert!(took < 100 * MILLISECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_stops_after_429s_for_a_whole_timeout() {
    for (rows, latency) in [(6, MILLISECOND), (500, 50 * MILLISECOND)] {
        let bird = slow(latency, |_| too_many(20));
        let workspace = impatient(&bird);
        // A 429 that came before the batch does not count.
        let _ = workspace.install(SmsConnectorRequest::new("n", number(1000))).await;
        tokio::time::sleep(3600 * SECOND).await;
        let (outcomes, took) = run(&workspace, rows).await;
        let posts = bird.posts() - 1;
        assert_eq!(outcomes.len(), posts, "no other row should begin");
        assert!(u128::try_from(posts).unwrap() < rows, "{posts} of {rows}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome.result, Err(Error::Refused(_)))));
        assert!(took > 19 * SECOND && took < 25 * SECOND, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_fail_unsent_rows() {
    let run = async |throttles: bool, timeout| {
        let mut posts = 0;
        let bird = slow(20 * MILLISECOND, move |request| {
            posts += usize::from(request.method == "POST");
            if request.method == "POST" && posts == 101 && throttles {
                too_many(60)
            } else {
                connector(request, request.method == "GET")
            }
        });
        let journal = HookedJournal::new(|entry| match entry {
            None => go_on(),
            Some(_) => Box::pin(async {
                tokio::time::sleep(100 * MILLISECOND).await;
                Ok(())
            }),
        });
        let workspace = workspace(client(&bird).install_timeout(timeout));
        let began = Instant::now();
        let outcomes =
            all(workspace.install_sms_channels(requests(1, 1000)).journal(journal)).await;
        assert_eq!(outcomes.len(), 1000);
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err());
        let failed: Vec<_> = failed.map(|outcome| outcome.request.phone_number_id()).collect();
        (failed, posted(&bird)[100], began.elapsed())
    };
    let (failed, _, undisturbed) = run(false, 120 * SECOND).await;
    assert_eq!(failed, []);
    let (failed, _, took) = run(true, 120 * SECOND).await;
    assert_eq!(failed, []);
    let delay = took.checked_sub(undisturbed).unwrap();
    assert!(delay > 55 * SECOND && delay < 62 * SECOND, "{delay:?}");
    // The row that got the 429 has no time left for another attempt. The rows after it keep their whole timeout.
    let (failed, throttled, _) = run(true, 30 * SECOND).await;
    assert_eq!(failed, [throttled]);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_hardly_delays_a_single_install() {
    let bird = slow(MILLISECOND, |request| connector(request, request.method == "GET"));
    let workspace = workspace(client(&bird).install_timeout(30 * SECOND));
    let single = async |n| {
        let began = Instant::now();
        workspace.install(SmsConnectorRequest::new("n", number(n))).await.unwrap();
        began.elapsed()
    };
    let undisturbed = single(100_000).await;
    let mut batch = workspace.install_sms_channels(requests(1, 6_000)).start();
    let batch = async {
        while batch.next().await.is_some() {}
        panic!("the batch ended too early");
    };
    let singles = async {
        // These start while the batch's POSTs wait, while its polls wait, and after the deadline of its oldest rows.
        for n in 0..12 {
            tokio::time::sleep(Duration::from_secs(n)).await;
            let delay = single(100_001 + u128::from(n)).await.saturating_sub(undisturbed);
            assert!(delay < 3 * SECOND, "{n}: {delay:?}");
        }
    };
    tokio::select! {
        () = batch => {}
        () = singles => {}
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_a_thousand_requests_are_in_flight() {
    for silent in ["POST", "GET"] {
        let bird = slow(MILLISECOND, move |request| {
            if request.method == silent { Reply::Silence } else { connector(request, false) }
        });
        let (outcomes, _) = run(&workspace(client(&bird)), 2500).await;
        assert_eq!(outcomes.len(), 2500);
        assert!(outcomes.iter().all(|outcome| outcome.connector_state().may_exist()));
        assert_eq!((bird.posts(), bird.most_in_flight()), (2500, 1000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_leaves_no_time_for_a_response_is_not_used() {
    let bird = InMemory::with_handler(|request| connector(request, false));
    let limits = RateLimits { posts_per_second: 1, ..Default::default() };
    let client = client(&bird).rate_limits(limits).install_timeout(2500 * MILLISECOND);
    let workspace = workspace(client);
    let requests: Vec<_> = requests(1, 3).collect();
    let creations = requests.iter().map(|request| workspace.create_sms_connector(request));
    let created = futures_util::future::join_all(creations).await;
    // The third permit would come after 2.06 s, too late for a response within 2.5 s.
    let created: Vec<_> = created.into_iter().map(|created| created.is_ok()).collect();
    assert_eq!((&created[..], bird.posts()), (&[true, true, false][..], 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_poll_leaves_as_much_time_as_earlier_responses_took() {
    let last = Arc::new(Mutex::new(None));
    let polled = Arc::clone(&last);
    let bird = InMemory::with_handler(move |request| {
        if request.method == "POST" {
            return connector(request, false);
        }
        *polled.lock().unwrap() = Some(Instant::now());
        Reply::status(503).delayed(400 * MILLISECOND)
    });
    let workspace = workspace(client(&bird).install_timeout(10 * SECOND));
    let began = Instant::now();
    let result = workspace.install(request()).await;
    assert!(matches!(result, Err(Error::NotReady(..))), "{result:?}");
    let last = last.lock().unwrap().unwrap() - began;
    assert!(bird.gets() > 2 && last <= 9600 * MILLISECOND, "{last:?}");
}
