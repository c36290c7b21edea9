//! The decisions that a seed makes in advance: the rows, the client's settings, the server's behavior, and the faults.

use std::time::Duration;

use bird_sms::{RateLimits, RetryCreate, UnknownRows};
use fastrand::Rng;

/// How long channels take to become ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Provisioning {
    Constant(Duration),
    Uniform(Duration, Duration),
    /// The median time. Some channels take much longer.
    LongTail(Duration),
}

/// A connector that somebody else created for the phone number of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Foreign {
    OtherName,
    /// Created long before the row was installed.
    Old,
    Voice,
    /// Indistinguishable from a connector that a POST of the row created.
    Agreeing,
}

/// The probability of each kind of fault in an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The request provably does not leave.
    pub(crate) not_sent: f64,
    /// The request or its response is lost, and the client may never notice.
    pub(crate) lost: f64,
    /// The server responds with a 5xx, 303, 408 or 499, before or after it processes the request.
    pub(crate) status: f64,
    /// The server responds with a 429.
    pub(crate) throttled: f64,
    /// The server responds with a 401, 403, 422 or 302.
    pub(crate) refused: f64,
    /// The response body is cut off, or does not contain a connector.
    pub(crate) body: f64,
    /// The request or its response takes seconds.
    pub(crate) slow: f64,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent decisions")]
pub(crate) struct Scenario {
    pub(crate) rows: usize,
    /// Whether each row is installed by a separate call, as in a service.
    pub(crate) single: bool,
    pub(crate) unknown: UnknownRows,
    pub(crate) retry_create: RetryCreate,
    pub(crate) max_attempts: u32,
    pub(crate) install_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry_after_cap: Duration,
    pub(crate) interval: Option<Duration>,
    pub(crate) limits: RateLimits,
    pub(crate) concurrency: usize,
    /// The limits that the server enforces, if any.
    pub(crate) enforced: Option<RateLimits>,
    pub(crate) provisioning: Provisioning,
    /// The probability that a channel never becomes ready.
    pub(crate) never: f64,
    /// Whether the server refuses a second connector for a phone number with a 409.
    pub(crate) unique: bool,
    pub(crate) foreign: Vec<(usize, Foreign)>,
    /// Whether the phone number is looked up after an unknown outcome.
    pub(crate) looks: bool,
    /// Whether all rows have the same name. If so, responses always contain the phone number id.
    pub(crate) same_name: bool,
    pub(crate) shows_number: bool,
    /// How long it takes until a lookup shows a new connector.
    pub(crate) shown_after: Duration,
    /// The probability that a lookup shows wrong connectors.
    pub(crate) lies: f64,
    /// Whether responses contain the access key.
    pub(crate) echoes_key: bool,
    /// How long it takes until a GET finds a new connector.
    pub(crate) visible_after: Duration,
    /// The longest time that a slow request or response takes.
    pub(crate) slowest: Duration,
    /// The longest time that a sync of the journal takes.
    pub(crate) sync: Duration,
    pub(crate) faults: Faults,
    /// The lives with faults. A last life without faults follows them.
    pub(crate) lives: Vec<Life>,
}

/// The events that may end a life of the process early, and the pause after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// The step at which the process is killed, if any.
    pub(crate) crash: Option<u64>,
    /// When the first signal arrives, and how long after it the second one, if any.
    pub(crate) stop: Option<(Duration, Option<Duration>)>,
    /// How many disk operations succeed before the disk is full, if it fills up.
    pub(crate) disk: Option<usize>,
    /// How much time passes before the next life begins.
    pub(crate) pause: Duration,
}

fn ms(range: std::ops::RangeInclusive<u64>, rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(range))
}

fn pick<T: Copy, const N: usize>(of: [T; N], rng: &mut Rng) -> T {
    of[rng.usize(..N)]
}

