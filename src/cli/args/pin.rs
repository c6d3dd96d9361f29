//! Arguments of `pin`.

use std::str::FromStr;

use clap::Args;

use super::BackendArgs;

/// So many digits of a digest are enough: a server that makes two differences with the same ones has too
/// much to do.
pub(crate) const LEAST_DIGITS: usize = 32;

/// Arguments of `pin`.
///
/// A server may say something else of its tools at any start. What is pinned is what it says now: names,
/// titles, descriptions, schemas and annotations of its tools, and how it is used. What differs from that
/// later is held back until a person has seen it.
#[derive(Debug, Args)]
#[command(after_help = "Pins count from the next start of a server on.\n\
                        Exit codes: 0 ok, 2 arguments do not fit, 3 settings, 4 something is held \
                        back, 6 a server did not answer")]
pub(crate) struct PinArgs {
    /// The backends; without a name all that are other MCP servers
    #[arg(value_name = "BACKEND")]
    pub names: Vec<String>,
    /// Show what is different from the pins, and ask which of it to accept
    #[arg(long)]
    pub review: bool,
    /// Accept this difference without a question: the tool, or `instructions`, and the digest that
    /// --review has shown; can be repeated
    #[arg(long, value_name = "NAME=DIGEST", requires = "review")]
    pub accept: Vec<AcceptedChange>,
    /// List what is pinned; no server is started
    #[arg(long, conflicts_with_all = ["names", "review", "remove"])]
    pub list: bool,
    /// Remove the pins of these backends: nothing of them is held back any more
    #[arg(long, requires = "names", conflicts_with = "review")]
    pub remove: bool,
    /// Print JSON in every case; with --review nobody is asked
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
}

/// A difference that somebody has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptedChange {
    /// The tool, or `instructions`.
    pub(crate) name: String,
    /// The digest, or its beginning.
    pub(crate) digest: String,
}

/// Why a text names no difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write NAME=DIGEST, with at least {LEAST_DIGITS} digits of the digest that `pin --review` shows"
)]
pub(crate) struct AcceptError;

impl FromStr for AcceptedChange {
    type Err = AcceptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Names may have the sign as well.
        let (name, digest) = text.rsplit_once('=').ok_or(AcceptError)?;
        let is_digest =
            digest.len() >= LEAST_DIGITS && digest.bytes().all(|it| it.is_ascii_hexdigit());
        if name.is_empty() || !is_digest {
            return Err(AcceptError);
        }
        Ok(Self { name: name.to_owned(), digest: digest.to_ascii_lowercase() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_with_its_digest() {
        let read = |text: &str| text.parse::<AcceptedChange>();
        let digest = "0123456789abcdef".repeat(2);
        let accepted =
            |name: &str| Ok(AcceptedChange { name: name.into(), digest: digest.clone() });
        assert_eq!(read(&format!("log={}", digest.to_uppercase())), accepted("log"));
        assert_eq!(read(&format!("a=b={digest}")), accepted("a=b"));
        let (short, other) = (format!("log={}", &digest[1..]), format!("log={digest}g"));
        for wrong in ["log", "log=", &short, &format!("={digest}"), &other] {
            assert_eq!(read(wrong), Err(AcceptError), "{wrong}");
        }
    }
}
