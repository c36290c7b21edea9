//! Prints the figures of installs and batches in simulated time, as one JSON object.
//!
//! The library runs unchanged. The sandbox is a transport in memory, and the clock is Tokio's, which is paused: it
//! advances to the next timer when no task can run. The requests of single installs take no time, so that a lag is that of
//! the schedule alone.
//! An example, because only tests and examples may use the paused clock.

#![expect(clippy::cast_precision_loss, reason = "the counts are small")]

mod cost;

use std::time::Duration;

use bird_sandbox::{Builder, Delay, Sandbox};
use bird_sms::uuid::Uuid;
use bird_sms::{
    AccessKey, Client, ClientBuilder, PhoneNumberId, RateLimits, SmsChannel, SmsConnectorRequest,
    Workspace,
};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;

use crate::cost::{Cost, costs};

/// The limits of Bird, per second.
const POSTS: f64 = 500.0;
const GETS: f64 = 50.0;

#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Simulated,
    Real,
}

impl Clock {
    /// Runs a future on a runtime of its own, with this clock.
    fn run<T>(self, future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(self == Self::Simulated);
        runtime.build().expect("a runtime").block_on(future)
    }

    /// Starts a sandbox, and a client of it.
    async fn start(self, sandbox: Builder, client: ClientBuilder) -> (Sandbox, Workspace) {
        let client = client.seed(1).install_timeout(Duration::from_secs(900));
        let (sandbox, client) = match self {
            Self::Simulated => {
                let sandbox = sandbox.in_memory();
                let transport = sandbox.transport();
                (sandbox, client.transport(transport))
            }
            Self::Real => {
                let sandbox = sandbox.start().await.expect("a port of loopback");
                let url = sandbox.base_url();
                (sandbox, client.base_url(url))
            }
        };
        let key = AccessKey::new(sandbox.access_key()).expect("the key of the sandbox");
        let client = client.access_key(key).build().expect("the settings are valid");
        let workspace = client.workspace(sandbox.workspace_id().into());
        (sandbox, workspace)
    }
}

/// The lag and the number of GETs of one install, or their means over several.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Wait {
    /// From the channel to its report, in seconds.
    lag: f64,
    gets: f64,
}

impl Wait {
    fn mean(waits: &[Self]) -> Self {
        let count = waits.len() as f64;
        let sum = |value: fn(&Self) -> f64| waits.iter().map(value).sum::<f64>() / count;
        Self { lag: sum(|wait| wait.lag), gets: sum(|wait| wait.gets) }
    }
}

/// Installs a channel with a client that knows nothing about provisioning.
async fn install(clock: Clock, provisioning: f64) -> Wait {
    let provisioning = Duration::from_secs_f64(provisioning);
    let sandbox = Sandbox::builder().provisioning_delay(provisioning);
    let (sandbox, workspace) = clock.start(sandbox, Client::builder()).await;
    let began = Instant::now();
    let number = PhoneNumberId::from(Uuid::from_u128(1));
    workspace.install_sms_channel("n", number).await.expect("an install without faults");
    let lag = began.elapsed().saturating_sub(provisioning).as_secs_f64();
    Wait { lag, gets: sandbox.get_count() as f64 }
}

/// Returns the wait of a schedule with these delays between its polls.
fn wait_by(provisioning: f64, delays: impl Iterator<Item = f64>) -> Wait {
    let (mut at, mut gets) = (0.0, 0.0);
    for delay in delays {
        at += delay;
        gets += 1.0;
        if at >= provisioning {
            break;
        }
    }
    Wait { lag: at - provisioning, gets }
}

/// Returns the delays of waiters in the AWS SDK for JavaScript v3, with the limits of those for buckets and functions: a
/// poll at once, and then random delays between 5 s and 5 s · 2^n, at most 120 s.
fn aws(random: &mut fastrand::Rng) -> impl Iterator<Item = f64> + use<'_> {
    let delays = (0..).map(|n| 5.0 * 2_f64.powi(n));
    let delays =
        delays.map(|most| if most > 120.0 { 120.0 } else { 5.0 + random.f64() * (most - 5.0) });
    std::iter::once(0.0).chain(delays)
}

fn exponential() -> impl Iterator<Item = f64> {
    (0..).map(|n| 2_f64.powi(n).min(30.0))
}

/// Returns `count` times within a quarter of the given one, at regular distances.
fn around(provisioning: f64, count: u32) -> impl Iterator<Item = f64> {
    let step = 0.5 / f64::from(count);
    (0..count).map(move |n| provisioning * (0.75 + step * (f64::from(n) + 0.5)))
}

