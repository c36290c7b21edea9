//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP date.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Returns the delay that the server asks for, at most `cap`. Returns `None` if there is no such header, or if its
/// value is repeated, negative, not a number, or a date in the past.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime, cap: Duration) -> Option<Duration> {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is a long delay.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(cap));
    }
    // Some servers write the zone of UTC as a number, which is not in the RFC.
    let date = match text.strip_suffix("-0000").or_else(|| text.strip_suffix("+0000")) {
        Some(date) => format!("{date}GMT"),
        None => text.to_owned(),
    };
    let date = httpdate::parse_http_date(&date).ok()?;
    Some(date.duration_since(now).ok()?.min(cap))
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
        // Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples, less five seconds.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 5);
        retry_after(&headers, now, CAP)
    }

    // Fault 19.
    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_parsed() {
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
    fn a_date_in_the_past_is_ignored() {
        assert_eq!(parse(&[b"Sun, 06 Nov 1994 08:49:00 GMT"]), None);
    }

    // Fault 20.
    #[test]
    fn absurd_values_are_clamped_or_ignored() {
        for long in ["18446744073709551615", "1000000000000000000000000000000", "10000000000"] {
            assert_eq!(parse(&[long.as_bytes()]), Some(CAP), "{long}");
        }
        assert_eq!(parse(&[b"Sat, 06 Nov 2094 08:49:37 GMT"]), Some(CAP));
        for ignored in ["-1", "1e10", "NaN", "", " ", "3.5", "+3", "soon"] {
            assert_eq!(parse(&[ignored.as_bytes()]), None, "{ignored}");
        }
        assert_eq!(parse(&[b"3", b"3"]), None);
        assert_eq!(parse(&[b"\xff"]), None);
    }
}
