//! The JSON of errors, channels and events, and which errors are retryable.

use bird_test_peer::{Peer, Reply};
use serde_json::{Value, json};

use super::*;
use crate::Event;

fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Returns the error of an install whose requests all get this reply.
async fn error_of(reply: Reply, attempts: u32) -> Error {
    let peer = Peer::with_handler(move |_| reply.clone()).await.unwrap();
    let retry = RetryPolicy { max_attempts: attempts, ..Default::default() };
    let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
    workspace.install(request()).await.unwrap_err()
}

#[tokio::test]
async fn an_error_is_retryable_only_if_a_retry_creates_no_duplicate() {
    for (reply, status, retryable) in [
        (Reply::status(429), Some(429), true),
        (Reply::status(422), Some(422), false),
        (Reply::status(409), Some(409), false),
        (Reply::status(401), Some(401), false),
        // A second POST may create a second connector.
        (Reply::status(500), Some(500), false),
        (Reply::status(504), Some(504), false),
        (Reply::Reset, None, false),
        (Reply::json(201, "{}"), Some(201), false),
        // The connector exists, so the wait can be repeated.
        (Reply::json(201, pending()), None, true),
    ] {
        let shown = format!("{reply:?}");
        let error = error_of(reply, 2).await;
        assert_eq!((error.status(), error.is_retryable()), (status, retryable), "{shown} {error}");
    }
    let nobody = bird_test_peer::refused_url().await.unwrap();
    let workspace = workspace(without_sleep(&nobody).0);
    assert!(workspace.install(request()).await.unwrap_err().is_retryable());
    let error = workspace.install_sms_channel("", NUMBER.parse().unwrap()).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_failed_read_is_retryable_after_a_transient_status() {
    for (status, retryable) in [(503, true), (429, true), (404, false), (403, false), (501, false)]
    {
        let peer = Peer::with_handler(move |_| Reply::status(status)).await.unwrap();
        let retry = RetryPolicy { max_attempts: 2, ..Default::default() };
        let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
        let read = workspace.connector(connector_id()).await.unwrap_err();
        assert_eq!((read.status(), read.is_retryable()), (Some(status), retryable), "{read}");
        let poll = workspace.pending_channel(connector_id()).poll().await.unwrap_err();
        // A new connector may not be visible yet, so a poll that gets a 404 is retryable.
        assert_eq!(poll.is_retryable(), retryable || status == 404, "{poll}");
    }
}

#[tokio::test]
async fn the_json_of_an_error_has_no_access_key() {
    let body = json!({ "code": "InvalidPayload", "message": KEY, "details": { ".name": ["bad"] } });
    let reply = Reply::with_headers(422, &["x-request-id: abc"], body.to_string());
    let mut json = to_json(&error_of(reply, 1).await);
    assert!(json["elapsedSeconds"].take().is_f64());
    assert_eq!(
        json,
        json!({
            "error": "refused",
            "message": "the request was refused, and no connector was created: \
                        HTTP 422 InvalidPayload: [redacted] (.name: bad) [request abc]",
            "hint": "Correct the request and retry.",
            "connectorState": "not-created",
            "connectorId": null,
            "retryable": false,
            "status": 422,
            "code": "InvalidPayload",
            "details": { ".name": ["bad"] },
            "requestId": "abc",
            "attempts": 1,
            "elapsedSeconds": null,
        })
    );
    let json = to_json(&error_of(Reply::json(201, pending()), 1).await);
    assert_eq!((&json["error"], &json["connectorState"]), (&json!("not-ready"), &json!("exists")));
    assert_eq!((&json["connectorId"], &json["retryable"]), (&json!(CONNECTOR), &json!(true)));
}

#[tokio::test]
async fn the_json_of_a_channel_or_connector_has_no_access_key() {
    let mut body: Value = serde_json::from_str(&ready()).unwrap();
    body["name"] = KEY.into();
    body["number"] = json!({ "phoneNumber": "+31612345678" });
    body["new"] = json!([1]);
    let peer = Peer::with_handler(move |_| Reply::json(200, body.to_string())).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let mut channel = to_json(&workspace.install(request()).await.unwrap());
    assert!(channel["createdAt"].take().is_string());
    channel["platform"].take();
    assert_eq!(
        channel,
        json!({
            "channelId": CHANNEL,
            "connectorId": CONNECTOR,
            "workspaceId": WORKSPACE,
            "name": "[redacted]",
            "phoneNumber": "+31612345678",
            "platform": null,
            "createdAt": null,
            "warning": null,
        })
    );
    let connector = to_json(&workspace.connector(connector_id()).await.unwrap());
    assert_eq!((&connector["name"], &connector["new"]), (&json!("[redacted]"), &json!([1])));
}

#[test]
fn the_json_of_an_event_has_durations_in_seconds() {
    let half = Duration::from_millis(500);
    let id = connector_id();
    for (event, expected) in [
        (Event::Creating { attempt: 1 }, json!({ "event": "creating", "attempt": 1 })),
        (
            Event::Created { connector_id: id, warning: None },
            json!({ "event": "created", "connectorId": CONNECTOR, "warning": null }),
        ),
        (
            Event::Polled { polls: 2, waited: half },
            json!({ "event": "polled", "polls": 2, "waitedSeconds": 0.5 }),
        ),
        (
            Event::Retrying { after: half, reason: "r".to_owned(), connector_state: None },
            json!({ "event": "retrying", "afterSeconds": 0.5, "reason": "r" }),
        ),
        (Event::Paused { duration: half }, json!({ "event": "paused", "durationSeconds": 0.5 })),
        (
            Event::Ready { channel_id: CHANNEL.parse().unwrap() },
            json!({ "event": "ready", "channelId": CHANNEL }),
        ),
    ] {
        assert_eq!(to_json(&event), expected);
    }
}
