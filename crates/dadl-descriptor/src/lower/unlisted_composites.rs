//! `_dadl_mcp.unlisted_composites`: composites that no list has, for the questions before dangerous calls.

use dadl_text::names::nearest_name;

use super::{
    context::{LowerContext, YamlSection},
    preview::harm_of,
};
use crate::{code, model::Descriptor};

/// Marks the composites that hosts do not list; the previews have been read.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for text in context.texts(extension, "unlisted_composites") {
        let name = text.value;
        let Some(at) = descriptor.composites.iter().position(|it| it.name == name) else {
            let composites = descriptor.composites.iter().map(|it| it.name.as_str());
            let meant = nearest_name(name, composites);
            let message = format!("the file has no composite `{name}`");
            context
                .error(code::UNLISTED_COMPOSITE, &text.span, message)
                .meant_or(meant, || "name one below `composites`".to_owned());
            continue;
        };
        let harm = descriptor.composites.get(at).and_then(|it| harm_of(it, descriptor));
        if let Some(reason) = harm {
            let message = format!("`{name}` does more than looking, so it is listed: {reason}");
            context.error(code::UNLISTED_COMPOSITE, &text.span, message).help(
                "leave out of lists what only reads: what changes something is seen where it is allowed",
            );
            continue;
        }
        if !descriptor.previews.iter().any(|rule| rule.look.tool == name) {
            let message = format!("no question shows what `{name}` answers, and no list has it");
            context
                .warning(code::UNLISTED_UNREAD, &text.span, message)
                .label("nobody comes to know of it")
                .help("name it in `read` of a rule of `preview`, or let it be listed");
        }
        if let Some(composite) = descriptor.composites.get_mut(at) {
            composite.is_unlisted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(unlisted: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  unlisted_composites: {unlisted}\n  \
             preview: {{before: [drop], read: card, arguments: {{id: '{{id}}'}}, show: {{name: $.name}}}}\n\
             backend:\n  name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             drop: {{method: DELETE, path: '/x/{{id}}', access: dangerous, description: D., \
             params: {{id: {{type: string, in: path}}}}}}\n    \
             get: {{method: GET, path: '/x/{{id}}', access: read, description: G., \
             params: {{id: {{type: string, in: path}}}}}}\n  composites:\n    \
             card: {{access: read, description: C., params: {{id: {{type: string, required: true}}}}, \
             code: \"return await api.get({{id: params.id}});\"}}\n    \
             other: {{access: read, description: O., code: \"return await api.get({{id: 1}});\"}}\n    \
             tidy: {{access: dangerous, delegates: [drop], description: T., \
             code: \"return await api.drop({{id: 1}});\"}}\n"
        );
        load(&SourceText::new("t", text))
    }

    #[test]
    fn what_questions_show_need_not_be_listed() {
        let loaded = loaded("[card]");
        assert_eq!(loaded.diagnostics, []);
        let composites = loaded.descriptor.unwrap().composites;
        let unlisted: Vec<bool> = composites.iter().map(|it| it.is_unlisted).collect();
        assert_eq!(unlisted, [true, false, false]);
    }

    #[test]
    fn what_nobody_would_find_is_told() {
        for (unlisted, expected) in [
            ("[crad]", "D805 the file has no composite `crad`"),
            ("[drop]", "D805 the file has no composite `drop`"),
            (
                "[tidy]",
                "D805 `tidy` does more than looking, so it is listed: its level is not `read`",
            ),
            ("[other]", "D806 no question shows what `other` answers, and no list has it"),
        ] {
            let found = loaded(unlisted).diagnostics;
            let texts: Vec<String> =
                found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect();
            assert_eq!(texts, [expected], "{unlisted}");
        }
    }
}
