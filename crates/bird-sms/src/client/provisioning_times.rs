//! How long provisioning takes, learned from polls, and the ages at which it pays to poll.
//!
//! A poll says only whether the channel was ready, so that the time lies between the last poll that found it pending
//! and the first that found it ready. Sketches of quantiles need the times themselves; no crate estimates a
//! distribution from such intervals.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::distribution::{Distribution, Interval, POINT};
use crate::ProvisioningTime;

/// The number of times that are kept, so that a change of the distribution is followed within as many installs.
pub(crate) const KEPT_TIMES: usize = 64;

/// The provisioning times that were observed in a workspace.
#[derive(Debug, Default)]
pub(crate) struct ProvisioningTimes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    times: VecDeque<Interval>,
    /// The number of times before the first one that is kept.
    forgotten: u32,
    /// The schedule, its price, and the number of changes since it was made.
    schedule: Option<(f64, Arc<[f64]>)>,
    changes: usize,
}

/// Identifies the time of one connector, to replace what is known about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeId(u32);

impl ProvisioningTimes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a time.
    pub(crate) fn add(&self, time: ProvisioningTime) {
        let ProvisioningTime { pending, ready } = time;
        self.lock().observe(None, pending.as_secs_f64(), ready.as_secs_f64());
    }

    /// Updates what is known about the time of a connector: it was found pending at one age, and ready at the other.
    pub(crate) fn observe(
        &self,
        id: Option<TimeId>,
        pending: Duration,
        ready: Option<Duration>,
    ) -> Option<TimeId> {
        let ready = ready.map_or(f64::INFINITY, |ready| ready.as_secs_f64());
        self.lock().observe(id, pending.as_secs_f64(), ready)
    }

    /// Returns whether the time of a connector is known.
    pub(crate) fn is_known(&self) -> bool {
        self.lock().times.iter().any(|time| time.ready.is_finite())
    }

    /// Returns the times that are kept, oldest first.
    pub(crate) fn times(&self) -> Vec<ProvisioningTime> {
        let known = |time: &Interval| {
            let ready = Duration::try_from_secs_f64(time.ready).ok()?;
            Some(ProvisioningTime { pending: Duration::from_secs_f64(time.pending), ready })
        };
        self.lock().times.iter().filter_map(known).collect()
    }

    /// Returns the age at which a connector of this age is polled next, for a price in seconds. Returns `None` if
    /// fewer than `min_known` times are known, or if nearly all of them are shorter than the age.
    pub(crate) fn next_poll(&self, age: f64, price: f64, min_known: usize) -> Option<f64> {
        let mut inner = self.lock();
        let known = inner.times.iter().filter(|time| time.ready.is_finite()).count();
        if known == 0 || known < min_known {
            return None;
        }
        // A price that differs little changes the schedule little.
        let price = (price.log2() * 2.0).round() / 2.0;
        let changed = inner.changes > inner.times.len() / 40;
        let schedule = match &inner.schedule {
            Some((of, schedule)) if !changed && (of - price).abs() < 0.1 => Arc::clone(schedule),
            _ => {
                let distribution = Distribution::of(inner.times.make_contiguous(), price.exp2());
                let schedule: Arc<[f64]> = distribution.schedule(price.exp2()).into();
                inner.changes = 0;
                inner.schedule = Some((price, Arc::clone(&schedule)));
                schedule
            }
        };
        schedule.get(schedule.partition_point(|poll| *poll <= age)).copied()
    }
}