impl Scenario {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let rows = if rng.u8(..8) == 0 { rng.usize(5..=12) } else { rng.usize(1..=4) };
        let rates = [0.0, 0.0, 0.02, 0.1, 0.4];
        let faults = Faults {
            not_sent: pick(rates, rng),
            lost: pick(rates, rng),
            status: pick(rates, rng),
            throttled: pick(rates, rng),
            refused: pick([0.0, 0.0, 0.0, 0.01, 0.1], rng),
            body: pick(rates, rng),
            slow: pick(rates, rng),
        };
        let unknown = pick([UnknownRows::LeaveAlone, UnknownRows::Retry], rng);
        let single = rng.u8(..4) == 0;
        let install_timeout = Duration::from_secs(pick([3, 8, 20, 60], rng));
        let attempt_timeout = Duration::from_secs(pick([1, 3, 30], rng));
        let limits = RateLimits {
            posts_per_second: pick([2, 5, 20, 500], rng),
            gets_per_second: pick([2, 5, 20, 50], rng),
        };
        let interval = (rng.u8(..3) == 0).then(|| ms(100..=3_000, rng));
        let provisioning = match rng.u8(..3) {
            0 => Provisioning::Constant(ms(0..=4_000, rng)),
            1 => Provisioning::Uniform(ms(0..=1_000, rng), ms(1_000..=6_000, rng)),
            _ => Provisioning::LongTail(ms(100..=2_000, rng)),
        };
        let unique = rng.bool();
        let same_name = rng.bool();
        let lives = (0..rng.usize(0..=3))
            .map(|_| Life {
                crash: (rng.u8(..4) > 0).then(|| {
                    let longest = pick([12, 60, 200], rng);
                    rng.u64(1..=longest)
                }),
                stop: (rng.u8(..4) == 0).then(|| {
                    let second = rng.bool().then(|| ms(0..=2_000, rng));
                    (ms(0..=5_000, rng), second)
                }),
                disk: (rng.u8(..6) == 0).then(|| rng.usize(..40)),
                pause: ms(0..=5_000, rng),
            })
            .collect();
        Self {
            rows,
            single,
            unknown,
            retry_create: pick([RetryCreate::Never, RetryCreate::ServerErrors], rng),
            max_attempts: pick([2, u32::MAX, u32::MAX], rng),
            install_timeout,
            attempt_timeout,
            retry_after_cap: Duration::from_secs(pick([2, 60], rng)),
            interval,
            limits,
            concurrency: pick([1, 3, 1_000], rng),
            enforced: rng.bool().then_some(limits),
            provisioning,
            never: pick([0.0, 0.0, 0.0, 0.2], rng),
            unique,
            foreign: (0..rows)
                .filter_map(|row| {
                    let of = [Foreign::OtherName, Foreign::Old, Foreign::Voice, Foreign::Agreeing];
                    (rng.u8(..12) == 0).then(|| (row, pick(of, rng)))
                })
                .collect(),
            looks: rng.u8(..4) > 0,
            same_name,
            shows_number: same_name || rng.bool(),
            shown_after: pick([Duration::ZERO, ms(0..=1_500, rng)], rng),
            lies: pick([0.0, 0.0, 0.3], rng),
            echoes_key: rng.u8(..4) == 0,
            visible_after: pick([Duration::ZERO, ms(0..=1_500, rng)], rng),
            slowest: Duration::from_secs(40),
            sync: Duration::from_millis(pick([0, 5, 20, 1_500], rng)),
            faults,
            lives,
        }
    }

    pub(crate) fn name(&self, row: usize) -> String {
        if self.same_name { "SMS".to_owned() } else { format!("SMS {row}") }
    }

    /// Draws a random provisioning time, or `None` if the channel never becomes ready.
    pub(crate) fn provisioning_time(&self, rng: &mut Rng) -> Option<Duration> {
        if rng.f64() < self.never {
            return None;
        }
        Some(match self.provisioning {
            Provisioning::Constant(time) => time,
            Provisioning::Uniform(from, to) => from + to.saturating_sub(from).mul_f64(rng.f64()),
            Provisioning::LongTail(median) => {
                median.mul_f64((1.0 / (1.0 - rng.f64() * 0.995) - 1.0).min(10.0))
            }
        })
    }
}
