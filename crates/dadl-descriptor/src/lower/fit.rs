//! `fit` of `_dadl_mcp`: where a server says what it has, and what tools need.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use dadl_text::{
    names::{DangerLevel, path::is_dot_segment},
    text::first_hidden,
};

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    rules::one_or_more,
    switch::asked_tool,
};
use crate::{
    code,
    model::{
        AccessLevel, Descriptor, Tool,
        fit::{FitSource, FitVersion, ServerFit, ServerVersion, ToolNeeds, VersionError},
    },
    yaml::YamlValue,
};

const KEYS: &[&str] = &[
    "complete_since",
    "methods",
    "needs",
    "openapi",
    "product",
    "public",
    "releases",
    "since",
    "update",
    "version",
];
const VERSION_KEYS: &[&str] = &["path", "tool"];
const NEEDS_KEYS: &[&str] = &["instead", "plugin", "remedy", "shown_by", "shown_since", "tools"];

/// A longer text is no line that anybody reads in an error.
const LONGEST: usize = 200;

/// Lowers `fit`; the tools are known.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<ServerFit> {
    let section = context.subsection(extension, "fit", KEYS)?;
    let mut reader = FitReader { descriptor, context };
    let source = reader.read_source(&section);
    let product = reader.read_product(&section);
    let fit = ServerFit {
        public: reader.context.boolean(&section, "public").unwrap_or(false),
        version: reader.says_version(&section),
        complete_since: reader.version_of(&section, "complete_since"),
        releases: reader.read_releases(&section),
        update: reader.read_line(&section, "update"),
        since: reader.read_since(&section),
        needs: reader.read_needs(&section),
        source: source?,
        product: product?,
    };
    Some(fit)
}

/// What all parts look at.
struct FitReader<'a, 'tree> {
    descriptor: &'a Descriptor,
    context: &'a mut LowerContext<'tree>,
}