impl Inner {
    fn observe(&mut self, id: Option<TimeId>, pending: f64, ready: f64) -> Option<TimeId> {
        // An exact time is an interval that is not empty.
        let ready = ready.max(POINT);
        let mut time = Interval { pending: pending.min(ready - 1e-9), ready };
        let kept = id.and_then(|TimeId(id)| {
            let index = usize::try_from(id.checked_sub(self.forgotten)?).ok()?;
            self.times.get_mut(index)
        });
        if let Some(kept) = kept {
            *kept = time;
            self.changes += 1;
            return id;
        }
        // A first poll that finds a channel ready does not say since when. Such times are spread like the others that
        // are shorter.
        if time.pending <= 0.0
            && let Some(other) = self.times.iter().find(|other| other.pending < ready)
        {
            time = Interval { pending: other.pending, ready: time.ready.min(other.ready) };
        }
        let contains =
            |other: &Interval| time.pending <= other.pending && other.ready <= time.ready;
        if !self.times.is_empty()
            && time.ready - time.pending > POINT
            && self.times.iter().all(contains)
        {
            // An interval that contains all others says nothing, and would only displace what is known.
            return None;
        }
        if self.times.len() == KEPT_TIMES {
            self.times.pop_front();
            self.forgotten = self.forgotten.wrapping_add(1);
        }
        self.times.push_back(time);
        self.changes += 1;
        let kept = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        Some(TimeId(self.forgotten.wrapping_add(kept - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PollPrice;

    /// Returns a provisioning time of a distribution, in seconds.
    type Times = fn(&mut fastrand::Rng) -> f64;

    const PRICE: f64 = 0.045;

    fn normal(rng: &mut fastrand::Rng) -> f64 {
        (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
    }

    const DISTRIBUTIONS: [(&str, Times); 4] = [
        ("2 s", |_| 2.0),
        ("1..5 s", |rng| 1.0 + 4.0 * rng.f64()),
        ("lognormal 20 s", |rng| 20.0 * (0.6 * normal(rng)).exp()),
        ("2..3 s, a tenth 30..40 s", |rng| {
            if rng.f64() < 0.9 { 2.0 + rng.f64() } else { 30.0 + 10.0 * rng.f64() }
        }),
    ];

    /// Polls a connector until its channel is ready, and returns the cost.
    fn install(times: &ProvisioningTimes, time: f64, rng: &mut fastrand::Rng) -> f64 {
        let (mut age, mut pending, mut polls) = (0.0, 0.0, 0.0);
        while age < time {
            pending = age;
            let unknown = || age + PollPrice::default().gap(age, PRICE, rng.f64());
            age = times.next_poll(age, PRICE, 20).unwrap_or_else(unknown);
            polls += 1.0;
        }
        times.lock().observe(None, pending, age);
        age - time + PRICE * polls
    }

    #[test]
    fn after_fifty_installs_polls_cost_little_more_than_with_the_distribution_known() {
        // The lowest costs of schedules that know the distribution, by dynamic programming.
        let lowest = [0.045, 0.421, 1.296, 0.287];
        for (((name, of), lowest), limit) in
            DISTRIBUTIONS.into_iter().zip(lowest).zip([1.1, 1.15, 1.2, 1.4])
        {
            let mut rng = fastrand::Rng::with_seed(1);
            let mut sum = 0.0;
            for _ in 0..3 {
                let times = ProvisioningTimes::default();
                (0..50).for_each(|_| {
                    install(&times, of(&mut rng), &mut rng);
                });
                sum += (0..200).map(|_| install(&times, of(&mut rng), &mut rng)).sum::<f64>();
            }
            let cost = sum / 600.0;
            assert!(cost <= limit * lowest, "{name}: {cost}");
        }
    }

    #[test]
    fn polls_follow_a_provisioning_that_becomes_slower() {
        let mut rng = fastrand::Rng::with_seed(2);
        let times = ProvisioningTimes::default();
        for time in [2.0, 9.0] {
            let _cost: f64 = (0..100).map(|_| install(&times, time, &mut rng)).sum();
            let cost: f64 = (0..20).map(|_| install(&times, time, &mut rng)).sum();
            assert!(cost / 20.0 < 2.0 * PRICE, "{time}: {}", cost / 20.0);
        }
    }

    #[test]
    fn times_of_any_length_are_accepted() {
        let times = ProvisioningTimes::default();
        for (pending, ready) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (5, 5), (0, 1)] {
            let [pending, ready] = [pending, ready].map(Duration::from_secs);
            times.add(ProvisioningTime { pending, ready });
            for age in [0.0, 1.0, 1e20] {
                assert!(times.next_poll(age, PRICE, 1).is_none_or(|next| next > age));
            }
        }
        assert!(!times.times().is_empty());
    }

    #[test]
    fn nothing_is_said_before_enough_times_are_known_and_after_all_of_them() {
        let times = ProvisioningTimes::default();
        (0..19).for_each(|_| times.add(Duration::from_secs(2).into()));
        assert_eq!(times.next_poll(0.0, PRICE, 20), None);
        times.add(Duration::from_secs(2).into());
        assert_eq!(times.next_poll(0.0, PRICE, 20), Some(2.0));
        assert_eq!(times.next_poll(2.0, PRICE, 20), None);
    }
}
