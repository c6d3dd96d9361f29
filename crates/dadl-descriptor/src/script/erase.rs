//! TypeScript's annotations become spaces, so that lines and columns stay where they are.
//!
//! What TypeScript checks and forgets is erased; what it turns into other code (enums, namespaces,
//! parameter properties) is refused. The technique is that of `ts-blank-space`: where a line ended
//! in a type, and the next one would now continue the expression, a semicolon takes its place.

use std::ops::Range;

use oxc_ast::ast;
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan as _, Span};
use oxc_syntax::scope::ScopeFlags;

use super::{ParsedScript, ScriptProblem};

/// What a line that goes on may begin with; type annotations never go on like this.
const CONTINUATIONS: [char; 3] = ['(', '[', '`'];

/// Erases the annotations of a parsed script and collects what it calls.
pub(super) fn erase(
    source: &str,
    program: &ast::Program<'_>,
) -> Result<ParsedScript, Vec<ScriptProblem>> {
    let mut eraser = TypeEraser {
        source,
        code: source.as_bytes().to_vec(),
        calls: Vec::new(),
        computes_calls: false,
        problems: Vec::new(),
    };
    eraser.visit_program(program);
    let TypeEraser { code, calls, computes_calls, mut problems, .. } = eraser;
    match String::from_utf8(code) {
        Ok(code) if problems.is_empty() => return Ok(ParsedScript { code, calls, computes_calls }),
        Ok(_) => {}
        Err(_) => problems.push(ScriptProblem::new("the code cannot be parsed", 0..0)),
    }
    Err(problems)
}

struct TypeEraser<'source> {
    source: &'source str,
    code: Vec<u8>,
    calls: Vec<(String, Range<usize>)>,
    computes_calls: bool,
    problems: Vec<ScriptProblem>,
}

fn span_range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

impl TypeEraser<'_> {
    fn text(&self, range: Range<usize>) -> &str {
        self.source.get(range).unwrap_or_default()
    }

    fn put(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.code.get_mut(at) {
            *place = byte;
        }
    }

    /// Turns bytes into spaces; line breaks stay.
    fn blank(&mut self, range: Range<usize>) {
        for byte in self.code.get_mut(range).unwrap_or_default() {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }

    /// Blanks what ends a line, and keeps the next line apart from this one.
    fn blank_end(&mut self, range: Range<usize>) {
        let rest = self.source.get(range.end..).unwrap_or_default();
        let next = rest.trim_start();
        let gap = self.text(range.end..self.source.len() - next.len());
        let goes_on = gap.contains('\n') && next.starts_with(CONTINUATIONS);
        let start = range.start;
        self.blank(range);
        if goes_on {
            self.put(start, b';');
        }
    }

    /// Blanks a whole statement.
    fn blank_statement(&mut self, span: Span) {
        self.blank(span_range(span));
        self.put(span.start as usize, b';');
    }

    /// Blanks the first of these characters in `range`.
    fn blank_mark(&mut self, range: Range<usize>, mark: char) {
        if let Some(at) = self.text(range.clone()).find(mark) {
            self.blank(range.start + at..range.start + at + 1);
        }
    }

    /// Blanks the modifiers before a member of a class or before a class.
    fn blank_modifiers(&mut self, range: Range<usize>) {
        const MODIFIERS: [&str; 7] =
            ["public", "private", "protected", "readonly", "override", "abstract", "declare"];
        let mut blanks = Vec::new();
        let mut word = None;
        let text = self.text(range.clone());
        for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
            if character.is_alphanumeric() || matches!(character, '_' | '$') {
                word.get_or_insert(at);
            } else if let Some(start) = word.take()
                && text.get(start..at).is_some_and(|word| MODIFIERS.contains(&word))
            {
                blanks.push(range.start + start..range.start + at);
            }
        }
        for range in blanks {
            self.blank(range);
        }
    }

    fn refuse(&mut self, span: Span, what: &str, help: &'static str) {
        let message = format!("{what} cannot be used in a composite");
        self.problems.push(ScriptProblem { message, at: span_range(span), help: Some(help) });
    }

    fn refuse_emitted(&mut self, span: Span, what: &str) {
        self.refuse(span, what, "TypeScript turns it into other code; write that as JavaScript");
    }

    fn refuse_module(&mut self, span: Span) {
        self.refuse(span, "a module", "a script has `api` and `params`, and can load nothing");
    }
}

