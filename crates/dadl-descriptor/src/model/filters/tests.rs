//! Filters of other languages are found, and what may be right passes.

use proptest::prelude::*;

use super::*;

/// Like that of Xen Orchestra.
fn language() -> FilterLanguage {
    let pair = |example: &str| Some(PairSyntax::parse(example).unwrap());
    FilterLanguage {
        or: pair("|(a b)"),
        and: pair("a b"),
        not: Some("!".to_owned()),
        equals: pair("a:b"),
        compare: Some(":".to_owned()),
        units: false,
        said: String::new(),
    }
}

#[track_caller]
fn corrected(filter: &str, expected: &str) {
    let misuse = language().misuse(filter).unwrap_or_else(|| panic!("{filter} passes"));
    assert_eq!(misuse.instead.as_deref(), Some(expected), "{filter}");
}

#[track_caller]
fn refused(filter: &str) {
    let misuse = language().misuse(filter).unwrap_or_else(|| panic!("{filter} passes"));
    assert_eq!(misuse.instead, None, "{filter}");
}

#[track_caller]
fn passes(filter: &str) {
    assert_eq!(language().misuse(filter), None, "{filter}");
}

#[test]
fn alternatives_are_written_as_the_language_has_them() {
    corrected("power_state:Halted or tags:eu", "|(power_state:Halted tags:eu)");
    corrected("tags:(prod or test)", "tags:|(prod test)");
    corrected(
        "tags:(prod OR test OR dev) power_state:Running",
        "tags:|(prod test dev) power_state:Running",
    );
    corrected("(prod or test)", "|(prod test)");
    corrected("tags:|(prod or test)", "tags:|(prod test)");
    corrected("a b or c", "|((a b) c)");
    corrected("a || b", "|(a b)");
    corrected("tags:(a || (b c))", "tags:|(a (b c))");
    corrected("!tags:(old or test)", "!tags:|(old test)");
    corrected("name_label:\"a or b\" or c", "|(name_label:\"a or b\" c)");
    corrected("tags: (prod or test)", "tags:|(prod test)");
}

#[test]
fn and_is_nothing_and_not_is_a_mark() {
    corrected("power_state:Running and tags:prod", "power_state:Running tags:prod");
    corrected("a && b", "a b");
    corrected("a AND b", "a b");
    corrected("not power_state:Running", "!power_state:Running");
    corrected("NOT prod", "!prod");
    corrected("tags:(not prod)", "tags:(!prod)");
    corrected("power_state:Running and not tags:old", "power_state:Running !tags:old");
    corrected("not (a or b)", "!|(a b)");
    corrected("a not auto_poweron?", "a !auto_poweron?");
}

#[test]
fn signs_of_other_languages_are_found() {
    corrected("power_state=Running", "power_state:Running");
    corrected("power_state==Running", "power_state:Running");
    corrected("power_state = Running", "power_state:Running");
    corrected("power_state =Running", "power_state:Running");
    corrected("power_state != Running tags:a", "!power_state:Running tags:a");
    corrected("power_state!=Running", "!power_state:Running");
    corrected("power_state<>Running", "!power_state:Running");
    corrected("name_label=\"web 01\"", "name_label:\"web 01\"");
    corrected("tags=(prod or test)", "tags:|(prod test)");
    corrected("name_label:'web 01'", "name_label:\"web 01\"");
    corrected("name_label='web 01'", "name_label:\"web 01\"");
    corrected("memory:size>2147483648", "memory:size:>2147483648");
    corrected("memory:size >= 5", "memory:size:>=5");
    corrected("memory:size:> 5", "memory:size:>5");
    corrected("size >5", "size:>5");
}

#[test]
fn numbers_have_no_units() {
    corrected("memory:size:>2GiB", "memory:size:>2147483648");
    corrected("memory:size:>=4G", "memory:size:>=4000000000");
    corrected("size:<10 GB", "size:<10000000000");
    corrected("size:>1.5KiB", "size:>1536");
    corrected("size:(>1k <2M)", "size:(>1000 <2000000)");
    corrected("size:>2,000", "size:>2000");
    corrected("load:>50%", "load:>50");
    refused("start:>2026-01-01");
    refused("start:>24h");
    refused("size:>1e308GiB");
    for plain in ["size:>5", "size:>=1e9", "size:<0x10", "size:>-1", "size:>.5", "size:>Infinity"] {
        passes(plain);
    }
}

