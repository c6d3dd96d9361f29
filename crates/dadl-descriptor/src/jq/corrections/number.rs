//! Numbers as jq writes them.

use std::io::Write as _;

use jaq_json::Num;

/// The largest double below which every whole number is exact in the text.
const WHOLE: f64 = 1e17;

/// Appends `number`: what the input wrote stays as it is, a double without a fraction has none,
/// and what JSON cannot express becomes `null` or the largest double.
pub(in crate::jq) fn write_number(number: &Num, text: &mut Vec<u8>) {
    let number = match number {
        Num::Float(value) => *value,
        Num::Dec(written) => {
            text.extend_from_slice(written.as_bytes());
            return;
        }
        whole => {
            // Writing to a vector cannot fail.
            let _ = write!(text, "{whole}");
            return;
        }
    };
    if number.is_nan() {
        text.extend_from_slice(b"null");
    } else if number.is_infinite() {
        write_number(&Num::Float(f64::MAX.copysign(number)), text);
    } else if number.fract() == 0.0 && number.abs() < WHOLE {
        let _ = write!(text, "{number:.0}");
    } else if number.abs() >= 1e-5 && number.abs() < WHOLE {
        let _ = write!(text, "{number}");
    } else {
        let short = format!("{number:e}");
        let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let _ = write!(text, "{digits}e{sign}{exponent:0>2}");
    }
}

/// Returns the machine integer of a number without a fraction; others stay.
pub(super) fn round_whole(number: Num, round: fn(f64) -> f64) -> Num {
    let value = match &number {
        Num::Float(value) => *value,
        Num::Dec(written) => match written.parse() {
            Ok(value) => value,
            Err(_) => return number,
        },
        Num::Int(_) | Num::BigInt(_) => return number,
    };
    let rounded = round(value);
    if rounded.is_finite() && rounded.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        Num::Int(rounded as isize)
    } else {
        number
    }
}