fn mean_wait(clock: Clock, provisioning: f64, count: u32) -> Wait {
    let waits: Vec<_> = match clock {
        Clock::Simulated => {
            around(provisioning, count).map(|time| clock.run(install(clock, time))).collect()
        }
        // At the same time, because each takes its time.
        Clock::Real => {
            clock.run(join_all(around(provisioning, count).map(|time| install(clock, time))))
        }
    };
    Wait::mean(&waits)
}

#[derive(Serialize)]
struct Point {
    schedule: &'static str,
    /// Seconds.
    provisioning: f64,
    #[serde(flatten)]
    wait: Wait,
}

/// Returns the waits of each schedule over provisioning times from 0.2 s to a minute.
fn curves() -> Vec<Point> {
    const POINTS: i32 = 24;
    let mut points = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..=POINTS {
        let provisioning = 0.2 * 300_f64.powf(f64::from(n) / f64::from(POINTS));
        let mean = |wait: &mut dyn FnMut(f64) -> Wait| {
            Wait::mean(&around(provisioning, 100).map(wait).collect::<Vec<_>>())
        };
        let waits = [
            ("bird-sms", mean_wait(Clock::Simulated, provisioning, 40)),
            ("every second", mean(&mut |time| wait_by(time, std::iter::repeat(1.0)))),
            ("1 s, doubled up to 30 s", mean(&mut |time| wait_by(time, exponential()))),
            ("AWS waiters, 5 s to 120 s", mean(&mut |time| wait_by(time, aws(&mut random)))),
            ("Azure, every 30 s", mean(&mut |time| wait_by(time, std::iter::repeat(30.0)))),
        ];
        points.extend(waits.map(|(schedule, wait)| Point { schedule, provisioning, wait }));
    }
    points
}

/// The figures of a batch.
#[derive(Debug, Serialize)]
struct Batch {
    contender: &'static str,
    provisioning: &'static str,
    installs: u32,
    seconds: f64,
    /// The duration divided by the shortest possible one, if it is known when each channel is ready.
    of_bound: f64,
    /// The same for the shortest expected one, if only the distribution is known.
    of_bound_unknown: f64,
    gets_per_install: f64,
    too_many: u64,
    /// The mean lag of the connectors that are ready when most GETs are idle, in seconds.
    straggler_lag: Option<f64>,
}

/// When the channel of a request was ready and when it was reported, in seconds from the start, and how long
/// provisioning took.
struct Ready {
    nth: f64,
    provisioning: f64,
    reported: f64,
}

/// Returns the exact bound: with the sorted times r at which channels are ready, the maximum of r(i) + (N − i + 1)/50.
fn bound(rows: &[Ready]) -> f64 {
    let mut ready: Vec<_> = rows.iter().map(|row| row.nth / POSTS + row.provisioning).collect();
    ready.sort_by(f64::total_cmp);
    let left = (1..=rows.len()).rev().map(|left| left as f64);
    ready.iter().zip(left).map(|(at, left)| at + left / GETS).fold(0.0, f64::max)
}

fn requests(count: u32) -> impl Iterator<Item = SmsConnectorRequest> {
    let number = |n: u32| PhoneNumberId::from(Uuid::from_u128(n.into()));
    (1..=count).map(move |n| SmsConnectorRequest::new("n", number(n)))
}

async fn batch(clock: Clock, provisioning: &'static str, installs: u32) -> Batch {
    run_batch(clock, "bird-sms", provisioning, installs, RateLimits::default(), |workspace| {
        let outcomes = workspace.install_sms_channels(requests(installs)).start();
        outcomes
            .map(|outcome| (outcome.request, outcome.result.expect("an install without faults")))
    })
    .await
}

