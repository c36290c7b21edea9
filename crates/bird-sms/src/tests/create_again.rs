//! When a POST is sent again, and what later errors say about earlier attempts.

use std::time::Duration;

use bird_test_peer::{Peer, Reply};
use proptest::prelude::*;

use super::create::{create, created, peer, reason};
use super::*;
use crate::{
    ConfigurationError, ConnectorState, Error, Event, RetryCreate, RetryPolicy, TransportErrorKind,
    UnknownReason, Warning,
};

#[tokio::test]
async fn a_429_is_retried_after_a_pause() {
    let limited = Reply::with_headers(429, &["retry-after: 3"], "");
    let peer = peer([limited, Reply::status(429), created()]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let _ = workspace(builder).create_sms_connector(&request()).await.unwrap();
    assert_eq!(runtime.slept(), [Duration::from_secs(3), Duration::from_secs(1)]);
    assert_eq!(peer.posts(), 3);
}

#[tokio::test]
async fn a_pause_is_reported_even_if_it_outlasts_the_deadline() {
    for seconds in [50, 150] {
        let after = format!("retry-after: {seconds}");
        let peer = peer([Reply::with_headers(429, &[&after], ""), created()]).await;
        let retry = RetryPolicy { retry_after_cap: Duration::MAX, ..Default::default() };
        let client = without_sleep(&peer.base_url()).0.retry_policy(retry);
        let (_, events) = observed(workspace(client).install(request())).await;
        assert_eq!(events[1], Event::Paused { duration: Duration::from_secs(seconds) });
    }
}

#[tokio::test]
async fn a_429_is_final_if_its_pause_leaves_no_time_for_a_response() {
    for (timeout, retry_after) in [(30_000, "99999999999999999999"), (29_900, "29")] {
        let limited = Reply::with_headers(429, &[&format!("retry-after: {retry_after}")], "");
        let peer = peer([limited, Reply::Silence]).await;
        let (builder, runtime) = without_sleep(&peer.base_url());
        let workspace = workspace(builder.install_timeout(Duration::from_millis(timeout)));
        let error = workspace.create_sms_connector(&request()).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        assert_eq!((error.status(), peer.posts()), (Some(429), 1));
        assert!(runtime.slept().is_empty());
    }
}

#[tokio::test]
async fn nothing_is_sent_if_a_pause_outlasts_the_deadline() {
    let limited = Reply::with_headers(429, &["retry-after: 50"], "");
    let peer = peer([limited]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder);
    let install = || workspace.install(request());
    let error = install().timeout(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    let error = install().timeout(Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(unreachable(&error), (TransportErrorKind::RateLimited, 0));
    assert_eq!(peer.posts(), 1);
    assert!(runtime.slept().is_empty());
}

#[tokio::test]
async fn a_retry_event_reports_unknown_after_an_ambiguous_attempt() {
    let unknown = Some(ConnectorState::Unknown);
    let settled = Some(ConnectorState::NotCreated);
    for (statuses, states) in [([429, 503], [settled, unknown]), ([503, 429], [unknown, unknown])] {
        let [first, second] = statuses.map(Reply::status);
        let peer = peer([first, second, Reply::json(201, ready())]).await;
        let workspace = workspace(without_sleep(&peer.base_url()).0);
        let (result, events) = observed(workspace.install(request())).await;
        let retries = events.into_iter().filter_map(|event| match event {
            Event::Retrying { connector_state, .. } => Some(connector_state),
            _ => None,
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(retries.collect::<Vec<_>>(), states, "{statuses:?}");
    }
}

#[tokio::test]
async fn an_install_timeout_below_a_second_is_refused() {
    let peer = peer([Reply::json(201, ready())]).await;
    let key = AccessKey::new(KEY).unwrap();
    let workspace = workspace(Client::builder().access_key(key).base_url(peer.base_url()));
    let install = |timeout| workspace.install(request()).timeout(timeout).into_future();
    let error = install(Duration::from_millis(999)).await.unwrap_err();
    let too_short = matches!(error, Error::Configuration(ConfigurationError::TooShort(..)));
    assert!(too_short && peer.posts() == 0, "{error:?}");
    assert!(install(Duration::from_secs(1)).await.is_ok());
}

#[tokio::test]
async fn the_policy_decides_which_statuses_are_retried() {
    use UnknownReason::{GatewayError, NoResponse, ServerError};
    for (reason, statuses) in [
        (ServerError, &[500, 501, 503, 505, 511, 599][..]),
        (GatewayError, &[502, 504, 520, 522, 524, 530]),
        (NoResponse, &[101, 303, 408, 460, 499]),
    ] {
        for (policy, again) in
            [(RetryCreate::Never, &[][..]), (RetryCreate::ServerErrors, &[500, 503])]
        {
            for status in statuses {
                let peer = peer([Reply::status(*status), created()]).await;
                let retry = RetryPolicy { create: policy, ..Default::default() };
                let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
                let result = workspace.create_sms_connector(&request()).await;
                assert_eq!(result.is_ok(), again.contains(status), "{policy:?} {status}");
                assert_eq!(peer.posts(), 1 + usize::from(result.is_ok()));
                if let Err(error) = result {
                    assert_eq!(super::create::reason(&error), reason, "{status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_success_after_an_ambiguous_attempt_has_a_warning() {
    for (statuses, warned) in [
        (&[500][..], Some(500)),
        (&[500, 503, 429], Some(503)),
        // A 429 creates nothing, so it causes no warning.
        (&[429], None),
    ] {
        let warning = warned.map(|status| Warning::PossibleDuplicate { status: Some(status) });
        for (last, is_ready) in [(Reply::json(200, ready()), true), (Reply::status(401), false)] {
            let attempts = statuses.iter().copied().map(Reply::status);
            let peer = peer(attempts.chain([created(), last])).await;
            let workspace = workspace(without_sleep(&peer.base_url()).0);
            let (result, events) = observed(workspace.install(request())).await;
            assert_eq!((result.is_ok(), peer.posts()), (is_ready, statuses.len() + 1));
            let shown = result.map_or_else(|error| error.warning(), |channel| channel.warning);
            assert_eq!(shown, warning);
            assert!(events.contains(&Event::Created { connector_id: connector_id(), warning }));
        }
    }
}

#[tokio::test]
async fn server_errors_until_the_deadline_leave_the_outcome_unknown() {
    let peer = Peer::with_handler(|_| Reply::status(503)).await.unwrap();
    let error = create_at(&peer).await.unwrap_err();
    assert_eq!(reason(&error), UnknownReason::ServerError);
    assert_eq!(peer.posts(), error.attempts().count as usize);
    assert!(peer.posts() > 10, "{}", peer.posts());
}

#[tokio::test]
async fn no_error_after_a_500_says_that_nothing_was_created() {
    for (last, expected) in [
        (Reply::status(409), UnknownReason::AlreadyExists),
        (Reply::status(401), UnknownReason::ServerError),
        (Reply::status(422), UnknownReason::ServerError),
        (Reply::status(302), UnknownReason::ServerError),
        (Reply::Reset, UnknownReason::NoResponse),
    ] {
        let shown = format!("{last:?}");
        let (result, posts) = create([Reply::status(500), Reply::status(429), last]).await;
        let error = result.unwrap_err();
        assert_eq!((reason(&error), posts), (expected, 3), "{shown}");
        let earlier = error.chain().contains("an earlier response was HTTP 500");
        assert!(earlier || expected != UnknownReason::NoResponse, "{shown}: {error}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Status(u16),
    Close,
    Reset,
}

impl Outcome {
    fn response(self) -> Reply {
        match self {
            Self::Status(201) => created(),
            Self::Status(status) => Reply::status(status),
            Self::Close => Reply::Close,
            Self::Reset => Reply::Reset,
        }
    }

    /// Restates the rule in the crate's documentation.
    fn may_be_followed_by_another_post(self) -> bool {
        matches!(self, Self::Status(429 | 500 | 503))
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        prop::sample::select(vec![
            201, 204, 301, 303, 307, 400, 401, 403, 404, 408, 409, 422, 429, 499, 500, 501, 502,
            503, 504, 505
        ])
        .prop_map(Outcome::Status),
        Just(Outcome::Status(503)),
        Just(Outcome::Status(429)),
        Just(Outcome::Close),
        Just(Outcome::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_post_is_sent_that_the_retry_rules_forbid(
        outcomes in prop::collection::vec(outcome(), 1..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let peer = peer(outcomes.iter().map(|outcome| outcome.response())).await;
            let retry = RetryPolicy { max_attempts: u32::try_from(outcomes.len()).unwrap(), ..Default::default() };
            let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
            let result = workspace.create_sms_connector(&request()).await;
            let again =
                outcomes.iter().take_while(|outcome| outcome.may_be_followed_by_another_post()).count();
            assert_eq!(peer.posts(), outcomes.len().min(again + 1), "{result:?}");
            // An error says that a connector may exist exactly if one of the POSTs may have been processed.
            let processed = outcomes[..peer.posts()].iter().any(|outcome| {
                matches!(outcome, Outcome::Close | Outcome::Reset | Outcome::Status(201 | 204 | 303 | 408 | 499..=599))
            });
            match result {
                Ok(pending) => assert_eq!(pending.connector_id(), connector_id()),
                Err(error) => assert_eq!(error.connector_state().may_exist(), processed, "{error:?}"),
            }
        });
    }
}
