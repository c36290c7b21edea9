//! The duration of a batch and its number of GETs, in simulated time: Tokio's clock is paused, and the sandbox is in
//! memory and applies its limits by that clock.

use std::time::Duration;

use bird_sandbox::{Builder, Delay, Sandbox};
use bird_sms::{AccessKey, Client, InstallSmsChannels, PhoneNumberId, SmsConnectorRequest};
use futures_util::stream::{self, Iter};
use tokio::time::Instant;
use uuid::Uuid;

/// The measurements of a batch.
#[derive(Debug)]
struct Figures {
    ready: usize,
    seconds: f64,
    gets_per_install: f64,
    too_many: u64,
    /// The shortest possible duration for a batch that knows when each channel is ready, in seconds.
    bound: f64,
    /// When each channel was ready and how long after that it was reported, in seconds.
    lags: Vec<(f64, f64)>,
}

/// Returns the shortest possible duration under the limits of 500 POST/s and 50 GET/s, from when the channels are ready:
/// with their sorted times r, the maximum of r(i) + (N − i + 1)/50.
fn bound(mut ready: Vec<f64>) -> f64 {
    ready.sort_by(f64::total_cmp);
    let left = (1..=u32::try_from(ready.len()).unwrap()).rev();
    ready.iter().zip(left).map(|(at, left)| at + f64::from(left) / 50.0).fold(0.0, f64::max)
}

type Batch = InstallSmsChannels<Iter<std::vec::IntoIter<SmsConnectorRequest>>>;

async fn simulate(count: u32, sandbox: Builder, configure: fn(Batch) -> Batch) -> Figures {
    let sandbox = sandbox.response_delay(Duration::from_millis(1)).in_memory();
    let client = Client::builder()
        .transport(sandbox.transport())
        .seed(0)
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .install_timeout(Duration::from_secs(600))
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let number = |n: u32| PhoneNumberId::from(Uuid::from_u128(n.into()));
    let requests: Vec<_> = (1..=count).map(|n| SmsConnectorRequest::new("n", number(n))).collect();
    let began = Instant::now();
    let mut outcomes =
        configure(workspace.install_sms_channel_stream(stream::iter(requests))).start();
    let mut lags = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        let Ok(channel) = outcome.result.inspect_err(|error| eprintln!("{error}")) else {
            continue;
        };
        // A page of the list does not say when the channel was ready.
        let delay = channel.connector().and_then(|connector| {
            Some(connector.updated_at?.duration_since(connector.created_at).as_secs_f64())
        });
        let nth = outcome.request.phone_number_id().as_uuid().as_u128();
        let ready = f64::from(u32::try_from(nth).unwrap()) / 500.0 + delay.unwrap_or_default();
        lags.push((ready, began.elapsed().as_secs_f64() - ready));
    }
    assert_eq!(sandbox.connectors().len(), count as usize);
    Figures {
        ready: lags.len(),
        seconds: began.elapsed().as_secs_f64(),
        gets_per_install: f64::from(u32::try_from(sandbox.get_count()).unwrap()) / f64::from(count),
        too_many: sandbox.response_count(429),
        bound: bound(lags.iter().map(|(ready, _)| *ready).collect()),
        lags,
    }
}

fn sandbox(provisioning: &str) -> Builder {
    Sandbox::builder().provisioning_delay(provisioning.parse::<Delay>().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_batch_stays_within_the_limits_and_wastes_few_polls_whatever_the_provisioning_time() {
    for (delay, gets, of_bound) in [("2s", 1.25, 1.15), ("1s..5s", 1.45, 1.4)] {
        let figures = simulate(500, sandbox(delay), |batch| batch).await;
        assert_eq!((figures.ready, figures.too_many), (500, 0), "{delay}: {figures:?}");
        assert!(figures.gets_per_install <= gets, "{delay}: {figures:?}");
        assert!(figures.seconds <= of_bound * figures.bound, "{delay}: {figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_installs_at_most_one_get_in_six_finds_the_channel_pending() {
    let mut gets = 0.0;
    for seed in 0..4 {
        let figures = simulate(1000, sandbox("1s..5s").seed(seed), |batch| batch).await;
        assert_eq!((figures.ready, figures.too_many), (1000, 0), "{seed}: {figures:?}");
        gets += figures.gets_per_install;
    }
    assert!(gets / 4.0 <= 1.2, "{gets}");
}

#[tokio::test(start_paused = true)]
async fn the_slowest_channels_are_reported_soon_although_many_polls_were_due_before() {
    for seed in 0..4 {
        let figures = simulate(500, sandbox("~2s").seed(seed), |batch| batch).await;
        // The first 10 s are enough for 500 GETs. Later most of them are idle.
        let late = figures.lags.iter().filter(|(ready, _)| *ready > 15.0);
        let lag = late.map(|(_, lag)| *lag).fold(0.0, f64::max);
        // The longest gap is 1.5 s, and varies by an eighth.
        assert!(lag > 0.0 && lag < 1.8, "{seed}: {lag}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_comes_with_the_creation_costs_no_poll() {
    let figures = simulate(200, sandbox("0s"), |batch| batch).await;
    assert_eq!((figures.ready, figures.too_many), (200, 0), "{figures:?}");
    assert!(figures.gets_per_install <= 0.0, "{figures:?}");
    assert!(figures.seconds < 1.0, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_adapts_to_lower_limits_than_configured_with_few_429s() {
    // For example, another process may use the other half of the limits.
    let sandbox = Sandbox::builder().get_limit(25).post_limit(250);
    let figures = simulate(500, sandbox, |batch| batch).await;
    assert_eq!(figures.ready, 500, "{figures:?}");
    assert!(figures.too_many < 60, "{figures:?}");
    assert!(figures.seconds < 1.5 * (500.0 / 25.0 + 2.0), "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_although_the_first_connectors_that_it_polls_teach_nothing() {
    // The wait for a connector ends after a 501.
    let sandbox = sandbox("2s").fault("get:501x4".parse().unwrap());
    let figures = simulate(50, sandbox, |batch| batch);
    let figures = tokio::time::timeout(Duration::from_secs(60), figures).await;
    let figures = figures.expect("the other installs end");
    assert_eq!(figures.ready, 46, "{figures:?}");
    assert!(figures.seconds < 15.0, "{figures:?}");
}
