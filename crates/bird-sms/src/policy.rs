//! When an attempt is retried, how often a connector is polled, and how many requests are sent per second.

use std::time::Duration;

/// Exponential delays between attempts, with a maximum and jitter.
///
/// Jitter [spreads the retries](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) of clients that
/// failed at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first delay, without jitter.
    pub initial: Duration,
    /// The factor between two delays. Values below 1 (and NaN) count as 1.
    pub multiplier: f64,
    /// The longest delay.
    pub max: Duration,
    /// The fraction of a delay that is random: 0 means no jitter, and 1 means a random delay between zero and all of it.
    pub jitter: f64,
}

impl Backoff {
    /// Returns the delay before retry `nth` (0 is the first), with `random` in `0..1`.
    pub(crate) fn delay(&self, nth: u32, random: f64) -> Duration {
        let max = self.max.as_secs_f64();
        let exponent = i32::try_from(nth).unwrap_or(i32::MAX);
        // A product that overflows is infinite, and zero times infinity is NaN. `min` returns the maximum for both.
        let longest =
            (self.initial.as_secs_f64() * self.multiplier.max(1.0).powi(exponent)).min(max);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let delay = longest * (1.0 - jitter * random.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(delay).unwrap_or(self.max).min(self.max)
    }
}

/// When a failed attempt is retried, and after how long.
///
/// ```
/// use std::time::Duration;
///
/// use bird_sms::{Client, RetryCreate, RetryPolicy};
///
/// let policy = RetryPolicy {
///     create: RetryCreate::Never, // never send another POST after a server error
///     retry_after_cap: Duration::from_secs(10),
///     ..Default::default()
/// };
/// let builder = Client::builder().retry_policy(policy);
/// ```
///
/// Polls follow the [`PollPolicy`]. A failed poll is retried until the deadline, with `backoff` and `retry_after_cap` from
/// this policy. No policy allows a retry that the table below rules out.
///
#[doc = include_str!("workflow/retry.md")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The maximum number of attempts per call. Default: as many as the deadline allows.
    pub max_attempts: u32,
    /// The delays between attempts. Default: 0.5 s, doubling to 8 s, with full jitter, as in Bird's own SDKs.
    pub backoff: Backoff,
    /// The longest `Retry-After` that is honoured. A longer one is shortened to this. Default: 60 s.
    pub retry_after_cap: Duration,
    /// The server errors after which the POST is sent again. Default: 500 and 503.
    pub create: RetryCreate,
}

/// The server errors after which the POST is sent again.
///
/// An attempt that ended with a server error may have created a connector. A later success therefore has a
/// [`Warning`](crate::Warning), and a later failure is [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryCreate {
    /// No server error.
    Never,
    /// 500 and 503, which Bird's documentation calls safe to retry.
    #[default]
    ServerErrors,
}

impl RetryCreate {
    /// Returns whether the POST is sent again after a response with this status.
    pub(crate) fn allows(self, status: u16) -> bool {
        self == Self::ServerErrors && matches!(status, 500 | 503)
    }
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
            retry_after_cap: Duration::from_secs(60),
            create: RetryCreate::default(),
        }
    }
}

/// How a connector is polled until its channel is ready.
///
/// ```
/// use std::time::Duration;
///
/// use bird_sms::{Client, PollPolicy};
///
/// let policy = PollPolicy { interval: Some(Duration::from_secs(5)), ..Default::default() };
/// let builder = Client::builder().poll_policy(policy);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollPolicy {
    /// The delay between polls. With `None`, the default, it grows with the age of the connector: **√(2 · 45 ms · age)**, at
    /// least 0.2 s and at most 1.5 s, ± an eighth. A channel that takes 10 s costs 20 polls, and is seen half a second late.
    pub interval: Option<Duration>,
    /// How long after the creation a 404 is retried, because reads may not see a new connector yet. A 404 after a response
    /// that showed the connector is not retried. Default: 10 s.
    pub not_found_grace: Duration,
    /// How many malformed responses in a row end the wait. Default: 3.
    pub max_malformed: u32,
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self { interval: None, not_found_grace: Duration::from_secs(10), max_malformed: 3 }
    }
}

/// Serializes durations as seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::Serializer;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }
}

/// How many requests per second are sent to a workspace. The defaults are Bird's limits.
///
/// ```
/// use bird_sms::{Client, RateLimits};
///
/// let limits = RateLimits { gets_per_second: 100, ..Default::default() };
/// let builder = Client::builder().rate_limits(limits);
/// ```
///
/// A [`Client`](crate::Client) and its clones share one budget for POSTs and one for GETs in each workspace. They use 98 % of
/// each budget. A 429 holds back all requests of the same method, and slows them down for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Maximum number of POSTs per second. Default: 500.
    pub posts_per_second: u32,
    /// Maximum number of GETs per second. Default: 50.
    pub gets_per_second: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { posts_per_second: 500, gets_per_second: 50 }
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
    fn delays_double_up_to_the_maximum() {
        let delays: Vec<_> = (0..6).map(|nth| BACKOFF.delay(nth, 0.0).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 8000]);
    }

    #[test]
    fn full_jitter_ranges_from_zero_to_the_whole_delay() {
        assert_eq!(BACKOFF.delay(1, 1.0), Duration::ZERO);
        assert_eq!(BACKOFF.delay(1, 0.5), Duration::from_millis(500));
        assert_eq!(BACKOFF.delay(1, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn no_delay_exceeds_the_maximum() {
        for multiplier in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            for initial in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
                for max in [Duration::ZERO, Duration::from_secs(8), Duration::MAX] {
                    for jitter in [f64::NAN, -1.0, 0.0, 2.0] {
                        for nth in [0, 1, 64, u32::MAX] {
                            let backoff = Backoff { initial, multiplier, max, jitter };
                            assert!(backoff.delay(nth, 0.3) <= max, "{backoff:?} {nth}");
                        }
                    }
                }
            }
        }
    }
}
