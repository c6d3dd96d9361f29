//! Rewrites the tree of a program where `jaq` gives other results than jq.
//!
//! * A text with an interpolated number shows it as jq does.
//! * An index with a fraction is rounded: `.[length / 2]`.
//! * A slice of `null` is `null`: `.note[:100]`.
//! * Of two operands with several outputs, the right one is the outer loop: `(1, 2) + (10, 20)`.
//! * An assignment makes what its path leads through: `null | .a.b = 1`.
//! * Nothing is divided by zero, and `%` works on whole numbers.
//! * A number with an exponent is a whole number when it can be one: `1e3`.

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Def, Pattern, Term},
    },
    ops::Math,
    path::{Opt, Part, Path},
};

/// Holds the input of a slice; programs have no business with this name.
const INPUT: &str = "$__input";

/// Holds the path of an assignment.
const PATH: &str = "$__path";

/// Holds the right operand.
const RIGHT: &str = "$__right";

/// The definitions that a program may use without naming them: those of the calls that are put
/// into its tree, and the one that the interpreter applies to what a text interpolates.
pub(super) const DEFINITIONS: &[&str] = &[
    "_update",
    "_update_add",
    "_update_alt",
    "_update_div",
    "_update_mul",
    "_update_rem",
    "_update_sub",
    "tostring",
];

type JqTerm<'text> = Term<&'text str>;

/// Rewrites a term and all that it consists of.
pub(in crate::jq) fn rewrite_term(tree: JqTerm<'_>) -> JqTerm<'_> {
    match tree {
        Term::Id | Term::Recurse | Term::Break(_) | Term::Var(_) => tree,
        Term::Num(digits) if digits.contains(['e', 'E']) => pipe(tree, call_term("_floor")),
        Term::Num(_) => tree,
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(inner) if format.is_none() => {
                    StrPart::Term(pipe(rewrite_term(inner), call_term("_tostring")))
                }
                StrPart::Term(inner) => StrPart::Term(rewrite_term(inner)),
                other => other,
            };
            let parts = parts.into_iter().map(part).collect();
            Term::Str(format, parts)
        }
        Term::Arr(inner) => Term::Arr(inner.map(|inner| boxed(*inner))),
        Term::Obj(members) => {
            let members = members.into_iter();
            Term::Obj(
                members.map(|(key, value)| (rewrite_term(key), value.map(rewrite_term))).collect(),
            )
        }
        Term::Neg(inner) => Term::Neg(boxed(*inner)),
        Term::BinOp(left, operator, right) => {
            rewrite_operation(rewrite_term(*left), operator, rewrite_term(*right))
        }
        Term::Label(name, inner) => Term::Label(name, boxed(*inner)),
        Term::Fold(name, source, pattern, arguments) => Term::Fold(
            name,
            boxed(*source),
            self::pattern(pattern),
            arguments.into_iter().map(rewrite_term).collect(),
        ),
        Term::TryCatch(inner, catch) => {
            Term::TryCatch(boxed(*inner), catch.map(|catch| boxed(*catch)))
        }
        Term::IfThenElse(branches, otherwise) => Term::IfThenElse(
            branches
                .into_iter()
                .map(|(test, then)| (rewrite_term(test), rewrite_term(then)))
                .collect(),
            otherwise.map(|otherwise| boxed(*otherwise)),
        ),
        Term::Def(definitions, inner) => {
            let definition = |it: Def<_>| Def { body: rewrite_term(it.body), ..it };
            Term::Def(definitions.into_iter().map(definition).collect(), boxed(*inner))
        }
        Term::Call(name, arguments) => {
            Term::Call(name, arguments.into_iter().map(rewrite_term).collect())
        }
        Term::Path(head, path) => rewrite_path(rewrite_term(*head), path),
    }
}

fn boxed(tree: JqTerm<'_>) -> Box<JqTerm<'_>> {
    Box::new(rewrite_term(tree))
}

fn call_term(name: &str) -> JqTerm<'_> {
    Term::Call(name, Vec::new())
}