/// Runs 1,000 installs at a time, each of which polls every second. They share a client, which holds all of them back
/// until the `Retry-After` of a 429 is over.
async fn every_second(provisioning: &'static str, installs: u32) -> Batch {
    let none = RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX };
    run_batch(Clock::Simulated, "a poll every second", provisioning, installs, none, |workspace| {
        stream::iter(requests(installs))
            .map(move |request| {
                let workspace = workspace.clone();
                async move {
                    let mut pending =
                        workspace.create_sms_connector(&request).await.expect("a creation");
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
    .await
}

async fn run_batch<S: Stream<Item = (SmsConnectorRequest, SmsChannel)>>(
    clock: Clock,
    contender: &'static str,
    provisioning: &'static str,
    installs: u32,
    limits: RateLimits,
    start: impl FnOnce(Workspace) -> S,
) -> Batch {
    let delay: Delay = provisioning.parse().expect("a delay");
    // Without a delay, the response to one request would come before the next request is sent.
    let response_delay = Duration::from_millis(5);
    let sandbox = Sandbox::builder().provisioning_delay(delay).response_delay(response_delay);
    let client = Client::builder().rate_limits(limits);
    let (sandbox, workspace) = clock.start(sandbox, client).await;
    let began = Instant::now();
    let outcomes = start(workspace).map(|(request, channel)| {
        let provisioning = channel.connector().and_then(|connector| {
            Some(connector.updated_at?.duration_since(connector.created_at).as_secs_f64())
        });
        Ready {
            nth: request.phone_number_id().as_uuid().as_u128() as f64,
            provisioning: provisioning.unwrap_or_default(),
            reported: began.elapsed().as_secs_f64(),
        }
    });
    let rows: Vec<_> = outcomes.collect().await;
    let seconds = began.elapsed().as_secs_f64();
    // Until time t no connector is older than t, so that a GET finds a channel with the probability F(t) at most. The
    // sum over all GETs up to the end T is N = 50·∫F, and the integral is T minus the mean provisioning time.
    let count = f64::from(installs);
    let mean = rows.iter().map(|row| row.provisioning).sum::<f64>() / count;
    let bound_unknown = count / GETS + mean;
    // From then on most GETs are idle.
    let idle = 1.1 * bound_unknown;
    // Connectors are created at 98 % of the limit.
    let late = rows.iter().map(|row| (row.nth / (0.98 * POSTS) + row.provisioning, row.reported));
    let late: Vec<_> = late.filter(|(ready, _)| *ready > idle).collect();
    let lag =
        late.iter().map(|(ready, reported)| reported - ready).sum::<f64>() / late.len() as f64;
    Batch {
        contender,
        provisioning,
        installs,
        seconds,
        of_bound: seconds / bound(&rows),
        of_bound_unknown: seconds / bound(&rows).max(bound_unknown),
        gets_per_install: sandbox.get_count() as f64 / count,
        too_many: sandbox.response_count(429),
        straggler_lag: (!late.is_empty()).then_some(lag),
    }
}

/// A figure by the simulation and by the real clock.
#[derive(Serialize)]
struct Comparison {
    what: String,
    simulated: f64,
    real: f64,
}

/// Compares the simulation with installs over sockets by the real clock.
fn comparisons() -> Vec<Comparison> {
    const INSTALLS: u32 = 12;
    let lags = [0.3, 2.0, 10.0, 20.0].map(|provisioning| Comparison {
        what: format!("mean lag of {INSTALLS} installs that take {provisioning} s, s"),
        simulated: mean_wait(Clock::Simulated, provisioning, INSTALLS).lag,
        real: mean_wait(Clock::Real, provisioning, INSTALLS).lag,
    });
    let [simulated, real] =
        [Clock::Simulated, Clock::Real].map(|clock| clock.run(batch(clock, "1s..5s", 200)));
    let batch = Comparison {
        what: "a batch of 200 installs that take 1 s to 5 s, s".to_owned(),
        simulated: simulated.seconds,
        real: real.seconds,
    };
    lags.into_iter().chain([batch]).collect()
}

#[derive(Serialize)]
struct Figures {
    curves: Vec<Point>,
    /// The means over 200 provisioning times around each.
    installs: Vec<Point>,
    /// The GETs of the first 10 s, and of a minute.
    gets: [f64; 2],
    batches: Vec<Batch>,
    costs: Vec<Cost>,
    comparisons: Vec<Comparison>,
}

fn main() {
    // The real clock needs little of the processor.
    let comparisons = std::thread::spawn(comparisons);
    let installs = [0.3, 2.0, 10.0, 20.0, 60.0].map(|provisioning| {
        let wait = mean_wait(Clock::Simulated, provisioning, 200);
        Point { schedule: "bird-sms", provisioning, wait }
    });
    let mut batches = Vec::new();
    for installs in [1_000, 10_000] {
        for provisioning in ["2s", "1s..5s", "~2s"] {
            let clock = Clock::Simulated;
            batches.push(clock.run(batch(clock, provisioning, installs)));
            // With 10,000 installs it takes half a million requests.
            if installs == 1_000 {
                batches.push(clock.run(every_second(provisioning, installs)));
            }
        }
    }
    let gets =
        [10.0, 60.0].map(|time| Clock::Simulated.run(install(Clock::Simulated, time)).gets - 1.0);
    let figures = Figures {
        curves: curves(),
        installs: installs.into(),
        gets,
        batches,
        costs: costs(),
        comparisons: comparisons.join().expect("the real clock"),
    };
    println!("{}", serde_json::to_string_pretty(&figures).expect("figures are JSON"));
}
