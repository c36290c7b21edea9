//! When polling ends, and with which error.

use bird_test_peer::{Peer, Reply, head_and_body, refused_url};

use super::*;
use crate::{AttemptError, TransportErrorKind};

async fn peer(script: impl IntoIterator<Item = Reply>) -> Peer {
    Peer::script(script).await.unwrap()
}

/// Waits for a channel against a script, and returns the result and the number of GETs.
async fn wait(script: impl IntoIterator<Item = Reply>) -> (Result<SmsChannel, Error>, usize) {
    let peer = peer(script).await;
    let result = wait_at(&peer).await;
    assert_eq!(peer.posts(), 0);
    (result, peer.gets())
}

/// Returns why a wait ended early. Asserts that the error and its text contain the connector id.
fn cause(result: Result<SmsChannel, Error>) -> AttemptError {
    let error = result.unwrap_err();
    assert_eq!(error.connector_id(), Some(connector_id()));
    assert!(error.chain().contains(CONNECTOR), "{error}");
    assert!(error.connector_state().may_exist());
    match error {
        Error::Read(_, failure) => failure.cause.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn pending_reply() -> Reply {
    Reply::json(200, pending())
}

fn ready_reply() -> Reply {
    Reply::json(200, ready())
}

#[tokio::test]
async fn an_install_polls_until_the_channel_is_ready() {
    let created = Reply::json(201, pending());
    let peer = peer([created, pending_reply(), pending_reply(), ready_reply()]).await;
    let channel = install_at(&peer).await.unwrap();
    assert_eq!(channel.id.to_string(), CHANNEL);
    assert_eq!(channel.connector_id, connector_id());
    assert_eq!(channel.workspace_id, workspace_id());
    assert_eq!(channel.connector().unwrap().name, "My SMS channel");
    assert_eq!((peer.posts(), peer.gets(), peer.connections()), (1, 3, 1));
    let path = format!("/workspaces/{WORKSPACE}/connectors/{CONNECTOR}");
    assert_eq!(peer.requests()[1].path, path);
}

#[tokio::test]
async fn a_channel_in_the_response_to_the_post_needs_no_poll() {
    let peer = peer([Reply::json(201, ready())]).await;
    assert_eq!(install_at(&peer).await.unwrap().id.to_string(), CHANNEL);
    assert_eq!(peer.gets(), 0);
}

/// Returns the delays between the polls of a connector in milliseconds, each the longest that the jitter allows.
async fn delays(poll: PollPolicy, polls: usize) -> Vec<u128> {
    let peer = peer((0..polls).map(|_| pending_reply()).chain([ready_reply()])).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    workspace(builder.poll_policy(poll)).pending_channel(connector_id()).wait().await.unwrap();
    runtime.slept().iter().map(Duration::as_millis).collect()
}

#[tokio::test]
async fn the_gap_between_polls_grows_with_the_age_of_the_connector() {
    let delays = delays(PollPolicy::default(), 40).await;
    // Each delay is √(2 · 45 ms · age), at least 0.2 s and at most 1.5 s, plus an eighth of jitter. The age is the sum
    // of the previous delays.
    let mut age = 0.0_f64;
    for delay in delays.iter().map(|delay| f64::from(u32::try_from(*delay).unwrap()) / 1e3) {
        let expected = 1.125 * (2.0 * 0.045 * age).sqrt().clamp(0.2, 1.5);
        assert!((delay - expected).abs() < 0.02, "{delay} instead of {expected} at {age}");
        age += delay;
    }
    assert_eq!(delays[39], 1687);
}

#[tokio::test]
async fn a_fixed_interval_applies_between_all_polls() {
    let interval = Some(Duration::from_secs(3));
    let delays = delays(PollPolicy { interval, ..Default::default() }, 4).await;
    assert_eq!(delays, [3000, 3000, 3000, 3000]);
}

#[tokio::test]
async fn an_observer_receives_the_events_in_order() {
    let replies = [Reply::json(201, pending()), Reply::status(503), pending_reply(), ready_reply()];
    let peer = peer(replies).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let (result, events) = observed(workspace.install(request())).await;
    let [
        Event::Creating { attempt: 1 },
        Event::Created { connector_id, warning: None },
        Event::Retrying { .. },
        Event::Polled { polls: 2, .. },
        Event::Ready { channel_id },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(connector_id.to_string(), CONNECTOR);
    assert_eq!(*channel_id, result.unwrap().id);
}

#[tokio::test]
async fn a_manual_poll_sends_one_get() {
    let peer = peer([pending_reply(), Reply::status(503), ready_reply()]).await;
    let mut pending = workspace(without_sleep(&peer.base_url()).0).pending_channel(connector_id());
    assert_eq!(pending.poll().await.unwrap(), None);
    assert!(matches!(pending.poll().await, Err(Error::Read(..))));
    assert_eq!(pending.poll().await.unwrap().unwrap().id.to_string(), CHANNEL);
    assert_eq!(peer.gets(), 3);
}

#[tokio::test]
async fn a_wait_that_times_out_reports_its_duration_and_its_polls() {
    let peer = Peer::with_handler(|_| pending_reply()).await.unwrap();
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.install_timeout(Duration::from_secs(20)));
    let error = workspace.pending_channel(connector_id()).wait().await.unwrap_err();
    let Error::NotReady(id, _, failure) = &error else { panic!("{error:?}") };
    assert_eq!((*id, failure.attempts.count as usize), (connector_id(), peer.gets()));
    let slept: Duration = runtime.slept().iter().sum();
    // The last poll is made a second before the deadline.
    assert!((18_900..=19_100).contains(&slept.as_millis()), "{slept:?}");
    assert!(failure.attempts.elapsed >= slept);
    assert!(error.chain().contains(CONNECTOR), "{error}");
}

#[tokio::test]
async fn the_last_poll_leaves_time_for_its_response() {
    let peer = Peer::with_handler(|_| pending_reply()).await.unwrap();
    let (builder, runtime) = without_sleep(&peer.base_url());
    let interval = Some(Duration::from_secs(5));
    let policy = PollPolicy { interval, ..Default::default() };
    // A poll after 10 s would leave 20 ms before the deadline.
    let timeout = Duration::from_millis(10_020);
    let workspace = workspace(builder.poll_policy(policy).install_timeout(timeout));
    let error = workspace.pending_channel(connector_id()).wait().await.unwrap_err();
    assert!(matches!(error, Error::NotReady(..)), "{error:?}");
    assert_eq!((error.attempts().count, peer.gets()), (3, 3));
    let slept: Duration = runtime.slept().iter().sum();
    assert!((9_000..=9_020).contains(&slept.as_millis()), "{slept:?}");
}

#[tokio::test]
async fn refused_connections_are_retried_until_the_deadline() {
    let (builder, _) = without_sleep(&refused_url().await.unwrap());
    let error = workspace(builder).pending_channel(connector_id()).wait().await.unwrap_err();
    // The error is not `NotReady`, because no response has shown that the connector exists.
    assert!(matches!(error, Error::Read(..)) && error.is_retryable(), "{error:?}");
    let Some(AttemptError::Transport(last)) = error.cause() else { panic!("{error:?}") };
    assert_eq!(last.kind(), TransportErrorKind::Connect);
    assert!(error.attempts().count > 10);
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let whole = head_and_body(200, &[], &ready());
    let cut = whole[..whole.len() - 5].to_vec();
    let html = Reply::with_headers(502, &["content-type: text/html"], "<html>Bad gateway</html>");
    for failure in [
        Reply::ResetOnAccept,
        Reply::Reset,
        Reply::Close,
        Reply::BytesThenClose(head_and_body(200, &[], &pending())),
        Reply::BytesThenClose(cut.clone()),
        Reply::BytesThenReset(cut),
        Reply::status(408),
        Reply::status(460),
        Reply::status(499),
        Reply::status(429),
        Reply::status(500),
        Reply::status(503),
        Reply::status(504),
        html,
    ] {
        let shown = format!("{failure:?}");
        let (result, _) = wait([failure, pending_reply(), ready_reply()]).await;
        assert!(result.is_ok(), "{shown}: {result:?}");
    }
}

#[tokio::test]
async fn a_truncated_body_is_retried_any_number_of_times() {
    let whole = head_and_body(200, &[], &ready());
    let cut = || Reply::BytesThenClose(whole[..whole.len() - ready().len() + 5].to_vec());
    let (result, gets) = wait((0..10).map(|_| cut()).chain([ready_reply()])).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(gets, 11);
}

#[tokio::test]
async fn a_wait_with_a_timeout_of_zero_keeps_the_connector_id() {
    let peer = peer([Reply::json(201, pending())]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let pending = workspace.create_sms_connector(&request()).await.unwrap();
    let error = pending.timeout(Duration::ZERO).wait().await.unwrap_err();
    assert!(matches!(error, Error::NotReady(..)), "{error:?}");
    assert_eq!(error.connector_id(), Some(connector_id()));
    assert_eq!(peer.gets(), 0);
}

#[tokio::test]
async fn a_poll_without_a_response_is_retried() {
    let peer = peer([Reply::Silence, ready_reply()]).await;
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.attempt_timeout(Duration::from_millis(50)));
    workspace.pending_channel(connector_id()).wait().await.unwrap();
    assert_eq!(peer.gets(), 2);
}

#[tokio::test]
async fn a_slow_body_ends_the_wait_at_the_deadline() {
    let drip = Reply::Drip(head_and_body(200, &[], &ready()), Duration::from_millis(5));
    let peer = peer([drip]).await;
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.install_timeout(Duration::from_millis(100)));
    let error = workspace.pending_channel(connector_id()).wait().await.unwrap_err();
    assert!(matches!(error, Error::Read(..)) && error.is_retryable(), "{error:?}");
    assert_eq!(error.connector_id(), Some(connector_id()));
}

#[tokio::test]
async fn a_permanent_failure_ends_the_wait_at_once() {
    for status in [301, 307, 308, 400, 401, 403, 409, 422, 501, 505] {
        let (result, gets) = wait([Reply::status(status), ready_reply()]).await;
        assert_eq!(cause(result).response().unwrap().status, status);
        assert_eq!(gets, 1, "{status}");
    }
}

#[tokio::test]
async fn a_404_is_retried_only_while_the_connector_is_new() {
    let zero = Duration::ZERO;
    let grace = PollPolicy::default().not_found_grace;
    for (age, grace, gets) in [
        // Without a creation time, the age counts from the start of the wait.
        (None, grace, 4..12),
        (Some(1), grace, 4..12),
        (Some(9), grace, 2..5),
        (Some(60), grace, 1..2),
        (None, zero, 1..2),
    ] {
        let peer = Peer::with_handler(|_| Reply::status(404)).await.unwrap();
        let policy = PollPolicy { not_found_grace: grace, ..Default::default() };
        let workspace = workspace(without_sleep(&peer.base_url()).0.poll_policy(policy));
        let mut pending = workspace.pending_channel(connector_id());
        if let Some(seconds) = age {
            // In these tests, the system time is always the Unix epoch.
            pending = pending.created_at(jiff::Timestamp::from_second(-seconds).unwrap());
        }
        assert_eq!(cause(pending.wait().await).response().unwrap().status, 404);
        assert!(gets.contains(&peer.gets()), "{age:?}: {} GETs", peer.gets());
    }
    let created = Reply::json(201, pending());
    let found = peer([created, Reply::status(404), Reply::status(404), ready_reply()]).await;
    assert!(install_at(&found).await.is_ok());
    let (result, gets) = wait([pending_reply(), Reply::status(404), ready_reply()]).await;
    assert_eq!((cause(result).response().unwrap().status, gets), (404, 2));
}

#[tokio::test]
async fn a_throttled_poll_obeys_retry_after() {
    let limited = Reply::with_headers(429, &["retry-after: 7"], "");
    let peer = peer([limited, ready_reply()]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    workspace(builder).pending_channel(connector_id()).wait().await.unwrap();
    assert_eq!(runtime.slept(), [Duration::from_secs(7)]);
}

#[tokio::test]
async fn a_retry_after_past_the_deadline_ends_the_wait_at_once() {
    let limited = Reply::with_headers(429, &["retry-after: 99999999999999999999"], "");
    let peer = peer([limited]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let retry = RetryPolicy { retry_after_cap: Duration::MAX, ..Default::default() };
    let workspace = workspace(builder.retry_policy(retry));
    let error = workspace.pending_channel(connector_id()).wait().await.unwrap_err();
    assert!(matches!(error, Error::Read(..)) && error.is_retryable(), "{error:?}");
    assert_eq!(error.response().map(|response| response.status), Some(429));
    assert!(runtime.slept().is_empty());
}

#[tokio::test]
async fn the_third_malformed_response_in_a_row_ends_the_wait() {
    let no_content = Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let channel = format!(r#"{{"id": "{CONNECTOR}", "channel": 7}}"#);
    for (response, problem) in [
        (no_content, ""),
        (Reply::status(202), ""),
        (Reply::json(200, "{"), "EOF"),
        (Reply::json(200, r#"{"id": null}"#), "`id`: "),
        (Reply::json(200, channel), "`channel`: invalid type"),
    ] {
        let [first, second, third] = [&response; 3].map(Reply::clone);
        let (result, gets) = wait([first.clone(), second.clone(), ready_reply()]).await;
        assert!(result.is_ok() && gets == 3, "{response:?}: {result:?}");
        let (result, gets) = wait([first, second, third, ready_reply()]).await;
        let AttemptError::Malformed(malformed) = cause(result) else { panic!("{response:?}") };
        assert_eq!(gets, 3);
        assert!(malformed.problem.as_ref().unwrap().starts_with(problem), "{malformed}");
    }
}

#[tokio::test]
async fn a_malformed_field_does_not_lose_a_ready_channel() {
    let malformed = ready().replace("2025-01-21T01:43:10.940Z", "yesterday");
    let (result, gets) = wait([Reply::json(200, malformed)]).await;
    let channel = result.unwrap();
    assert_eq!((channel.id.to_string().as_str(), gets), (CHANNEL, 1));
    assert_eq!(channel.connector(), None);
}

#[tokio::test]
async fn a_response_about_another_connector_or_workspace_ends_the_wait() {
    let other = "11111111-1111-4111-8111-111111111111";
    let (result, gets) = wait([Reply::json(200, ready().replace(CONNECTOR, other))]).await;
    let AttemptError::OtherConnector(id) = cause(result) else { panic!() };
    assert_eq!((id.to_string().as_str(), gets), (other, 1));
    let (result, _) = wait([Reply::json(200, ready().replace(WORKSPACE, other))]).await;
    assert!(matches!(cause(result), AttemptError::OtherWorkspace(_)));
    // A channel in the response to the POST is not used either if its workspace differs.
    let foreign = ready().replace(WORKSPACE, other);
    let peer = peer([Reply::json(201, foreign.clone()), Reply::json(200, foreign)]).await;
    assert!(matches!(cause(install_at(&peer).await), AttemptError::OtherWorkspace(_)));
}

#[tokio::test]
async fn a_connector_of_another_template_ends_the_wait() {
    let of = |template: &str, body: String| {
        body.replacen('{', &format!(r#"{{"connectorTemplateRef": "{template}", "#), 1)
    };
    let voice = || of("voice-messagebird:1", ready());
    let (result, gets) = wait([Reply::json(200, voice()), ready_reply()]).await;
    let AttemptError::OtherTemplate(template) = cause(result) else { panic!() };
    assert_eq!((&*template, gets), ("voice-messagebird:1", 1));
    // A channel in the response to the POST is not used either if its template differs.
    let peer = peer([Reply::json(201, voice()), Reply::json(200, voice())]).await;
    let error = install_at(&peer).await.unwrap_err();
    assert!(error.hint().unwrap().contains("do not create it again"), "{error}");
    assert!(matches!(cause(Err(error)), AttemptError::OtherTemplate(_)));
    let (result, _) = wait([Reply::json(200, of("sms-messagebird:2", ready()))]).await;
    assert!(result.is_ok());
    // A read returns connectors of any template.
    let peer = super::wait::peer([Reply::json(200, voice())]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let connector = workspace.connector(connector_id()).await.unwrap();
    assert_eq!(connector.template_ref.as_deref(), Some("voice-messagebird:1"));
}

#[tokio::test]
async fn a_dropped_wait_is_resumed_from_the_id() {
    let peer = peer([Reply::Silence, pending_reply(), ready_reply()]).await;
    let workspace = with_long_sleeps(&peer);
    let in_flight = workspace.pending_channel(connector_id()).wait();
    assert!(tokio::time::timeout(Duration::from_millis(50), in_flight).await.is_err());
    assert_eq!(peer.gets(), 1);
    let polled = Arc::new(tokio::sync::Notify::new());
    let on_poll = Arc::clone(&polled);
    let between_polls = workspace.pending_channel(connector_id()).observe(move |event| {
        if matches!(event, Event::Polled { .. }) {
            on_poll.notify_one();
        }
    });
    tokio::select! {
        result = between_polls.wait() => panic!("{result:?}"),
        () = polled.notified() => {}
    }
    assert_eq!(peer.gets(), 2);
    assert_eq!(wait_at(&peer).await.unwrap().id.to_string(), CHANNEL);
}

#[tokio::test]
async fn a_read_is_retried_and_keeps_the_whole_response() {
    let body = ready().replacen('{', r#"{"addedTomorrow": 1, "#, 1);
    let peer = peer([Reply::status(503), Reply::json(200, body)]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let connector = workspace.connector(connector_id()).await.unwrap();
    assert_eq!(connector.channel_id.unwrap().to_string(), CHANNEL);
    assert!(connector.json().contains("addedTomorrow"));
}
