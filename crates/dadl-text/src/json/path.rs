//! JSONPath (RFC 9535) on text: a path is a row of segments, and one pass finds what they select.
//!
//! A node is selected once however many ways lead to it, so that a path cannot select more than there
//! is (`$..*..*..*` would, by the letter of the RFC, count each way), and the order is that of the
//! document; with one descendant segment it is that of the RFC.

mod compile;
mod walk;

pub use self::{compile::PathSyntaxError, walk::PathError};

/// A longer path is no path.
pub const LONGEST: usize = 1024;

/// So many segments a path may have.
pub(crate) const MOST_SEGMENTS: usize = 32;

/// Brackets and parentheses may be nested so deep.
pub(crate) const DEEPEST_BRACKETS: usize = 8;

/// A compiled path.
#[derive(Debug)]
pub struct CompiledPath {
    segments: Vec<PathSegment>,
    /// The segments, as bits, that have to know how long an array is.
    counting: u64,
    /// The one descendant segment, when there is one.
    deep: Option<usize>,
}

#[derive(Debug)]
struct PathSegment {
    /// Whether it looks at all descendants.
    is_deep: bool,
    selectors: Vec<PathSelector>,
}

#[derive(Debug)]
enum PathSelector {
    /// A filter, compiled as a path of its own that selects items of an array.
    Filter(Box<serde_json_path::JsonPath>),
    Index(i64),
    Name(String),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Wildcard,
}