fn pipe<'text>(left: JqTerm<'text>, right: JqTerm<'text>) -> JqTerm<'text> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bind<'text>(value: JqTerm<'text>, name: &'text str, inner: JqTerm<'text>) -> JqTerm<'text> {
    let pattern = BinaryOp::Pipe(Some(Pattern::Var(name)));
    Term::BinOp(Box::new(value), pattern, Box::new(inner))
}

fn pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(self::pattern).collect()),
        Pattern::Obj(members) => {
            let member = |(key, value)| (rewrite_term(key), self::pattern(value));
            Pattern::Obj(members.into_iter().map(member).collect())
        }
    }
}

fn rewrite_operation<'text>(
    left: JqTerm<'text>,
    operator: BinaryOp<&'text str>,
    right: JqTerm<'text>,
) -> JqTerm<'text> {
    let operator = match operator {
        BinaryOp::Pipe(Some(pattern)) => BinaryOp::Pipe(Some(self::pattern(pattern))),
        other => other,
    };
    match operator {
        BinaryOp::Math(Math::Div) => {
            let right = pipe(right, call_term("_divisor"));
            return ordered(left, operator, right);
        }
        BinaryOp::Math(Math::Rem) => {
            let (left, right) = (pipe(left, call_term("_trunc")), pipe(right, call_term("_trunc")));
            return ordered(left, operator, right);
        }
        BinaryOp::Assign => return assigned(left, right),
        // What the path leads through is made first: `null | .a.b |= 1`. The definitions use the
        // path twice, which copies of its tree must not: nested updates would double them.
        BinaryOp::Update if makes(&left) => return Term::Call("_update", vec![left, right]),
        BinaryOp::UpdateAlt if makes(&left) => return Term::Call("_update_alt", vec![left, right]),
        BinaryOp::UpdateMath(math) if makes(&left) => {
            let name = match math {
                Math::Add => "_update_add",
                Math::Sub => "_update_sub",
                Math::Mul => "_update_mul",
                Math::Div => "_update_div",
                Math::Rem => "_update_rem",
            };
            return Term::Call(name, vec![left, right]);
        }
        BinaryOp::UpdateMath(Math::Div) => {
            let right = pipe(right, call_term("_divisor"));
            return Term::BinOp(Box::new(left), BinaryOp::UpdateMath(Math::Div), Box::new(right));
        }
        _ => {}
    }
    ordered(left, operator, right)
}

/// Rewrites `left = right`: one output for each of the right side.
fn assigned<'text>(left: JqTerm<'text>, right: JqTerm<'text>) -> JqTerm<'text> {
    let set = Term::Call("_setpath", vec![Term::Var(PATH), Term::Var(RIGHT)]);
    let paths = Term::Call("path", vec![left]);
    let fold = Term::Fold("reduce", Box::new(paths), Pattern::Var(PATH), vec![Term::Id, set]);
    bind(right, RIGHT, fold)
}

/// Returns whether an update of a path may have to make something.
fn makes(tree: &JqTerm<'_>) -> bool {
    match tree {
        Term::Id | Term::Recurse => false,
        Term::Path(head, Path(parts)) => {
            makes(head) || !parts.iter().all(|(part, _)| matches!(part, Part::Range(..)))
        }
        _ => true,
    }
}

/// Makes the right operand the outer loop when both have several outputs.
fn ordered<'text>(
    left: JqTerm<'text>,
    operator: BinaryOp<&'text str>,
    right: JqTerm<'text>,
) -> JqTerm<'text> {
    let computes = matches!(operator, BinaryOp::Math(_) | BinaryOp::Cmp(_));
    if computes && !is_single(&left) && !is_single(&right) {
        let computed = Term::BinOp(Box::new(left), operator, Box::new(Term::Var(RIGHT)));
        return bind(right, RIGHT, computed);
    }
    Term::BinOp(Box::new(left), operator, Box::new(right))
}

