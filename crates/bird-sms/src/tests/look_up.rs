//! How a phone number is looked up after a creation whose outcome is unknown.

use bird_test_peer::{InMemory, Reply, Request};
use futures_util::StreamExt;
use uuid::Uuid;

use super::create::reason;
use super::*;
use crate::test_util::MemoryJournal;
use crate::{
    BatchOutcome, ConnectorState, Journal, JournalEntry, JournalFuture, JournalState,
    PhoneNumberId, RateLimits, UnknownReason, UnknownRows,
};

const NAME: &str = "My SMS channel";
const SMS: &str = "sms-messagebird:1";
const VOICE: &str = "voice-messagebird:1";

/// The name, template and creation time of a connector.
type Connector = (&'static str, &'static str, &'static str);

/// A connector that an install may use. It is newer than the install, because the client's clock starts in 1970.
const OURS: Connector = (NAME, SMS, "2025-01-01T00:00:00Z");
/// A connector that is newer than any journal entry, although entries have the real time.
const NEW: Connector = (NAME, SMS, "2999-01-01T00:00:00Z");

fn nth(n: usize) -> String {
    Uuid::from_u128(n as u128).to_string()
}

/// Returns the JSON of a phone number with these connectors.
fn number(id: &str, connectors: impl IntoIterator<Item = String>) -> String {
    let dependency = |id| format!(r#"{{"type": "connector", "connectorId": "{id}"}}"#);
    let dependencies: Vec<_> = connectors.into_iter().map(dependency).collect();
    format!(
        r#"{{"id": "{id}", "endpointId": "{id}", "numberString": "+31612345678", "countryCode": "NL",
            "capabilities": {{}}, "createdAt": "2025-01-01T00:00:00Z", "updatedAt": "2025-01-01T00:00:00Z",
            "endpoint": {{"dependencies": [{}]}}}}"#,
        dependencies.join(", ")
    )
}

fn connector(id: &str, (name, template, created): Connector) -> String {
    format!(
        r#"{{"id": "{id}", "name": "{name}", "connectorTemplateRef": "{template}",
            "createdAt": "{created}", "channel": {{"channelId": "{CHANNEL}"}}}}"#
    )
}

fn last_segment(request: &Request) -> &str {
    request.path.rsplit('/').next().unwrap()
}

/// Creates a server where each phone number has these connectors. Their ids are 1, 2 and so on.
fn bird(
    post: impl FnMut() -> Reply + Send + 'static,
    connectors: &'static [Connector],
) -> InMemory {
    serving(post, "", move |n| Some(connector(&nth(n), connectors[n - 1])), connectors.len())
}

/// Creates a server where each phone number has the connectors 1 to `count`, read with a `Date` header. `get` returns
/// the JSON of a connector, or `None` for a 404.
fn serving(
    mut post: impl FnMut() -> Reply + Send + 'static,
    date: &'static str,
    get: impl Fn(usize) -> Option<String> + Send + 'static,
    count: usize,
) -> InMemory {
    InMemory::with_handler(move |request| {
        let date = format!("date: {date}");
        let id = last_segment(request);
        if request.method == "POST" {
            post()
        } else if request.path.contains("/numbers-long-code/") {
            Reply::with_headers(200, &[&date], number(id, (1..=count).map(nth)))
        } else {
            let n = (1..=count).find(|n| nth(*n) == id);
            n.and_then(&get).map_or(Reply::status(404), |body| Reply::json(200, body))
        }
    })
}

/// Returns replies with these statuses in order and with an empty object as the body. The last reply repeats.
fn statuses<const N: usize>(statuses: [u16; N]) -> impl FnMut() -> Reply + Send + 'static {
    let mut next = 0;
    move || {
        let status = statuses[next.min(N - 1)];
        next += 1;
        Reply::json(status, "{}")
    }
}

fn lost() -> Reply {
    Reply::Close
}

fn looking(bird: &InMemory) -> Workspace {
    let client = without_sleep("https://bird.example").0.transport(bird.transport());
    workspace(client.look_up(true))
}

async fn install(bird: &InMemory) -> Result<SmsChannel, Error> {
    looking(bird).install(request()).await
}

