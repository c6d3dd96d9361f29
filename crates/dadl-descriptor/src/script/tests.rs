//! What is erased, and what is no script.

use proptest::prelude::*;

use super::*;

/// Parses a script that has no mistake.
fn parsed(source: &str) -> ParsedScript {
    let parsed =
        ScriptParser::default().parse(source).unwrap_or_else(|it| panic!("{source}: {it:?}"));
    assert_eq!(parsed.code.len(), source.len(), "bytes stay where they are");
    assert_eq!(parsed.code.matches('\n').count(), source.matches('\n').count());
    parsed
}

fn problems(source: &str) -> Vec<String> {
    let problems = ScriptParser::default().parse(source).unwrap_err();
    let show = |it: &ScriptProblem| format!("{}: {}", &source[it.at.clone()], it.message);
    problems.iter().map(show).collect()
}

#[test]
fn annotations_of_typescript_become_spaces() {
    for (source, expected) in [
        ("let a: number = 1;", "let a = 1;"),
        ("let a: Array<{ b: string }> = [];", "let a = [];"),
        ("let a!: string;", "let a ;"),
        ("const [a, b]: [number, string] = params.p;", "const [a, b] = params.p;"),
        ("const { a }: { a?: number } = params;", "const { a } = params;"),
        ("return params as unknown as string[];", "return params ;"),
        ("return { a: 1 } satisfies Record<string, number>;", "return { a: 1 } ;"),
        ("return params.a!.b![0]!;", "return params.a .b [0] ;"),
        ("return <string>params.a;", "return params.a;"),
        ("return [] as const;", "return [] ;"),
        ("interface A { b: string; c(): void }\nreturn 1;", "; return 1;"),
        ("type A<T> = T extends string ? 1 : 2;\nreturn 1;", "; return 1;"),
        ("declare const x: number;\nreturn 1;", "; return 1;"),
        ("declare function f(a: string): void;\nreturn 1;", "; return 1;"),
        (
            "function f(a: string): string;\nfunction f(a: any) { return a; }",
            "; function f(a ) { return a; }",
        ),
        (
            "function f<T extends object>(a?: T, ...b: T[]): T | null { return a }",
            "function f (a , ...b ) { return a }",
        ),
        (
            "function f(this: Window, a = 1 as number) { return a }",
            "function f( a = 1 ) { return a }",
        ),
        (
            "const f = async (a: string, b?: number): Promise<void> => {};",
            "const f = async (a , b ) => {};",
        ),
        ("const f = <T,>(a: T): a is T => true;", "const f = (a ) => true;"),
        (
            "const f = function* (a: number): Generator<number> { yield a };",
            "const f = function* (a ) { yield a };",
        ),
        ("const f = (a: string): Array<\n  string\n> => [a];", "const f = (a ) => [a];"),
        ("return new Map<string, number>([]);", "return new Map ([]);"),
        ("return Promise.all<string>([]);", "return Promise.all ([]);"),
        ("const f = String<number>;", "const f = String ;"),
        ("try { f() } catch (e: unknown) { }", "try { f() } catch (e ) { }"),
        ("let a = params.b as any\n(() => 1)()", "let a = params.b ; (() => 1)()"),
        ("let a: any\n[1].map(String)", "let a; [1].map(String)"),
        ("let a = params.b as number\n+ 1", "let a = params.b + 1"),
        (
            "abstract class A<T> extends Map<string, T> implements B, C<T> {\n  private readonly a?: string;\n  readonly b!: number;\n  static f = 1 as number;\n  declare c: number;\n  [key: string]: any;\n  protected abstract d(): void;\n  public constructor(x: number) { super() }\n  override e?(): void {}\n}",
            "class A extends Map { a ; b ; static f = 1 ; ; constructor(x ) { super() } e () {} }",
        ),
    ] {
        let found: String = parsed(source).code.split_whitespace().collect();
        assert_eq!(found, expected.replace(' ', ""), "{source}");
    }
}

#[test]
fn javascript_stays_as_it_is() {
    for source in [
        "return a < b && c > (d);",
        "return params.x ? (a) : b => b;",
        "const f = (a) => ({ a: 1 });",
        "label: for (;;) { break label; }",
        "return `${params.a as_b}`.length;".replace(" as_b", "").as_str(),
        "const type = 1, as = 2, declare = type < as;\nreturn declare;",
        "return /[<>]!:/.test('a as b!') // x as y: z\n",
    ] {
        assert_eq!(parsed(source).code, source);
    }
}

#[test]
fn what_is_no_script_is_a_problem_with_its_place() {
    assert_eq!(problems("let a = 1;\nlet b = ;"), [";: Unexpected token"]);
    assert_eq!(
        problems("let a = 1;\nlet a = 2;"),
        ["let a = 2;: invalid redefinition of lexical identifier"]
    );
    let emitted = problems("enum A { B }\nnamespace C { export const d = 1 }");
    assert_eq!(emitted.len(), 2, "{emitted:?}");
    assert!(problems("class A { constructor(private a: string) {} }")[0].contains("property"));
    for module in ["import a from 'b';", "export const a = 1;", "return import('fs');"] {
        assert!(!problems(module).is_empty(), "{module}");
    }
    assert!(problems("}); evil(); (async () => {")[0].starts_with('}'));
    assert!(problems(&" ".repeat(MAX_BYTES + 1))[0].contains("longer than"));
}

#[test]
fn deep_nesting_and_endless_parsing_are_problems() {
    for part in ["(", "[", "!", "a=>", "{", "a?", "`${", "if(a)", "a=", "class A{x=", "f("] {
        assert!(!problems(&part.repeat(MAX_BYTES / part.len())).is_empty(), "{part}");
    }
    let deep = |part: &str, end: &str| format!("{}1{}", part.repeat(20_000), end.repeat(20_000));
    for source in [deep("(", ")"), deep("[", "]"), deep("!", "")] {
        assert!(!problems(&source).is_empty());
    }
    // Each `<` may open type arguments, which takes exponential time to find out.
    assert!(problems(&"a<".repeat(2000))[0].contains("too complex"));
}

#[test]
fn calls_are_found() {
    let parsed = parsed(
        "await api.b(); const x = params.api; api['c-d'](); f(() => api?.e()); y.api.z(); api.b()",
    );
    let names: Vec<&str> = parsed.calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "c-d", "e", "b"]);
    assert!(!parsed.computes_calls);
    for computed in ["api[params.x]()", "const { a } = api;", "f(api)", "(api as any).x()"] {
        assert!(self::parsed(computed).computes_calls, "{computed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_script_or_a_problem(source in "[a-z<>()\\[\\]{};:=!?.'`\"/$ \nü]{0,60}") {
        if let Ok(parsed) = ScriptParser::default().parse(&source) {
            prop_assert_eq!(parsed.code.len(), source.len());
        }
    }
}
