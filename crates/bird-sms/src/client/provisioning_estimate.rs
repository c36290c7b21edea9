//! How long provisioning takes, learned from the polls of a batch.
//!
//! No crate does this: sketches of quantiles (such as t-digest) need the provisioning times themselves, and a
//! poll says only whether the time was longer than the age of the connector.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of connectors that are polled early and often while nothing is known.
const PROBES: u32 = 4;
/// One first poll in this many finds the channel missing when the estimate has settled. Each such poll costs a GET,
/// and without them the estimate would not notice that provisioning became faster.
const MISSES: f64 = 20.0;
/// The estimate after a miss, as a multiple of the age of the connector at the miss.
const RAISE: f64 = 1.15;
/// The multiple of the estimate after which a poll says nothing about the estimate.
const ON_TIME: f64 = 1.2;

/// The age at which a connector of a workspace is first polled, and at which nearly all connectors have their channel.
///
/// A poll says only whether provisioning took longer than the connector's age. Raising the estimate after a miss,
/// and lowering it a little after each hit, settles where one poll in [`MISSES`] misses, whatever the distribution: a
/// stochastic approximation of its quantile (Robbins and Monro, 1951).
#[derive(Debug, Default)]
pub(crate) struct ProvisioningEstimate {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    expected: Option<Duration>,
    probes: u32,
}

/// A connector that is polled early while nothing is known.
#[derive(Debug)]
pub(crate) struct Probe<'a>(&'a ProvisioningEstimate);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.lock().probes -= 1;
    }
}

impl ProvisioningEstimate {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the age for the first poll, once something is known.
    pub(crate) fn expected(&self) -> Option<Duration> {
        self.lock().expected
    }

    /// Makes the caller a probe, unless there are [`PROBES`] already.
    pub(crate) fn probe(&self) -> Option<Probe<'_>> {
        let mut inner = self.lock();
        (inner.probes < PROBES).then(|| {
            inner.probes += 1;
            Probe(self)
        })
    }

    /// Sets the first estimate: a channel was ready at this age.
    pub(crate) fn seed(&self, age: Duration) {
        self.lock().expected.get_or_insert(age);
    }

    /// Updates the estimate with the first poll of a connector that was expected to be ready at this age.
    pub(crate) fn observe(&self, age: Duration, ready: bool) {
        let mut inner = self.lock();
        let Some(expected) = inner.expected else { return };
        if age > expected.mul_f64(ON_TIME) {
            return;
        }
        inner.expected = Some(if ready {
            expected.mul_f64(RAISE.powf(-1.0 / (MISSES - 1.0)))
        } else {
            // Of polls that were in flight together, the first miss raises the estimate and the others do not.
            expected.max(age.mul_f64(RAISE))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    type Times<'a> = &'a dyn Fn(u32) -> Duration;

    /// Polls `count` connectors with these provisioning times, each when it is expected to be ready. Returns the
    /// part of misses, and the estimate at the end.
    fn settle(
        provisioning: &ProvisioningEstimate,
        times: impl Fn(u32) -> Duration,
        count: u32,
    ) -> (f64, f64) {
        let mut missed = 0;
        for nth in 0..count {
            let age = provisioning.expected().unwrap();
            let ready = times(nth) <= age;
            missed += u32::from(!ready);
            provisioning.observe(age, ready);
        }
        let expected = provisioning.expected().unwrap().as_secs_f64();
        (f64::from(missed) / f64::from(count), expected)
    }

    #[test]
    fn while_nothing_is_known_there_are_a_few_probes() {
        let provisioning = ProvisioningEstimate::default();
        let probes: Vec<_> = (0..10).filter_map(|_| provisioning.probe()).collect();
        assert_eq!(probes.len(), PROBES as usize);
        drop(probes);
        assert!(provisioning.probe().is_some());
        provisioning.seed(2 * SECOND);
        provisioning.seed(9 * SECOND);
        assert_eq!(provisioning.expected(), Some(2 * SECOND));
    }

    #[test]
    fn the_estimate_settles_where_one_poll_in_twenty_misses_whatever_the_distribution() {
        let mut rng = fastrand::Rng::with_seed(7);
        let randoms: Vec<f64> = (0..4000).map(|_| rng.f64()).collect();
        let random = |nth: u32| randoms[nth as usize];
        let constant = |_| 2 * SECOND;
        let uniform = |nth| SECOND + SECOND.mul_f64(4.0 * random(nth));
        let long_tailed = |nth| SECOND.mul_f64(-2.0 * (1.0 - random(nth)).ln());
        for (times, range) in
            [(&constant as Times, 1.9..2.4), (&uniform, 4.2..5.8), (&long_tailed, 3.5..11.0)]
        {
            let provisioning = ProvisioningEstimate::default();
            provisioning.seed(SECOND);
            settle(&provisioning, times, 1000);
            let (missed, expected) = settle(&provisioning, times, 3000);
            assert!((0.03..0.07).contains(&missed), "{missed}");
            assert!(range.contains(&expected), "{expected} is not in {range:?}");
        }
    }

    #[test]
    fn the_estimate_follows_a_provisioning_that_becomes_faster_or_slower() {
        let provisioning = ProvisioningEstimate::default();
        provisioning.seed(SECOND);
        for seconds in [10, 2, 30] {
            let (_, expected) = settle(&provisioning, |_| seconds * SECOND, 1000);
            let truth = f64::from(seconds);
            assert!((truth * 0.9..truth * 1.2).contains(&expected), "{expected} for {seconds}");
        }
    }

    #[test]
    fn misses_in_flight_together_raise_the_estimate_once_and_late_polls_do_not_count() {
        let provisioning = ProvisioningEstimate::default();
        provisioning.seed(SECOND);
        for _ in 0..10 {
            provisioning.observe(SECOND, false);
        }
        let raised = provisioning.expected().unwrap();
        assert_eq!(raised, SECOND.mul_f64(RAISE));
        for ready in [false, true] {
            provisioning.observe(60 * SECOND, ready);
        }
        assert_eq!(provisioning.expected(), Some(raised));
    }
}