fn existing(error: &Error) -> Vec<String> {
    error.existing().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_connector_found_after_an_unknown_outcome_is_used() {
    for post in [lost, || Reply::status(504), || Reply::json(201, r#"{"id": 7}"#)] {
        let bird = bird(post, &[OURS]);
        let channel = install(&bird).await.unwrap();
        assert_eq!(channel.connector_id.to_string(), nth(1));
        assert_eq!(channel.id.to_string(), CHANNEL);
        assert_eq!(bird.posts(), 1);
        let pending = looking(&bird).create_sms_connector(&request()).await.unwrap();
        assert_eq!((pending.connector_id().to_string(), bird.posts()), (nth(1), 2));
    }
}

#[tokio::test]
async fn a_connector_found_after_several_attempts_has_a_warning() {
    for replies in [[500, 409], [500, 201]] {
        let bird = bird(statuses(replies), &[OURS]);
        let channel = install(&bird).await.unwrap();
        assert_eq!((channel.connector_id.to_string(), bird.posts()), (nth(1), 2));
        assert!(channel.warning.is_some());
    }
    // An earlier run may have made several attempts: the journal does not count them.
    let bird = bird(lost, &[NEW]);
    let channel = looking(&bird).install(request()).journal(after_a_crash()).await.unwrap();
    assert_eq!((bird.posts(), channel.warning.is_some()), (0, true));
}

#[tokio::test]
async fn an_uncertain_match_is_reported_but_not_used() {
    let cases: [(&'static [Connector], &[usize]); 8] = [
        (&[("Another", SMS, OURS.2)], &[1]),
        (&[(NAME, SMS, "1960-01-01T00:00:00Z")], &[1]),
        (&[OURS, OURS], &[1, 2]),
        (&[(NAME, "", OURS.2)], &[1]),
        (&[(NAME, "sms-messagebird:2", OURS.2)], &[1]),
        (&[(NAME, VOICE, OURS.2)], &[]),
        (&[(NAME, VOICE, OURS.2), ("x", SMS, OURS.2)], &[2]),
        (&[OURS, OURS, OURS, OURS, OURS, OURS], &[1, 2, 3, 4, 5, 6]),
    ];
    for (connectors, reported) in cases {
        let bird = bird(lost, connectors);
        let error = install(&bird).await.unwrap_err();
        let existing = existing(&error);
        assert_eq!(existing, reported.iter().map(|n| nth(*n)).collect::<Vec<_>>());
        assert_eq!(error.connector_state(), ConnectorState::Unknown);
        assert_eq!(reason(&error), UnknownReason::NoResponse);
        assert!(existing.iter().all(|id| error.to_string().contains(id)), "{error}");
        assert_eq!((bird.posts(), bird.gets()), (1, 1 + connectors.len().min(5)));
    }
}

#[tokio::test]
async fn a_number_that_lacks_other_fields_still_shows_its_connector() {
    let bird = InMemory::with_handler(|request| match last_segment(request) {
        "connectors" => lost(),
        id if request.path.contains("/numbers-long-code/") => {
            let dependency = format!(r#"{{"type": "connector", "connectorId": "{}"}}"#, nth(1));
            let endpoint = format!(r#"{{"dependencies": [{dependency}]}}"#);
            Reply::json(200, format!(r#"{{"id": "{id}", "endpoint": {endpoint}}}"#))
        }
        id => Reply::json(200, connector(id, OURS)),
    });
    assert_eq!(install(&bird).await.unwrap().connector_id.to_string(), nth(1));
}

/// Returns the builder of a client on Tokio's clock, whose system time began in 1970.
fn on_tokios_clock(bird: &InMemory) -> ClientBuilder {
    thread_local!(static BEGAN: Instant = Instant::now());
    let now = || SystemTime::UNIX_EPOCH + BEGAN.with(Instant::elapsed);
    now();
    let client = Client::builder().access_key(AccessKey::new(KEY).unwrap());
    client.transport(bird.transport()).system_time(now)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_the_whole_timeout_is_followed_by_a_lookup() {
    let bird = bird(|| Reply::Silence, &[OURS]);
    let install = workspace(on_tokios_clock(&bird)).install(request());
    let error = install.timeout(Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(error.connector_id().map(|id| id.to_string()), Some(nth(1)), "{error}");
    assert_eq!(bird.posts(), 1);
}

/// Creates a server that never responds to a POST, where each phone number has a connector with the same id.
fn silent(created: &'static str) -> InMemory {
    InMemory::with_handler(move |request| match last_segment(request) {
        "connectors" => Reply::Silence,
        id if request.path.contains("/numbers-long-code/") => {
            Reply::json(200, number(id, [id.to_owned()]))
        }
        id => Reply::json(200, connector(id, (NAME, SMS, created))),
    })
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_permits_does_not_shorten_a_lookup() {
    let bird = silent(OURS.2);
    let limits = RateLimits { posts_per_second: 500, gets_per_second: 10 };
    let requests = (1001..=1100).map(|n| SmsConnectorRequest::new(NAME, Uuid::from_u128(n).into()));
    let workspace = workspace(on_tokios_clock(&bird).rate_limits(limits));
    let batch = workspace.install_sms_channels(requests).timeout(Duration::from_secs(2));
    let outcomes: Vec<_> = batch.start().collect().await;
    let unknown =
        outcomes.iter().find(|outcome| outcome.state.connector_state().connector_id().is_none());
    assert!(unknown.is_none(), "{unknown:?}");
    assert_eq!((outcomes.len(), bird.posts()), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn a_connector_from_before_the_post_of_a_queued_row_has_a_warning() {
    // The second row waits a second for its permit.
    let bird = silent("1970-01-01T00:00:00.5Z");
    let limits = RateLimits { posts_per_second: 1, ..RateLimits::default() };
    let requests = (1001..=1002).map(|n| SmsConnectorRequest::new(NAME, Uuid::from_u128(n).into()));
    let batch =
        workspace(on_tokios_clock(&bird).rate_limits(limits)).install_sms_channels(requests);
    let outcomes: Vec<_> = batch.start().collect().await;
    let warned = |outcome: &BatchOutcome| outcome.state.warning().is_some();
    assert_eq!(outcomes.iter().map(warned).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn the_only_matching_connector_is_used() {
    let channel = install(&bird(lost, &[("x", VOICE, OURS.2), OURS])).await.unwrap();
    assert_eq!(channel.connector_id.to_string(), nth(2));
}

#[tokio::test]
async fn the_age_of_a_connector_is_measured_by_birds_clock() {
    // The client's clock starts at the Unix epoch. In the first two cases, Bird's clock is five minutes ahead of it.
    for (date, created, warned) in [
        ("Thu, 01 Jan 1970 00:05:00 GMT", "1970-01-01T00:04:30Z", true),
        ("Thu, 01 Jan 1970 00:05:00 GMT", "1970-01-01T00:05:01Z", false),
        ("yesterday", "1970-01-01T00:00:01Z", false),
        ("", "1969-12-31T23:59:00Z", true),
    ] {
        let get = move |n| Some(connector(&nth(n), (NAME, SMS, created)));
        let channel = install(&serving(lost, date, get, 1)).await.unwrap();
        assert_eq!(channel.warning.is_some(), warned, "{date} {created}");
    }
}

#[tokio::test]
async fn a_connector_of_another_number_is_reported_and_prevents_a_retry() {
    for other in [nth(7), Uuid::from_u128(7).simple().to_string()] {
        let of_another = move |n| {
            let arguments = format!(r#"{{"arguments": {{"phoneNumberId": "{other}"}},"#);
            Some(connector(&nth(n), OURS).replacen('{', &arguments, 1))
        };
        let bird = serving(lost, "", of_another, 1);
        let error = install(&bird).await.unwrap_err();
        assert_eq!((existing(&error), bird.posts(), bird.gets()), (vec![nth(1)], 1, 2));
        let retry = looking(&bird).install(request()).journal(after_a_crash());
        let error = retry.unknown_rows(UnknownRows::Retry).await.unwrap_err();
        assert_eq!((existing(&error), bird.posts(), bird.gets()), (vec![nth(1)], 1, 4));
    }
}

#[tokio::test]
async fn an_unreadable_connector_is_reported_and_prevents_a_retry() {
    let bird = serving(lost, "", |_| None, 1);
    let error = install(&bird).await.unwrap_err();
    assert_eq!((existing(&error), bird.posts()), (vec![nth(1)], 1));
    let retry = looking(&bird).install(request()).journal(after_a_crash());
    let error = retry.unknown_rows(UnknownRows::Retry).await.unwrap_err();
    assert_eq!((existing(&error), bird.posts()), (vec![nth(1)], 1));
}

#[tokio::test]
async fn a_409_is_refused_and_reports_the_existing_connector() {
    let bird = bird(statuses([409]), &[OURS]);
    let error = install(&bird).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!((existing(&error), bird.posts()), (vec![nth(1)], 1));
    assert_eq!(error.connector_state(), ConnectorState::NotCreated);
}

#[tokio::test]
async fn a_failed_look_up_leaves_the_outcome_unknown() {
    for status in [404, 401, 403, 429, 500, 200] {
        let bird = InMemory::with_handler(move |request| match &*request.method {
            "POST" => lost(),
            _ => Reply::json(status, "<html>"),
        });
        let error = install(&bird).await.unwrap_err();
        assert_eq!(reason(&error), UnknownReason::NoResponse, "{status}");
        assert_eq!((error.existing().len(), bird.posts(), bird.gets()), (0, 1, 1), "{status}");
    }
}

#[tokio::test]
async fn a_batch_finds_each_connector_whose_response_was_lost() {
    let mut posts = 0;
    // The id of a connector is the id of its phone number with `c` as the first digit.
    let connector_of = |number: &str| format!("c{}", &number[1..]);
    let bird = InMemory::with_handler(move |request| {
        let last = last_segment(request);
        if request.method == "POST" {
            posts += 1;
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let id = connector_of(body["arguments"]["phoneNumberId"].as_str().unwrap());
            if posts % 5 == 0 { lost() } else { Reply::json(201, connector(&id, OURS)) }
        } else if request.path.contains("/numbers-long-code/") {
            Reply::json(200, number(last, [connector_of(last)]))
        } else {
            Reply::json(200, connector(last, OURS))
        }
    });
    let requests = (1001..=1100).map(|n| SmsConnectorRequest::new(NAME, Uuid::from_u128(n).into()));
    let journal = Arc::new(MemoryJournal::default());
    let batch = looking(&bird).install_sms_channels(requests).journal(journal.clone());
    let outcomes: Vec<_> = batch.start().collect().await;
    let other = outcomes.iter().find(|outcome| outcome.result.is_err() || !outcome.created);
    assert!(other.is_none(), "{other:?}");
    assert_eq!((outcomes.len(), bird.posts()), (100, 100));
    let found = |(_, entry): &_| matches!(entry, JournalEntry::Found { .. });
    assert_eq!(journal.entries().iter().filter(|entry| found(entry)).count(), 20);
}

#[tokio::test]
async fn a_batch_without_access_to_numbers_looks_up_only_once() {
    let bird = InMemory::with_handler(|request| match &*request.method {
        "POST" => lost(),
        _ => Reply::status(403),
    });
    let requests = (1..=10).map(|n| SmsConnectorRequest::new(NAME, Uuid::from_u128(n).into()));
    let batch = looking(&bird).install_sms_channels(requests).concurrency(1);
    let outcomes: Vec<_> = batch.start().collect().await;
    assert_eq!((outcomes.len(), bird.posts(), bird.gets()), (10, 10, 1));
    assert!(outcomes.iter().all(|outcome| outcome.kind() == "outcome-unknown"));
}

fn after_a_crash() -> Arc<MemoryJournal> {
    let intent = JournalEntry::Intent { name: NAME.to_owned() };
    Arc::new([(request().phone_number_id(), intent)].into_iter().collect())
}

#[tokio::test]
async fn a_resumed_row_with_an_unknown_outcome_is_looked_up() {
    for unknown_rows in [UnknownRows::LeaveAlone, UnknownRows::Retry] {
        let journal = after_a_crash();
        let bird = bird(lost, &[NEW]);
        let install = looking(&bird).install(request()).journal(journal.clone());
        let channel = install.unknown_rows(unknown_rows).await.unwrap();
        assert_eq!((channel.connector_id.to_string(), bird.posts()), (nth(1), 0));
        assert!(matches!(journal.entries()[1].1, JournalEntry::Found { .. }));
    }
}

/// A journal that has the intent of an earlier run, and can't store a connector that was found.
struct Full(Arc<MemoryJournal>);

impl Journal for Full {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        self.0.load()
    }

    fn append(&self, number: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        match entry {
            JournalEntry::Found { .. } => Box::pin(async { Err(std::io::Error::other("full")) }),
            entry => self.0.append(number, entry),
        }
    }
}

#[tokio::test]
async fn a_row_whose_retry_cannot_be_sent_stays_unknown() {
    let bird = bird(lost, &[]);
    let bad = SmsConnectorRequest::new("", request().phone_number_id());
    for (request, timeout) in [(request(), Duration::ZERO), (bad, Duration::from_secs(60))] {
        let journal = after_a_crash();
        let batch = looking(&bird).install_sms_channels([request]).journal(journal.clone());
        let batch = batch.unknown_rows(UnknownRows::Retry).timeout(timeout);
        let outcomes: Vec<_> = batch.start().collect().await;
        let error = outcomes[0].result.as_ref().unwrap_err();
        assert_eq!(error.connector_state(), ConnectorState::Unknown, "{error}");
        assert_eq!(outcomes[0].connector_state(), ConnectorState::Unknown);
        assert_eq!((bird.posts(), journal.entries().len()), (0, 1));
    }
}

#[tokio::test]
async fn a_found_connector_that_the_journal_cannot_store_prevents_a_retry() {
    let bird = bird(|| Reply::json(201, ready()), &[NEW]);
    let journal = Arc::new(Full(after_a_crash()));
    let install = looking(&bird).install(request()).journal(journal);
    let error = install.unknown_rows(UnknownRows::Retry).await.unwrap_err();
    assert!(matches!(error, Error::Journal(_)), "{error:?}");
    assert_eq!(error.connector_id().unwrap().to_string(), nth(1));
    assert_eq!(bird.posts(), 0);
}

/// A journal without times, which has the intent of an earlier run.
struct Timeless;

impl Journal for Timeless {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        let mut state = JournalState::default();
        let intent = JournalEntry::Intent { name: NAME.to_owned() };
        state.apply(request().phone_number_id(), &intent, None);
        Box::pin(async { Ok(state) })
    }

    fn append(&self, _: PhoneNumberId, _: JournalEntry) -> JournalFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_connector_prevents_a_retry_even_if_the_journal_has_no_times() {
    let bird = bird(|| Reply::json(201, ready()), &[NEW]);
    let install = looking(&bird).install(request()).journal(Arc::new(Timeless));
    let error = install.unknown_rows(UnknownRows::Retry).await.unwrap_err();
    assert_eq!((existing(&error), bird.posts()), (vec![nth(1)], 0));
    assert_eq!(error.connector_state(), ConnectorState::Unknown);
}

#[tokio::test]
async fn a_resumed_row_stays_unknown_if_the_connector_is_older() {
    for unknown_rows in [UnknownRows::LeaveAlone, UnknownRows::Retry] {
        let journal = after_a_crash();
        let bird = bird(lost, &[OURS]);
        // The first run leaves the row unknown, so a second run reports the same connector.
        for _ in 0..2 {
            let install = looking(&bird).install(request()).journal(journal.clone());
            let error = install.unknown_rows(unknown_rows).await.unwrap_err();
            assert_eq!(existing(&error), [nth(1)]);
            assert_eq!(error.connector_state(), ConnectorState::Unknown);
        }
        assert_eq!((bird.posts(), journal.entries().len()), (0, 1));
    }
}

#[tokio::test]
async fn an_unknown_row_is_retried_if_its_number_has_no_connector() {
    let bird = bird(|| Reply::json(201, ready()), &[]);
    let install = looking(&bird).install(request()).journal(after_a_crash());
    let channel = install.unknown_rows(UnknownRows::Retry).await.unwrap();
    assert!(channel.warning.is_some());
    assert_eq!((bird.posts(), bird.gets()), (1, 1));
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_look_up() {
    let bird = InMemory::with_handler(|request| match &*request.method {
        "POST" => lost(),
        _ => Reply::Silence,
    });
    let mut batch = looking(&bird).install_sms_channels([request()]).start();
    while bird.gets() == 0 {
        assert!(futures_util::future::poll_immediate(batch.next()).await.is_none());
        tokio::task::yield_now().await;
    }
    batch.shut_down();
    let outcome = batch.next().await.unwrap();
    assert_eq!(reason(outcome.result.as_ref().unwrap_err()), UnknownReason::NoResponse);
}

#[tokio::test]
async fn a_batch_whose_key_is_refused_looks_up_nothing() {
    let bird = bird(statuses([500, 401]), &[OURS]);
    let outcomes: Vec<_> = looking(&bird).install_sms_channels([request()]).start().collect().await;
    assert_eq!(outcomes[0].connector_state(), ConnectorState::Unknown);
    assert_eq!((bird.posts(), bird.gets()), (2, 0));
}
