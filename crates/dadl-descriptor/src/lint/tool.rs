//! A tool as the rules see it: what the file says, checked or not.

use std::ops::Range;

use dadl_text::names::{nearest_name, split_words};

use crate::yaml::{YamlEntry, YamlNode, YamlValue};

/// One entry of `tools`.
pub(super) struct ToolView<'tree> {
    pub(super) name: &'tree str,
    pub(super) name_span: &'tree Range<usize>,
    /// As written; empty when absent.
    pub(super) method: &'tree str,
    /// As written, with its fixed query; empty when absent.
    pub(super) path: &'tree str,
    pub(super) path_span: &'tree Range<usize>,
    /// The JSON-RPC method, as written, which is in the place of the path.
    pub(super) rpc_method: Option<&'tree str>,
    pub(super) access: Option<(&'tree str, &'tree Range<usize>)>,
    pub(super) description: &'tree str,
    keys: &'tree [YamlEntry<'tree>],
    pub(super) params: &'tree [YamlEntry<'tree>],
    pub(super) content_type: Option<&'tree str>,
    pub(super) own_response: Option<&'tree YamlNode<'tree>>,
    /// The tool's own or the default.
    pub(super) response: Option<&'tree YamlNode<'tree>>,
    /// The tool's own or the default; `None` when it is switched off.
    pub(super) pagination: Option<&'tree YamlNode<'tree>>,
}

impl<'tree> ToolView<'tree> {
    pub(super) fn new(
        entry: &'tree YamlEntry<'tree>,
        defaults: Option<&'tree YamlNode<'tree>>,
    ) -> Self {
        let node = &entry.value;
        let own_or_default =
            |key: &str| node.get(key).or_else(|| defaults.and_then(|defaults| defaults.get(key)));
        let pagination = own_or_default("pagination").filter(|node| node.text() != Some("none"));
        let text = |key: &str| match node.get(key) {
            Some(found) => (found.text().unwrap_or_default(), &found.span),
            None => ("", &entry.key_span),
        };
        let method = text("method").0;
        let (rpc_method, rpc_span) = text("rpc_method");
        let rpc_method = Some(rpc_method).filter(|method| !method.is_empty());
        let (path, path_span) = match rpc_method {
            Some(_) => ("", rpc_span),
            None => text("path"),
        };
        Self {
            name: &entry.key,
            name_span: &entry.key_span,
            method,
            path,
            path_span,
            rpc_method,
            access: node.get("access").map(|node| (node.text().unwrap_or_default(), &node.span)),
            description: text("description").0,
            keys: node.entries(),
            params: node.get("params").map(YamlNode::entries).unwrap_or_default(),
            content_type: own_or_default("content_type").and_then(YamlNode::text),
            own_response: node.get("response"),
            response: own_or_default("response"),
            pagination,
        }
    }

    /// Returns the path without its fixed query and without a slash at its end.
    pub(super) fn plain_path(&self) -> &'tree str {
        self.path.split('?').next().unwrap_or_default().trim_end_matches('/')
    }

    /// Returns whether the tool has a key that is nearly `key`; another rule reports that.
    pub(super) fn misspells(&self, key: &str) -> bool {
        nearest_name(key, self.keys.iter().map(|entry| entry.key.as_ref())).is_some()
    }

    /// Returns the words of the name: `getVmStats` and `get_vm-stats` have three.
    pub(super) fn words(&self) -> Vec<String> {
        split_words(self.name)
    }

    /// Returns whether `response` has `key` with a value other than `false`.
    pub(super) fn response_has(&self, key: &str) -> bool {
        let value = self.response.and_then(|response| response.get(key));
        value.is_some_and(|node| !matches!(node.value, YamlValue::Bool(false) | YamlValue::Null))
    }
}
