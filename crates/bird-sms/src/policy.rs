//! Policies: when an attempt is retried, how often a connector is polled, and how many requests are sent per second.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The delay before the next attempt: exponential, with a maximum and jitter.
///
/// Jitter spreads the retries of clients that failed at the same time
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The longest first delay.
    pub initial: Duration,
    /// The factor between two delays. Values below 1 (and NaN) count as 1.
    pub multiplier: f64,
    /// The longest delay.
    pub max: Duration,
    /// The random part of a delay, from 0 (none: always the longest) to 1 (full jitter: from zero to the longest).
    pub jitter: f64,
}

impl Backoff {
    /// Returns the delay before retry `nth` (0 is the first), with `random` in `0..1`.
    pub(crate) fn delay(&self, nth: u32, random: f64) -> Duration {
        let max = self.max.as_secs_f64();
        let exponent = i32::try_from(nth).unwrap_or(i32::MAX);
        // The product is infinite when it overflows, and the maximum bounds it. Zero times infinity is NaN, for
        // which `min` returns the maximum.
        let longest =
            (self.initial.as_secs_f64() * self.multiplier.max(1.0).powi(exponent)).min(max);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let delay = longest * (1.0 - jitter * random.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(delay).unwrap_or(self.max).min(self.max)
    }
}

/// The retry policy of the POST and of the GET.
///
/// The polls of a wait follow the [`PollPolicy`], and a poll that failed is retried with the `backoff` and the
/// `retry_after_cap` of this policy until the deadline. No policy allows a retry that the
/// [table of the crate](crate#what-is-retried) rules out.
///
/// ```
/// let policy = bird_sms::RetryPolicy { max_attempts: 3, ..Default::default() };
/// # assert_eq!(policy.create, bird_sms::RetryCreate::VendorErrors);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The largest number of attempts. Default: as many as the deadline allows.
    pub max_attempts: u32,
    /// The delay between attempts. Default: 0.5 s doubling to 8 s with full jitter, as in the vendor's own SDKs.
    pub backoff: Backoff,
    /// The longest `Retry-After` that is honoured; a longer value is treated as this maximum. Default: 60 s.
    pub retry_after_cap: Duration,
    /// The server errors after which the POST is sent again. Default: those that the vendor calls safe to retry.
    pub create: RetryCreate,
}

/// The server errors after which the POST is sent again.
///
/// A server error does not say whether the request was processed: the attempt may have created a connector. So a
/// success after such an attempt has a [`Warning`](crate::Warning), and a failure is
/// [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryCreate {
    /// No server error.
    Never,
    /// 500 and 503, which the vendor calls safe to retry.
    #[default]
    VendorErrors,
    /// Also 502, 504 and 520–530, which a gateway or a CDN sends. A gateway may have forwarded the request before it
    /// responded with an error, so each retry may create another connector.
    GatewayErrors,
}

impl RetryCreate {
    /// Returns whether the POST is sent again after a response with this status.
    pub(crate) fn allows(self, status: u16) -> bool {
        match status {
            500 | 503 => self != Self::Never,
            502 | 504 | 520..=530 => self == Self::GatewayErrors,
            _ => false,
        }
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

/// The policy by which a connector is polled until its channel is ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollPolicy {
    /// The delays between polls. Default: by the price of a poll.
    pub interval: PollInterval,
    /// The time after the creation during which a 404 is retried, because a new connector may not be visible to reads
    /// yet. A 404 after a response that showed the connector is not retried. Default: 10 s.
    pub not_found_grace: Duration,
    /// The number of consecutive malformed responses that ends the wait. Default: 3.
    pub max_malformed: u32,
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self {
            interval: PollInterval::default(),
            not_found_grace: Duration::from_secs(10),
            max_malformed: 3,
        }
    }
}

