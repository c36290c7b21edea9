//! The duration of a batch and its number of GETs, in simulated time: Tokio's clock is paused, and the sandbox applies
//! its limits by that clock. The sockets are real.

use std::time::Duration;

use bird_sandbox::{Delay, Sandbox};
use bird_sms::{
    AccessKey, Client, PhoneNumberId, RateLimits, SmsChannel, SmsConnectorRequest, Workspace,
};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// Advances the paused clock in steps of a millisecond, between which bytes in transit arrive. Without these steps, the
/// clock would jump to the next timer whenever no task can run, even while bytes are in transit.
async fn tick() {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }
}

/// The measurements of a batch.
#[derive(Debug)]
struct Figures {
    installs: u32,
    ready: usize,
    seconds: f64,
    gets: u64,
    too_many: u64,
    /// The shortest possible duration for a batch that knows when each channel is ready, in seconds.
    bound: f64,
    /// The shortest expected duration for a batch that knows the distribution alone, in seconds.
    bound_unknown: f64,
    /// The mean time until the batch reports a channel that is ready when most GETs are idle, in seconds.
    straggler_lag: f64,
}

impl Figures {
    fn gets_per_install(&self) -> f64 {
        f64::from(u32::try_from(self.gets).unwrap()) / f64::from(self.installs)
    }
}

/// Returns the shortest possible duration under the limits of 500 POST/s and 50 GET/s: with the sorted times r at which
/// the channels are ready, the maximum of r(i) + (N − i + 1)/50.
fn bound(times: &[Times]) -> f64 {
    let mut ready: Vec<_> = times.iter().map(|times| times.nth / 500.0 + times.delay).collect();
    ready.sort_by(f64::total_cmp);
    let left = (1..=u32::try_from(ready.len()).unwrap()).rev();
    ready.iter().zip(left).map(|(at, left)| at + f64::from(left) / 50.0).fold(0.0, f64::max)
}

/// Returns the shortest expected duration for a batch that does not know which channels are ready, and whose last one
/// is ready before. Until time t, no
/// connector is older than t, so that a GET finds a channel with the probability F(t) at most. With N installs, the sum
/// over all GETs up to the end T is N = 50·∫F, and the integral is T minus the mean provisioning time.
fn bound_by_gets(times: &[Times]) -> f64 {
    let count = f64::from(u32::try_from(times.len()).unwrap());
    count / 50.0 + times.iter().map(|times| times.delay).sum::<f64>() / count
}

fn requests(count: u32) -> impl Iterator<Item = SmsConnectorRequest> {
    (1..=count)
        .map(|n| SmsConnectorRequest::new("n", PhoneNumberId::from(Uuid::from_u128(n.into()))))
}

/// The times of a request whose channel is ready, in seconds.
#[derive(Debug, Default)]
struct Times {
    /// The number of the request.
    nth: f64,
    /// How long provisioning took.
    delay: f64,
    /// When the channel was ready, by the clock of the sandbox.
    ready: f64,
    /// When the batch reported it, from the start of the batch.
    reported: f64,
}

type Ready = Option<Times>;

fn ready(request: &SmsConnectorRequest, channel: &SmsChannel) -> Ready {
    let nth = u32::try_from(request.phone_number_id().as_uuid().as_u128()).ok()?;
    let connector = channel.connector()?;
    let ready = connector.updated_at?;
    let delay = ready.duration_since(connector.created_at).as_secs_f64();
    let ready = ready.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
    Some(Times { nth: nth.into(), delay, ready, reported: 0.0 })
}

async fn simulate<S: Stream<Item = Ready>>(
    count: u32,
    delay: &str,
    limits: RateLimits,
    batch: impl FnOnce(Workspace) -> S,
) -> Figures {
    let delay: Delay = delay.parse().unwrap();
    simulate_in(Sandbox::builder().provisioning_delay(delay), count, limits, batch).await
}

