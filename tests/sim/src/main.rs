//! `cargo xtask sim`: simulates a range of seeds, or prints the trace of a single seed. `cargo test` simulates only the
//! first 2,000 seeds.
//!
//! ```sh
//! cargo xtask sim --seeds 0..100000
//! cargo xtask sim --seed 7
//! ```
//!
//! If a seed fails, it prints the invariant in `invariants.rs` that did not hold, and a command that repeats the
//! simulation. Patches in `tests/sim/bugs` contain the bugs that the simulator must find. `tests/sim/bugs/find` applies
//! them to a clone, one at a time.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bird_sim::{Failure, first_failure, run};
use clap::Parser;

/// Simulate the install workflow with faults and crashes, and check its invariants
///
/// Exits with 1 if an invariant does not hold.
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
#[group(id = "what", required = true, multiple = false, args = ["seed", "seeds"])]
struct Args {
    /// Seed to simulate and trace
    #[arg(long)]
    seed: Option<u64>,
    /// Seeds to simulate, from A up to B - 1
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: Option<(u64, u64)>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let bounds =
        text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    bounds.ok_or_else(|| "expected a range, such as 0..1000".to_owned())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let failed = if let Some(seed) = args.seed {
        let report = run(seed, true);
        print!("{}", report.trace);
        report.failure.map(|failure| (seed, failure))
    } else {
        let (from, to) = args.seeds.unwrap_or_default();
        simulate(from, to)
    };
    match failed {
        None => ExitCode::SUCCESS,
        Some((seed, Failure { invariant, what })) => {
            eprintln!("seed {seed} fails: {invariant}: {what}");
            eprintln!("repeat it with `cargo xtask sim --seed {seed}`");
            ExitCode::FAILURE
        }
    }
}

/// Simulates a range of seeds on all cores, and prints its progress.
fn simulate(from: u64, to: u64) -> Option<(u64, Failure)> {
    let began = Instant::now();
    let print = |done: u64| {
        let seconds = began.elapsed().as_secs_f64();
        let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / seconds;
        eprintln!("{done} of {} seeds in {seconds:.1} s, {rate:.0} per second", to - from);
    };
    let printed = Mutex::new(began);
    let failed = first_failure(from..to, |done| {
        if let Ok(mut printed) = printed.try_lock()
            && printed.elapsed() > Duration::from_secs(10)
        {
            *printed = Instant::now();
            print(done);
        }
    });
    if failed.is_none() {
        print(to - from);
    }
    failed
}
