//! The time that provisioning takes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// The time from the creation of a connector to its channel.
///
/// | text | delay |
/// |---|---|
/// | `2s` | two seconds for every connector |
/// | `1s..5s` | uniform between one and five seconds |
/// | `~2s` | long-tailed: the median is two seconds, and one in twenty takes more than five times as long |
///
/// The random delays depend only on the order of the creations, so that every sandbox repeats them.
///
/// ```
/// let delay: bird_sandbox::Delay = "1s..5s".parse()?;
/// assert_eq!(delay.to_string(), "1s..5s");
/// # Ok::<(), bird_sandbox::ParseDelayError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay(Distribution);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distribution {
    Constant(Duration),
    Uniform(Duration, Duration),
    LongTailed(Duration),
}

/// The error of parsing a text that is not a [`Delay`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a delay such as `2s`, `1s..5s` or `~2s`")]
pub struct ParseDelayError;

impl Delay {
    /// Returns the delay of the `nth` connector.
    pub(crate) fn for_connector(&self, nth: usize) -> Duration {
        let mut rng = fastrand::Rng::with_seed(nth as u64);
        // For neighbouring seeds the first numbers of the generator are similar.
        let random = (0..4).fold(0.0, |_, _| rng.f64());
        match self.0 {
            Distribution::Constant(delay) => delay,
            Distribution::Uniform(from, to) => from + to.saturating_sub(from).mul_f64(random),
            // Log-normal with a sigma of 1. The quantile function of the logistic distribution approximates
            // that of the normal distribution.
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
            let duration: SignedDuration = text.parse().map_err(|_| ParseDelayError)?;
            Duration::try_from(duration).map_err(|_| ParseDelayError)
        };
        if let Some(median) = text.strip_prefix('~') {
            return Ok(Self(Distribution::LongTailed(duration(median)?)));
        }
        match text.split_once("..") {
            None => Ok(Self(Distribution::Constant(duration(text)?))),
            Some((from, to)) => {
                let (from, to) = (duration(from)?, duration(to)?);
                if to < from {
                    return Err(ParseDelayError);
                }
                Ok(Self(Distribution::Uniform(from, to)))
            }
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |duration: Duration| {
            let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
            format!("{duration:#}").replace(' ', "")
        };
        match self.0 {
            Distribution::Constant(delay) => f.write_str(&show(delay)),
            Distribution::Uniform(from, to) => write!(f, "{}..{}", show(from), show(to)),
            Distribution::LongTailed(median) => write!(f, "~{}", show(median)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(text: &str) -> Delay {
        text.parse().unwrap()
    }

    #[test]
    fn a_delay_prints_as_it_was_written() {
        for text in ["2s", "250ms", "1s..5s", "~2s", "0s"] {
            assert_eq!(delay(text).to_string(), text);
        }
        for wrong in ["", "2", "-2s", "5s..1s", "1s..", "~", "soon"] {
            assert_eq!(wrong.parse::<Delay>(), Err(ParseDelayError), "{wrong}");
        }
    }

    #[test]
    fn a_uniform_delay_stays_within_its_bounds_and_fills_them() {
        let delays: Vec<_> =
            (0..1000).map(|nth| delay("1s..5s").for_connector(nth).as_secs_f64()).collect();
        assert!(delays.iter().all(|seconds| (1.0..=5.0).contains(seconds)));
        let mean = delays.iter().sum::<f64>() / 1000.0;
        assert!((2.8..3.2).contains(&mean), "{mean}");
    }

    #[test]
    fn a_long_tailed_delay_has_its_median_and_a_long_tail() {
        let mut delays: Vec<_> = (0..1000).map(|nth| delay("~2s").for_connector(nth)).collect();
        delays.sort();
        assert!((1.8..2.2).contains(&delays[500].as_secs_f64()), "{:?}", delays[500]);
        assert!(delays[950] > Duration::from_secs(10), "{:?}", delays[950]);
        assert!(delays[999] <= Duration::from_mins(2));
    }
}
