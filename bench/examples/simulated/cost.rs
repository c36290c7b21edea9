//! The cost of the polls of an install after fifty others, beside that of the best schedule.

use std::sync::Arc;
use std::time::Duration;

use bird_bench::ready::Ready;
use bird_bench::server::WORKSPACE;
use bird_sms::uuid::Uuid;
use bird_sms::{AccessKey, Client, Workspace};
use fastrand::Rng;
use serde::Serialize;
use tokio::time::Instant;

use crate::Clock;

/// What a GET costs in seconds of lag: the default of the library.
const PRICE: f64 = 0.045;
const SEEDS: u32 = 40;
const KNOWN: usize = 50;
const MEASURED: usize = 200;

/// Returns a provisioning time, in seconds.
type Times = fn(&mut Rng) -> f64;

const DISTRIBUTIONS: [(&str, Times); 4] = [
    ("2 s", |_| 2.0),
    ("1 s to 5 s", |rng| 1.0 + 4.0 * rng.f64()),
    ("lognormal, 20 s, σ 0.6", |rng| 20.0 * (0.6 * normal(rng)).exp()),
    ("2 s to 3 s, a tenth 30 s to 40 s", |rng| {
        if rng.f64() < 0.9 { 2.0 + rng.f64() } else { 30.0 + 10.0 * rng.f64() }
    }),
];

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// The mean cost of [`MEASURED`] installs after [`KNOWN`] others, divided by the lowest cost.
#[derive(Serialize)]
pub(crate) struct Cost {
    provisioning: &'static str,
    /// Whether the caller gave the exact times, or the polls of the client found them.
    given: bool,
    /// The mean over all seeds.
    of_optimum: f64,
    worst_seed: f64,
}

/// Measures all distributions, with the same seeds.
pub(crate) fn costs() -> Vec<Cost> {
    let mut costs = Vec::new();
    for (provisioning, times) in DISTRIBUTIONS {
        let optimum = optimum(times);
        for given in [true, false] {
            let ratio = |seed| Clock::Simulated.run(cost(times, given, seed)) / optimum;
            let ratios: Vec<f64> = (0..SEEDS).map(ratio).collect();
            let of_optimum = ratios.iter().sum::<f64>() / ratios.len() as f64;
            let worst_seed = ratios.into_iter().fold(0.0, f64::max);
            costs.push(Cost { provisioning, given, of_optimum, worst_seed });
        }
    }
    costs
}

/// Returns the mean cost of an install.
async fn cost(times: Times, given: bool, seed: u32) -> f64 {
    let mut rng = Rng::with_seed(seed.into());
    let times: Vec<_> =
        (0..KNOWN + MEASURED).map(|_| Duration::from_secs_f64(times(&mut rng))).collect();
    let (known, measured) = times.split_at(KNOWN);
    let created = if given { measured } else { &times };
    let transport = Arc::new(Ready::new(created.to_vec()));
    let client = Client::builder()
        .access_key(AccessKey::new("secret").expect("a key"))
        .transport(transport.clone())
        .install_timeout(Duration::from_secs(3600))
        .seed(seed.into());
    let client = client.build().expect("the settings are valid");
    let workspace = client.workspace(WORKSPACE.parse().expect("a UUID"));
    if given {
        workspace.add_provisioning_times(known.iter().copied());
    } else {
        install_all(&workspace, known).await;
    }
    let gets = transport.get_count();
    let lag = install_all(&workspace, measured).await;
    (lag + PRICE * (transport.get_count() - gets) as f64) / MEASURED as f64
}

/// Installs one channel after the other, and returns the sum of their lags.
async fn install_all(workspace: &Workspace, times: &[Duration]) -> f64 {
    let mut lag = 0.0;
    for time in times {
        let began = Instant::now();
        let install = workspace.install_sms_channel("n", Uuid::from_u128(1).into());
        install.await.expect("an install without faults");
        lag += began.elapsed().saturating_sub(*time).as_secs_f64();
    }
    lag
}

/// Returns the lowest cost of any schedule that knows the distribution: dynamic programming over a grid of ages.
fn optimum(times: Times) -> f64 {
    const SAMPLES: usize = 20_000;
    const CELLS: usize = 3_000;
    let mut rng = Rng::with_seed(1);
    let mut sorted: Vec<f64> = (0..SAMPLES).map(|_| times(&mut rng)).collect();
    sorted.sort_by(f64::total_cmp);
    let longest = sorted[SAMPLES - 1];
    // The grid has the quantiles, so that a single point of mass is on it.
    let mut grid: Vec<f64> = (0..CELLS)
        .flat_map(|i| [sorted[i * SAMPLES / CELLS], longest * i as f64 / CELLS as f64])
        .chain([0.0, longest])
        .collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    let ready: Vec<f64> = grid
        .iter()
        .map(|age| sorted.partition_point(|time| time <= age) as f64 / SAMPLES as f64)
        .collect();
    let mut lag = vec![0.0; grid.len()];
    let (mut next, mut sum) = (0, 0.0);
    for (i, age) in grid.iter().enumerate() {
        while next < SAMPLES && sorted[next] <= *age {
            sum += sorted[next];
            next += 1;
        }
        lag[i] = (age * next as f64 - sum) / SAMPLES as f64;
    }
    let mut best = vec![0.0; grid.len()];
    for a in (0..grid.len() - 1).rev() {
        best[a] = (a + 1..grid.len())
            .map(|b| {
                let late = lag[b] - lag[a] - (grid[b] - grid[a]) * ready[a];
                PRICE * (1.0 - ready[a]) + late + best[b]
            })
            .fold(f64::INFINITY, f64::min);
    }
    best[0]
}
