//! Tests of installs under faults, which `docs/reliability.md` lists.

mod batch;
mod check;
mod concurrent;
mod create;
mod create_again;
mod hostile;
mod in_memory;
mod journal_kit;
mod json;
mod look_up;
mod numbers;
mod secrets;
#[cfg(feature = "rustls-no-provider")]
mod tls;
mod tracing_output;
mod transport;
mod wait;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bird_test_peer::Peer;
use bird_test_peer::fixtures::{
    ACCESS_KEY as KEY, CHANNEL_ID as CHANNEL, CONNECTOR_ID as CONNECTOR, PHONE_NUMBER_ID as NUMBER,
    WORKSPACE_ID as WORKSPACE, pending, ready,
};
use tokio::time::Instant;

use crate::transport::{Runtime, Sleep};
use crate::{
    AccessKey, Backoff, Client, ClientBuilder, ConnectorId, Error, Event, InstallSmsChannel,
    PendingChannel, PollPolicy, RetryPolicy, SmsChannel, SmsConnectorRequest, TransportErrorKind,
    Workspace, WorkspaceId,
};

/// A runtime that advances its clock instead of sleeping. Its random number is always 0, which gives the longest delay.
#[derive(Debug, Default)]
struct NoSleep {
    slept: Mutex<Vec<Duration>>,
}

impl NoSleep {
    fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

impl Runtime for NoSleep {
    fn now(&self) -> Instant {
        Instant::now() + self.slept().iter().sum()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        self.slept.lock().unwrap().push(duration);
        Box::pin(tokio::task::yield_now())
    }

    fn random(&self) -> f64 {
        0.0
    }
}

/// Returns the builder of a client that does not really sleep, and the runtime of that client.
fn without_sleep(base_url: &str) -> (ClientBuilder, Arc<NoSleep>) {
    let runtime = Arc::new(NoSleep::default());
    let builder = Client::builder()
        .access_key(AccessKey::new(KEY).unwrap())
        .base_url(base_url)
        .min_timeout(Duration::ZERO)
        // A lookup would use up one of the scripted replies.
        .look_up(false)
        .replace_runtime(|_| Arc::clone(&runtime) as _);
    (builder, runtime)
}

/// Returns a workspace whose client really sleeps: an hour before each retry and each poll.
fn with_long_sleeps(peer: &Peer) -> Workspace {
    let hour = Duration::from_secs(3600);
    let backoff = Backoff { initial: hour, multiplier: 1.0, max: hour, jitter: 0.0 };
    let builder = Client::builder()
        .access_key(AccessKey::new(KEY).unwrap())
        .base_url(peer.base_url())
        .install_timeout(10 * hour)
        .look_up(false)
        .retry_policy(RetryPolicy { backoff, ..Default::default() })
        .poll_policy(PollPolicy { interval: Some(hour), ..Default::default() });
    workspace(builder)
}

fn workspace(builder: ClientBuilder) -> Workspace {
    builder.build().unwrap().workspace(workspace_id())
}

fn workspace_id() -> WorkspaceId {
    WORKSPACE.parse().unwrap()
}

fn connector_id() -> ConnectorId {
    CONNECTOR.parse().unwrap()
}

fn request() -> SmsConnectorRequest {
    SmsConnectorRequest::new("My SMS channel", NUMBER.parse().unwrap())
}

/// Runs an install, and returns its result and its events.
async fn observed(install: InstallSmsChannel) -> (Result<SmsChannel, Error>, Vec<Event>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&events);
    let install = install.observe(move |event| observer.lock().unwrap().push(event.clone()));
    let result = install.await;
    let events = events.lock().unwrap().clone();
    (result, events)
}

/// Returns the kind of the transport error that a creation ended with, and the number of attempts.
fn unreachable(error: &Error) -> (TransportErrorKind, u32) {
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    (error.cause().unwrap().transport().unwrap().kind(), error.attempts().count)
}

async fn create_at(peer: &Peer) -> Result<PendingChannel, Error> {
    workspace(without_sleep(&peer.base_url()).0).create_sms_connector(&request()).await
}

async fn install_at(peer: &Peer) -> Result<SmsChannel, Error> {
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    workspace.install(request()).await
}

async fn wait_at(peer: &Peer) -> Result<SmsChannel, Error> {
    workspace(without_sleep(&peer.base_url()).0).pending_channel(connector_id()).wait().await
}
