//! How long a batch takes and how many GETs it sends, with a sandbox whose rate limits follow the paused clock.

use bird_sandbox::{Builder, Delay, Sandbox};

use super::*;

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

/// Returns the shortest possible duration in seconds under the limits of 500 POST/s and 50 GET/s. It is the maximum of
/// r(i) + (N − i + 1)/50, where r(1) to r(N) are the sorted times at which the channels are ready.
fn bound(mut ready: Vec<f64>) -> f64 {
    ready.sort_by(f64::total_cmp);
    let left = (1..=u32::try_from(ready.len()).unwrap()).rev();
    ready.iter().zip(left).map(|(at, left)| at + f64::from(left) / 50.0).fold(0.0, f64::max)
}

async fn simulate(count: u32, sandbox: Builder) -> Figures {
    let sandbox = sandbox.response_delay(Duration::from_millis(1)).in_memory();
    let client = Client::builder()
        .transport(sandbox.transport())
        .seed(0)
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .install_timeout(Duration::from_secs(600))
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let began = Instant::now();
    let mut outcomes = workspace.install_sms_channels(requests(1, count.into())).start();
    let mut lags = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        let Ok(channel) = outcome.result.inspect_err(|error| eprintln!("{error}")) else {
            continue;
        };
        let connector = channel.connector().unwrap();
        let delay = connector.updated_at.unwrap().duration_since(connector.created_at);
        let nth = outcome.request.phone_number_id().as_uuid().as_u128();
        let ready = f64::from(u32::try_from(nth).unwrap()) / 500.0 + delay.as_secs_f64();
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
async fn a_batch_wastes_few_polls_and_gets_no_429() {
    for (delay, gets, of_bound) in [("2s", 1.25, 1.15), ("1s..5s", 1.45, 1.4)] {
        let figures = simulate(500, sandbox(delay)).await;
        assert_eq!((figures.ready, figures.too_many), (500, 0), "{delay}: {figures:?}");
        assert!(figures.gets_per_install <= gets, "{delay}: {figures:?}");
        assert!(figures.seconds <= of_bound * figures.bound, "{delay}: {figures:?}");
    }
    let figures = simulate(1000, sandbox("1s..5s")).await;
    assert_eq!((figures.ready, figures.too_many), (1000, 0), "{figures:?}");
    assert!(figures.gets_per_install <= 1.2, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_channels_are_reported_within_the_longest_poll_gap() {
    for seed in 0..2 {
        let figures = simulate(500, sandbox("~2s").seed(seed)).await;
        // The rate limit allows 500 GETs in the first 10 s. After that, most permits are unused.
        let late = figures.lags.iter().filter(|(ready, _)| *ready > 15.0);
        let lag = late.map(|(_, lag)| *lag).fold(0.0, f64::max);
        // The longest gap between polls is 1.5 s, plus at most an eighth of jitter.
        assert!(lag > 0.0 && lag < 1.8, "{seed}: {lag}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_in_the_response_to_the_post_needs_no_poll() {
    let figures = simulate(200, sandbox("0s")).await;
    assert_eq!((figures.ready, figures.too_many), (200, 0), "{figures:?}");
    assert!(figures.gets_per_install <= 0.0, "{figures:?}");
    assert!(figures.seconds < 1.0, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_adapts_to_lower_limits_with_few_429s() {
    // Half of Bird's limits, as if another process used the other half.
    let sandbox = Sandbox::builder().get_limit(25).post_limit(250);
    let figures = simulate(500, sandbox).await;
    assert_eq!(figures.ready, 500, "{figures:?}");
    assert!(figures.too_many < 60, "{figures:?}");
    assert!(figures.seconds < 1.5 * (500.0 / 25.0 + 2.0), "{figures:?}");
}
