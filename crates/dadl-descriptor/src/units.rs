//! Durations (`1h30m`) and sizes (`10MB`) as DADL writes them.

use std::time::Duration;

/// No duration is longer than a hundred years: added to any point in time, that is one still.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a duration: numbers with `ms`, `s`, `m`, `h` or `d`, largest unit first; `None` for one
/// beyond a hundred years as well.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if millis >= last {
            return None;
        }
        last = millis;
        let part = Duration::from_millis(millis).as_secs_f64() * number;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = after;
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

/// Reads a size in bytes: a number with `B`, `KB`, `MB` or `GB` (each also as `KiB` or `K`);
/// all are powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor: u32 = match unit.trim_start().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 1,
        "M" | "MB" | "MIB" => 2,
        "G" | "GB" | "GIB" => 3,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(i32::try_from(factor).ok()?);
    // Exact up to 2^53, far above any body.
    (bytes < 9e15).then_some(bytes as u64)
}

/// Splits `1.5h` into the number and the rest.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|next: char| !(next.is_ascii_digit() || next == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        let millis = |text| parse_duration(text).map(|value| value.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("2s"), Some(2_000));
        assert_eq!(millis("1.5s"), Some(1_500));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("36500d"), Some(LONGEST.as_millis()));
        for wrong in [
            "",
            "2",
            "s",
            "2 s",
            "2sec",
            "30m1h",
            "-1s",
            "1s1s",
            "9999999d",
            "9999999999999999999d",
            "36500d1ms",
            "NaNs",
            "infs",
            "1e9s",
            "1.2.3s",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever an author or an operator writes, it can be added to now.
        #[test]
        fn any_text_is_a_bounded_amount_or_refused(
            text in "\\PC{0,12}|([0-9.]{1,25}(ms|s|m|h|d|[KMGkmg]?i?[Bb]?)){1,3}"
        ) {
            if let Some(duration) = parse_duration(&text) {
                assert!(duration <= LONGEST, "{text}");
                assert!(std::time::Instant::now().checked_add(duration + duration).is_some());
                assert!(std::time::SystemTime::now().checked_add(duration + duration).is_some());
            }
            if let Some(size) = parse_size(&text) {
                assert!(i64::try_from(size).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(parse_size("10"), Some(10));
        assert_eq!(parse_size("10MB"), Some(10 * 1024 * 1024));
        assert_eq!(parse_size("1.5 KiB"), Some(1536));
        for wrong in ["", "MB", "10XB", "-1", "99999999999GB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