#[test]
fn what_may_be_right_passes() {
    for filter in [
        "",
        "power_state:Running tags:|(prod test) !auto_poweron? memory:size:>2147483648",
        "name_label:\"web or db\"",
        "name_label:\"a=b && c\" \"or\"",
        "name_label:/^(web or db)=x$/i",
        "name_label:/a\\/ or b/",
        "or",
        "tags:or",
        "tags:(or)",
        "order:and",
        "not responding",
        "do not delete",
        "name_label:note nor land",
        "CPUs:(>2 <5)",
        "snapshots:length:>2",
        "tags:length:0",
        "| (a b)",
        "! a",
        "name_label : web",
        "name_label:2GiB",
        "10.0.0.1",
        "$pool:[resolve]:name_label:x",
        // What cannot be read is the API's to refuse.
        "tags:(a or b",
        "a or b)",
        "\"a or b",
        "((((",
    ] {
        passes(filter);
    }
}

#[test]
fn the_message_says_what_is_wrong_and_what_is_right() {
    let misuse = language().misuse("tags:(prod or test) size:>2GiB").unwrap();
    assert_eq!(
        misuse.to_string(),
        "would be taken for something else: `or` is written `|(a b)`, numbers have no unit: 2 GiB is \
         written `2147483648`; write `tags:|(prod test) size:>2147483648`; who looks for the word \
         itself quotes it, as in `\"or\"`"
    );
    let misuse = language().misuse("a=b").unwrap();
    assert_eq!(
        misuse.to_string(),
        "would be taken for something else: `=` is written `a:b`; write `a:b`"
    );
    let long = format!("{} or x", "y".repeat(2_000));
    assert_eq!(language().misuse(&long).unwrap().instead, None);
    assert_eq!(language().misuse(&format!("{} or x", "y".repeat(20_000))), None);
}

#[test]
fn what_a_language_does_not_say_is_not_checked() {
    let silent = FilterLanguage { units: true, ..FilterLanguage::default() };
    for filter in ["a or b", "a && b", "not a:b", "a=b", "a > 5", "a:>2GiB"] {
        assert_eq!(silent.misuse(filter), None, "{filter}");
    }
}

#[test]
fn an_example_names_two_things() {
    for example in ["|(a b)", "a b", "a:b", "a,b", "or(a,b)"] {
        assert_eq!(PairSyntax::parse(example).is_some(), !example.starts_with("or"), "{example}");
    }
    for example in ["", "a", "ab", "b a", "a or b"] {
        assert_eq!(PairSyntax::parse(example), None, "{example}");
    }
}

/// A filter in the real language, quotes and expressions included.
fn right() -> impl Strategy<Value = String> {
    let word = "[a-z]{1,3}[0-9]".prop_map(String::from);
    let number = (any::<bool>(), 0..10_000_u32)
        .prop_map(|(more, number)| format!("{}{number}", if more { ">" } else { "<=" }));
    let closed = prop_oneof![
        "\"([^\"\\\\\\PC]|\\\\.){0,12}\"".prop_map(String::from),
        "/[a-z= |&>(]{1,12}/i?".prop_map(String::from),
    ];
    let leaf =
        prop_oneof![word.clone(), closed, ("[a-z]{1,4}x", number).prop_map(|(a, b)| a + ":" + &b)];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let field = ("[a-z]{1,4}x", inner.clone()).prop_map(|(name, it)| format!("{name}:{it}"));
        let many = prop::collection::vec(inner.clone(), 1..4).prop_map(|them| them.join(" "));
        prop_oneof![
            field,
            inner.prop_map(|it| format!("!{it}")),
            many.clone().prop_map(|them| format!("({them})")),
            many.clone().prop_map(|them| format!("|({them})")),
            many,
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that is right is refused.
    #[test]
    fn right_filters_pass(filter in right()) {
        prop_assert_eq!(language().misuse(&filter), None);
    }

    /// Alternatives of right terms come out as the language has them.
    #[test]
    fn alternatives_are_mended(terms in prop::collection::vec(right(), 2..4)) {
        let terms: Vec<String> = terms.into_iter().map(|it| format!("({it})")).collect();
        let misuse = language().misuse(&terms.join(" or "));
        let expected = format!("|({})", terms.join(" "));
        prop_assert_eq!(misuse.unwrap().instead, Some(expected));
    }

    /// Whatever is sent, the checker ends, and what it offers is not refused again.
    #[test]
    fn what_is_offered_passes(
        filter in "([a-c:!|&=<>()?\"'/ 0-9]|or|and|not|GiB|\\PC){0,40}",
    ) {
        if let Some(instead) = language().misuse(&filter).and_then(|it| it.instead) {
            prop_assert_eq!(language().misuse(&instead), None);
        }
    }
}
