//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP date.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The delay for a value that can't be parsed. The server did ask for a delay, so zero would be too short.
const UNREADABLE: Duration = Duration::from_secs(1);

/// Returns the delay that the server asks for, at most `cap`, or `None` without the header. If there are several
/// values, the longest delay counts.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime, cap: Duration) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter();
    let longest = values.map(|value| delay(value.to_str().unwrap_or_default().trim(), now)).max();
    Some(longest?.min(cap))
}

fn delay(text: &str, now: SystemTime) -> Duration {
    // Some servers write UTC as a number, which the RFC does not allow.
    let date = match text.strip_suffix("-0000").or_else(|| text.strip_suffix("+0000")) {
        Some(date) => format!("{date}GMT"),
        None => text.to_owned(),
    };
    if let Ok(date) = httpdate::parse_http_date(&date) {
        return date.duration_since(now).unwrap_or_default();
    }
    // A proxy may join two values with a comma.
    let delays = text.split(',').map(|text| seconds(text.trim()).unwrap_or(UNREADABLE));
    delays.max().unwrap_or(UNREADABLE)
}

/// Parses seconds. A fraction is rounded up: the RFC does not allow fractions, but some servers send them.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let up = fraction.bytes().any(|digit| digit != b'0');
    // A number that overflows is a long delay.
    Some(Duration::from_secs(whole.parse().unwrap_or(u64::MAX).saturating_add(u64::from(up))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const CAP: Duration = Duration::from_secs(60);

    fn parse(values: &[&[u8]]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap());
        }
        // Five seconds before Sun, 06 Nov 1994 08:49:37 GMT, the date in the RFC's examples.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 5);
        retry_after(&headers, now, CAP)
    }

    #[test]
    fn seconds_and_three_date_formats_are_parsed() {
        let five = Some(Duration::from_secs(5));
        assert_eq!(parse(&[b"0"]), Some(Duration::ZERO));
        assert_eq!(parse(&[b"3"]), Some(Duration::from_secs(3)));
        assert_eq!(parse(&[b"  5 "]), five);
        assert_eq!(parse(&[b"Sun, 06 Nov 1994 08:49:37 GMT"]), five);
        assert_eq!(parse(&[b"Sunday, 06-Nov-94 08:49:37 GMT"]), five);
        assert_eq!(parse(&[b"Sun Nov  6 08:49:37 1994"]), five);
        assert_eq!(parse(&[b"Sun, 06 Nov 1994 08:49:37 -0000"]), five);
    }

    #[test]
    fn a_date_in_the_past_means_no_delay() {
        assert_eq!(parse(&[b"Sun, 06 Nov 1994 08:49:00 GMT"]), Some(Duration::ZERO));
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn huge_delays_are_capped() {
        for long in ["18446744073709551615.5", "1000000000000000000000000000000", "10000000000"] {
            assert_eq!(parse(&[long.as_bytes()]), Some(CAP), "{long}");
        }
        assert_eq!(parse(&[b"Sat, 06 Nov 2094 08:49:37 GMT"]), Some(CAP));
    }

    #[test]
    fn a_fraction_rounds_up_and_the_longest_value_counts() {
        for (values, seconds) in [
            (&["3.5"][..], 4),
            (&["29.7"], 30),
            (&["0.0"], 0),
            (&["0.25"], 1),
            (&["3."], 3),
            (&["3", "7"], 7),
            (&["9", "2.5"], 9),
            (&["3, 7"], 7),
            (&["2", "Sun, 06 Nov 1994 08:49:37 GMT"], 5),
            (&["0", "soon"], 1),
        ] {
            let bytes: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(parse(&bytes), Some(Duration::from_secs(seconds)), "{values:?}");
        }
    }

    #[test]
    fn an_unreadable_retry_after_means_one_second() {
        for value in ["-1", "1e10", "NaN", "", " ", "+3", "soon", ".5", "1.2.3", "5s"] {
            assert_eq!(parse(&[value.as_bytes()]), Some(UNREADABLE), "{value}");
        }
        assert_eq!(parse(&[b"\xff"]), Some(UNREADABLE));
    }
}
