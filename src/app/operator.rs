//! What an operator decides about a descriptor: which of its logins is used, and what parameters
//! are when a caller says nothing.

use dadl_descriptor::model::{Descriptor, Param, ParamKind};
use dadl_text::names::{OrMeant, nearest_name};
use http::HeaderName;
use serde_json::Value;

use crate::{catalog::ServerTools, config::BackendSettings};

/// A setting that does not fit the descriptor. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// A default that is none for a parameter of its name.
    #[error("`defaults`: `{name}` of the tool `{tool}` {problem}")]
    Default {
        /// The parameter.
        name: String,
        /// The tool that has it.
        tool: String,
        /// Why the value is none.
        problem: DefaultError,
    },
    /// A login that the descriptor does not have.
    #[error("`login`: the descriptor has no login `{name}`: {}", known_logins(.known))]
    Login {
        /// What the settings say.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A header field that would tell the API something else about where calls come from than the
    /// descriptor does. The same for all calls is the operator's word.
    #[error(
        "`headers`: `{name}` tells the API which calls come through MCP, so that its administrator \
         can turn them off (`switch` of the descriptor); remove it"
    )]
    Mark {
        /// The field.
        name: HeaderName,
    },
    /// A default for a parameter that no tool has.
    #[error("`defaults`: no tool has a parameter `{name}`{}", OrMeant(.meant.as_deref()))]
    Parameter {
        /// What the settings say.
        name: String,
        /// A parameter with a similar name.
        meant: Option<String>,
    },
}

/// Why a value is no default of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefaultError {
    /// Each call names its own.
    #[error("is a file, which has no default")]
    File,
    /// It has another type.
    #[error("must be of the type {wanted}, not {value}")]
    Type {
        /// The type of the parameter.
        wanted: ParamKind,
        /// What the settings say.
        value: Box<Value>,
    },
}

fn known_logins(known: &[String]) -> String {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    match known.as_slice() {
        [] => "it has none to choose from; remove `login`".to_owned(),
        known => format!("it has {}; without `login` its `auth` counts", known.join(", ")),
    }
}

