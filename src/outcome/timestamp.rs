//! Points in time as APIs write them, and as RFC 3339 text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, date},
};
use serde_json::Value;

/// What everything is counted from.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// Larger numbers are milliseconds: as seconds they would be beyond the year 5000.
const MOST_SECONDS: f64 = 1e11;

/// The last second of the year 9999, beyond which RFC 3339 cannot write.
const LAST: i64 = 253_402_300_799;

/// The first second of the year 0: RFC 3339 has no signs.
const FIRST: i64 = -62_167_219_200;

/// Returns `time` as RFC 3339 text in UTC, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format_seconds(i64::try_from(since.as_secs()).unwrap_or(LAST).min(LAST)).unwrap_or_default()
}

/// Reads a point in time: RFC 3339, a date, an HTTP date, or a number of seconds or milliseconds
/// since 1970; returns it as RFC 3339 text in UTC. `None` for everything else.
pub(crate) fn normalize_timestamp(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => from_number(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            match text.parse::<f64>() {
                Ok(number) => from_number(number),
                Err(_) => parse_timestamp(text)
                    .filter(|seconds| (FIRST..=LAST).contains(seconds))
                    .and_then(format_seconds)
                    .or_else(|| httpdate::parse_http_date(text).ok().map(rfc3339)),
            }
        }
        _ => None,
    }
}

/// Zero and below mean "never" or nothing at all.
fn from_number(number: f64) -> Option<String> {
    let seconds = if number > MOST_SECONDS { number / 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (seconds >= 1.0 && seconds <= LAST as f64).then(|| format_seconds(seconds as i64)).flatten()
}

/// Reads `2026-10-01`, with a time and an offset if there are; no offset means UTC.
fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut numbers = date.split('-');
    let year = i16::try_from(parse_digits(numbers.next()?, 4)?).ok()?;
    let month = i8::try_from(parse_digits(numbers.next()?, 2)?).ok()?;
    let day = i8::try_from(parse_digits(numbers.next()?, 2)?).ok()?;
    if numbers.next().is_some() {
        return None;
    }
    let midnight = unix_seconds(Date::new(year, month, day).ok()?.at(0, 0, 0, 0));
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let offset_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(offset_at)?;
    let time = time.split('.').next()?;
    let mut numbers = time.split(':');
    let hour = parse_digits(numbers.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = parse_digits(numbers.next()?, 2).filter(|minute| *minute < 60)?;
    let second = numbers.next().map_or(Some(0), |second| parse_digits(second, 2))?;
    let there = midnight + hour * 3600 + minute * 60 + second.min(59);
    Some(there - offset_seconds(offset.trim_start())?)
}

fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text {
        "" | "Z" | "z" | "UTC" | "GMT" => return Some(0),
        _ if text.starts_with('-') => -1,
        _ if text.starts_with('+') => 1,
        _ => return None,
    };
    let plain: String = text.chars().skip(1).filter(|c| *c != ':').collect();
    let (hours, minutes) = plain.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { parse_digits(minutes, 2)? };
    Some(sign * (parse_digits(hours, 2)? * 3600 + minutes * 60))
}

fn parse_digits(text: &str, count: usize) -> Option<i64> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Returns the point in time of the calendar so many seconds after 1970 began, in UTC.
///
/// A civil time, because `jiff::Timestamp` ends before the year 9999 does.
pub(crate) fn unix_moment(seconds: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Returns the seconds from the start of 1970 to a point in time of the calendar, in UTC.
pub(crate) fn unix_seconds(moment: DateTime) -> i64 {
    moment.duration_since(EPOCH).as_secs()
}

/// Writes seconds since 1970.
fn format_seconds(seconds: i64) -> Option<String> {
    // Without a fraction it is written to the second.
    unix_moment(seconds).map(|moment| format!("{moment}Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_apis_write() {
        for (value, expected) in [
            (json!("2026-10-01T12:30:45Z"), "2026-10-01T12:30:45Z"),
            (json!("2026-10-01T12:30:45.123+02:00"), "2026-10-01T10:30:45Z"),
            (json!("2026-10-01 12:30:45 -0130"), "2026-10-01T14:00:45Z"),
            (json!("2024-02-29"), "2024-02-29T00:00:00Z"),
            (json!("0000-01-01"), "0000-01-01T00:00:00Z"),
            (json!("9999-12-31T23:59:59Z"), "9999-12-31T23:59:59Z"),
            (json!(LAST * 1000), "9999-12-31T23:59:59Z"),
            (json!("2026-10-01 12:30:45 UTC"), "2026-10-01T12:30:45Z"),
            (json!(1_790_857_845), "2026-10-01T12:30:45Z"),
            (json!(1_790_857_845_000_i64), "2026-10-01T12:30:45Z"),
            (json!("1790857845"), "2026-10-01T12:30:45Z"),
            (json!("Sun, 06 Nov 1994 08:49:37 GMT"), "1994-11-06T08:49:37Z"),
        ] {
            assert_eq!(normalize_timestamp(&value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn reads_nothing_else() {
        for value in [
            json!("never"),
            json!("a secret"),
            json!(""),
            json!(0),
            json!(-1),
            json!(1e30),
            json!("2026-13-01"),
            json!("2026-02-29"),
            json!("2026-02-31T00:00:00Z"),
            json!("2026-00-10"),
            json!("2026-10-01T25:00:00Z"),
            json!("2026-10-01X"),
            json!(null),
            json!("ä026-10-01"),
            json!({}),
            json!("inf"),
            json!("NaN"),
            json!(1e300),
            json!(-1e300),
            json!(253_402_300_800_000_i64),
            json!("9999-12-31T23:59:59-01:00"),
            json!("0000-01-01T00:00:00+00:01"),
            json!("1000000000-01-01"),
        ] {
            assert_eq!(normalize_timestamp(&value), None, "{value}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn reads_what_it_writes(seconds in 1..LAST) {
            let text = format_seconds(seconds).unwrap();
            assert_eq!(parse_timestamp(&text), Some(seconds));
            assert_eq!(normalize_timestamp(&json!(text.clone())), Some(text));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}", date in "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T0-9:+Z.-]{0,20}") {
            for value in [json!(text), json!(date)] {
                if let Some(text) = normalize_timestamp(&value) {
                    assert_eq!(text.len(), 20, "{value}");
                }
            }
        }

        #[test]
        fn a_number_is_a_year_of_four_digits_or_nothing(number in proptest::num::f64::ANY, whole: i64) {
            for value in [json!(number), json!(whole), json!(number.to_string()), json!(whole.to_string())] {
                if let Some(text) = normalize_timestamp(&value) {
                    assert_eq!(text.len(), 20, "{value}");
                }
            }
        }
    }
}
