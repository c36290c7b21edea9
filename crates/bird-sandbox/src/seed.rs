//! Ids and times. A seed makes the ids repeatable, and the times as well if Tokio's clock is paused.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// The start time of a sandbox with a seed: 2100-01-01.
const START: Timestamp = Timestamp::constant(4_102_444_800, 0);

/// The source of ids and times: random ids and the system time, or seeded ids and Tokio's clock.
pub(crate) struct Seed(Option<Seeded>);

struct Seeded {
    number: u64,
    rng: Mutex<Rng>,
    started: Instant,
}

impl Seed {
    pub(crate) fn new(number: Option<u64>) -> Self {
        Self(number.map(|number| Seeded {
            number,
            rng: Mutex::new(Rng::with_seed(number)),
            started: Instant::now(),
        }))
    }

    /// Returns the seed, or 0 if there is none, because random delays are repeatable even without a seed.
    pub(crate) fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |seeded| seeded.number)
    }

    pub(crate) fn new_id(&self) -> Uuid {
        let Some(Seeded { rng, .. }) = &self.0 else { return Uuid::new_v4() };
        let random = rng.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
        uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }

    pub(crate) fn now(&self) -> Timestamp {
        let Some(Seeded { started, .. }) = &self.0 else { return Timestamp::now() };
        START.checked_add(started.elapsed()).unwrap_or(Timestamp::MAX)
    }
}