/// Changes `descriptor` as `settings` say.
///
/// # Errors
///
/// All settings that do not fit the descriptor.
pub(super) fn apply_settings(
    settings: &BackendSettings,
    descriptor: &mut Descriptor,
) -> Result<(), Vec<OperatorError>> {
    let mut problems = Vec::new();
    if let Some(name) = &settings.login {
        problems.extend(choose_header(name, descriptor).err());
    }
    for (name, value) in &settings.defaults {
        problems.extend(fill_default(name, value, descriptor).err());
    }
    problems.extend(unmarked(settings, descriptor));
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Finds a header field that contradicts a mark of the descriptor.
fn unmarked(settings: &BackendSettings, descriptor: &Descriptor) -> Option<OperatorError> {
    let marks = &descriptor.switch.as_ref()?.headers;
    let other = settings.headers.iter().find(|(name, value)| {
        marks.iter().any(|(mark, expected)| mark == name && expected != value)
    })?;
    Some(OperatorError::Mark { name: other.0.clone() })
}

fn choose_header(name: &str, descriptor: &mut Descriptor) -> Result<(), OperatorError> {
    let logins = &descriptor.auth_rules.logins;
    if let Some(login) = logins.get(name) {
        descriptor.auth = login.clone();
        return Ok(());
    }
    let known = logins.keys().map(ToString::to_string).collect();
    Err(OperatorError::Login { name: name.to_owned(), known })
}

/// Makes `value` the default of every parameter called `name`.
fn fill_default(
    name: &str,
    value: &Value,
    descriptor: &mut Descriptor,
) -> Result<(), OperatorError> {
    let tools = descriptor.tools.iter_mut().map(|tool| (&tool.name, &mut tool.params));
    let composites = descriptor.composites.iter_mut().map(|it| (&it.name, &mut it.params));
    let checks = descriptor.health.iter_mut().map(|it| (&it.tool.name, &mut it.tool.params));
    let mut found = false;
    for (tool, params) in tools.chain(composites).chain(checks) {
        for param in params.iter_mut().filter(|param| param.name == name) {
            found = true;
            set_default(param, value).map_err(|problem| OperatorError::Default {
                name: name.to_owned(),
                tool: tool.clone(),
                problem,
            })?;
        }
    }
    if found {
        return Ok(());
    }
    let params = descriptor.tools.iter().flat_map(|tool| &tool.params);
    let meant = nearest_name(name, params.map(|param| param.name.as_str())).map(str::to_owned);
    Err(OperatorError::Parameter { name: name.to_owned(), meant })
}

/// Makes `value` the default of every parameter called `name` of a server's tools: its caller need not
/// give one.
pub(super) fn fill_server_default(
    name: &str,
    value: &Value,
    tools: &mut ServerTools,
) -> Result<(), OperatorError> {
    let mut found = false;
    tools.change_params(|tool, param| {
        if param.name != name {
            return Ok(());
        }
        found = true;
        let set = set_default(param, value);
        param.required &= set.is_err();
        set.map_err(|problem| OperatorError::Default {
            name: name.to_owned(),
            tool: tool.to_owned(),
            problem,
        })
    })?;
    let params = || tools.iter().flat_map(|tool| tool.params()).map(|param| param.name.as_str());
    if found {
        return Ok(());
    }
    let meant = nearest_name(name, params()).map(str::to_owned);
    Err(OperatorError::Parameter { name: name.to_owned(), meant })
}

pub(super) fn set_default(param: &mut Param, value: &Value) -> Result<(), DefaultError> {
    if param.kind == ParamKind::FileUrl {
        return Err(DefaultError::File);
    }
    let wanted = param.kind;
    // Text with its delimiters is a list.
    if param.form.style.is_listed() && value.is_string() {
        param.default = Some(Box::new(value.clone()));
        return Ok(());
    }
    let fits = param.kind.coerce(value.clone());
    // A parameter with a default is never missing.
    let fits = fits.map_err(|value| DefaultError::Type { wanted, value: Box::new(value) })?;
    param.default = Some(Box::new(fits));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dadl_descriptor::model::{AuthScheme, CredentialName, TokenPlacement, switch::McpSwitch};
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::catalog::fixture;

    fn descriptor() -> Descriptor {
        let tools = vec![
            fixture::tool("GET", "/a/{id}", &["id:path:string", "dc:query:string!"]),
            fixture::tool("POST", "/b", &["dc:body:string", "count:body:integer=1"]),
        ];
        Arc::unwrap_or_clone(fixture::descriptor("shop", tools))
    }

    fn applied(
        change: impl FnOnce(&mut BackendSettings),
    ) -> Result<Descriptor, Vec<OperatorError>> {
        let mut settings = BackendSettings::new("shop", "shop");
        change(&mut settings);
        let mut descriptor = descriptor();
        apply_settings(&settings, &mut descriptor).map(|()| descriptor)
    }

    fn text(problems: &[OperatorError]) -> String {
        crate::app::error::join_problems(problems)
    }

    fn defaults(name: &str, value: Value) -> Result<Descriptor, Vec<OperatorError>> {
        applied(|settings| drop(settings.defaults.insert(name.to_owned(), value)))
    }

    #[test]
    fn a_default_is_that_of_every_tool() {
        let of = |descriptor: &Descriptor, tool: usize, param: usize| {
            descriptor.tools[tool].params[param].default.as_deref().cloned()
        };
        let filled = defaults("dc", json!("main")).unwrap();
        assert_eq!(
            (of(&filled, 0, 1), of(&filled, 1, 0)),
            (Some("main".into()), Some("main".into()))
        );
        assert_eq!(of(&defaults("dc", json!(7)).unwrap(), 0, 1), Some("7".into()));
        assert_eq!(of(&defaults("count", json!("7")).unwrap(), 1, 1), Some(7.into()));
        assert_eq!(of(&defaults("id", json!("x")).unwrap(), 0, 0), Some("x".into()));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let problem = |name: &str, value| text(&defaults(name, value).unwrap_err());
        assert_eq!(
            problem("cuont", json!(1)),
            "`defaults`: no tool has a parameter `cuont`; did you mean `count`?"
        );
        assert_eq!(
            problem("count", json!("many")),
            "`defaults`: `count` of the tool `tool` must be of the type integer, not \"many\""
        );
        assert!(problem("dc", json!(["main"])).contains("must be of the type string"));
        let login = |name: &str| applied(|settings| settings.login = Some(name.to_owned()));
        assert!(text(&login("password").unwrap_err()).contains("none to choose from"));
    }

    #[test]
    fn what_tells_the_api_where_calls_come_from_cannot_be_changed() {
        let with = |name: &str, value: &'static str| {
            let mut descriptor = descriptor();
            let mark = (HeaderName::from_static("x-door"), HeaderValue::from_static("mcp"));
            descriptor.switch = Some(McpSwitch { headers: vec![mark], off: None, state: None });
            let mut settings = BackendSettings::new("shop", "shop");
            let name: HeaderName = name.parse().unwrap();
            settings.headers.push((name, HeaderValue::from_static(value)));
            apply_settings(&settings, &mut descriptor)
        };
        for value in ["", "Mcp", "person"] {
            let problem = text(&with("X-Door", value).unwrap_err());
            assert!(problem.contains("`x-door` tells the API which calls"), "{problem}");
        }
        assert_eq!(with("X-Door", "mcp"), Ok(()));
        assert_eq!(with("X-Other", "person"), Ok(()));
    }

    #[test]
    fn a_login_takes_the_place_of_the_usual_one() {
        let mut descriptor = descriptor();
        let placement = TokenPlacement::Query("key".to_owned());
        let login = AuthScheme::Token { credential: CredentialName("k".to_owned()), placement };
        descriptor.auth_rules.logins.insert("key".to_owned(), login.clone());
        let mut settings = BackendSettings::new("shop", "shop");
        settings.login = Some("kee".to_owned());
        let problem = text(&apply_settings(&settings, &mut descriptor).unwrap_err());
        assert!(problem.contains("no login `kee`: it has `key`"), "{problem}");
        settings.login = Some("key".to_owned());
        apply_settings(&settings, &mut descriptor).unwrap();
        assert_eq!(descriptor.auth, login);
    }
}
