//! The POST: the responses after which it is sent again.

use std::time::Duration;

use bird_test_peer::{Peer, Reply};
use proptest::prelude::*;

use super::create::{create, created, peer, reason};
use super::*;
use crate::{
    ConfigurationError, ConnectorState, Error, Event, RetryCreate, RetryPolicy, TransportErrorKind,
    UnknownReason, Warning,
};

// Fault 12.
#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let limited = Reply::with_headers(429, &["retry-after: 3"], "");
    let peer = peer([limited, Reply::status(429), created()]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let _ = workspace(builder).create_sms_connector(&request()).await.unwrap();
    assert_eq!(runtime.slept(), [Duration::from_secs(3), Duration::from_secs(1)]);
    assert_eq!(peer.posts(), 3);
}

// Fault 84.
#[tokio::test]
async fn a_pause_by_the_rate_limit_is_an_event_also_if_it_ends_the_install() {
    for seconds in [50, 150] {
        let after = format!("retry-after: {seconds}");
        let peer = peer([Reply::with_headers(429, &[&after], ""), created()]).await;
        let retry = RetryPolicy { retry_after_cap: Duration::MAX, ..Default::default() };
        let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let _ = workspace
            .install(request())
            .observe(move |event| seen.lock().unwrap().push(event.clone()))
            .await;
        let paused = Event::Paused { duration: Duration::from_secs(seconds) };
        assert_eq!(events.lock().unwrap()[1], paused);
    }
}

// Faults 12 and 20.
#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_it_without_a_sleep() {
    let limited = Reply::with_headers(429, &["retry-after: 99999999999999999999"], "");
    let peer = peer([limited]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.install_timeout(Duration::from_secs(30)));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    let Error::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!(refused.response.status, 429);
    assert!(runtime.slept().is_empty());
}

// Fault 12.
#[tokio::test]
async fn a_retry_that_would_have_no_time_for_a_response_is_not_made() {
    let limited = Reply::with_headers(429, &["retry-after: 29"], "");
    let peer = peer([limited, Reply::Silence]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.install_timeout(Duration::from_millis(29_900)));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert!(runtime.slept().is_empty());
    assert_eq!(peer.posts(), 1);
}

// Fault 12.
#[tokio::test]
async fn nothing_is_sent_when_the_rate_limiter_is_paused_beyond_the_deadline() {
    let limited = Reply::with_headers(429, &["retry-after: 50"], "");
    let peer = peer([limited]).await;
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder);
    let install = || workspace.install_sms_channel("n", NUMBER.parse().unwrap());
    let error = install().timeout(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    let error = install().timeout(Duration::from_secs(20)).await.unwrap_err();
    let Error::Unreachable(unreachable) = &error else { panic!("{error:?}") };
    assert_eq!(unreachable.cause.kind(), TransportErrorKind::RateLimited);
    assert_eq!((unreachable.attempts.count, peer.posts()), (0, 1));
    assert!(runtime.slept().is_empty());
}

// Fault 13.
#[tokio::test]
async fn server_errors_are_retried_until_the_connector_exists() {
    let errors = [500, 503, 429].map(Reply::status);
    let (result, posts) = create(errors.into_iter().chain([created()])).await;
    let pending = result.unwrap();
    assert_eq!((pending.connector_id(), posts), (connector_id(), 4));
    // The first two attempts may have created another connector.
    let warning = Warning::PossibleDuplicate { status: Some(503) };
    assert_eq!(pending.warning(), Some(warning));
}

// Fault 36.
#[tokio::test]
async fn a_gateway_error_is_unknown_and_not_retried_by_default() {
    for status in [502, 504, 520, 522, 524, 530] {
        let (result, posts) = create([Reply::status(status), created()]).await;
        let error = result.unwrap_err();
        assert_eq!((reason(&error), posts), (UnknownReason::GatewayError, 1), "{status}");
    }
}

#[tokio::test]
async fn after_an_ambiguous_attempt_every_retry_says_that_the_connector_is_unknown() {
    let unknown = Some(ConnectorState::Unknown);
    let settled = Some(ConnectorState::NotCreated);
    for (statuses, states) in [([429, 503], [settled, unknown]), ([503, 429], [unknown, unknown])] {
        let events = Arc::new(Mutex::new(Vec::new()));
        let observer = Arc::clone(&events);
        let [first, second] = statuses.map(Reply::status);
        let peer = peer([first, second, Reply::json(201, ready())]).await;
        workspace(without_sleep(&peer.base_url()).0)
            .install_sms_channel("n", NUMBER.parse().unwrap())
            .observe(move |event| {
                if let Event::Retrying { connector_state, .. } = event {
                    observer.lock().unwrap().push(*connector_state);
                }
            })
            .await
            .unwrap();
        assert_eq!(*events.lock().unwrap(), states, "{statuses:?}");
    }
}

#[tokio::test]
async fn an_install_with_a_timeout_below_a_second_sends_nothing() {
    let peer = peer([Reply::json(201, ready())]).await;
    let key = AccessKey::new(KEY).unwrap();
    let workspace = workspace(Client::builder().access_key(key).base_url(peer.base_url()));
    let install = |timeout| {
        workspace.install_sms_channel("n", NUMBER.parse().unwrap()).timeout(timeout).into_future()
    };
    let error = install(Duration::from_millis(999)).await.unwrap_err();
    let too_short = matches!(error, Error::Configuration(ConfigurationError::TooShort(..)));
    assert!(too_short && peer.posts() == 0, "{error:?}");
    assert!(install(Duration::from_secs(1)).await.is_ok());
}

