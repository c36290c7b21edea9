//! When installs end whose channel does not get ready, or whose requests are throttled, in simulated time.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_sms::{
    AccessKey, BatchOutcome, Client, ClientBuilder, ConnectorState, Error, Journal, JournalEntry,
    JournalFuture, JournalState, PhoneNumberId, SmsConnectorRequest, Workspace,
};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use crate::server::{Reply, Server, number, requests};

const MILLISECOND: Duration = Duration::from_millis(1);

fn three_seconds(client: ClientBuilder) -> ClientBuilder {
    client.install_timeout(Duration::from_secs(3))
}

/// Runs a batch to its end, and returns the outcomes and the duration.
async fn run(workspace: &Workspace, rows: u128) -> (Vec<BatchOutcome>, Duration) {
    let began = Instant::now();
    let outcomes = workspace.install_sms_channels(requests(1, rows)).start().collect().await;
    (outcomes, began.elapsed())
}

fn all_exist(outcomes: &[BatchOutcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome.connector_state(), ConnectorState::Exists(_)))
}

#[tokio::test(start_paused = true)]
async fn a_thousand_rows_that_never_get_ready_end_soon_after_their_timeout() {
    let server = Server::new(20 * MILLISECOND, |_| Reply::Pending);
    let (outcomes, took) = run(&server.workspace(|client| client), 1000).await;
    assert_eq!(outcomes.len(), 1000);
    assert!(all_exist(&outcomes));
    assert!(outcomes.iter().all(|outcome| matches!(outcome.result, Err(Error::NotReady(_)))));
    assert!(took < Duration::from_secs(120 + 1000 / 49 + 10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_on_every_get_does_not_outlast_the_timeout_for_each_row() {
    let server = Server::new(MILLISECOND, |call| match call.post {
        Some(_) => Reply::Pending,
        None => Reply::TooMany(3),
    });
    let (outcomes, took) = run(&server.workspace(three_seconds), 5).await;
    assert!(outcomes.len() == 5 && all_exist(&outcomes), "{outcomes:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_late_do_not_each_wait_for_a_pause() {
    let began = Instant::now();
    // The queue is 20 s long when the timeouts of the rows are over.
    let server = Server::new(20 * MILLISECOND, move |call| {
        let throttled = call.at - began > Duration::from_secs(123);
        if call.post.is_none() && throttled { Reply::TooMany(60) } else { Reply::Pending }
    });
    let (outcomes, took) = run(&server.workspace(|client| client), 1000).await;
    assert!(outcomes.len() == 1000 && all_exist(&outcomes));
    assert!(took < Duration::from_secs(125), "{took:?}, {} GETs", server.gets());
}

#[tokio::test(start_paused = true)]
async fn a_retry_ends_at_once_if_its_deadline_lies_within_a_pause() {
    let server = Server::new(MILLISECOND, |call| match call.nth {
        0 => Reply::Unavailable,
        _ => Reply::TooMany(60),
    });
    let (outcomes, took) = run(&server.workspace(three_seconds), 2).await;
    assert_eq!((outcomes.len(), server.posts().len()), (2, 2));
    assert!(outcomes.iter().any(|outcome| matches!(outcome.result, Err(Error::OutcomeUnknown(_)))));
    assert!(took < 100 * MILLISECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_stops_if_every_post_of_a_whole_timeout_is_throttled() {
    for (rows, latency) in [(6, MILLISECOND), (500, 50 * MILLISECOND)] {
        let server = Server::new(latency, |_| Reply::TooMany(20));
        let workspace = server.workspace(three_seconds);
        // A 429 from before is not of this batch.
        let _ = workspace.install(SmsConnectorRequest::new("n", number(1000))).await;
        sleep(Duration::from_secs(3600)).await;
        let (outcomes, took) = run(&workspace, rows).await;
        let posts = server.posts().len() - 1;
        assert_eq!(outcomes.len(), posts, "the others are not begun");
        assert!(u128::try_from(posts).unwrap() < rows, "{posts} of {rows}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome.result, Err(Error::Refused(_)))));
        assert!(took > Duration::from_secs(19) && took < Duration::from_secs(25), "{took:?}");
    }
}

/// A journal whose disk is slow.
struct Slow;

impl Journal for Slow {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        Box::pin(async { Ok(JournalState::default()) })
    }

    fn append(&self, _: PhoneNumberId, _: JournalEntry) -> JournalFuture<'_> {
        Box::pin(async {
            sleep(100 * MILLISECOND).await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_delays_the_batch_and_fails_no_row_that_was_not_sent() {
    let duration = async |pause, timeout| {
        let server = Server::new(20 * MILLISECOND, move |call| match call.post {
            Some(_) if call.nth == 100 && pause => Reply::TooMany(60),
            Some(_) => Reply::Pending,
            None => Reply::Ready,
        });
        let workspace = server.workspace(timeout);
        let began = Instant::now();
        let batch =
            workspace.install_sms_channels(requests(1, 1000)).journal(Arc::new(Slow)).start();
        let outcomes: Vec<_> = batch.collect().await;
        assert_eq!(outcomes.len(), 1000);
        let throttled = server.posts()[100].post;
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err());
        let failed: Vec<_> =
            failed.map(|outcome| Some(outcome.request.phone_number_id())).collect();
        (failed, throttled, began.elapsed())
    };
    let (failed, _, undisturbed) = duration(false, |client| client).await;
    assert_eq!(failed, []);
    let (failed, _, took) = duration(true, |client| client).await;
    assert_eq!(failed, []);
    let delay = took.checked_sub(undisturbed).unwrap();
    assert!(delay > Duration::from_secs(55) && delay < Duration::from_secs(62), "{delay:?}");
    // The row of the 429 has no time left for another attempt, and the rows behind it have all of theirs.
    let (failed, throttled, _) =
        duration(true, |client| client.install_timeout(Duration::from_secs(30))).await;
    assert_eq!(failed, [throttled]);
}

#[tokio::test(start_paused = true)]
async fn a_single_install_is_hardly_delayed_by_a_large_batch() {
    let sandbox = Sandbox::builder().response_delay(MILLISECOND).in_memory();
    let client = Client::builder()
        .transport(sandbox.transport())
        .seed(0)
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let single = async |n| {
        let began = Instant::now();
        workspace.install(SmsConnectorRequest::new("n", number(n))).await.unwrap();
        began.elapsed()
    };
    let alone = single(100_000).await;
    let mut batch = workspace.install_sms_channels(requests(1, 20_000)).start();
    let batch = async {
        while batch.next().await.is_some() {}
        panic!("the batch ended before");
    };
    let singles = async {
        // While the POSTs of the batch wait, while its GETs wait, and when its oldest rows are late.
        for n in 0..12 {
            sleep(Duration::from_secs(n)).await;
            let delay = single(100_001 + u128::from(n)).await.saturating_sub(alone);
            assert!(delay < Duration::from_secs(3), "{n}: {delay:?}");
        }
    };
    tokio::select! {
        () = batch => {}
        () = singles => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_gets_at_most_a_thousand_requests_at_a_time() {
    for hangs in [|post| post, |post: bool| !post] {
        let server = Server::new(MILLISECOND, move |call| {
            if hangs(call.post.is_some()) { Reply::Hang } else { Reply::Pending }
        });
        let (outcomes, _) = run(&server.workspace(|client| client), 2500).await;
        assert_eq!(outcomes.len(), 2500);
        assert!(outcomes.iter().all(|outcome| outcome.connector_state().may_exist()));
        assert_eq!(server.posts().len(), 2500);
        assert_eq!(server.most_in_flight(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_is_not_sent_after_its_batch_is_abandoned() {
    let server = Server::new(MILLISECOND, |_| Reply::TooMany(5));
    let workspace = server.workspace(|client| client);
    let mut batch = workspace.install_sms_channels(requests(1, 16)).start();
    let sent = tokio::time::timeout(Duration::from_secs(12), batch.next()).await;
    assert!(sent.is_err(), "{sent:?}");
    let posts = server.posts();
    assert!(posts.len() > 1);
    let outcomes = batch.abandon();
    assert!(posts.iter().all(|call| {
        let of_row = outcomes.iter().filter(|row| Some(row.request.phone_number_id()) == call.post);
        of_row.count() == 1
    }));
    assert_eq!(batch.filter(|_| ready(true)).count().await, 0);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(server.posts(), posts);
}