impl CompiledPath {
    /// Returns whether the path can select at most one value.
    pub fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            let is_one =
                matches!(*segment.selectors, [PathSelector::Name(_) | PathSelector::Index(_)]);
            is_one && !segment.is_deep
        })
    }

    /// Returns whether the path has names, indexes and wildcards only.
    pub fn is_plain(&self) -> bool {
        self.segments.iter().all(|segment| {
            let is_plain = matches!(
                *segment.selectors,
                [PathSelector::Name(_) | PathSelector::Index(_) | PathSelector::Wildcard]
            );
            is_plain && !segment.is_deep
        })
    }

    /// Returns the names of a path that has nothing else.
    pub fn names(&self) -> Option<Vec<&str>> {
        let names = self.segments.iter().map(|segment| match &*segment.selectors {
            [PathSelector::Name(name)] if !segment.is_deep => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }
}

impl PathSegment {
    fn needs_length(&self) -> bool {
        self.selectors.iter().any(|selector| match selector {
            PathSelector::Index(index) => *index < 0,
            PathSelector::Slice { start, end, step } => {
                *step < 0 || start.is_some_and(|it| it < 0) || end.is_some_and(|it| it < 0)
            }
            PathSelector::Filter(_) | PathSelector::Name(_) | PathSelector::Wildcard => false,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Values of all shapes, whose names are few, so that paths find something.
    pub(crate) fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\\\n\u{1}é🦀\\[\\]{},:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[abc\"é]", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Paths without unions and filters, with at most one descendant segment.
    fn path() -> impl Strategy<Value = String> {
        let segment = || {
            prop_oneof![
                Just(".a".to_owned()),
                Just(".b".to_owned()),
                Just("['\\u00e9']".to_owned()),
                Just("[\"\\\"\"]".to_owned()),
                Just("[*]".to_owned()),
                Just(".*".to_owned()),
                (-3_i64..4).prop_map(|index| format!("[{index}]")),
                (-3_i64..4, 1_i64..3).prop_map(|(from, step)| format!("[{from}::{step}]")),
                (-3_i64..4, -3_i64..4).prop_map(|(from, to)| format!("[{from}:{to}]")),
            ]
        };
        let row = move || proptest::collection::vec(segment(), 0..4);
        let deep = prop_oneof![Just(""), Just("..a"), Just("..*"), Just("..[0]"), Just("..[-1]")];
        (row(), deep, row()).prop_map(|(before, deep, after)| {
            format!("${}{deep}{}", before.concat(), after.concat())
        })
    }

    fn found(path: &str, text: &str) -> Result<Vec<String>, PathError> {
        let path = CompiledPath::compile(path).unwrap();
        path.all(text).map(|found| found.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn each_node_is_found_once() {
        let text = r#"{"a":{"a":[1,{"a":2}]},"b":3}"#;
        assert_eq!(found("$..*..*..*", text).unwrap(), ["1", r#"{"a":2}"#, "2"]);
        assert_eq!(found("$..a", text).unwrap().len(), 3);
        assert_eq!(found("$", text).unwrap(), [text]);
        assert_eq!(found("$['b','a','b']", text).unwrap().len(), 2);
        assert_eq!(found("$..[?@.a==2].a", text).unwrap(), ["2"]);
        assert_eq!(found("$.a.a[?@>0]", text).unwrap(), ["1"]);
        assert_eq!(found("$.a.a[::-1]", text).unwrap(), ["1", r#"{"a":2}"#]);
    }

    #[test]
    fn the_last_member_of_a_name_counts_and_all_are_masked() {
        let text = r#"{"a":[1],"b":2,"a":[2,3],"\u0061":[4]}"#;
        assert_eq!(found("$.a[*]", text).unwrap(), ["4"]);
        assert_eq!(found("$['a','b']", text).unwrap(), ["2", "[4]"]);
        let path = CompiledPath::compile("$.a[*]").unwrap();
        let masked = CompiledPath::mask(&[&path], text, "0", 100).unwrap();
        assert_eq!(masked.as_deref(), Some(r#"{"a":[0],"b":2,"a":[0,0],"\u0061":[0]}"#));
        let root = CompiledPath::compile("$").unwrap();
        assert_eq!(
            CompiledPath::mask(&[&path, &root], text, "0", 100).unwrap().as_deref(),
            Some("0")
        );
        assert_eq!(CompiledPath::mask(&[&path], "[1]", "0", 100), Ok(None));
    }

    #[test]
    fn work_and_results_are_bounded() {
        let text = format!("[{}0]", "0,".repeat(3_000_000));
        assert_eq!(found("$[*]", &text), Err(PathError::Results));
        assert_eq!(found("$[0]", &text).unwrap(), ["0"]);
        let deep = "[".repeat(129) + &"]".repeat(129);
        assert_eq!(found("$..a", &deep), Err(PathError::Deep));
        assert!(found("$.a", &deep).unwrap().is_empty());
        // Each level would count the items of all levels below.
        let nested = "[".repeat(127) + &"[],".repeat(20_000) + "0" + &"]".repeat(127);
        assert_eq!(found("$..[-1]", &nested), Err(PathError::Work));
        assert_eq!(found("$..[?@[0]]", &nested), Err(PathError::Work));
        // Each duplicate would move all that was found meanwhile.
        let twice =
            format!("{{\"b\":[{}0]{}}}", "0,".repeat(500_000), ",\"a\":[1],\"a\":[2]".repeat(9));
        assert_eq!(found("$['a','b'][*]", &twice).unwrap().len(), 500_002);
        let path = CompiledPath::compile("$[*]").unwrap();
        assert_eq!(CompiledPath::mask(&[&path], "[0,0]", "\"x\"", 8), Err(PathError::Large));
    }

    #[test]
    fn odd_paths_are_refused() {
        let deep = format!("$[?{}@.a{}]", "(".repeat(5_000), ")".repeat(5_000));
        let long = format!("${}", ".a".repeat(5_000));
        let segments = format!("${}", ".a".repeat(MOST_SEGMENTS + 1));
        let brackets = format!("$[?{}@.a{}]", "(".repeat(9), ")".repeat(9));
        let two = "$[?@..a..b]";
        for path in
            ["", "a", "$.", "$[", "$.a b", "$[?$.a==@]", two, &deep, &long, &segments, &brackets]
        {
            assert!(CompiledPath::compile(path).is_err(), "{path:.40}");
        }
        for path in ["$", "$ .a", "$[ 'a' , 1 ]", "$[?@['$..']=='a' && !(@.b || @.c)]", "$.é"] {
            assert!(CompiledPath::compile(path).is_ok(), "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn paths_find_what_the_rfc_says(path in path(), value in value()) {
            let text = value.to_string();
            let expected = serde_json_path::JsonPath::parse(&path).unwrap();
            let expected = expected.query(&value).all();
            let found = found(&path, &text).unwrap();
            let found: Vec<Value> = found.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_mask_leaves_nothing(path in path(), value in value()) {
            let text = value.to_string();
            let compiled = CompiledPath::compile(&path).unwrap();
            let masked = CompiledPath::mask(&[&compiled], &text, "\"*\"", usize::MAX).unwrap();
            let mut expected = value.clone();
            let places: Vec<String> = serde_json_path::JsonPath::parse(&path).unwrap()
                .query_located(&value).locations().map(|place| place.to_json_pointer()).collect();
            for place in places {
                if let Some(selected) = expected.pointer_mut(&place) {
                    *selected = json!("*");
                }
            }
            prop_assert_eq!(masked.unwrap_or(text), expected.to_string());
        }
    }
}
