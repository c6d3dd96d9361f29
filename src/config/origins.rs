//! `allow_origins`: where tools may lead whose paths name a host.

use dadl_descriptor::{
    code,
    yaml::{YamlNode, YamlValue},
};

use super::reader::{ConfigReader, ConfigSection};
use crate::access::{AllowedOrigin, NoOrigin};

/// What is said about an entry of the list.
const ENTRY: &str = "an item of `allow_origins`";

impl ConfigReader {
    pub(super) fn allowed_origins(&mut self, section: ConfigSection<'_>) -> Vec<AllowedOrigin> {
        let Some(entry) = self.find_value(section, "allow_origins") else { return Vec::new() };
        let YamlValue::Sequence(items) = &entry.value.value else {
            self.wrong_type(&entry.value, "`allow_origins`", "a list");
            return Vec::new();
        };
        let mut origins: Vec<AllowedOrigin> = Vec::new();
        for item in *items {
            let Some(origin) = self.allowed_origin(item) else { continue };
            if origins.iter().any(|other| other.is_at(origin.url())) {
                let message = format!("{origin} stands twice in `allow_origins`");
                self.report_error(
                    code::DUPLICATE_KEY,
                    &item.span,
                    message,
                    "keep the one that is meant",
                );
            }
            origins.push(origin);
        }
        origins
    }

    /// Reads an origin, or a mapping of it and whether the credential goes along.
    fn allowed_origin(&mut self, item: &YamlNode<'_>) -> Option<AllowedOrigin> {
        let (text, credential) = match &item.value {
            YamlValue::Mapping(_) => {
                let section = self.open_section(item, ENTRY)?;
                self.check_keys(section, &["origin", "credential"]);
                if section.entry("origin").is_none() {
                    self.report_missing(section, "origin", &(item.span.start..item.span.start));
                    return None;
                }
                let credential = self.read_boolean(section, "credential").unwrap_or_default();
                (self.read_text(section, "origin")?, credential)
            }
            _ => (self.node_text(item, ENTRY)?, false),
        };
        match text.value.parse::<AllowedOrigin>() {
            Ok(mut origin) => {
                origin.credential = credential;
                Some(origin)
            }
            Err(NoOrigin) => {
                let message = "what `allow_origins` has here is no origin";
                let help = "write scheme, host and port alone, such as `https://files.example.com`";
                self.report_error(code::UNKNOWN_VALUE, &text.span, message, help);
                None
            }
        }
    }
}
