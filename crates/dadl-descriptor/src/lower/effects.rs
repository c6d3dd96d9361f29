//! `_dadl_mcp.effects`: which tools have an effect although level and method say that they only read, and
//! the other way.

use super::{
    context::{LowerContext, YamlSection, YamlText},
    uploads::report_missing_tool,
};
use crate::{
    code,
    model::{AccessLevel, DeclaredEffect, Descriptor},
};

const KEYS: &[&str] = &["none", "some"];

/// Reads `effects` of the extension into the tools that it names.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(effects) = context.subsection(extension, "effects", KEYS) else { return };
    for (key, effect) in [("none", DeclaredEffect::None), ("some", DeclaredEffect::Some)] {
        for text in context.texts(&effects, key) {
            declare(&text, effect, descriptor, context);
        }
    }
}

fn declare<'tree>(
    name: &YamlText<'tree>,
    effect: DeclaredEffect,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(tool) = descriptor.tools.iter_mut().find(|tool| tool.name == name.value) else {
        report_missing_tool(name, &descriptor.tools, code::EFFECT, context);
        return;
    };
    if tool.declared_effect.is_some() {
        let message = format!("`{}` is named twice", name.value);
        context.error(code::EFFECT, &name.span, message);
        return;
    }
    // Whoever calls what has no effect is asked by nobody.
    if effect == DeclaredEffect::None && tool.access != Some(AccessLevel::Read) {
        let message = format!("the level of the tool `{}` is not `read`", name.value);
        context.error(code::EFFECT, &name.span, message).help("give it `access: read`");
        return;
    }
    tool.declared_effect = Some(effect);
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, model::DeclaredEffect, source::SourceText};

    fn loaded(effects: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  effects: {effects}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  auth: {{type: bearer, credential: key}}\n  \
             tools:\n    \
             list: {{method: GET, path: /things, access: read, description: L.}}\n    \
             find: {{method: POST, path: /find, access: read, description: F.}}\n    \
             make: {{method: POST, path: /things, access: write, description: M.}}\n"
        );
        load(&SourceText::new("t", text))
    }

    #[test]
    fn the_word_of_the_author_counts() {
        let loaded = loaded("{none: [find], some: [list]}");
        assert_eq!(loaded.diagnostics, []);
        let tools = loaded.descriptor.unwrap().tools;
        let effects: Vec<_> = tools.iter().map(|tool| tool.declared_effect).collect();
        assert_eq!(effects, [Some(DeclaredEffect::Some), Some(DeclaredEffect::None), None]);
    }

    #[test]
    fn what_fits_no_tool_is_found() {
        let findings = |effects: &str| -> Vec<String> {
            let found = loaded(effects).diagnostics;
            found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
        };
        let level = "D777 the level of the tool `make` is not `read`";
        assert_eq!(findings("{none: [make]}"), [level]);
        assert_eq!(findings("{none: [fnd]}"), ["D777 the file has no tool `fnd`"]);
        assert_eq!(findings("{none: [find], some: [find]}"), ["D777 `find` is named twice"]);
    }
}
