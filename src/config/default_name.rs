//! The name of a backend that nobody named.

/// Makes the name of a backend out of its descriptor's path.
pub(super) fn default_name(dadl: &str) -> String {
    let base = dadl.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = base.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = stem.chars().map(allowed).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if name.is_empty() { "backend".to_owned() } else { name.to_owned() }
}
