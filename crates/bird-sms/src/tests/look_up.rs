//! The look at the phone number after a creation whose outcome is unknown.

use std::sync::atomic::{AtomicUsize, Ordering};

use bird_test_peer::{Peer, Reply, Request};
use futures_util::StreamExt;
use uuid::Uuid;

use super::*;
use crate::test_util::MemoryJournal;
use crate::{ConnectorState, JournalEntry, OutcomeUnknown, UnknownReason, UnknownRows};

/// A connector as a GET shows it: the name, the template and the year of its creation.
type Connector = (&'static str, &'static str, u32);

const OURS: Connector = ("My SMS channel", "sms-messagebird:1", 2025);

fn nth(n: usize) -> String {
    Uuid::from_u128(n as u128).to_string()
}

/// Returns the response about a number with these connectors.
fn number(id: &str, connectors: usize) -> String {
    let dependency = |n| format!(r#"{{"type": "connector", "connectorId": "{}"}}"#, nth(n + 1));
    let dependencies: Vec<_> = (0..connectors).map(dependency).collect();
    format!(
        r#"{{"id": "{id}", "endpointId": "{id}", "numberString": "+31612345678", "countryCode": "NL",
            "capabilities": {{}}, "createdAt": "2025-01-01T00:00:00Z", "updatedAt": "2025-01-01T00:00:00Z",
            "endpoint": {{"dependencies": [{}]}}}}"#,
        dependencies.join(", ")
    )
}

fn connector(id: &str, (name, template, year): Connector) -> String {
    format!(
        r#"{{"id": "{id}", "name": "{name}", "connectorTemplateRef": "{template}",
            "createdAt": "{year}-01-01T00:00:00Z", "channel": {{"channelId": "{CHANNEL}"}}}}"#
    )
}

fn last_segment(request: &Request) -> &str {
    request.path.rsplit('/').next().unwrap()
}

/// Starts a server that answers each POST with `post`, and whose number has these connectors.
async fn bird(post: fn() -> Reply, connectors: &'static [Connector]) -> Peer {
    let handler = move |request: &Request| match &*request.method {
        "POST" => post(),
        _ if request.path.contains("/numbers-long-code/") => {
            Reply::json(200, number(last_segment(request), connectors.len()))
        }
        _ => {
            let n = (0..connectors.len()).find(|n| nth(n + 1) == last_segment(request));
            n.map_or(Reply::status(404), |n| {
                Reply::json(200, connector(&nth(n + 1), connectors[n]))
            })
        }
    };
    Peer::with_handler(handler).await.unwrap()
}

fn looking(peer: &Peer) -> Workspace {
    workspace(without_sleep(&peer.base_url()).0.look_up(true))
}

