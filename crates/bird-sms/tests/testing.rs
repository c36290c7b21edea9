//! The tests of a service that uses bird-sms: `docs/testing.md` quotes the parts between marks.

// [imports]
use std::error::Error as StdError;
use std::time::Duration;

use bird_sandbox::{ReceivedRequest, Sandbox};
use bird_sms::{
    AccessKey, Client, ConnectorState, Error, PhoneNumberId, SmsConnectorRequest,
    TransportErrorKind, Workspace, test_util, uuid::Uuid,
};
use tokio::time::Instant;
// [/imports]

// [service]
/// Installs a channel, and returns what the user of the service is told.
async fn onboard(workspace: &Workspace, number: PhoneNumberId) -> String {
    match workspace.install_sms_channel("Onboarding", number).await {
        Ok(channel) => format!("channel {} is ready", channel.id),
        Err(error) => advice(&error),
    }
}

fn advice(error: &Error) -> String {
    match error.connector_state() {
        ConnectorState::NotCreated if error.is_retryable() => "try again later".to_owned(),
        ConnectorState::NotCreated => "correct the input".to_owned(),
        ConnectorState::Exists(id) => format!("connector {id} gets its channel later"),
        ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => "call support".to_owned(),
    }
}
// [/service]

// [in-memory]
#[tokio::test(start_paused = true)]
async fn a_number_is_onboarded_although_bird_fails_once() -> Result<(), Box<dyn StdError>> {
    let sandbox = Sandbox::builder().fault("post:503".parse()?).in_memory();
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key())?)
        .transport(sandbox.transport())
        .build()?;
    let workspace = client.workspace(sandbox.workspace_id().into());
    let said = onboard(&workspace, "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?).await;
    assert_eq!(said, format!("channel {} is ready", sandbox.connectors()[0].channel_id));
    assert_eq!(sandbox.post_count(), 2);
    Ok(())
}
// [/in-memory]

// [helpers]
/// Returns the workspace of a sandbox in memory.
fn workspace(sandbox: &Sandbox) -> Workspace {
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .transport(sandbox.transport())
        .build()
        .unwrap();
    client.workspace(sandbox.workspace_id().into())
}

fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}
// [/helpers]

// [clock]
#[tokio::test(start_paused = true)]
async fn a_channel_that_takes_an_hour_is_not_waited_for() {
    let hour = Duration::from_secs(3600);
    let sandbox = Sandbox::builder().provisioning_delay(hour).in_memory();
    let began = Instant::now(); // tokio::time::Instant
    let said = onboard(&workspace(&sandbox), number(1)).await;
    let id = sandbox.connectors()[0].id;
    assert_eq!(said, format!("connector {id} gets its channel later"));
    assert!(began.elapsed() <= Duration::from_secs(120)); // the default of install_timeout

    // The same connector, in a later process:
    tokio::time::advance(hour).await;
    let channel = workspace(&sandbox).pending_channel(id.into()).wait().await.unwrap();
    assert_eq!(channel.id, sandbox.connectors()[0].channel_id.into());
}
// [/clock]

// [errors]
#[test]
fn only_a_request_that_created_nothing_is_tried_again() {
    let refused = test_util::response(422, r#"{"code": "InvalidPayload"}"#);
    let unreachable = test_util::no_response(TransportErrorKind::Dns, false);
    let timeout = test_util::no_response(TransportErrorKind::TimedOut, true);
    for (attempt, expected) in [
        (refused, "correct the input"),
        (unreachable, "try again later"),
        (timeout, "call support"),
        (test_util::response(504, "<html>"), "call support"),
        (test_util::response(201, "not JSON"), "call support"),
    ] {
        let error = test_util::create_error(attempt);
        assert_eq!(advice(&error), expected, "{error}");
    }
}
// [/errors]

// [faults]
#[tokio::test(start_paused = true)]
async fn a_number_that_fails_does_not_affect_the_others() {
    let sandbox = Sandbox::builder().in_memory();
    // The response to the creation of number 2 is lost, and its connector is found at the number. The first poll of
    // number 3 gets a 403.
    sandbox.add_fault(format!("post:lost#{}", number(2)).parse().unwrap());
    sandbox.add_fault(format!("get:403#{}", number(3)).parse().unwrap());
    let workspace = workspace(&sandbox);
    for (n, expected) in
        [(1, "is ready"), (2, "is ready"), (3, "gets its channel later"), (4, "is ready")]
    {
        let said = onboard(&workspace, number(n)).await;
        assert!(said.ends_with(expected), "{n}: {said}");
    }
    // Both faults were injected, and each number has one connector.
    assert!(sandbox.faults().is_empty());
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (4, 4));
}
// [/faults]

// [repeat]
/// Installs 1,000 channels while a tenth of all requests fails. Returns the requests and the outcomes.
async fn install_many(seed: u64) -> (Vec<ReceivedRequest>, Vec<String>) {
    let sandbox = Sandbox::builder()
        .seed(seed)
        .provisioning_delay("1s..5s".parse::<bird_sandbox::Delay>().unwrap())
        .response_delay("~50ms".parse::<bird_sandbox::Delay>().unwrap())
        .fault(format!("random:{seed}:10").parse().unwrap())
        .in_memory();
    let client = Client::builder()
        .seed(seed)
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .transport(sandbox.transport())
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let requests = (1..=1000).map(|n| SmsConnectorRequest::new("Onboarding", number(n)));
    let mut batch = workspace.install_sms_channels(requests).start();
    let mut outcomes = Vec::new();
    while let Some(outcome) = batch.next().await {
        outcomes.push(match outcome.result {
            Ok(channel) => format!("{} {:?}", channel.id, channel.warning),
            Err(error) => error.chain(),
        });
    }
    (sandbox.requests(), outcomes)
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run() {
    let (requests, outcomes) = install_many(7).await;
    assert_eq!(outcomes.len(), 1000);
    assert!(install_many(7).await == (requests, outcomes));
}
// [/repeat]

// [socket]
#[tokio::test]
async fn a_number_is_onboarded_over_http() -> Result<(), Box<dyn StdError>> {
    let delay = Duration::from_millis(20);
    let sandbox = Sandbox::builder().provisioning_delay(delay).start().await?;
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key())?)
        .base_url(sandbox.base_url())
        .build()?;
    let workspace = client.workspace(sandbox.workspace_id().into());
    assert!(onboard(&workspace, number(1)).await.ends_with("is ready"));
    sandbox.shutdown().await;
    Ok(())
}
// [/socket]
