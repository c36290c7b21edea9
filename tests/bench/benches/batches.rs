//! Prints a table of batches in simulated time.
//!
//! The library runs unchanged, with an in-memory sandbox as its transport. Tokio's clock is paused: when every task
//! waits, the clock jumps to the next timer.

#![expect(clippy::cast_precision_loss, reason = "the counts are small")]

use std::time::Duration;

use bird_sandbox::{Delay, Sandbox};
use bird_sms::uuid::Uuid;
use bird_sms::{
    AccessKey, Client, PhoneNumberId, RateLimits, SmsChannel, SmsConnectorRequest, Workspace,
};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

/// Bird's rate limits, in requests per second.
const POSTS: f64 = 500.0;
const GETS: f64 = 50.0;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    // Every reqwest client needs a TLS provider, although no server here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!(
        "| installs | provisioning | | s | of the bound | GETs per install | 429 |\n|---|---|---|---|---|---|---|"
    );
    for installs in [1_000, 10_000] {
        for provisioning in ["2s", "1s..5s", "~2s"] {
            bird_sms(provisioning, installs).await;
            // With 10,000 installs, polling every second would take half a million requests.
            if installs == 1_000 {
                every_second(provisioning, installs).await;
            }
        }
    }
}

async fn bird_sms(provisioning: &str, installs: u32) {
    run_batch("bird-sms", provisioning, installs, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(installs)).start();
        outcomes.map(|outcome| (outcome.request, outcome.result.expect("no install fails")))
    })
    .await;
}

/// Runs 1,000 installs at a time, each polling every second. They share a client, so after a 429 all of them wait until
/// its `Retry-After` is over.
async fn every_second(provisioning: &str, installs: u32) {
    let none = RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX };
    run_batch("a poll every second", provisioning, installs, none, |workspace| {
        stream::iter(requests(installs))
            .map(move |request| {
                let workspace = workspace.clone();
                async move {
                    let mut pending =
                        workspace.create_sms_connector(&request).await.expect("it is created");
                    loop {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        if let Ok(Some(channel)) = pending.poll().await {
                            return (request, channel);
                        }
                    }
                }
            })
            .buffer_unordered(1000)
    })
    .await;
}

fn requests(count: u32) -> impl Iterator<Item = SmsConnectorRequest> {
    let number = |n: u32| PhoneNumberId::from(Uuid::from_u128(n.into()));
    (1..=count).map(move |n| SmsConnectorRequest::new("n", number(n)))
}

/// Runs a batch and prints its row of the table.
async fn run_batch<S: Stream<Item = (SmsConnectorRequest, SmsChannel)>>(
    contender: &str,
    provisioning: &str,
    installs: u32,
    limits: RateLimits,
    start: impl FnOnce(Workspace) -> S,
) {
    let delay: Delay = provisioning.parse().expect("the delay is valid");
    // Without a response delay, requests would never be in flight at the same time.
    let response_delay = Duration::from_millis(5);
    let sandbox = Sandbox::builder().provisioning_delay(delay).response_delay(response_delay);
    let sandbox = sandbox.in_memory();
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key()).expect("the key of the sandbox is valid"))
        .transport(sandbox.transport())
        .rate_limits(limits)
        .seed(1)
        .install_timeout(Duration::from_secs(900));
    let client = client.build().expect("the settings are valid");
    let began = Instant::now();
    let outcomes: Vec<_> = start(client.workspace(sandbox.workspace_id().into())).collect().await;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "| {installs} | {provisioning} | {contender} | {seconds:.1} | {:.3} | {:.3} | {} |",
        seconds / bound(&outcomes),
        sandbox.get_count() as f64 / f64::from(installs),
        sandbox.response_count(429),
    );
}

/// Returns the shortest possible duration of a batch, in seconds, with one poll per channel, as soon as it is ready. If
/// r is the sorted list of the times when channels are ready, the duration is the maximum of r(i) + (N − i + 1)/50.
fn bound(outcomes: &[(SmsConnectorRequest, SmsChannel)]) -> f64 {
    let ready = outcomes.iter().map(|(request, channel)| {
        let provisioning = channel.connector().and_then(|connector| {
            Some(connector.updated_at?.duration_since(connector.created_at).as_secs_f64())
        });
        let nth = request.phone_number_id().as_uuid().as_u128() as f64;
        nth / POSTS + provisioning.unwrap_or_default()
    });
    let mut ready: Vec<_> = ready.collect();
    ready.sort_by(f64::total_cmp);
    let left = (1..=ready.len()).rev().map(|left| left as f64);
    ready.iter().zip(left).map(|(at, left)| at + left / GETS).fold(0.0, f64::max)
}
