//! `backend.defaults`: what it says, ready to be copied into tools.

use http::HeaderValue;

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    errors, jsonrpc, pagination,
    params::header_name,
    response,
};
use crate::{
    code,
    model::{AuthScheme, ErrorRules, HeaderFields, Pagination, ResponseRules, Shared},
};

/// `defaults.headers`. Its `Content-Type` describes bodies and is kept apart: a request without
/// a body has none.
#[derive(Default)]
pub(super) struct DefaultHeaders<'tree> {
    pub(super) fields: Shared<HeaderFields>,
    pub(super) content_type: Option<YamlText<'tree>>,
    names: Vec<YamlText<'tree>>,
}

impl<'tree> DefaultHeaders<'tree> {
    pub(super) fn lower(defaults: &YamlSection<'tree>, context: &mut LowerContext<'tree>) -> Self {
        let mut headers = Self::default();
        let Some(entry) = defaults.entry("headers") else { return headers };
        let place = MappingPlace::Key("headers");
        let Some(section) = context.open(&entry.value, &entry.key_span, place) else {
            return headers;
        };
        for entry in section.entries() {
            let Some(text) =
                context.node_text(&entry.value, format_args!("the header `{}`", entry.key))
            else {
                continue;
            };
            let name = match header_name(&entry.key, None) {
                Ok(name) => name,
                Err(error) => {
                    context.error(code::HEADER_PARAM, &entry.key_span, error.to_string());
                    continue;
                }
            };
            if name == http::header::CONTENT_TYPE {
                headers.content_type = Some(text);
                continue;
            }
            match HeaderValue::from_str(text.value) {
                Ok(value) => headers.fields.push((name, value)),
                Err(_) => {
                    context.error(
                        code::HEADER_PARAM,
                        &text.span,
                        format!("this cannot be the value of the header `{}`", entry.key),
                    );
                }
            }
            headers.names.push(YamlText { value: &entry.key, span: entry.key_span.clone() });
        }
        headers
    }

    /// Reports a field that has the name of the credential's.
    pub(super) fn refuse_credential(
        &mut self,
        auth: Option<&AuthScheme>,
        context: &mut LowerContext<'tree>,
    ) {
        for name in &self.names {
            if let Err(error) = header_name(name.value, auth) {
                context.error(code::HEADER_PARAM, &name.span, error.to_string());
            }
        }
    }
}

/// Reads whether dotted names nest; the tool's own setting counts before the default one.
pub(super) fn nest_body_keys<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<bool> {
    context.boolean(section, "nest_body_keys")
}

/// What `defaults` says, ready to be copied into tools.
#[derive(Default)]
pub(super) struct Defaults<'tree> {
    pub(super) headers: DefaultHeaders<'tree>,
    pub(super) content_type: Option<YamlText<'tree>>,
    pub(super) nest_body_keys: bool,
    pub(super) pagination: Option<Shared<Pagination>>,
    pub(super) errors: Shared<ErrorRules>,
    pub(super) response: Shared<ResponseRules>,
    /// What all methods share, when the tools are methods of a JSON-RPC API.
    pub(super) rpc: Option<jsonrpc::JsonRpcShared>,
}

/// So many bytes may the defaults of all tools take together. The largest known descriptor has less
/// than a hundredth of this.
const MAX_DEFAULTS: usize = 64 * 1024 * 1024;

/// Refuses defaults that would fill the memory: each tool gets a copy of them.
pub(super) fn defaults_fit<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> bool {
    let (Some(defaults), Some(tools)) = (backend.entry("defaults"), backend.entry("tools")) else {
        return true;
    };
    let tools = tools.value.entries().len();
    if defaults.value.weight().saturating_mul(tools) <= MAX_DEFAULTS {
        return true;
    }
    context
        .error(
            code::TOO_COMPLEX,
            &defaults.key_span,
            format!("`defaults` is too long for {tools} tools: each of them gets a copy"),
        )
        .help("shorten `defaults`, or split the descriptor into several backends");
    false
}

pub(super) fn lower_defaults<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Defaults<'tree> {
    const KEYS: &[&str] =
        &["headers", "content_type", "nest_body_keys", "pagination", "errors", "response"];
    let Some(section) = context.subsection(backend, "defaults", KEYS) else {
        return Defaults::default();
    };
    let headers = DefaultHeaders::lower(&section, context);
    let own_type = context.text(&section, "content_type");
    let content_type = own_type.or_else(|| headers.content_type.clone());
    let nest_body_keys = nest_body_keys(&section, context).unwrap_or_default();
    Defaults {
        headers,
        content_type,
        nest_body_keys,
        pagination: pagination::lower(&section, context).map(Shared::from),
        errors: errors::lower(&section, context).map(Shared::from).unwrap_or_default(),
        response: response::lower(&section, context).map(Shared::from).unwrap_or_default(),
        rpc: None,
    }
}
