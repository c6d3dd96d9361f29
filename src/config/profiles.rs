//! Profiles: sets of backends, tools and levels that can be served instead of all. A profile only narrows.

use dadl_descriptor::code;
use dadl_text::names::{OrMeant, nearest_name};

use super::{
    BackendSettings, Surface,
    backends_file::{is_backend_name, key_names},
    keys,
    reader::{ConfigReader, ConfigSection, ConfigText},
};
use crate::access::{AccessLevels, ProfileBound};

/// What can be served instead of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileSettings {
    /// What it lets through.
    pub bound: ProfileBound,
    /// Which tools hosts are shown, if the profile says so.
    pub surface: Option<Surface>,
}

impl ProfileSettings {
    /// Makes a profile that lets nothing through: what is served of one that is gone.
    pub fn nothing(name: &str) -> Self {
        let bound = ProfileBound {
            name: name.to_owned(),
            backends: Some(Vec::new()),
            levels: Some(AccessLevels::new(Vec::<String>::new())),
            ..ProfileBound::default()
        };
        Self { bound, surface: None }
    }
}

impl ConfigReader {
    /// Reads `profiles`, whose backends are among these.
    pub(super) fn read_profiles(
        &mut self,
        file: ConfigSection<'_>,
        backends: &[BackendSettings],
    ) -> Vec<ProfileSettings> {
        let Some(section) = self.read_mapping(file, "profiles") else { return Vec::new() };
        let mut profiles = Vec::new();
        for entry in section.entries() {
            let name = entry.key.as_ref();
            if !is_backend_name(name) {
                let message = format!("`{name}` is no name for a profile");
                let help = "use lower-case letters, digits and hyphens, and begin with a letter";
                self.report_error(code::BACKEND_NAME, &entry.key_span, message, help);
                continue;
            }
            let what = format!("profile `{name}`");
            let Some(section) = self.open_section(&entry.value, &what) else { continue };
            self.check_keys(section, &key_names(keys::PROFILE));
            let bound = ProfileBound {
                name: name.to_owned(),
                backends: self.profile_backends(section, backends),
                levels: self.read_access(section),
                tools: self.read_patterns(section, "tools"),
                exclude_tools: self.read_patterns(section, "exclude_tools").unwrap_or_default(),
            };
            profiles.push(ProfileSettings { bound, surface: self.read_surface(section) });
        }
        profiles
    }

    fn profile_backends(
        &mut self,
        section: ConfigSection<'_>,
        backends: &[BackendSettings],
    ) -> Option<Vec<String>> {
        let names = self.read_texts(section, "backends")?;
        // Without any there is an error already.
        let known = || backends.iter().map(|backend| backend.name.as_str());
        for ConfigText { value, span } in &names {
            if !backends.is_empty() && !known().any(|name| name == *value) {
                let meant = OrMeant(nearest_name(value, known()));
                let message = format!("there is no backend `{value}`{meant:#}");
                self.report_error(code::UNKNOWN_VALUE, span, message, "name one of `backends`");
            }
        }
        Some(names.into_iter().map(|name| name.value.to_owned()).collect())
    }
}