fn unknown(error: &Error) -> &OutcomeUnknown {
    match error {
        Error::OutcomeUnknown(error) => error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_install_goes_on_with_the_connector_that_the_number_shows() {
    let refused_later = || Reply::json(201, "{\"id\": 7}");
    for post in [|| Reply::Close, || Reply::status(504), refused_later] {
        let peer = bird(post, &[OURS]).await;
        let channel = looking(&peer).install(request()).await.unwrap();
        assert_eq!(channel.connector_id.to_string(), nth(1));
        assert_eq!(channel.id.to_string(), CHANNEL);
        assert_eq!(peer.posts(), 1);
        let pending = looking(&peer).create_sms_connector(&request()).await.unwrap();
        assert_eq!((pending.connector_id().to_string(), peer.posts()), (nth(1), 2));
    }
}

#[tokio::test]
async fn a_conflict_after_a_server_error_is_settled_by_the_number() {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    let post = || match POSTS.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(500),
        _ => Reply::status(409),
    };
    let peer = bird(post, &[OURS]).await;
    let channel = looking(&peer).install(request()).await.unwrap();
    assert_eq!((channel.connector_id.to_string(), peer.posts()), (nth(1), 2));
    assert!(channel.warning.is_some());
}

#[tokio::test]
async fn a_connector_that_differs_is_told_and_not_used() {
    let cases: [(&'static [Connector], &[usize]); 6] = [
        (&[("Another", "sms-messagebird:1", 2025)], &[1]),
        // The clock of the client starts in 1970.
        (&[("My SMS channel", "sms-messagebird:1", 1960)], &[1]),
        (&[OURS, OURS], &[1, 2]),
        (&[("My SMS channel", "voice-messagebird:1", 2025)], &[]),
        (
            &[("My SMS channel", "voice-messagebird:1", 2025), ("x", "sms-messagebird:1", 2025)],
            &[2],
        ),
        (&[OURS, OURS, OURS, OURS, OURS, OURS], &[1, 2, 3, 4, 5]),
    ];
    for (connectors, told) in cases {
        let peer = bird(|| Reply::Close, connectors).await;
        let error = looking(&peer).install(request()).await.unwrap_err();
        let existing: Vec<_> = error.existing().iter().map(ToString::to_string).collect();
        assert_eq!(existing, told.iter().map(|n| nth(*n)).collect::<Vec<_>>());
        assert_eq!(error.connector_state(), ConnectorState::Unknown);
        assert_eq!(unknown(&error).reason, UnknownReason::NoResponse);
        assert!(existing.iter().all(|id| error.to_string().contains(id)), "{error}");
        assert_eq!((peer.posts(), peer.gets()), (1, 1 + connectors.len().min(5)));
    }
}

#[tokio::test]
async fn a_connector_that_may_be_older_than_the_post_is_used_with_a_warning() {
    // The clock of the client starts in 1970.
    let peer = bird(|| Reply::Close, &[("My SMS channel", "sms-messagebird:1", 1969)]).await;
    let error = looking(&peer).install(request()).await.unwrap_err();
    assert_eq!(error.existing().len(), 1);
    let handler = |request: &Request| match &*request.method {
        "POST" => Reply::Close,
        _ if request.path.contains("/numbers-long-code/") => {
            Reply::json(200, number(last_segment(request), 1))
        }
        _ => {
            let seconds_before =
                connector(&nth(1), OURS).replace("2025-01-01T00:00", "1969-12-31T23:59");
            Reply::json(200, seconds_before)
        }
    };
    let peer = Peer::with_handler(handler).await.unwrap();
    let channel = looking(&peer).install(request()).await.unwrap();
    assert!(channel.warning.is_some());
}

#[tokio::test]
async fn the_age_of_a_connector_is_told_by_the_clock_of_bird() {
    // The clock of the client starts in 1970, and the one of Bird is five minutes ahead.
    for (date, created, warned) in [
        ("Thu, 01 Jan 1970 00:05:00 GMT", "1970-01-01T00:04:30", true),
        ("Thu, 01 Jan 1970 00:05:00 GMT", "1970-01-01T00:05:01", false),
        ("yesterday", "1970-01-01T00:00:01", false),
    ] {
        let peer = Peer::with_handler(move |request| match &*request.method {
            "POST" => Reply::Close,
            _ if request.path.contains("/numbers-long-code/") => {
                let date = format!("date: {date}");
                Reply::with_headers(200, &[&*date], number(last_segment(request), 1))
            }
            _ => {
                let body = connector(&nth(1), OURS).replace("2025-01-01T00:00:00", created);
                Reply::json(200, body)
            }
        });
        let peer = peer.await.unwrap();
        let channel = looking(&peer).install(request()).await.unwrap();
        assert_eq!(channel.warning.is_some(), warned, "{date} {created}");
    }
}

#[tokio::test]
async fn a_connector_of_another_phone_number_is_told_and_no_post_follows() {
    let peer = Peer::with_handler(|request| match &*request.method {
        "POST" => Reply::Close,
        _ if request.path.contains("/numbers-long-code/") => {
            Reply::json(200, number(last_segment(request), 1))
        }
        _ => {
            let other = format!(r#"{{"arguments": {{"phoneNumberId": "{}"}},"#, nth(7));
            Reply::json(200, connector(&nth(1), OURS).replacen('{', &other, 1))
        }
    });
    let peer = peer.await.unwrap();
    let error = looking(&peer).install(request()).await.unwrap_err();
    assert_eq!((error.existing().len(), peer.posts(), peer.gets()), (1, 1, 2));
    let retry = looking(&peer).install(request()).journal(after_a_crash());
    let error = retry.unknown_rows(UnknownRows::Retry).await.unwrap_err();
    assert_eq!((error.existing().len(), peer.posts(), peer.gets()), (1, 1, 4));
}

#[tokio::test]
async fn one_agreeing_connector_beside_another_is_used() {
    let peer = bird(|| Reply::Close, &[("x", "voice-messagebird:1", 2025), OURS]).await;
    let channel = looking(&peer).install(request()).await.unwrap();
    assert_eq!(channel.connector_id.to_string(), nth(2));
}

#[tokio::test]
async fn a_conflict_tells_the_connector_that_exists_and_stays_refused() {
    let peer = bird(|| Reply::status(409), &[OURS]).await;
    let error = looking(&peer).install(request()).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(error.existing(), [nth(1).parse().unwrap()]);
    assert_eq!((error.connector_state(), peer.posts()), (ConnectorState::NotCreated, 1));
}

#[tokio::test]
async fn a_look_that_fails_changes_nothing() {
    for reply in [404, 401, 403, 429, 500, 200] {
        let peer = Peer::with_handler(move |request| match &*request.method {
            "POST" => Reply::Close,
            _ if reply == 200 => Reply::json(200, "<html>"),
            _ => Reply::status(reply),
        });
        let peer = peer.await.unwrap();
        let error = looking(&peer).install(request()).await.unwrap_err();
        assert_eq!(unknown(&error).reason, UnknownReason::NoResponse, "{reply}");
        assert_eq!((error.existing().len(), peer.posts(), peer.gets()), (0, 1, 1), "{reply}");
    }
}

/// Starts a server for many numbers: it creates each connector, and loses every fifth response.
async fn losing() -> Peer {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    // The ids of a connector and its number end with the same digits.
    let connector_of = |number: &str| format!("c{}", &number[1..]);
    let handler = move |request: &Request| match &*request.method {
        "POST" => {
            let id = String::from_utf8_lossy(&request.body);
            let id = id.split("phoneNumberId\":\"").nth(1).unwrap()[..36].to_owned();
            match POSTS.fetch_add(1, Ordering::Relaxed) % 5 {
                0 => Reply::Close,
                _ => Reply::json(201, connector(&connector_of(&id), OURS)),
            }
        }
        _ if request.path.contains("/numbers-long-code/") => {
            let id = last_segment(request);
            Reply::json(200, number(id, 1).replace(&nth(1), &connector_of(id)))
        }
        _ => Reply::json(200, connector(last_segment(request), OURS)),
    };
    Peer::with_handler(handler).await.unwrap()
}

#[tokio::test]
async fn a_batch_finds_each_connector_whose_response_was_lost() {
    let peer = losing().await;
    let requests =
        (1001..=1100).map(|n| SmsConnectorRequest::new(OURS.0, Uuid::from_u128(n).into()));
    let journal = Arc::new(MemoryJournal::default());
    let batch = looking(&peer).install_sms_channels(requests).journal(journal.clone());
    let outcomes: Vec<_> = batch.start().collect().await;
    let other = outcomes.iter().find(|outcome| outcome.result.is_err() || !outcome.created);
    assert!(other.is_none(), "{other:?}");
    assert_eq!((outcomes.len(), peer.posts()), (100, 100));
    let found = |(_, entry): &_| matches!(entry, JournalEntry::Found { .. });
    assert_eq!(journal.entries().iter().filter(|entry| found(entry)).count(), 20);
}

#[tokio::test]
async fn a_batch_whose_key_may_not_read_numbers_looks_once_and_goes_on() {
    let peer = Peer::with_handler(|request| match &*request.method {
        "POST" => Reply::Close,
        _ => Reply::status(403),
    });
    let peer = peer.await.unwrap();
    let requests = (1..=10).map(|n| SmsConnectorRequest::new(OURS.0, Uuid::from_u128(n).into()));
    let batch = looking(&peer).install_sms_channels(requests).concurrency(1);
    let outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!((outcomes.len(), peer.posts(), peer.gets()), (10, 10, 1));
    assert!(outcomes.iter().all(|outcome| outcome.kind() == "outcome-unknown"));
}

fn after_a_crash() -> Arc<MemoryJournal> {
    let intent = JournalEntry::Intent { name: OURS.0.to_owned() };
    Arc::new([(request().phone_number_id(), intent)].into_iter().collect())
}

// The clock of the journal is the real one.
const NEW: Connector = ("My SMS channel", "sms-messagebird:1", 2999);

#[tokio::test]
async fn a_row_whose_outcome_is_unknown_is_looked_up_when_it_is_resumed() {
    for unknown_rows in [UnknownRows::LeaveAlone, UnknownRows::Retry] {
        let (peer, journal) = (bird(|| Reply::Close, &[NEW]).await, after_a_crash());
        let install = || looking(&peer).install(request()).journal(journal.clone());
        let channel = install().unknown_rows(unknown_rows).await.unwrap();
        assert_eq!((channel.connector_id.to_string(), peer.posts()), (nth(1), 0));
        assert!(matches!(journal.entries()[1].1, JournalEntry::Found { .. }));
    }
}

#[tokio::test]
async fn a_resumed_row_with_another_connector_is_neither_waited_for_nor_created() {
    for unknown_rows in [UnknownRows::LeaveAlone, UnknownRows::Retry] {
        let (peer, journal) = (bird(|| Reply::Close, &[OURS]).await, after_a_crash());
        // The second run tells the same.
        for _ in 0..2 {
            let install = looking(&peer).install(request()).journal(journal.clone());
            let error = install.unknown_rows(unknown_rows).await.unwrap_err();
            assert_eq!(error.existing(), [nth(1).parse().unwrap()]);
            assert_eq!(error.connector_state(), ConnectorState::Unknown);
        }
        assert_eq!((peer.posts(), journal.entries().len()), (0, 1));
    }
}

#[tokio::test]
async fn a_retry_of_an_unknown_row_is_sent_if_the_number_shows_no_connector() {
    let (peer, journal) = (bird(|| Reply::json(201, ready()), &[]).await, after_a_crash());
    let install = looking(&peer).install(request()).journal(journal);
    let channel = install.unknown_rows(UnknownRows::Retry).await.unwrap();
    assert!(channel.warning.is_some());
    assert_eq!((peer.posts(), peer.gets()), (1, 1));
}

#[tokio::test]
async fn no_look_delays_a_shutdown() {
    let peer = Peer::with_handler(|request| match &*request.method {
        "POST" => Reply::Close,
        _ => Reply::Silence,
    });
    let peer = peer.await.unwrap();
    let mut batch = looking(&peer).install_sms_channels([request()]).start();
    while peer.gets() == 0 {
        assert!(futures_util::future::poll_immediate(batch.next()).await.is_none());
        tokio::task::yield_now().await;
    }
    batch.shut_down();
    let outcome = batch.next().await.unwrap();
    assert_eq!(unknown(outcome.result.as_ref().unwrap_err()).reason, UnknownReason::NoResponse);
}

#[tokio::test]
async fn a_batch_whose_key_is_refused_shuts_down_without_a_look() {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    let post = || match POSTS.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(500),
        _ => Reply::status(401),
    };
    let peer = bird(post, &[OURS]).await;
    let outcomes: Vec<_> = looking(&peer).install_sms_channels([request()]).start().collect().await;
    assert_eq!(outcomes[0].connector_state(), ConnectorState::Unknown);
    assert_eq!((peer.posts(), peer.gets()), (2, 0));
}

#[tokio::test]
async fn a_found_connector_has_a_warning_if_another_attempt_may_have_created_one() {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    let post = || match POSTS.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(500),
        _ => Reply::json(201, "{}"),
    };
    let peer = bird(post, &[OURS]).await;
    let channel = looking(&peer).install(request()).await.unwrap();
    assert_eq!((peer.posts(), channel.warning.is_some()), (2, true));
    // The journal does not have the attempts of an earlier run.
    let peer = bird(|| Reply::Close, &[NEW]).await;
    let channel = looking(&peer).install(request()).journal(after_a_crash()).await.unwrap();
    assert_eq!((peer.posts(), channel.warning.is_some()), (0, true));
}
