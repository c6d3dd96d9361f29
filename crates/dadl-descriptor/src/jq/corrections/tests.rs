//! Each correction by itself: what a program gives with it, as jq 1.7 does.

use crate::jq::JqProgram;

/// Runs each program on its input.
fn give(cases: &[(&str, &str, &str)]) {
    for (program, input, expected) in cases {
        let compiled = JqProgram::compile(program).unwrap();
        let output = compiled.run((*input).to_owned(), 1 << 10).map_err(|error| error.to_string());
        let output = output.map(|output| String::from_utf8(output).unwrap());
        assert_eq!(output.as_deref(), Ok(*expected), "{program}");
    }
}

#[test]
fn an_interpolated_number_is_written_as_jq_writes_it() {
    give(&[(r#""\(10 / 2) \(1e3) \(0.5)""#, "null", r#""5 1000 0.5""#)]);
}

#[test]
fn an_index_with_a_fraction_is_rounded() {
    give(&[
        (".[1.5]", "[0,1,2,3]", "1"),
        (".[length / 2]", "[0,1,2]", "1"),
        (".[1.7:3.2]", "[0,1,2,3,4]", "[1,2,3]"),
    ]);
}

#[test]
fn a_slice_of_null_is_null() {
    give(&[(".[1:2]", "null", "null"), (".note[:100]", "{}", "null")]);
}

#[test]
fn the_right_operand_is_the_outer_loop() {
    give(&[
        ("(1, 2) + (10, 20)", "null", "[11,12,21,22]"),
        ("[(1, 2) < (1, 2)]", "null", "[false,false,true,false]"),
    ]);
}

#[test]
fn an_assignment_makes_its_path() {
    give(&[
        (".a.b = 1", "null", r#"{"a":{"b":1}}"#),
        (".b[2] = 1", "{}", r#"{"b":[null,null,1]}"#),
        (".c.d += 1", "{}", r#"{"c":{"d":1}}"#),
        (".x = (1, 2)", "{}", r#"[{"x":1},{"x":2}]"#),
    ]);
}

#[test]
fn a_division_by_zero_is_an_error() {
    give(&[
        (r#"try (1 / 0) catch "no""#, "null", r#""no""#),
        (r#"try (1 % 0) catch "no""#, "null", r#""no""#),
        (r#"try (.a /= 0) catch "no""#, r#"{"a":1}"#, r#""no""#),
    ]);
}

#[test]
fn a_remainder_works_on_whole_numbers() {
    give(&[("[5.5 % 2, -7 % 3, 7 % -3]", "null", "[1,-1,1]")]);
}

#[test]
fn a_literal_with_an_exponent_may_be_whole() {
    give(&[("[1e3, 1E2, 1.5e3]", "null", "[1000,100,1500]")]);
}

#[test]
fn numbers_are_written_as_jq_writes_them() {
    give(&[
        ("[3.0 * 2, 10 / 4, nan]", "null", "[6,2.5,null]"),
        ("[infinite, -infinite]", "null", "[1.7976931348623157e+308,-1.7976931348623157e+308]"),
    ]);
}

#[test]
fn patterns_are_those_of_oniguruma() {
    give(&[
        (r#"test("(?<=b)x")"#, r#""abx""#, "true"),
        (r#"[match("x"; "gi").offset]"#, r#""🦀xüX""#, "[1,3]"),
        (r#"test(["B", "i"])"#, r#""abc""#, "true"),
        (r#"gsub("(?<d>\\d)"; "<\(.d)>")"#, r#""a1b2""#, r#""a<1>b<2>""#),
    ]);
}

#[test]
fn paths_are_set_and_deleted() {
    give(&[
        (r#"setpath(["c", 0, "b"]; 1)"#, "null", r#"{"c":[{"b":1}]}"#),
        ("del(.[] | select(. > 2))", "[1,2,3,4]", "[1,2]"),
        (r#"delpaths([["a"], ["c", "e"]])"#, r#"{"a":1,"c":{"d":3,"e":4}}"#, r#"{"c":{"d":3}}"#),
    ]);
}

#[test]
fn base32_and_forgiving_base64() {
    give(&[
        ("@base32", r#""hello""#, r#""NBSWY3DP""#),
        ("@base32d", r#""NBSWY3DP""#, r#""hello""#),
        ("@base64d", r#""aGVsbG8""#, r#""hello""#),
    ]);
}

#[test]
fn values_of_other_types_have_the_rules_of_jq() {
    give(&[
        (r#"ltrimstr("a")"#, "1", "1"),
        (r#"has("a")"#, "null", "false"),
        ("tonumber", r#""1.50""#, "1.50"),
        (r#"join(",")"#, r#"[1,null,true,"a"]"#, r#""1,,true,a""#),
    ]);
}

#[test]
fn entries_and_formats_have_the_corner_cases_of_jq() {
    give(&[
        ("from_entries", r#"[{"name":"a","value":1},{"k":"b","v":2}]"#, r#"{"a":1,"b":2}"#),
        ("[tostream]", "[1]", "[[[0],1],[[0]]]"),
        ("flatten", "[1,[2,[3]]]", "[1,2,3]"),
        ("@csv", r#"[1,"a\"b",null]"#, r#""1,\"a\"\"b\",""#),
    ]);
}

#[test]
fn local_time_is_utc() {
    give(&[
        ("localtime | mktime", "1790857845", "1790857845"),
        (r#"strftime("%c")"#, "0", r#""Thu Jan  1 00:00:00 1970""#),
    ]);
}

#[test]
fn nothing_beyond_the_input_is_there() {
    give(&[("[env, $ENV.HOME]", "null", "[{},null]")]);
    for name in ["halt", "halt_error", "input"] {
        assert!(JqProgram::compile(name).is_err(), "{name}");
    }
}
