//! Programs and what comes out of them. The comparison with jq itself is in `tests/it/jq_oracle.rs`.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn run(program: &str, input: &str) -> Result<String, String> {
    let program = JqProgram::compile(program).map_err(|error| error.to_string())?;
    let output = program.run(input.to_owned(), 1 << 10).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(output).unwrap())
}

fn gives(program: &str, input: &str, expected: &str) {
    assert_eq!(run(program, input).as_deref(), Ok(expected), "{program}");
}

fn refused(program: &str) -> (String, String) {
    let error = JqFilter::new(program).unwrap_err();
    let part = error.span.map(|span| program[span].to_owned()).unwrap_or_default();
    (error.message, part)
}

#[test]
fn outputs_become_one_value() {
    gives(".", "1", "1");
    gives(".[]", "[1,2]", "[1,2]");
    gives(".[]", "[3]", "3");
    gives("empty", "1", "null");
    gives(" # nothing", "[1]", "[1]");
}

#[test]
fn numbers_and_order_stay() {
    let input = r#"{"z":123456789012345678901234567890,"a":1.10,"b":1e2}"#;
    gives(".", input, input);
    gives("del(.a)", input, r#"{"z":123456789012345678901234567890,"b":1e2}"#);
    gives("[.[]]", "[9007199254740993,-0,1.5e300]", "[9007199254740993,0,1.5e300]");
}

#[test]
fn what_json_cannot_say_becomes_what_jq_says() {
    gives(
        "[nan, infinite, -infinite]",
        "1",
        "[null,1.7976931348623157e+308,-1.7976931348623157e+308]",
    );
    gives("\"\\(10/2) \\(1/8)\"", "1", "\"5 0.125\"");
}

#[test]
fn nothing_beyond_the_input_is_reached() {
    gives("[env, $ENV, $ENV.PATH, env.HOME]", "1", "[{},{},null,null]");
    for name in ["input", "inputs", "halt", "halt_error", "input_filename", "modulemeta"] {
        let (message, part) = refused(name);
        assert!(message.contains("cannot be used"), "{message}");
        assert_eq!(part, name);
    }
    for program in ["import \"a\" as a; .", "include \"a\"; .", "import \"a\" as $a; $a"] {
        assert_eq!(refused(program).0, "modules do not exist here");
    }
}

#[test]
fn errors_have_a_place() {
    let gives = |program: &str, message: &str, part: &str| {
        assert_eq!(refused(program), (message.to_owned(), part.to_owned()), "{program}");
    };
    gives("map(.a) | nope(1; 2)", "`nope/2` is not defined", "nope");
    gives("$x", "`$x` is not defined", "$x");
    gives("{a: }", "term expected instead of `}`", "}");
    gives("map(.a", "closing parenthesis expected, but the program ends", "");
    gives(".a ]", "token expected instead of `]`", "]");
    gives("if . then", "term expected, but the program ends", "");
    gives("break $x", "the label `$x` is not defined", "$x");
    assert!(refused(&"1,".repeat(LONGEST_PROGRAM)).0.contains("longer than"));
}

#[test]
fn a_result_has_a_bound() {
    let program = JqProgram::compile("[range(1000)]").unwrap();
    assert_eq!(program.run("1", 100), Err(RunError::Output(100)));
    let error = JqProgram::compile("error(\"x\" * 2000)").unwrap().run("1", 100).unwrap_err();
    assert!(error.to_string().len() < 600);
}

#[test]
fn the_library_compiles() {
    // A definition that does not parse would be missed by nobody.
    for name in ["@base32", "ascii", "tostream", "JOIN({}; .)", "toarray", "format(\"text\")"] {
        assert_eq!(JqFilter::new(name).map(|_| ()), Ok(()), "{name}");
    }
}

#[test]
fn a_program_gets_all_definitions_that_it_uses() {
    for (name, arity) in corrections::native::names() {
        let program = match arity {
            0 => name.to_owned(),
            _ => format!("{name}({})", vec!["."; arity].join("; ")),
        };
        let compiled = JqProgram::compile(&program).map(|_| ());
        assert_eq!(compiled, Ok(()), "{program}");
    }
    gives(".[0] += 1 | @json \"\\(.)\"", "[1]", "\"[2]\"");
}

#[test]
fn the_deepest_programs_need_no_more_than_the_stack() {
    for (open, core, close) in [
        ("[", "1", "]"),
        ("-", "1", ""),
        ("(", ".", ")"),
        ("def f:", ".", ";."),
        ("try ", ".", ""),
        ("if .then ", ".", " end"),
        ("\"\\(", ".", ")\""),
        (".|", ".", ""),
        ("{a:", "1", "}"),
        ("reduce . as $x(", ".", ";.)"),
        (". as $x|", ".", ""),
        (".[", "0", "]"),
        (".a|=", ".", ""),
        ("(", ".a", "|=1)"),
        ("label $a|", ".", ""),
    ] {
        let count = LONGEST_PROGRAM / (open.len() + close.len()) - 1;
        // Some of these are programs and some are not; none may end the process.
        let _ = JqFilter::new(&(open.repeat(count) + core + &close.repeat(count)));
    }
}

/// Programs that are nearly programs.
fn program() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(vec![
        ".",
        ".a",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "|",
        ",",
        ";",
        ":",
        "?",
        "//",
        "..",
        "=",
        "|=",
        "+=",
        "-",
        "*",
        "/",
        "%",
        "<",
        "and",
        "not",
        "def f:",
        "f",
        "if",
        "then",
        "else",
        "end",
        "reduce",
        "foreach",
        "as",
        "$x",
        "label $l |",
        "break $l",
        "try",
        "catch",
        "\"",
        "\\(",
        "\\ud83e",
        "@base64",
        "1e999",
        "0x",
        "#",
        "\n",
        "map",
        "select",
        "empty",
        "🦀",
        "import",
        "$__loc__",
    ]);
    prop_oneof![
        proptest::collection::vec(words, 0..25).prop_map(|words| words.join(" ")),
        any::<String>(),
    ]
}

fn lower_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_program_or_an_error_with_a_place(text in program()) {
        match JqProgram::compile(&text) {
            Ok(_) => prop_assert!(JqFilter::new(&text).is_ok()),
            Err(error) => {
                prop_assert!(!error.message.is_empty());
                prop_assert!(error.span.is_none_or(|span| text.get(span).is_some()));
            }
        }
    }

    #[test]
    fn the_identity_changes_nothing(value in lower_value()) {
        let text = value.to_string();
        let program = JqProgram::compile(".").unwrap();
        let printed = program.run(text.clone(), 1 << 20).unwrap();
        let printed: Value = serde_json::from_slice(&printed).unwrap();
        prop_assert_eq!(printed.to_string(), text);
    }
}
