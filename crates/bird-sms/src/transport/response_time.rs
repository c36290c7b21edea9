use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The minimum of [`ResponseTime::reserve`].
const MIN: Duration = Duration::from_millis(50);
/// The maximum of [`ResponseTime::reserve`], and its value before the first response.
const MAX: Duration = Duration::from_secs(1);

/// The time that responses take, estimated like a retransmission timeout (RFC 6298, section 2): from the smoothed mean
/// and deviation.
#[derive(Debug, Default)]
pub(crate) struct ResponseTime {
    /// The smoothed time and its smoothed deviation, in seconds.
    measured: Mutex<Option<(f64, f64)>>,
}

impl ResponseTime {
    pub(crate) fn record(&self, time: Duration) {
        let time = time.as_secs_f64();
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        *measured = Some(match *measured {
            None => (time, time / 2.0),
            Some((mean, deviation)) => {
                (0.875 * mean + 0.125 * time, 0.75 * deviation + 0.25 * (mean - time).abs())
            }
        });
    }

    /// Returns how long before a deadline a request must be sent, so that nearly all responses arrive in time.
    pub(crate) fn reserve(&self) -> Duration {
        let measured = *self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.map_or(MAX, |(mean, deviation)| {
            Duration::try_from_secs_f64(mean + 4.0 * deviation)
                .map_or(MAX, |time| time.clamp(MIN, MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault 49.
    #[test]
    fn the_reserve_follows_the_response_times_within_its_bounds() {
        let times = ResponseTime::default();
        assert_eq!(times.reserve(), MAX);
        times.record(Duration::from_millis(100));
        assert_eq!(times.reserve(), Duration::from_millis(300));
        (0..100).for_each(|_| times.record(Duration::from_millis(2)));
        assert_eq!(times.reserve(), MIN);
        (0..100).for_each(|_| times.record(Duration::from_secs(30)));
        assert_eq!(times.reserve(), MAX);
    }
}
