//! Identifiers and the words they are made of.

/// Splits an identifier into its words in lower case: `GetVMs` is `get`, `vms`.
///
/// A word ends at whatever is no letter and no digit, where lower case or a digit turns into upper
/// case, and before the last capital of several (`HTTPServer`).
pub fn split_words(identifier: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = None;
    let mut characters = identifier.chars();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() {
            if begins(before, character, characters.as_str()) && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.extend(character.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        before = Some(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns whether a letter begins a word, though a letter or a digit may stand before it.
fn begins(before: Option<char>, character: char, behind: &str) -> bool {
    if !character.is_uppercase() {
        return false;
    }
    match before {
        Some(before) if before.is_lowercase() || before.is_numeric() => true,
        // `HTTPServer`, but not the plural `VMs`.
        Some(before) if before.is_uppercase() => {
            let mut behind = behind.chars();
            let next = behind.next();
            let is_plural = next == Some('s') && !behind.next().is_some_and(char::is_lowercase);
            next.is_some_and(char::is_lowercase) && !is_plural
        }
        _ => false,
    }
}

/// Returns an identifier in snake case, in ASCII: what is none separates words.
pub fn snake(identifier: &str) -> String {
    if identifier.is_ascii() {
        return split_words(identifier).join("_");
    }
    let ascii: String = identifier.chars().map(|it| if it.is_ascii() { it } else { ' ' }).collect();
    split_words(&ascii).join("_")
}

/// Joins the parts of a name that are accepted: `filter[name]` becomes `filter_name`, `ids[]`
/// `ids`, and what has no such part `param`.
pub fn joined_name(name: &str, accepts: impl Fn(char) -> bool) -> String {
    let parts: Vec<_> = name.split(|c| !accepts(c)).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "param".to_owned() } else { parts.join("_") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_made_of_words() {
        for (identifier, expected) in [
            ("GetVMs", "get vms"),
            ("listVIFs", "list vifs"),
            ("HTTPServer", "http server"),
            ("getVMStats", "get vm stats"),
            ("vm2Name", "vm2 name"),
            ("get_vm-stats", "get vm stats"),
            ("repos/list-for-org", "repos list for org"),
            ("größeÄndern", "größe ändern"),
            ("日本", "日本"),
            ("...", ""),
        ] {
            assert_eq!(split_words(identifier).join(" "), expected, "{identifier}");
        }
    }

    #[test]
    fn snake_case_is_ascii() {
        for (identifier, expected) in [
            ("GetVMs", "get_vms"),
            ("read_items_items__get", "read_items_items_get"),
            ("v2Größe", "v2_gr_e"),
            ("日本", ""),
        ] {
            assert_eq!(snake(identifier), expected);
        }
    }

    #[test]
    fn what_is_accepted_is_joined() {
        let plain = |c: char| c.is_ascii_alphanumeric();
        assert_eq!(joined_name("filter[name]", plain), "filter_name");
        assert_eq!(joined_name("ids[]", plain), "ids");
        assert_eq!(joined_name("日本", plain), "param");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn words_lose_no_letter_and_are_words_again(identifier in ".{0,40}|[a-cA-C0-1_]{0,12}") {
            let split = split_words(&identifier);
            proptest::prop_assert!(split.iter().all(|word| !word.is_empty()));
            let kept: String = identifier
                .chars()
                .filter(|it| it.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .collect();
            proptest::prop_assert_eq!(split.concat(), kept);
            let snake = snake(&identifier);
            proptest::prop_assert!(snake.is_ascii());
            proptest::prop_assert_eq!(split_words(&snake).join("_"), snake);
        }
    }
}
