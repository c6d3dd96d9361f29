//! The names of files: safe ones of what a backend says, and those that follow when one is taken.

use dadl_text::text;

/// Longer names are cut; every file system takes this many bytes.
pub(super) const LONGEST_NAME: usize = 120;

/// Returns a name that may be shown and sent: the last part, without control characters.
pub(super) fn display_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String =
        text::text_head(&text::one_line(&text::plain_text(name)), LONGEST_NAME).to_owned();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// Makes a file name of what a backend or a path gave: no separators, no leading dot.
pub(super) fn safe_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => character,
            _ => '_',
        })
        .collect();
    let trimmed = safe.trim_matches(['.', '_', '-']);
    let (stem, extension) = split_extension(trimmed);
    let extension = extension.get(..extension.len().min(16)).unwrap_or_default();
    let stem = stem.get(..stem.len().min(LONGEST_NAME - extension.len())).unwrap_or_default();
    if stem.is_empty() { format!("file{extension}") } else { format!("{stem}{extension}") }
}

/// Returns `name`, and what it may be called when that is taken: `a-2.tar`, `a-3.tar`, ..
pub(super) fn candidate_names(name: &str) -> impl Iterator<Item = String> + '_ {
    let (stem, extension) = split_extension(name);
    let others = (2_u32..).map(move |number| format!("{stem}-{number}{extension}"));
    std::iter::once(name.to_owned()).chain(others)
}

/// Splits `a.tar` into `a` and `.tar`.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_directory() {
        assert_eq!(safe_name("../../etc/passwd"), "etc_passwd");
        assert_eq!(safe_name(".."), "file");
        assert_eq!(safe_name("disk 1.vhd"), "disk_1.vhd");
        assert_eq!(safe_name(&"x".repeat(500)).len(), LONGEST_NAME);
        assert_eq!(safe_name("é1.xva"), "1.xva");
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let names: Vec<String> = candidate_names("a.tar").take(3).collect();
        assert_eq!(names, ["a.tar", "a-2.tar", "a-3.tar"]);
        assert_eq!(candidate_names("a").nth(1).unwrap(), "a-2");
    }
}
