//! Failures of the POST, and whether a connector may exist afterwards.

use bird_test_peer::{Peer, Reply, head_and_body, refused_url};

use super::*;
use crate::{ConnectorState, TransportErrorKind, UnknownReason};

pub(super) async fn peer(script: impl IntoIterator<Item = Reply>) -> Peer {
    Peer::script(script).await.unwrap()
}

/// Creates a connector against a script, and returns the result and the number of POSTs.
pub(super) async fn create(
    script: impl IntoIterator<Item = Reply>,
) -> (Result<PendingChannel, Error>, usize) {
    let peer = peer(script).await;
    let result = create_at(&peer).await;
    (result, peer.posts())
}

pub(super) fn created() -> Reply {
    Reply::json(201, pending())
}

pub(super) fn reason(error: &Error) -> UnknownReason {
    assert!(error.connector_state().may_exist());
    match error {
        Error::OutcomeUnknown(reason, _) => *reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_creation_sends_the_documented_request() {
    let peer = peer([created()]).await;
    assert_eq!(create_at(&peer).await.unwrap().connector_id(), connector_id());
    let sent = &peer.requests()[0];
    assert_eq!(sent.method, "POST");
    assert_eq!(sent.path, format!("/workspaces/{WORKSPACE}/connectors"));
    let header = |name: &str| {
        let found = sent.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("authorization"), Some("AccessKey top-secret-key"));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("accept"), Some("application/json"));
    assert!(header("user-agent").unwrap().starts_with("bird-sms/"));
    let length = sent.body.len().to_string();
    assert_eq!(header("content-length"), Some(length.as_str()));
}

#[tokio::test]
async fn interim_responses_are_skipped() {
    for interim in [100, 103] {
        let script = [Reply::json(201, pending()), Reply::json(200, ready())];
        let script = script.map(|reply| reply.after_interim(interim).after_interim(interim));
        let peer = peer(script).await;
        assert_eq!(install_at(&peer).await.unwrap().id.to_string(), CHANNEL, "{interim}");
        assert_eq!((peer.posts(), peer.gets()), (1, 1));
    }
}

#[tokio::test]
async fn a_refused_connection_creates_nothing_and_is_retried() {
    let (builder, runtime) = without_sleep(&refused_url().await.unwrap());
    let error = workspace(builder).create_sms_connector(&request()).await.unwrap_err();
    let (kind, attempts) = unreachable(&error);
    assert_eq!(kind, TransportErrorKind::Connect);
    assert!(attempts > 10);
    assert!(!error.connector_state().may_exist());
    let slept: Duration = runtime.slept().iter().sum();
    assert!(slept < Duration::from_secs(120), "{slept:?}");
    assert!(error.chain().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_connection_timeout_creates_nothing() {
    // Fill the listener's backlog, so the next connection hangs.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    for _ in 0..4 {
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(50), connect).await {
            Ok(stream) => queue.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    // The shorter of the two timeouts ends the attempt.
    for (connect, attempt) in [(30, 5000), (5000, 30)] {
        let (builder, _) = without_sleep(&format!("http://{address}"));
        let retry = RetryPolicy { max_attempts: 2, ..Default::default() };
        let builder = builder
            .connect_timeout(Duration::from_millis(connect))
            .attempt_timeout(Duration::from_millis(attempt))
            .retry_policy(retry);
        let error = workspace(builder).create_sms_connector(&request()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        assert_eq!(error.attempts().count, 2);
    }
}

#[tokio::test]
async fn a_reset_on_accept_is_retried_only_if_nothing_was_sent() {
    for _ in 0..20 {
        let (result, posts) = create([Reply::ResetOnAccept, created()]).await;
        match result {
            Ok(_) => assert_eq!(posts, 1),
            Err(error) => assert_eq!((reason(&error), posts), (UnknownReason::NoResponse, 0)),
        }
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_post_leaves_the_outcome_unknown() {
    for broken in [Reply::Reset, Reply::Close, Reply::BytesThenClose(b"HTTP/1.1 2".to_vec())] {
        let (result, posts) = create([broken, created()]).await;
        let error = result.unwrap_err();
        assert_eq!((reason(&error), posts), (UnknownReason::NoResponse, 1));
        assert_eq!(error.connector_id(), None);
    }
}

#[tokio::test]
async fn a_stale_pooled_connection_causes_no_second_post() {
    for _ in 0..20 {
        let stale = Reply::BytesThenClose(head_and_body(200, &[], &pending()));
        let peer = peer([stale, created()]).await;
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        workspace.connector(connector_id()).await.unwrap();
        match workspace.create_sms_connector(&request()).await {
            Ok(_) => assert_eq!(peer.posts(), 1),
            Err(error) => {
                assert_eq!((reason(&error), peer.posts()), (UnknownReason::NoResponse, 0));
            }
        }
    }
}

#[tokio::test]
async fn a_truncated_201_keeps_the_id_if_it_arrived() {
    let whole = head_and_body(201, &["x-request-id: r-1"], &pending());
    let cut = whole[..whole.len() - 20].to_vec();
    for broken in [Reply::BytesThenClose(cut.clone()), Reply::BytesThenReset(cut)] {
        let (result, posts) = create([broken]).await;
        assert_eq!(result.unwrap().connector_id(), connector_id());
        assert_eq!(posts, 1);
    }
    let head = whole.len() - pending().len();
    let (result, posts) = create([Reply::BytesThenClose(whole[..head + 10].to_vec())]).await;
    let error = result.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!((response.status, posts), (201, 1));
    assert_eq!(response.request_id.as_deref(), Some("r-1"));
    assert!(response.problem.as_ref().unwrap().contains("lost"), "{error}");
}

#[tokio::test]
async fn a_truncated_error_response_is_classified_by_its_status() {
    let cut = |status| {
        let whole = head_and_body(status, &[], r#"{"message": "cut"}"#);
        Reply::BytesThenClose(whole[..whole.len() - 3].to_vec())
    };
    let (result, posts) = create([cut(503), created()]).await;
    assert!(result.is_ok() && posts == 2);
    let (result, posts) = create([cut(422), created()]).await;
    assert!(matches!(result, Err(Error::Refused(_))) && posts == 1);
}

#[tokio::test]
async fn a_post_without_a_timely_response_has_an_unknown_outcome() {
    let peer = peer([Reply::Silence, created()]).await;
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.attempt_timeout(Duration::from_millis(50)));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert_eq!((reason(&error), peer.posts()), (UnknownReason::NoResponse, 1));
    assert!(error.chain().contains("no response arrived in time"), "{error}");
}

#[tokio::test]
async fn a_slow_body_is_cut_off_at_the_deadline() {
    let drip = Reply::Drip(head_and_body(201, &[], &pending()), Duration::from_millis(5));
    let peer = peer([drip]).await;
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.install_timeout(Duration::from_millis(100)));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert!(error.connector_state().may_exist(), "{error:?}");
    assert_eq!(peer.posts(), 1);
}

#[tokio::test]
async fn a_timeout_may_be_maximal_but_not_zero() {
    let peer = peer([Reply::json(201, ready())]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let install = || workspace.install(request());
    let error = install().timeout(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Configuration(_)), "{error:?}");
    assert_eq!(peer.connections(), 0);
    install().timeout(Duration::MAX).await.unwrap();
}

#[tokio::test]
async fn a_4xx_refusal_is_final_and_keeps_its_response() {
    let body = r#"{"code": "InvalidPayload", "message": "malformed",
        "details": {".name": ["property \"name\" is missing"]}}"#;
    for status in [400, 401, 402, 403, 404, 409, 410, 418, 422, 451] {
        let response = Reply::with_headers(status, &["x-request-id: r-1"], body);
        let (result, posts) = create([response, created()]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{status}: {error:?}");
        assert!(!error.connector_state().may_exist());
        assert_eq!(posts, 1, "{status}");
        let response = error.response().unwrap();
        assert_eq!(response.status, status);
        assert_eq!(response.code.as_deref(), Some("InvalidPayload"));
        assert_eq!(response.message.as_deref(), Some("malformed"));
        assert_eq!(response.details[".name"], ["property \"name\" is missing"]);
        assert_eq!(response.request_id.as_deref(), Some("r-1"));
    }
}

#[tokio::test]
async fn any_2xx_means_that_a_connector_was_created() {
    for status in [200, 201, 202] {
        let (result, _) = create([Reply::json(status, pending())]).await;
        assert_eq!(result.unwrap().connector_id(), connector_id());
    }
    let no_content = Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    for empty in [Reply::status(202), no_content] {
        let (result, posts) = create([empty]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::CreatedIdUnknown(_)), "{error:?}");
        assert_eq!(posts, 1);
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = peer([created()]).await;
    let location = format!("location: {}/x", elsewhere.base_url());
    for status in [301, 302, 303, 307, 308] {
        for headers in [&[location.as_str()][..], &[]] {
            let (result, posts) = create([Reply::with_headers(status, headers, "")]).await;
            let error = result.unwrap_err();
            assert_eq!(error.connector_state().may_exist(), status == 303, "{error:?}");
            assert_eq!(error.response().unwrap().location.is_some(), !headers.is_empty());
            assert_eq!(posts, 1);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_connector_leaves_the_outcome_unknown() {
    for (status, location, may_exist) in [
        (302, "/workspaces/x/connectors/con_12345", true),
        (301, "https://api.bird.com/workspaces/x/connectors/con_12345?view=full", true),
        (302, "connectors/con_12345", true),
        (302, "/workspaces/x/Connectors%2Fcon_12345", true),
        (303, "/jobs/con_12345", true),
        (302, "/workspaces/x/connectors", false),
        (302, "/workspaces/x/connectors/", false),
        (307, "https://login.example/con_12345", false),
    ] {
        let header = format!("location: {location}");
        let redirect = Reply::with_headers(status, &[&header], "");
        let (result, posts) = create([redirect, created()]).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.connector_state().may_exist(), posts),
            (may_exist, 1),
            "{status} {location}"
        );
        assert!(error.chain().contains(location), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_that_reqwest_followed_leaves_the_outcome_unknown() {
    let elsewhere = peer([Reply::json(200, ready())]).await;
    let location = format!("location: {}/x", elsewhere.base_url());
    let peer = peer([Reply::with_headers(303, &[&location], "")]).await;
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.http_client(reqwest::Client::new()));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert!(error.chain().contains("followed a redirect"), "{error}");
    assert!(error.connector_state().may_exist());
}

#[tokio::test]
async fn a_post_whose_redirect_leads_to_a_closed_port_is_not_repeated() {
    for status in [301, 302, 303] {
        let location = format!("location: {}/x", refused_url().await.unwrap());
        let peer = peer([Reply::with_headers(status, &[&location], ""), created()]).await;
        let (builder, _) = without_sleep(&peer.base_url());
        let workspace = workspace(builder.http_client(reqwest::Client::new()));
        let error = workspace.create_sms_connector(&request()).await.unwrap_err();
        assert_eq!((error.connector_state(), peer.posts()), (ConnectorState::Unknown, 1));
    }
}

#[tokio::test]
async fn a_future_dropped_before_its_first_poll_sends_nothing() {
    let peer = peer([created()]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    drop(workspace.install(request()).into_future());
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn a_future_dropped_in_flight_sends_one_post() {
    let peer = peer([Reply::Silence, created()]).await;
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let request = request();
    let creation = workspace.create_sms_connector(&request);
    assert!(tokio::time::timeout(Duration::from_millis(50), creation).await.is_err());
    assert_eq!(peer.posts(), 1);
    let _ = workspace.create_sms_connector(&request).await.unwrap();
}

#[tokio::test]
async fn a_future_dropped_between_attempts_sends_nothing_more() {
    let peer = peer([Reply::status(503), created()]).await;
    let workspace = with_long_sleeps(&peer);
    let retrying = Arc::new(tokio::sync::Notify::new());
    let on_retry = Arc::clone(&retrying);
    let install = workspace.install(request()).observe(move |event| {
        if matches!(event, Event::Retrying { .. }) {
            on_retry.notify_one();
        }
    });
    tokio::select! {
        result = install.into_future() => panic!("{result:?}"),
        () = retrying.notified() => {}
    }
    assert_eq!(peer.posts(), 1);
    let _ = workspace.create_sms_connector(&request()).await.unwrap();
    assert_eq!(peer.posts(), 2);
}

#[tokio::test]
async fn a_refusal_by_a_proxy_creates_nothing() {
    let via = |peer: &Peer, base_url: &str| {
        let proxy = reqwest::Proxy::all(peer.base_url()).unwrap();
        let builder =
            without_sleep(base_url).0.allow_http().configure_http(|http| http.proxy(proxy));
        let retry = RetryPolicy { max_attempts: 2, ..Default::default() };
        workspace(builder.retry_policy(retry))
    };
    let schemes = ["proxy-authenticate: Negotiate", "proxy-authenticate: NTLM"];
    let forward = peer([Reply::with_headers(407, &schemes, "")]).await;
    let workspace = via(&forward, "http://bird.example");
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert_eq!(error.response().unwrap().status, 407);
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert!(error.chain().contains("(proxy-authenticate: Negotiate; NTLM)"), "{}", error.chain());
    assert!(error.hint().unwrap().contains("another kind of authentication"), "{error}");
    for status in [403, 407] {
        let tunnel = peer([Reply::status(status), Reply::status(status)]).await;
        let workspace = via(&tunnel, "https://bird.example");
        let error = workspace.create_sms_connector(&request()).await.unwrap_err();
        assert_eq!(tunnel.requests()[0].method, "CONNECT");
        let expected = match status {
            407 => (TransportErrorKind::ProxyAuthentication, 1),
            _ => (TransportErrorKind::Proxy, 2),
        };
        assert_eq!(unreachable(&error), expected);
    }
}

#[tokio::test]
async fn a_response_that_arrives_while_the_process_is_stopped_is_read() {
    let other = tokio::runtime::Runtime::new().unwrap();
    let peer = other.spawn(peer([created().delayed(Duration::from_millis(50))])).await.unwrap();
    let builder = Client::builder()
        .access_key(AccessKey::new(KEY).unwrap())
        .base_url(peer.base_url())
        .attempt_timeout(Duration::from_millis(150));
    let workspace = workspace(builder);
    let request = request();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Block this runtime until long after the attempt timeout.
        std::thread::sleep(Duration::from_millis(700));
    };
    let (created, ()) = tokio::join!(workspace.create_sms_connector(&request), stop);
    assert_eq!(created.unwrap().connector_id(), connector_id());
    other.shutdown_background();
}