async fn simulate_in<S: Stream<Item = Ready>>(
    sandbox: bird_sandbox::Builder,
    count: u32,
    limits: RateLimits,
    batch: impl FnOnce(Workspace) -> S,
) -> Figures {
    let sandbox = sandbox.start().await.unwrap();
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .rate_limits(limits)
        .install_timeout(Duration::from_secs(600))
        .build()
        .unwrap();
    let ticking = tokio::spawn(tick());
    let began = Instant::now();
    let outcomes = batch(client.workspace(sandbox.workspace_id().into()));
    let reported = |times: Ready| Some(Times { reported: began.elapsed().as_secs_f64(), ..times? });
    let outcomes: Vec<_> = outcomes.map(reported).collect().await;
    let seconds = began.elapsed().as_secs_f64();
    ticking.abort();
    assert_eq!(sandbox.connectors().len(), count as usize);
    assert_eq!(outcomes.len(), count as usize);
    let times: Vec<_> = outcomes.into_iter().flatten().collect();
    // From here on, most GETs are idle.
    let idle = 1.1 * bound_by_gets(&times);
    // The first connector is created at once.
    let first = times.iter().map(|times| times.ready - times.delay).fold(f64::INFINITY, f64::min);
    let lags =
        times.iter().map(|times| (times.ready - first, times.reported + first - times.ready));
    let late: Vec<_> = lags.filter(|(ready, _)| *ready > idle).map(|(_, lag)| lag).collect();
    Figures {
        installs: count,
        ready: times.len(),
        seconds,
        bound: bound(&times),
        bound_unknown: bound(&times).max(bound_by_gets(&times)),
        straggler_lag: late.iter().sum::<f64>() / f64::from(u32::try_from(late.len()).unwrap()),
        gets: sandbox.get_count(),
        too_many: sandbox.response_count(429),
    }
}

async fn batch(count: u32, delay: &str) -> Figures {
    simulate(count, delay, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(count)).start();
        outcomes.map(|outcome| {
            let channel = outcome.result.inspect_err(|error| eprintln!("{error}")).ok()?;
            ready(&outcome.request, &channel)
        })
    })
    .await
}

#[cfg(feature = "list-connectors")]
async fn batch_by_list(count: u32, delay: &str) -> Figures {
    simulate(count, delay, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(count)).wait_by_list().start();
        outcomes.map(|outcome| {
            outcome.result.inspect_err(|error| eprintln!("{error}")).ok()?;
            let number = outcome.request.phone_number_id().as_uuid().as_u128();
            // A page does not say when the channel was ready.
            Some(Times { nth: u32::try_from(number).ok()?.into(), ..Times::default() })
        })
    })
    .await
}

/// Measures a naive batch: as many installs at a time, each polling every second, also after a 429.
async fn fixed_interval(count: u32, delay: &str) -> Figures {
    let none = RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX };
    simulate(count, delay, none, |workspace| {
        stream::iter(requests(count))
            .map(move |request| {
                let workspace = workspace.clone();
                async move {
                    let mut pending = workspace.create_sms_connector(&request).await.unwrap();
                    loop {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        match pending.poll().await {
                            Ok(Some(channel)) => return ready(&request, &channel),
                            Ok(None) => {}
                            Err(error) => {
                                let status = error.response().map(|response| response.status);
                                assert_eq!(status, Some(429), "{error}");
                            }
                        }
                    }
                }
            })
            .buffer_unordered(1000)
    })
    .await
}

const DELAYS: [&str; 3] = ["2s", "1s..5s", "~2s"];

