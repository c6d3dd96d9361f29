//! What a server has besides tools, as a script says it: resources, templates, prompts, and values for
//! arguments.

use serde_json::{Map, Value, json};

use super::refusal::{HonestError, INVALID_PARAMS, RESOURCE_NOT_FOUND};

/// What a server has; without a part of it, it has what every simulated server has.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerContent {
    /// Resources as they are listed, with their `text` or `blob`.
    pub(super) resources: Option<Vec<Value>>,
    /// Templates as they are listed, with the `text` of what is not listed.
    pub(super) templates: Option<Vec<Value>>,
    /// Prompts as they are listed, with their `messages`.
    pub(super) prompts: Option<Vec<Value>>,
    /// Values by the name of the argument.
    pub(super) completions: Option<Map<String, Value>>,
    /// What the server says that it can do.
    pub(super) capabilities: Option<Value>,
}

impl ServerContent {
    /// Answers a request, if the script says anything about it.
    pub(super) fn answer(
        &self,
        method: &str,
        params: &Value,
    ) -> Option<Result<Value, HonestError>> {
        let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
        match method {
            "resources/list" => Some(Ok(
                json!({ "resources": listed(self.resources.as_ref()?, &["text", "blob"]) }),
            )),
            "resources/templates/list" => {
                let templates = listed(self.templates.as_ref()?, &["text"]);
                Some(Ok(json!({ "resourceTemplates": templates })))
            }
            "prompts/list" => {
                let prompts = listed(self.prompts.as_ref()?, &["messages"]);
                Some(Ok(json!({ "prompts": prompts })))
            }
            "resources/read" if self.resources.is_some() || self.templates.is_some() => {
                Some(self.read(text("uri")))
            }
            "prompts/get" => {
                let prompts = self.prompts.as_ref()?;
                let prompt = prompts.iter().find(|it| it["name"] == text("name"));
                let missing = || HonestError::new(INVALID_PARAMS, "there is no such prompt");
                Some(prompt.ok_or_else(missing).map(|prompt| {
                    json!({ "description": prompt["description"], "messages": prompt["messages"] })
                }))
            }
            "completion/complete" => {
                let completions = self.completions.as_ref()?;
                let argument = &params["argument"];
                let name = argument["name"].as_str().unwrap_or_default();
                let typed = argument["value"].as_str().unwrap_or_default();
                let values = completions.get(name).and_then(Value::as_array).into_iter().flatten();
                let begins = |it: &&Value| it.as_str().is_some_and(|it| it.starts_with(typed));
                let values: Vec<&Value> = values.filter(begins).collect();
                Some(Ok(json!({ "completion": { "values": values, "total": values.len() } })))
            }
            _ => None,
        }
    }

    fn read(&self, uri: &str) -> Result<Value, HonestError> {
        let mut resources = self.resources.iter().flatten();
        let mut templates = self.templates.iter().flatten();
        let begins = |template: &&Value| {
            let template = template["uriTemplate"].as_str().unwrap_or_default();
            uri.starts_with(template.split('{').next().unwrap_or_default())
        };
        let found = resources.find(|it| it["uri"] == uri).or_else(|| templates.find(begins));
        let missing = || HonestError::new(RESOURCE_NOT_FOUND, "there is no such resource");
        let found = found.ok_or_else(missing)?;
        let mut contents = json!({ "uri": uri });
        for key in ["mimeType", "text", "blob"] {
            if let (Some(value), Some(members)) = (found.get(key), contents.as_object_mut()) {
                members.insert(key.to_owned(), value.clone());
            }
        }
        Ok(json!({ "contents": [contents] }))
    }
}

/// Returns items without what is not listed of them.
fn listed(items: &[Value], unlisted: &[&str]) -> Vec<Value> {
    let mut items = items.to_vec();
    for members in items.iter_mut().filter_map(Value::as_object_mut) {
        members.retain(|name, _| !unlisted.contains(&name.as_str()));
    }
    items
}