// Fault 36.
#[tokio::test]
async fn the_policy_says_after_which_server_errors_the_post_is_sent_again() {
    for (policy, again) in
        [(RetryCreate::Never, &[429][..]), (RetryCreate::ServerErrors, &[429, 500, 503])]
    {
        for status in [429, 500, 501, 502, 503, 504, 505, 511, 520, 530, 599] {
            let peer = peer([Reply::status(status), created()]).await;
            let retry = RetryPolicy { create: policy, ..Default::default() };
            let workspace = workspace(without_sleep(&peer.base_url()).0.retry_policy(retry));
            let result = workspace.create_sms_connector(&request()).await;
            assert_eq!(result.is_ok(), again.contains(&status), "{policy:?} {status}");
            assert_eq!(peer.posts(), 1 + usize::from(again.contains(&status)));
        }
    }
}

// Fault 36.
#[tokio::test]
async fn a_success_after_an_ambiguous_attempt_warns_in_the_result_the_event_and_the_errors() {
    let warning = Some(Warning::PossibleDuplicate { status: Some(500) });
    let events = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&events);
    let peer1 = peer([Reply::status(500), created(), Reply::json(200, ready())]).await;
    let channel = workspace(without_sleep(&peer1.base_url()).0)
        .install_sms_channel("n", NUMBER.parse().unwrap())
        .observe(move |event| observer.lock().unwrap().push(event.clone()))
        .await
        .unwrap();
    assert_eq!(channel.warning, warning);
    let created_event = Event::Created { connector_id: connector_id(), warning };
    assert!(events.lock().unwrap().contains(&created_event));
    let peer2 = peer([Reply::status(500), created(), Reply::status(401)]).await;
    assert_eq!(install_at(&peer2).await.unwrap_err().warning(), warning);
    // After a first attempt that created nothing, there is no warning.
    let peer3 = peer([Reply::status(429), Reply::json(201, ready())]).await;
    assert_eq!(install_at(&peer3).await.unwrap().warning, None);
}

// Fault 13.
#[tokio::test]
async fn server_errors_up_to_the_deadline_leave_the_outcome_unknown() {
    let peer = Peer::with_handler(|_| Reply::status(503)).await.unwrap();
    let error = create_at(&peer).await.unwrap_err();
    assert_eq!(reason(&error), UnknownReason::ServerError);
    assert_eq!(peer.posts(), error.attempts().count as usize);
    assert!(peer.posts() > 10, "{}", peer.posts());
}

// Fault 13.
#[tokio::test]
async fn server_errors_are_not_retried_when_the_policy_forbids_it() {
    let peer = peer([Reply::status(503), created()]).await;
    let retry = RetryPolicy { create: RetryCreate::Never, ..Default::default() };
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.retry_policy(retry));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert_eq!((reason(&error), peer.posts()), (UnknownReason::ServerError, 1));
}

// Fault 14.
#[tokio::test]
async fn a_conflict_after_a_server_error_means_that_a_connector_exists() {
    let (result, posts) = create([Reply::status(500), Reply::status(409)]).await;
    assert_eq!((reason(&result.unwrap_err()), posts), (UnknownReason::AlreadyExists, 2));
}

#[tokio::test]
async fn a_server_error_before_the_last_attempt_is_reported_as_an_earlier_response() {
    let (result, _) = create([Reply::status(500), Reply::status(429), Reply::Reset]).await;
    let error = result.unwrap_err();
    assert_eq!(reason(&error), UnknownReason::NoResponse);
    assert!(error.chain().contains("an earlier response was HTTP 500"), "{error}");
}

#[tokio::test]
async fn after_a_server_error_no_failure_says_that_nothing_was_created() {
    for last in [Reply::status(401), Reply::status(422), Reply::status(302), Reply::Reset] {
        let (result, _) = create([Reply::status(500), last]).await;
        assert!(result.unwrap_err().connector_may_exist());
    }
}

// Faults 15 and 16.
#[tokio::test]
async fn a_status_that_is_not_retryable_is_sent_once() {
    for (status, expected) in [
        (501, UnknownReason::ServerError),
        (505, UnknownReason::ServerError),
        (408, UnknownReason::NoResponse),
        // Fault 73.
        (101, UnknownReason::NoResponse),
        (303, UnknownReason::NoResponse),
        (460, UnknownReason::NoResponse),
        (499, UnknownReason::NoResponse),
    ] {
        let (result, posts) = create([Reply::status(status), created()]).await;
        assert_eq!((reason(&result.unwrap_err()), posts), (expected, 1), "{status}");
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

    /// Repeats the table of the crate's documentation.
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
    fn no_script_leads_to_a_post_that_the_table_does_not_allow(
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
            // After a POST that was processed, or may have been, no error says that nothing was created.
            let processed = outcomes[..peer.posts()].iter().any(|outcome| {
                matches!(outcome, Outcome::Close | Outcome::Reset | Outcome::Status(201 | 204 | 303 | 408 | 499..=599))
            });
            match result {
                Ok(pending) => assert_eq!(pending.connector_id(), connector_id()),
                Err(error) => assert_eq!(error.connector_may_exist(), processed, "{error:?}"),
            }
        });
    }
}
