//! A deterministic simulation of the install workflow. The library runs unchanged, with a simulated Bird, network, disk
//! and clock, and with faults and crashes. The same seed gives the same trace.
//!
//! `scenario` decides what happens. `process` is one life of the process that installs, with its `journal`. `network`,
//! `server` and `disk` surround it. `world` records what really happened, and `invariants` checks the process against
//! that record.

mod clock;
mod disk;
mod invariants;
mod journal;
mod network;
mod process;
mod scenario;
mod server;
mod tracing_output;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub use disk::{Disk, DiskFile, DiskOwner};
use scenario::Life;
pub use world::Failure;
use world::Shared;

/// The result of a simulation.
#[derive(Debug)]
pub struct Report {
    /// The first invariant that did not hold.
    pub failure: Option<Failure>,
    /// One line for each step. Empty unless the simulation was traced.
    pub trace: String,
}

/// Simulates one seed. Records a trace if `traced`.
#[must_use]
pub fn run(seed: u64, traced: bool) -> Report {
    // The library takes its random numbers from the thread-local generator of fastrand.
    fastrand::seed(seed);
    clock::begin();
    let world = Shared::new(seed, traced);
    tracing_output::listen(world.lock().scenario.echoes_key);
    let panicked = catch_unwind(AssertUnwindSafe(|| live(&world)));
    let world = &mut *world.lock();
    let panic = panicked.err().map(|_| Failure {
        invariant: "nothing_panics",
        what: "a panic; its message is printed above".to_owned(),
    });
    Report { failure: world.failure.take().or(panic), trace: world.trace() }
}

/// Simulates seeds on all cores until one fails, and returns the lowest seed that failed. After each seed, calls
/// `progress` with the number of finished seeds.
///
/// # Panics
///
/// Panics if `progress` does.
pub fn first_failure(seeds: Range<u64>, progress: impl Fn(u64) + Sync) -> Option<(u64, Failure)> {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let failures = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            if let Some(failure) = run(seed, false).failure {
                next.store(seeds.end, Ordering::Relaxed);
                failures.lock().expect("the lock is never poisoned").insert(seed, failure);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failures.into_inner().expect("the lock is never poisoned").pop_first()
}

/// Runs all lives of the process. The last one has no faults.
fn live(world: &Shared) {
    let lives = world.lock().scenario.lives.clone();
    let calm = (Life::default(), true);
    let mut at = std::time::Duration::ZERO;
    for (life, calm) in lives.into_iter().map(|life| (life, false)).chain([calm]) {
        process::live(world, life, calm, at);
        at = clock::now() + life.pause;
        if world.lock().failure.is_some() {
            break;
        }
    }
}
