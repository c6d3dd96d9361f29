//! Where `jaq` gives other results than jq 1.7, and what brings it closer.
//!
//! Each could go when `jaq` did what the last column says, and each has its test in
//! `tests.rs`, so that a newer `jaq` can be tried without it; `tests/it/jq_oracle.rs` compares more
//! programs with jq itself.
//!
//! | correction | where | upstream would need |
//! | --- | --- | --- |
//! | an interpolated number is written as jq writes it | `rewrite` | to write interpolated values with `tojson` |
//! | an index with a fraction is rounded | `rewrite` | to round floats down in `.[f]`, and up at the end of a slice |
//! | a slice of `null` is `null` | `rewrite` | `null` in `Val::range` |
//! | the right operand is the outer loop | `rewrite` | to run the right operand first in products of streams |
//! | an assignment makes its path | `rewrite`, `place` | updates that take a missing value for `null` |
//! | a division by zero is an error | `rewrite` | an error instead of `inf` and `nan` |
//! | `%` works on whole numbers | `rewrite` | to truncate the operands of `%` |
//! | a literal with an exponent may be whole | `rewrite` | to read `1e3` as an integer |
//! | numbers are written as jq writes them | `number` | no fraction and no exponent for whole floats, and the largest double for infinity |
//! | patterns are those of Oniguruma | `pattern` | look-around and back references, offsets in characters, an array for pattern and flags |
//! | `setpath`, `delpaths` and `del` go by paths | `place`, `defs.jq` | the same filters as natives on `Val` |
//! | Base32 and forgiving Base64 | `native` | `@base32`, `@base32d`, and `@base64d` without padding |
//! | texts of other kinds pass `ltrimstr`, `tonumber` and `has` as in jq | `defs.jq` | the same rules for values of other types |
//! | entries, streams, SQL and formats have jq's corner cases | `defs.jq` | jq's definitions of these |
//! | local time is UTC, and dates are written as jq writes them | `defs.jq` | `%c` as in C, and a filter to replace the time zone |
//! | nothing beyond the input is reached | `native` | a set of filters without `env`, `halt` and the time zone |

pub(super) mod native;
pub(super) mod number;
mod pattern;
mod place;
pub(super) mod rewrite;
#[cfg(test)]
mod tests;