impl PollPolicy {
    /// Returns the durations that must not be zero, with their names.
    pub(crate) fn durations(&self) -> [(&'static str, Duration); 2] {
        match &self.interval {
            PollInterval::Price(PollPrice { price, max, .. }) => {
                [("the price of a poll", *price), ("the maximum poll interval", *max)]
            }
            PollInterval::Backoff(Backoff { initial, max, .. }) => {
                [("the initial poll interval", *initial), ("the maximum poll interval", *max)]
            }
        }
    }
}

/// The delays between the polls of a connector.
///
/// ```
/// use std::time::Duration;
/// use bird_sms::{PollInterval, PollPolicy, PollPrice};
///
/// // A channel is reported earlier, and costs more GETs.
/// let price = PollPrice { price: Duration::from_millis(10), ..PollPrice::default() };
/// let policy = PollPolicy { interval: PollInterval::Price(price), ..PollPolicy::default() };
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PollInterval {
    /// By the price of a poll, and by the provisioning times of earlier installs once 20 of them are known; in a batch,
    /// once one is known.
    Price(PollPrice),
    /// By the number of polls, whatever is known about provisioning.
    Backoff(Backoff),
}

impl Default for PollInterval {
    fn default() -> Self {
        Self::Price(PollPrice::default())
    }
}

/// The price of a poll: the time for which a ready channel may stay unreported to save one poll.
///
/// A schedule costs its lag, which is the time from the moment when the channel is ready to the poll that finds it, and
/// the price of each poll. If the channel becomes ready at age t and polls are g apart, the mean lag is g/2, and the
/// polls cost c·t/g. The sum is lowest for g = √(2·c·t), and is √(2·c·t) then. So while nothing is known, a connector
/// of age t is polled again after **√(2·c·t)**: as if it became ready now. All gaps before were shorter, and there are
/// twice as many polls, √(2·t/c): the cost is 1.5·√(2·c·t), and with the longest lag 2·√(2·c·t), which is at most twice
/// the cost of the best fixed interval for a time that is known. Delays that grow by a factor have no such bound: their
/// lag grows with t itself.
///
/// Once the times of 20 installs are known (in a batch, of one), polls are made where a channel is most likely to have
/// become ready: where the hazard is h, √(h/2c) times per second (Keller 1974,
/// <https://doi.org/10.1287/mnsc.21.3.256>). The rule for unknown times is the same with the hazard 1/t.
///
/// The price rises with the number of polls that wait for the [rate limit](RateLimits), because each poll delays them, and
/// a little with the number of connectors of batches, whose polls will wait. When few polls are left, a batch plans those
/// again that it planned at a high price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPrice {
    /// The price of a poll, c. Default: 45 ms, which makes 20 polls in the first 10 s, and reports a channel after 10 s
    /// half a second late.
    pub price: Duration,
    /// The shortest gap while nothing is known about provisioning. Default: 0.2 s.
    pub min: Duration,
    /// The longest gap while no other poll waits for the rate limit: while nothing is known, and in a batch, where it
    /// bounds how late the slowest channels are reported, after the first poll of each. Default: 1.5 s.
    pub max: Duration,
}

impl Default for PollPrice {
    fn default() -> Self {
        Self {
            price: Duration::from_millis(45),
            min: Duration::from_millis(200),
            max: Duration::from_millis(1500),
        }
    }
}

impl PollPrice {
    /// Returns the gap after age `age` while nothing is known, at a price of `price` seconds instead of
    /// [`price`](Self::price), with `random` in `0..1`.
    ///
    /// Gaps vary by an eighth, so that programs that start together do not poll together.
    pub(crate) fn gap(&self, age: f64, price: f64, random: f64) -> f64 {
        let own = self.price.as_secs_f64();
        let (min, max) = (self.min.as_secs_f64(), self.max.as_secs_f64());
        let gap = (2.0 * own * age).sqrt().min(max).max(min) * (price / own).sqrt();
        gap * (1.125 - 0.25 * random)
    }
}

/// What a poll, a caller or a journal says about how long a provisioning took, from the creation of the connector.
/// Serializes in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningTime {
    /// The age of the connector when its channel was last not ready.
    #[serde(rename = "pendingSeconds", with = "seconds")]
    pub pending: Duration,
    /// The age of the connector when its channel was first known to be ready.
    #[serde(rename = "readySeconds", with = "seconds")]
    pub ready: Duration,
}

/// Durations in JSON, in seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Creates an exact time.
impl From<Duration> for ProvisioningTime {
    fn from(time: Duration) -> Self {
        Self { pending: time, ready: time }
    }
}

/// The number of requests per second that a workspace accepts. The defaults are the vendor's limits.
///
/// All installs of a [`Client`](crate::Client) and its clones in one workspace share one budget for POSTs and one for
/// GETs, of which 98 % are used. A 429 holds back all requests of the same method, and slows them down for a while.
///
/// ```
/// let limits = bird_sms::RateLimits { gets_per_second: 100, ..Default::default() };
/// # assert_eq!(limits.posts_per_second, 500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// POSTs per second. Default: 500.
    pub posts_per_second: u32,
    /// GETs per second. Default: 50.
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
    fn without_jitter_the_delay_doubles_up_to_the_maximum() {
        let delays: Vec<_> = (0..6).map(|nth| BACKOFF.delay(nth, 0.0).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 8000]);
    }

    #[test]
    fn full_jitter_reaches_from_zero_to_the_longest() {
        assert_eq!(BACKOFF.delay(1, 1.0), Duration::ZERO);
        assert_eq!(BACKOFF.delay(1, 0.5), Duration::from_millis(500));
        assert_eq!(BACKOFF.delay(1, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn strange_numbers_stay_within_the_maximum() {
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
