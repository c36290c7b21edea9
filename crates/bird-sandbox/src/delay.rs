//! How long provisioning and responses take.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// The time that provisioning or a response takes, either fixed or random.
///
/// ```
/// use bird_sandbox::{Delay, Sandbox};
///
/// let builder = Sandbox::builder().provisioning_delay("1s..5s".parse::<Delay>()?);
/// # Ok::<(), bird_sandbox::ParseDelayError>(())
/// ```
///
/// | text | delay |
/// |---|---|
/// | `2s` | always two seconds |
/// | `1s..5s` | uniform between one and five seconds |
/// | `~2s` | long-tailed: the median is two seconds, and one in twenty takes more than five times as long |
///
/// Random delays depend only on the order of creations or requests and on the [seed](crate::Builder::seed). Without a
/// seed, every sandbox has the same delays as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay(Distribution);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distribution {
    Constant(Duration),
    /// The shortest delay, and the length of the range.
    Uniform(Duration, Duration),
    LongTailed(Duration),
}

/// An error from parsing a [`Delay`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a delay such as `2s`, `1s..5s` or `~2s`")]
pub struct ParseDelayError;

impl Delay {
    /// Returns the `nth` delay.
    pub(crate) fn nth(&self, seed: u64, nth: u64) -> Duration {
        let mut rng = fastrand::Rng::with_seed(seed.rotate_left(32) ^ nth);
        // Neighbouring seeds start with similar numbers, so the first three are skipped.
        let random = (0..4).fold(0.0, |_, _| rng.f64());
        match self.0 {
            Distribution::Constant(delay) => delay,
            Distribution::Uniform(from, range) => from + range.mul_f64(random),
            // Log-normal with a sigma of 1. The logistic quantile function approximates the normal one.
            Distribution::LongTailed(median) => {
                let odds = (random / (1.0 - random)).max(f64::MIN_POSITIVE);
                let factor = (odds.ln() / 1.702).exp().min(60.0);
                Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(median)
            }
        }
    }
}

impl From<Duration> for Delay {
    fn from(delay: Duration) -> Self {
        Self(Distribution::Constant(delay))
    }
}

impl FromStr for Delay {
    type Err = ParseDelayError;

    fn from_str(text: &str) -> Result<Self, ParseDelayError> {
        let duration = |text: &str| {
            let duration = text.parse::<SignedDuration>().ok();
            duration.and_then(|duration| Duration::try_from(duration).ok()).ok_or(ParseDelayError)
        };
        Ok(Self(if let Some(median) = text.strip_prefix('~') {
            Distribution::LongTailed(duration(median)?)
        } else if let Some((from, to)) = text.split_once("..") {
            let from = duration(from)?;
            let to = duration(to)?;
            Distribution::Uniform(from, to.checked_sub(from).ok_or(ParseDelayError)?)
        } else {
            Distribution::Constant(duration(text)?)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_follow_the_parsed_distribution() {
        for (text, range, medians, longest_twentieth) in [
            ("250ms", 0.25..=0.25, 0.25..=0.25, 0.25..=0.25),
            ("1s..5s", 1.0..=5.0, 2.8..=3.2, 4.7..=5.0),
            ("~2s", 0.0..=120.0, 1.8..=2.2, 10.0..=120.0),
        ] {
            let delay: Delay = text.parse().unwrap();
            let mut delays: Vec<_> = (0..1000).map(|nth| delay.nth(0, nth).as_secs_f64()).collect();
            delays.sort_by(f64::total_cmp);
            assert!(range.contains(&delays[0]) && range.contains(&delays[999]), "{text}");
            assert!(medians.contains(&delays[500]), "{text}: {}", delays[500]);
            assert!(longest_twentieth.contains(&delays[950]), "{text}: {}", delays[950]);
        }
    }

    #[test]
    fn an_invalid_delay_is_refused() {
        for text in ["", "2", "-2s", "5s..1s", "1s..", "~", "soon"] {
            assert_eq!(text.parse::<Delay>(), Err(ParseDelayError), "{text}");
        }
    }
}
