//! When to try again, and how long to wait before: policies as values.

use std::time::Duration;

/// How long to wait before the next try: exponential, with a cap and jitter.
///
/// Jitter keeps many clients that failed together from coming back together
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The longest first wait.
    pub initial: Duration,
    /// What each wait grows by. Values below 1 (and NaN) count as 1.
    pub multiplier: f64,
    /// The longest wait.
    pub max: Duration,
    /// The part of a wait that is left to chance, from 0 (none: always the longest) to 1 (full: anything
    /// from nothing to the longest).
    pub jitter: f64,
}

impl Backoff {
    /// The wait before try `nth` (0 is the first retry), with `random` in `0..1`.
    pub(crate) fn wait(&self, nth: u32, random: f64) -> Duration {
        let cap = self.max.as_secs_f64();
        let factor = self.multiplier.max(1.0);
        let exponent = i32::try_from(nth).unwrap_or(i32::MAX);
        // Infinite when it overflows, which the cap cuts. A start of zero times infinity is NaN, which
        // `min` turns into the cap.
        let longest = (self.initial.as_secs_f64() * factor.powi(exponent)).min(cap);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let wait = longest * (1.0 - jitter * random.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(wait).unwrap_or(self.max).min(self.max)
    }
}

/// When a failed attempt is made again: the POST, and the GET of
/// [`Workspace::connector`](crate::Workspace::connector). The GETs of a wait follow the [`PollPolicy`], and
/// `retry_after_cap` alone of this. What may be repeated at all is not its decision (see
/// [`Error`](crate::Error)).
///
/// ```
/// let policy = bird_sms::RetryPolicy { max_attempts: 3, ..Default::default() };
/// # assert!(policy.create_after_server_error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often a request is sent at most. Default: as often as the deadline allows.
    pub max_attempts: u32,
    /// The wait between attempts. Default: 0.5 s doubling to 8 s with full jitter, as in the vendor's own
    /// libraries.
    pub backoff: Backoff,
    /// The longest `Retry-After` that is followed; a longer one counts as this. Default: 60 s.
    pub retry_after_cap: Duration,
    /// Whether the POST is sent again after a 5xx. The vendor calls that safe; the first one may all the
    /// same have created the connector, and then the next is answered 409. Default: true.
    pub create_after_server_error: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: u32::MAX,
            backoff: Backoff {
                initial: Duration::from_millis(500),
                multiplier: 2.0,
                max: Duration::from_secs(8),
                jitter: 1.0,
            },
            retry_after_cap: Duration::from_mins(1),
            create_after_server_error: true,
        }
    }
}

/// How a connector is watched until its channel is there. Connectors of a batch are looked at later and less
/// often than this says: see [`InstallSmsChannels`](crate::InstallSmsChannels).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollPolicy {
    /// The wait between looks. Default: 0.5 s growing by half to 5 s, with a quarter left to chance.
    pub backoff: Backoff,
    /// How long after the creation a 404 is taken for the lag between a write and the reads that see it.
    /// Default: 10 s.
    pub not_found_grace: Duration,
    /// How many unreadable responses in a row end the wait. Default: 3.
    pub max_malformed: u32,
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff {
                initial: Duration::from_millis(500),
                multiplier: 1.5,
                max: Duration::from_secs(5),
                jitter: 0.25,
            },
            not_found_grace: Duration::from_secs(10),
            max_malformed: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(500),
        multiplier: 2.0,
        max: Duration::from_secs(8),
        jitter: 1.0,
    };

    #[test]
    fn without_chance_the_wait_doubles_up_to_the_cap() {
        let waits: Vec<_> = (0..6).map(|nth| BACKOFF.wait(nth, 0.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000]);
    }

    #[test]
    fn full_jitter_reaches_from_nothing_to_the_longest() {
        assert_eq!(BACKOFF.wait(1, 1.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(1, 0.5), Duration::from_millis(500));
        assert_eq!(BACKOFF.wait(1, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn strange_numbers_stay_within_the_cap() {
        for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            for start in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
                for cap in [Duration::ZERO, Duration::from_secs(8), Duration::MAX] {
                    for jitter in [f64::NAN, -1.0, 0.0, 2.0] {
                        for nth in [0, 1, 64, u32::MAX] {
                            let backoff =
                                Backoff { initial: start, multiplier: factor, max: cap, jitter };
                            assert!(backoff.wait(nth, 0.3) <= cap, "{backoff:?} {nth}");
                        }
                    }
                }
            }
        }
    }
}
