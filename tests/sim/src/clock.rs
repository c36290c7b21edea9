//! The simulated time. It continues across all lives of the process, although each life has its own paused clock.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

thread_local! {
    /// When the current life began, in simulated time and on its paused clock. The instant is `None` between lives.
    static LIFE: Cell<(Duration, Option<Instant>)> = const { Cell::new((Duration::ZERO, None)) };
}

/// The system time at which every simulation begins, in Unix seconds: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

/// Sets the simulated time to zero.
pub(crate) fn begin() {
    LIFE.set((Duration::ZERO, None));
}

/// Begins a life of the process at this simulated time. Must be called within the life's runtime.
pub(crate) fn begin_life(at: Duration) {
    LIFE.set((at, Some(Instant::now())));
}

/// Ends a life of the process, and stops the simulated time. Must be called within the life's runtime.
pub(crate) fn end_life() {
    LIFE.set((now(), None));
}

/// Returns the time since the beginning of the simulation.
pub(crate) fn now() -> Duration {
    let (at, began) = LIFE.get();
    at + began.map_or(Duration::ZERO, |began| began.elapsed())
}

pub(crate) fn system_time() -> SystemTime {
    system_time_at(now())
}

pub(crate) fn system_time_at(at: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH) + at
}
