//! What describes the file for people: versions, dates, examples, coverage, setup.

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{ApiCoverage, CredentialSetup, WorkedExample},
    yaml::YamlValue,
};

/// Reads a URL of documentation; a bad one is only reported, nothing is fetched from it.
pub(super) fn lower_url<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.text(section, key)?;
    let is_url = url::Url::parse(text.value)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_url {
        context
            .warning(code::FORM, &text.span, format!("`{key}` is not a URL"))
            .help("write an absolute URL that begins with https://");
    }
    Some(text.value.to_owned())
}

/// Reads a date; a bad one is only reported.
pub(super) fn lower_date<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.text(section, key)?;
    let is_date = text.value.len() == 10
        && text.value.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_date {
        context
            .warning(code::FORM, &text.span, format!("`{key}` is not a date"))
            .help("write YYYY-MM-DD, such as 2026-07-30");
    }
    Some(text.value.to_owned())
}

/// Reads `version`: `3.0` without quotes is the text `3.0`, which is what every author means.
pub(super) fn lower_version<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let entry = backend.entry("version")?;
    let (value, span) = match &entry.value.value {
        YamlValue::Number(_, text) => (text.as_ref(), entry.value.span.clone()),
        _ => {
            let text = context.text(backend, "version")?;
            (text.value, text.span)
        }
    };
    if !is_version(value) {
        context
            .warning(code::FORM, &span, format!("`{value}` is not a version"))
            .help("write two or three numbers, such as 1.2 or 1.2.3, then `-beta` if you like");
    }
    Some(value.to_owned())
}

/// Accepts `1.2`, `1.2.3`, and a suffix of a pre-release or build (`-beta.1`, `+5`).
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, suffix) = text.split_at_checked(end).unwrap_or((text, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    (2..=3).contains(&parts.len())
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && suffix.len() != 1
        && suffix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
}

/// Lowers `examples`.
pub(super) fn lower_examples<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<WorkedExample> {
    let mut examples = Vec::new();
    for item in context.items(backend, "examples") {
        let place = MappingPlace::Only("an example");
        let known = ["name", "description", "code"];
        let Some(section) = context.section(item, &item.span, place, &known) else { continue };
        let mut text = |key| context.required_text(&section, key).map(|text| text.value.to_owned());
        let (name, description, code) = (text("name"), text("description"), text("code"));
        if let (Some(name), Some(description), Some(code)) = (name, description, code) {
            examples.push(WorkedExample { name, description, code });
        }
    }
    examples
}

/// Lowers `coverage` and compares it with the number of tools.
pub(super) fn lower_coverage<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<ApiCoverage> {
    const KEYS: &[&str] =
        &["endpoints", "total_endpoints", "percentage", "focus", "missing", "last_reviewed"];
    let section = context.subsection(backend, "coverage", KEYS)?;
    let endpoints = context.count(&section, "endpoints");
    // What the file lists counts, whether or not each tool is without errors.
    let tools = match backend.entry("tools").map(|entry| &entry.value.value) {
        Some(YamlValue::Mapping(tools)) => tools.len(),
        _ => 0,
    };
    if let (Some(count), Some(entry)) = (endpoints, section.entry("endpoints"))
        && count != tools as u64
    {
        context
            .warning(
                code::COVERAGE,
                &entry.value.span,
                format!("`endpoints` is {count}, but the backend has {tools} tools"),
            )
            .help(format!("write {tools}"))
            .fix(entry.value.span.clone(), tools.to_string());
    }
    let percentage = context.count(&section, "percentage");
    if let (Some(101..), Some(entry)) = (percentage, section.entry("percentage")) {
        context.error(code::RANGE, &entry.value.span, "`percentage` cannot exceed 100");
    }
    Some(ApiCoverage {
        endpoints,
        total_endpoints: context.count(&section, "total_endpoints"),
        focus: context.string(&section, "focus"),
        missing: context.string(&section, "missing"),
        last_reviewed: context.string(&section, "last_reviewed"),
    })
}

/// Lowers `setup`.
pub(super) fn lower_setup<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<CredentialSetup> {
    const KEYS: &[&str] = &[
        "credential_steps",
        "env_var",
        "backends_yaml",
        "required_scopes",
        "optional_scopes",
        "docs_url",
        "notes",
    ];
    let section = context.subsection(backend, "setup", KEYS)?;
    Some(CredentialSetup {
        credential_steps: context.strings(&section, "credential_steps"),
        env_var: context.string(&section, "env_var"),
        backends_yaml: context.string(&section, "backends_yaml"),
        required_scopes: context.strings(&section, "required_scopes"),
        optional_scopes: context.strings(&section, "optional_scopes"),
        docs_url: lower_url(&section, "docs_url", context),
        notes: context.string(&section, "notes"),
    })
}

/// Reads a description that a model will see; without one the file still loads.
pub(super) fn description<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> String {
    let text = context.text(section, "description");
    let description = text.as_ref().map(|text| text.value.trim()).unwrap_or_default();
    if description.is_empty() {
        let span = text.as_ref().map_or(&section.span, |text| &text.span);
        let place = section.place;
        context
            .warning(code::NO_DESCRIPTION, span, format!("{place} has no description"))
            .help("say in a sentence what it does: a model chooses tools by their descriptions");
    }
    description.to_owned()
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn knows_versions() {
        for good in ["1.2", "3.0", "1.10", "1.2.3", "1.2.0-beta", "1.2+b.1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.", "1.2.3.4", "v1.2", "1.2-", "1.2-ä"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