/// Returns whether a term has at most one output; false when nobody knows.
fn is_single(tree: &JqTerm<'_>) -> bool {
    match tree {
        Term::Id | Term::Num(_) | Term::Arr(_) | Term::Var(_) => true,
        Term::Str(_, parts) => parts.iter().all(|part| match part {
            StrPart::Term(inner) => is_single(inner),
            StrPart::Str(_) | StrPart::Char(_) => true,
        }),
        Term::Neg(inner) => is_single(inner),
        Term::BinOp(left, BinaryOp::Math(_) | BinaryOp::Cmp(_) | BinaryOp::Pipe(None), right) => {
            is_single(left) && is_single(right)
        }
        Term::Call(name, arguments) => {
            arguments.is_empty()
                && matches!(
                    *name,
                    "_divisor"
                        | "_floor"
                        | "_tostring"
                        | "_trunc"
                        | "add"
                        | "length"
                        | "tonumber"
                        | "tostring"
                )
        }
        Term::Path(head, Path(parts)) => {
            let part = |(part, _): &(Part<_>, Opt)| match part {
                Part::Index(index) => is_single(index),
                Part::Range(..) => false,
            };
            is_single(head) && parts.iter().all(part)
        }
        _ => false,
    }
}

/// Rewrites the parts of a path, whose indexes and bounds see the input of the whole path.
fn rewrite_path<'text>(head: JqTerm<'text>, Path(parts): Path<JqTerm<'text>>) -> JqTerm<'text> {
    let mut is_bound = false;
    let mut tree = head;
    let mut simple = Vec::new();
    for (part, opt) in parts {
        match part {
            Part::Index(index) => {
                simple.push((Part::Index(rounded(rewrite_term(index), "_floor")), opt))
            }
            Part::Range(None, None) => simple.push((Part::Range(None, None), opt)),
            Part::Range(start, end) => {
                let mut bound = |bound: JqTerm<'text>, name| {
                    let bound = rounded(rewrite_term(bound), name);
                    if is_constant(&bound) {
                        return bound;
                    }
                    is_bound = true;
                    pipe(Term::Var(INPUT), bound)
                };
                let start = start.map(|start| bound(start, "_floor"));
                let end = end.map(|end| bound(end, "_ceil"));
                let slice = Path(vec![(Part::Range(start, end), opt)]);
                let slice = Term::Path(Box::new(Term::Id), slice);
                let is_null = (call_term("_isnull"), Term::Id);
                let slice = Term::IfThenElse(vec![is_null], Some(Box::new(slice)));
                tree = pipe(with_parts(tree, std::mem::take(&mut simple)), slice);
            }
        }
    }
    let tree = with_parts(tree, simple);
    if is_bound { bind(Term::Id, INPUT, tree) } else { tree }
}

fn with_parts<'text>(head: JqTerm<'text>, parts: Vec<(Part<JqTerm<'text>>, Opt)>) -> JqTerm<'text> {
    if parts.is_empty() { head } else { Term::Path(Box::new(head), Path(parts)) }
}

/// Returns whether a term gives the same whatever its input is.
fn is_constant(tree: &JqTerm<'_>) -> bool {
    match tree {
        Term::Num(_) | Term::Var(_) => true,
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        Term::Neg(inner) => is_constant(inner),
        Term::BinOp(left, BinaryOp::Pipe(None), right) => {
            is_constant(left) && matches!(**right, Term::Call("_floor" | "_ceil", _))
        }
        _ => false,
    }
}

/// Rounds an index unless it is a text or a whole number.
fn rounded<'text>(index: JqTerm<'text>, name: &'text str) -> JqTerm<'text> {
    let whole = |tree: &JqTerm<'_>| matches!(tree, Term::Num(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()));
    match &index {
        Term::Str(..) => index,
        Term::Neg(inner) if whole(inner) => index,
        other if whole(other) => index,
        _ => pipe(index, call_term(name)),
    }
}