#[tokio::test(start_paused = true)]
async fn a_batch_stays_within_the_limits_and_wastes_few_polls_whatever_the_provisioning_time() {
    for (delay, of_bound) in [("2s", 1.15), ("1s..5s", 1.4)] {
        let figures = batch(500, delay).await;
        assert_eq!((figures.ready, figures.too_many), (500, 0), "{delay}: {figures:?}");
        assert!(figures.gets_per_install() <= 1.2, "{delay}: {figures:?}");
        assert!(figures.seconds <= of_bound * figures.bound, "{delay}: {figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_comes_with_the_creation_costs_no_poll() {
    let figures = batch(200, "0s").await;
    assert_eq!((figures.ready, figures.gets, figures.too_many), (200, 0, 0), "{figures:?}");
    assert!(figures.seconds < 1.0, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_adapts_to_lower_limits_than_configured_with_few_429s() {
    // For example, another process may use the other half of the limits.
    let sandbox = Sandbox::builder().get_limit(25).post_limit(250);
    let figures = simulate_in(sandbox, 500, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(500)).start();
        outcomes.map(|outcome| ready(&outcome.request, &outcome.result.ok()?))
    })
    .await;
    assert_eq!(figures.ready, 500, "{figures:?}");
    assert!(figures.too_many < 60, "{figures:?}");
    assert!(figures.seconds < 1.5 * (500.0 / 25.0 + 2.0), "{figures:?}");
}

/// `cargo xtask bench` runs this one.
#[tokio::test(start_paused = true)]
#[ignore = "prints figures"]
async fn figures_of_a_thousand_installs() {
    print_figures(1_000).await;
}

/// `cargo test --profile dependent -p bird-sms --test batch_speed -- --ignored --nocapture ten_thousand`
#[tokio::test(start_paused = true)]
#[ignore = "prints figures, and takes minutes"]
async fn figures_of_ten_thousand_installs() {
    print_figures(10_000).await;
}

#[cfg(feature = "list-connectors")]
#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_by_list_needs_few_gets() {
    let figures = batch_by_list(1000, "2s").await;
    assert_eq!((figures.ready, figures.too_many), (1000, 0), "{figures:?}");
    assert!(figures.gets_per_install() <= 0.3, "{figures:?}");
    assert!(figures.seconds <= 10.0, "{figures:?}");
}

/// `cargo test --profile dependent -p bird-sms --features list-connectors --test batch_speed -- --ignored --nocapture by_list`
#[cfg(feature = "list-connectors")]
#[tokio::test(start_paused = true)]
#[ignore = "prints figures, and takes minutes"]
async fn figures_of_ten_thousand_installs_by_list() {
    for delay in DELAYS {
        let figures = batch_by_list(10_000, delay).await;
        println!(
            "| {delay} | by list | {:.1} | {:.3} | {} |",
            figures.seconds,
            figures.gets_per_install(),
            figures.too_many
        );
    }
}

async fn print_figures(installs: u32) {
    println!(
        "| provisioning | | simulated s | of the bound | of the bound without knowing what is ready | GETs per install \
         | 429 | lag of stragglers, s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for delay in DELAYS {
        for (name, figures) in [
            ("bird-sms batch", batch(installs, delay).await),
            ("a poll every second", fixed_interval(installs, delay).await),
        ] {
            println!(
                "| {delay} | {name} | {:.1} | {:.3} | {:.3} | {:.3} | {} | {:.2} |",
                figures.seconds,
                figures.seconds / figures.bound,
                figures.seconds / figures.bound_unknown,
                figures.gets_per_install(),
                figures.too_many,
                figures.straggler_lag,
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_although_the_first_connectors_that_it_polls_teach_nothing() {
    // The wait for a connector ends after a 501.
    let sandbox = Sandbox::builder().fault("get:501x4".parse().unwrap());
    let sandbox = sandbox.provisioning_delay(Duration::from_secs(2));
    let figures = simulate_in(sandbox, 50, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(50)).start();
        outcomes.map(|outcome| ready(&outcome.request, &outcome.result.ok()?))
    });
    let figures = tokio::time::timeout(Duration::from_secs(60), figures).await;
    let figures = figures.expect("the other installs end");
    assert_eq!(figures.ready, 46, "{figures:?}");
    assert!(figures.seconds < 15.0, "{figures:?}");
}