impl<'tree> FitReader<'_, 'tree> {
    fn report_error(&mut self, span: &Range<usize>, message: impl Into<String>, help: &str) {
        self.context.error(code::FIT, span, message).help(help.to_owned());
    }

    fn read_source(&mut self, section: &YamlSection<'tree>) -> Option<FitSource> {
        let is_rpc = self.descriptor.tools.iter().any(|tool| tool.rpc().is_some());
        let openapi = self.context.text(section, "openapi");
        let methods = self.context.text(section, "methods");
        match (openapi, methods) {
            (Some(path), None) if is_rpc => {
                let message = "no document has the methods of a JSON-RPC API";
                self.report_error(
                    &path.span,
                    message,
                    "write `methods` and the tool that lists them",
                );
                None
            }
            (Some(path), None) => {
                let is_path = path.value.starts_with('/')
                    && !path.value.contains("//")
                    && !path.value.contains(['?', '#', '{', '}', '\\', ' '])
                    && !path.value.split('/').any(is_dot_segment)
                    && path.value.len() <= LONGEST
                    && path.value.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_path {
                    let message = "`openapi` is no path below the base URL";
                    self.report_error(&path.span, message, "write a path such as `/openapi.json`");
                    return None;
                }
                Some(FitSource::OpenApi(path.value.to_owned()))
            }
            (None, Some(tool)) if !is_rpc => {
                let message = "`methods` is for JSON-RPC, and this backend is none";
                self.report_error(
                    &tool.span,
                    message,
                    "write `openapi` and the path of the document",
                );
                None
            }
            (None, Some(tool)) => {
                let tool = self.asked_tool(&tool)?;
                Some(FitSource::Methods(tool.name.clone()))
            }
            (both, _) => {
                let says = if both.is_some() { "in two ways" } else { "nowhere" };
                let message = format!("`fit` says {says} where a server says what it has");
                self.report_error(&section.span, message, "write one of `openapi` and `methods`");
                None
            }
        }
    }

    fn asked_tool(&mut self, name: &YamlText<'tree>) -> Option<&Tool> {
        asked_tool(name, &self.descriptor.tools, code::FIT, self.context)
    }

    fn read_product(&mut self, section: &YamlSection<'tree>) -> Option<String> {
        let text = self.context.required_text(section, "product")?;
        let is_name = text.value.len() <= 40
            && text
                .value
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b' ' | b'.' | b'-'))
            && text.value.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !is_name {
            self.report_error(
                &text.span,
                "`product` is no name",
                "write a-z, 0-9, `.`, `-`, such as `api`",
            );
            return None;
        }
        Some(text.value.to_owned())
    }

    fn says_version(&mut self, section: &YamlSection<'tree>) -> Option<FitVersion> {
        let says = self.context.subsection(section, "version", VERSION_KEYS)?;
        let name = self.context.required_text(&says, "tool")?;
        let path = self.context.json_path(&says, "path");
        let tool = self.asked_tool(&name)?.name.clone();
        Some(FitVersion { tool, path })
    }

    fn version_of(
        &mut self,
        section: &YamlSection<'tree>,
        key: &'static str,
    ) -> Option<ServerVersion> {
        let text = self.context.text(section, key)?;
        self.read_version(text.value, &text.span)
    }

    fn read_version(&mut self, text: &str, span: &Range<usize>) -> Option<ServerVersion> {
        match text.parse() {
            Ok(version) => Some(version),
            Err(error) => {
                let error: VersionError = error;
                self.context
                    .error(code::FIT, span, format!("`{text}` is no version"))
                    .label(error.to_string())
                    .help("write one such as \"1.2.0\"");
                None
            }
        }
    }

    /// Reads a text that models and people get in errors.
    fn read_line(&mut self, section: &YamlSection<'tree>, key: &'static str) -> Option<String> {
        let text = self.context.text(section, key)?;
        self.checked_line(&text, key)
    }

    fn checked_line(&mut self, text: &YamlText<'tree>, what: &str) -> Option<String> {
        let is_line = !text.value.trim().is_empty()
            && text.value.len() <= LONGEST
            && !text.value.contains(|at: char| at.is_control())
            && first_hidden(text.value).is_none();
        if !is_line {
            let help = format!("write one line of at most {LONGEST} bytes");
            self.report_error(&text.span, format!("`{what}` is no line of text"), &help);
        }
        is_line.then(|| text.value.trim().to_owned())
    }

    fn read_releases(&mut self, section: &YamlSection<'tree>) -> Vec<(ServerVersion, String)> {
        let mut releases: Vec<(ServerVersion, String)> = Vec::new();
        let Some(entry) = section.entry("releases") else { return releases };
        let place = MappingPlace::Key("releases");
        let Some(section) = self.context.open(&entry.value, &entry.key_span, place) else {
            return releases;
        };
        for entry in section.entries() {
            let version = self.read_version(&entry.key, &entry.key_span);
            let what = format_args!("the release of `{}`", entry.key);
            let Some(name) = self.context.node_text(&entry.value, what) else { continue };
            let name = self.checked_line(&name, "releases");
            let (Some(version), Some(name)) = (version, name) else { continue };
            if releases.last().is_some_and(|(last, _)| *last >= version) {
                let message = format!("the release `{name}` is not newer than the one before it");
                self.report_error(&entry.key_span, message, "write the oldest first");
                continue;
            }
            releases.push((version, name));
        }
        releases
    }

    fn read_since(&mut self, section: &YamlSection<'tree>) -> BTreeMap<String, ServerVersion> {
        let mut since = BTreeMap::new();
        let Some(entry) = section.entry("since") else { return since };
        let place = MappingPlace::Key("since");
        let Some(section) = self.context.open(&entry.value, &entry.key_span, place) else {
            return since;
        };
        for entry in section.entries() {
            let version = self.read_version(&entry.key, &entry.key_span);
            let nodes = match &entry.value.value {
                YamlValue::Sequence(items) => *items,
                _ => std::slice::from_ref(&entry.value),
            };
            for node in nodes {
                let what = format_args!("a tool of `{}`", entry.key);
                let Some(name) = self.context.node_text(node, what) else { continue };
                let (Some(version), Some(name)) = (version, self.known_tool(&name)) else {
                    continue;
                };
                if since.insert(name.clone(), version).is_some() {
                    self.report_twice(&name, &node.span);
                }
            }
        }
        since
    }

    fn read_needs(&mut self, section: &YamlSection<'tree>) -> BTreeMap<String, Arc<ToolNeeds>> {
        let mut needs = BTreeMap::new();
        for node in self.context.items(section, "needs") {
            let place = MappingPlace::Only("a group of `needs`");
            let Some(group) = self.context.section(node, &node.span, place, NEEDS_KEYS) else {
                continue;
            };
            let tools = self.read_names(&group, "tools");
            if tools.is_empty() {
                if one_or_more(&group, "tools").is_empty() {
                    self.context.report_missing(&group, "tools");
                }
                continue;
            }
            let mut shown_by = self.read_names(&group, "shown_by");
            if let Some(own) = shown_by.iter().find(|name| tools.contains(name)) {
                let message = format!("the tool `{own}` is to show itself");
                self.context.warning(code::FIT_TOOL, &group.span, message);
            }
            shown_by.retain(|name| !tools.contains(name));
            let wants = Arc::new(ToolNeeds {
                plugin: self.read_line(&group, "plugin"),
                shown_by,
                shown_since: self.version_of(&group, "shown_since"),
                remedy: self.read_line(&group, "remedy"),
                instead: self.read_instead(&group, &tools),
            });
            for name in tools {
                if needs.insert(name.clone(), Arc::clone(&wants)).is_some() {
                    self.report_twice(&name, &group.span);
                }
            }
        }
        needs
    }

    /// Reads what to call instead: it goes no further than each of `tools`.
    fn read_instead(&mut self, group: &YamlSection<'tree>, tools: &[String]) -> Option<String> {
        let text = self.context.text(group, "instead")?;
        let name = self.known_tool(&text)?;
        let other = self.tool_danger(&name);
        match tools.iter().find(|tool| self.tool_danger(tool) < other) {
            Some(tool) => {
                let message = format!("`{name}` goes further than `{tool}`");
                self.report_error(
                    &text.span,
                    message,
                    "name a tool whose access level is no higher",
                );
                None
            }
            None => Some(name),
        }
    }

    fn tool_danger(&self, name: &str) -> DangerLevel {
        let tools = self.descriptor.tools.iter().map(|tool| (&tool.name, tool.access.as_ref()));
        let composites = &self.descriptor.composites;
        let composites = composites.iter().map(|it| (&it.name, it.access.as_ref()));
        let found = tools.chain(composites).find(|(known, _)| *known == name);
        AccessLevel::danger(found.and_then(|(_, access)| access))
    }

    fn read_names(&mut self, section: &YamlSection<'tree>, key: &'static str) -> Vec<String> {
        let texts = self.context.texts(section, key);
        texts.iter().filter_map(|text| self.known_tool(text)).collect()
    }

    /// Returns the name of a tool or composite of the file.
    fn known_tool(&mut self, text: &YamlText<'tree>) -> Option<String> {
        if self.descriptor.names().any(|name| name == text.value) {
            return Some(text.value.to_owned());
        }
        let meant = self.context.nearest_tool(text.value, self.descriptor.names());
        let message = format!("the file has no tool `{}`", text.value);
        self.context.warning(code::FIT_TOOL, &text.span, message).meant(meant);
        None
    }

    fn report_twice(&mut self, name: &str, span: &Range<usize>) {
        let message = format!("`{name}` is named twice");
        self.context.warning(code::FIT_TOOL, span, message).help("the last one counts");
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        LoadedDescriptor, load,
        model::fit::{FitSource, ServerVersion},
        source::SourceText,
    };

    fn loaded(fit: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  fit: {fit}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  auth: {{type: bearer, credential: key}}\n  \
             tools:\n    \
             list: {{method: GET, path: /things, access: read, description: L.}}\n    \
             get: {{method: GET, path: \"/things/{{id}}\", access: read, description: G., params: {{\
             id: {{type: string, in: path, required: true}}}}}}\n    \
             make: {{method: POST, path: /things, access: write, description: M.}}\n    \
             drop: {{method: DELETE, path: /things, access: dangerous, description: D.}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn findings(fit: &str) -> Vec<String> {
        let found = loaded(fit).diagnostics;
        found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
    }

    #[test]
    fn a_fit_is_read() {
        let loaded = loaded(
            "{openapi: /api/doc.json, public: true, product: api, complete_since: \"0.2\", \
             version: {tool: list, path: $.version}, update: update it, \
             releases: {\"1.0.0\": One, \"2.0\": Two}, \
             since: {\"1.5\": [get, make], \"2\": list}, \
             needs: [{tools: [drop], plugin: sdn, shown_by: [make], shown_since: \"1.9\", \
             remedy: load it, instead: make}]}",
        );
        assert_eq!(loaded.diagnostics, []);
        let fit = loaded.descriptor.unwrap().fit.unwrap();
        assert_eq!(fit.source, FitSource::OpenApi("/api/doc.json".to_owned()));
        assert!(fit.public);
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        assert_eq!(fit.since.get("make"), Some(&version("1.5.0")));
        assert_eq!(fit.since.get("list"), Some(&version("2.0.0")));
        assert_eq!(fit.named(version("1.9.9")), "api 1.9.9 (One)");
        assert_eq!(fit.named(version("3")), "api 3.0.0 (Two)");
        assert_eq!(fit.named(version("0.9")), "api 0.9.0");
        assert_eq!(fit.last_tried(), Some(version("2.0.0")));
        let needs = fit.needs.get("drop").unwrap();
        assert_eq!(needs.plugin.as_deref(), Some("sdn"));
        assert_eq!(needs.shown_by, ["make"]);
        assert_eq!(needs.instead.as_deref(), Some("make"));
    }

    #[test]
    fn what_says_nothing_clearly_is_found() {
        let no_path = "D775 `openapi` is no path below the base URL";
        for (fit, expected) in [
            ("{product: api}", "D775 `fit` says nowhere where a server says what it has"),
            (
                "{openapi: /a, methods: list, product: api}",
                "D775 `fit` says in two ways where a server says what it has",
            ),
            ("{openapi: a, product: api}", no_path),
            ("{openapi: /a/../b, product: api}", no_path),
            ("{openapi: //evil.example/a, product: api}", no_path),
            ("{openapi: \"/a?key=1\", product: api}", no_path),
            ("{openapi: \"/{id}\", product: api}", no_path),
            (
                "{methods: list, product: api}",
                "D775 `methods` is for JSON-RPC, and this backend is none",
            ),
            ("{openapi: /a}", "D009 `fit` has no `product`"),
            ("{openapi: /a, product: \"An API!\"}", "D775 `product` is no name"),
        ] {
            assert_eq!(findings(fit), [expected], "{fit}");
        }
        for (rest, expected) in [
            ("complete_since: new", "D775 `new` is no version"),
            ("version: {path: $.v}", "D009 `version` has no `tool`"),
            ("version: {tool: get}", "D775 the tool `get` requires `id`"),
            ("version: {tool: make}", "D775 the tool `make` may change something"),
            ("version: {tool: lst}", "D775 the file has no tool `lst`"),
            ("update: \"two\\nlines\"", "D775 `update` is no line of text"),
            ("update: \"hid\\u200bden\"", "D775 `update` is no line of text"),
            (
                "releases: {\"2.0\": Two, \"1.0\": One}",
                "D775 the release `One` is not newer than the one before it",
            ),
            ("since: {\"1\": [gett]}", "D776 the file has no tool `gett`"),
            ("since: {x: [get]}", "D775 `x` is no version"),
            ("since: {\"1\": [get], \"2\": [get]}", "D776 `get` is named twice"),
            ("needs: [{plugin: sdn}]", "D009 a group of `needs` has no `tools`"),
            ("needs: [{tools: [gett]}]", "D776 the file has no tool `gett`"),
            ("needs: [{tools: [get], shown_by: [get]}]", "D776 the tool `get` is to show itself"),
            ("needs: [{tools: [get]}, {tools: [get]}]", "D776 `get` is named twice"),
            ("needs: [{tools: [get], instead: make}]", "D775 `make` goes further than `get`"),
        ] {
            let fit = format!("{{openapi: /a, product: api, {rest}}}");
            assert_eq!(findings(&fit), [expected], "{rest}");
        }
    }
}