impl<'a> Visit<'a> for TypeEraser<'_> {
    // Calls of tools.

    fn visit_identifier_reference(&mut self, it: &ast::IdentifierReference<'a>) {
        self.computes_calls |= it.name == "api";
    }

    fn visit_static_member_expression(&mut self, it: &ast::StaticMemberExpression<'a>) {
        if is_api(&it.object) {
            self.calls.push((it.property.name.to_string(), span_range(it.property.span)));
        } else {
            walk::walk_static_member_expression(self, it);
        }
    }

    fn visit_computed_member_expression(&mut self, it: &ast::ComputedMemberExpression<'a>) {
        match &it.expression {
            ast::Expression::StringLiteral(name) if is_api(&it.object) => {
                self.calls.push((name.value.to_string(), span_range(name.span)));
            }
            _ => walk::walk_computed_member_expression(self, it),
        }
    }

    // Types.

    fn visit_ts_type_annotation(&mut self, it: &ast::TSTypeAnnotation<'a>) {
        self.blank_end(span_range(it.span));
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &ast::TSTypeParameterDeclaration<'a>) {
        self.blank(span_range(it.span));
    }

    fn visit_ts_type_parameter_instantiation(
        &mut self,
        it: &ast::TSTypeParameterInstantiation<'a>,
    ) {
        self.blank(span_range(it.span));
    }

    fn visit_ts_as_expression(&mut self, it: &ast::TSAsExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank_end(it.expression.span().end as usize..it.span.end as usize);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &ast::TSSatisfiesExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank_end(it.expression.span().end as usize..it.span.end as usize);
    }

    fn visit_ts_non_null_expression(&mut self, it: &ast::TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank_mark(it.expression.span().end as usize..it.span.end as usize, '!');
    }

    fn visit_ts_type_assertion(&mut self, it: &ast::TSTypeAssertion<'a>) {
        let assertion = it.span.start as usize..it.expression.span().start as usize;
        if self.text(assertion.clone()).contains('\n') {
            // `return` and its value would be torn apart.
            self.refuse(it.span, "a type assertion over several lines", "write `value as Type`");
        }
        self.blank(assertion);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_interface_declaration(&mut self, it: &ast::TSInterfaceDeclaration<'a>) {
        self.blank_statement(it.span);
    }

    fn visit_ts_type_alias_declaration(&mut self, it: &ast::TSTypeAliasDeclaration<'a>) {
        self.blank_statement(it.span);
    }

    fn visit_ts_this_parameter(&mut self, it: &ast::TSThisParameter<'a>) {
        let end = it.span.end as usize;
        let rest = self.source.get(end..).unwrap_or_default();
        let gap = rest.len() - rest.trim_start().len();
        let comma = usize::from(rest.trim_start().starts_with(','));
        self.blank(it.span.start as usize..end + (gap + comma) * comma);
    }

    fn visit_ts_index_signature(&mut self, it: &ast::TSIndexSignature<'a>) {
        self.blank(span_range(it.span));
    }

    // Annotations that are part of something that stays.

    fn visit_variable_declaration(&mut self, it: &ast::VariableDeclaration<'a>) {
        if it.declare {
            self.blank_statement(it.span);
        } else {
            walk::walk_variable_declaration(self, it);
        }
    }

    fn visit_variable_declarator(&mut self, it: &ast::VariableDeclarator<'a>) {
        if it.definite {
            self.blank_mark(it.id.span().end as usize..it.span.end as usize, '!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_formal_parameter(&mut self, it: &ast::FormalParameter<'a>) {
        if it.accessibility.is_some() || it.readonly || it.r#override {
            self.refuse_emitted(it.span, "a parameter property");
        }
        if it.optional {
            self.blank_mark(it.pattern.span().end as usize..it.span.end as usize, '?');
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_function(&mut self, it: &ast::Function<'a>, flags: ScopeFlags) {
        if it.declare || it.body.is_none() {
            self.blank_statement(it.span);
        } else {
            walk::walk_function(self, it, flags);
        }
    }

    fn visit_arrow_function_expression(&mut self, it: &ast::ArrowFunctionExpression<'a>) {
        walk::walk_arrow_function_expression(self, it);
        let Some(returned) = &it.return_type else { return };
        let returned = span_range(returned.span);
        let parenthesis = self.text(0..returned.start).rfind(')');
        if let Some(parenthesis) = parenthesis
            && self.text(parenthesis..returned.end).contains('\n')
        {
            // No line may end before `=>`.
            self.put(parenthesis, b' ');
            self.put(returned.end - 1, b')');
        }
    }

    fn visit_class(&mut self, it: &ast::Class<'a>) {
        if it.declare {
            self.blank_statement(it.span);
            return;
        }
        let start = it.decorators.last().map_or(it.span.start, |last| last.span.end) as usize;
        if it.r#abstract
            && let Some(keyword) = self.text(start..it.body.span.start as usize).find("class")
        {
            self.blank_modifiers(start..start + keyword);
        }
        if let (Some(first), Some(last)) = (it.implements.first(), it.implements.last()) {
            let before = self.text(0..first.span.start as usize).rfind("implements");
            self.blank(before.unwrap_or(first.span.start as usize)..last.span.end as usize);
        }
        walk::walk_class(self, it);
    }

    fn visit_ts_class_implements(&mut self, _: &ast::TSClassImplements<'a>) {}

    fn visit_method_definition(&mut self, it: &ast::MethodDefinition<'a>) {
        if it.value.body.is_none() {
            self.blank(span_range(it.span));
            return;
        }
        let key = span_range(it.key.span());
        self.blank_modifiers(it.span.start as usize..key.start);
        if it.optional {
            self.blank_mark(key.end..it.value.span.start as usize, '?');
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &ast::PropertyDefinition<'a>) {
        let is_abstract = it.r#type == ast::PropertyDefinitionType::TSAbstractPropertyDefinition;
        if it.declare || is_abstract {
            self.blank_statement(it.span);
            return;
        }
        let key = span_range(it.key.span());
        self.blank_modifiers(it.span.start as usize..key.start);
        for (is_marked, mark) in [(it.optional, '?'), (it.definite, '!')] {
            if is_marked {
                self.blank_mark(key.end..it.span.end as usize, mark);
            }
        }
        walk::walk_property_definition(self, it);
    }

    // What has no place in a script.

    fn visit_ts_enum_declaration(&mut self, it: &ast::TSEnumDeclaration<'a>) {
        self.refuse_emitted(it.span, "an enum");
    }

    fn visit_ts_namespace_declaration(&mut self, it: &ast::TSNamespaceDeclaration<'a>) {
        self.refuse_emitted(it.span, "a namespace");
    }

    fn visit_ts_external_module_declaration(&mut self, it: &ast::TSExternalModuleDeclaration<'a>) {
        self.refuse_emitted(it.span, "a namespace");
    }

    fn visit_ts_global_declaration(&mut self, it: &ast::TSGlobalDeclaration<'a>) {
        self.refuse_emitted(it.span, "a namespace");
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &ast::TSImportEqualsDeclaration<'a>) {
        self.refuse_module(it.span);
    }

    fn visit_ts_export_assignment(&mut self, it: &ast::TSExportAssignment<'a>) {
        self.refuse_module(it.span);
    }

    fn visit_import_declaration(&mut self, it: &ast::ImportDeclaration<'a>) {
        self.refuse_module(it.span);
    }

    fn visit_import_expression(&mut self, it: &ast::ImportExpression<'a>) {
        self.refuse_module(it.span);
    }

    fn visit_import_meta(&mut self, it: &ast::ImportMeta) {
        self.refuse_module(it.span);
    }

    fn visit_decorator(&mut self, it: &ast::Decorator<'a>) {
        self.refuse_emitted(it.span, "a decorator");
    }
}

fn is_api(expression: &ast::Expression<'_>) -> bool {
    matches!(expression, ast::Expression::Identifier(name) if name.name == "api")
}
