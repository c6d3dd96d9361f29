//! `files`: what may be sent from where, and how much is kept for how long.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dadl_descriptor::{code, yaml::YamlValue};
use url::{Host, Url};

use super::{
    base_url::check_url,
    keys,
    reader::{ConfigReader, ConfigSection},
};

/// What the operator says about files; see `keys::FILES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Hosts from which `https` URLs are fetched: `name` for port 443, or `name:port`.
    pub allow_hosts: Vec<String>,
    /// Fetch from any host that has a public address.
    pub allow_public: bool,
    /// Let [`Self::allow_hosts`] have private addresses.
    pub allow_private: bool,
    /// Files below these may be sent as well.
    pub allow_directories: Vec<PathBuf>,
    /// Certificates to trust besides the system's when fetching, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The bound of a file that a client uploads or that is fetched.
    pub max_upload_bytes: u64,
    /// The bound of everything that the store holds; unset for the default of the transport.
    pub max_total_bytes: Option<u64>,
    /// The bound of the number of files; unset for the default of the transport.
    pub max_files: Option<u64>,
    /// How long a file is kept; unset for the default of the transport.
    pub ttl: Option<Duration>,
    /// The URL under which clients reach an HTTP server, without `/mcp`.
    pub public_url: Option<String>,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            allow_hosts: Vec::new(),
            allow_public: false,
            allow_private: false,
            allow_directories: Vec::new(),
            ca_file: None,
            max_upload_bytes: 1024 * 1024 * 1024,
            max_total_bytes: None,
            max_files: None,
            ttl: None,
            public_url: None,
        }
    }
}

/// Hosts from which files are fetched for the calls of one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FileHosts {
    /// `name` for port 443, or `name:port`.
    pub hosts: Vec<String>,
    /// Let them have private addresses.
    pub allow_private: bool,
}

impl FileSettings {
    /// How long a file is kept that a client of an HTTP server has asked for: 24 hours.
    pub const HTTP_TTL: Duration = Duration::from_secs(24 * 60 * 60);
    /// How much an HTTP server keeps: 16 GiB.
    pub const HTTP_TOTAL_BYTES: u64 = 16 * 1024 * 1024 * 1024;
    /// How many files an HTTP server keeps.
    pub const HTTP_FILES: u64 = 1000;
}

impl ConfigReader {
    /// Reads `files` of the file; what is absent has its default.
    pub(super) fn file_settings(
        &mut self,
        file: ConfigSection<'_>,
        directory: &Path,
    ) -> FileSettings {
        let mut settings = FileSettings::default();
        let Some(section) = self.read_mapping(file, "files") else { return settings };
        let known: Vec<&str> = keys::FILES.iter().map(|key| key.name).collect();
        self.check_keys(section, &known);
        settings.allow_hosts = self.read_hosts(section, "allow_hosts");
        settings.allow_public = self.read_boolean(section, "allow_public").unwrap_or_default();
        settings.allow_private = self.read_boolean(section, "allow_private").unwrap_or_default();
        if settings.allow_private
            && settings.allow_hosts.is_empty()
            && let Some(entry) = section.entry("allow_private")
        {
            let message = "`allow_private` is for hosts in `allow_hosts`, which names none";
            self.report_error(code::MISSING_KEY, &entry.key_span, message, "name the hosts");
        }
        let directories = self.read_texts(section, "allow_directories").unwrap_or_default();
        settings.allow_directories =
            directories.iter().map(|text| directory.join(text.value)).collect();
        settings.ca_file = self.read_string(section, "ca_file").map(|path| directory.join(path));
        let size = self.read_size(section, "max_upload_size");
        settings.max_upload_bytes = size.unwrap_or(settings.max_upload_bytes);
        settings.max_total_bytes = self.read_size(section, "max_total_size");
        settings.max_files = self.read_positive(section, "max_files");
        settings.ttl = self.read_duration(section, "ttl");
        settings.public_url = self.public_url(section);
        settings
    }

    fn read_hosts(&mut self, section: ConfigSection<'_>, key: &str) -> Vec<String> {
        let mut hosts = Vec::new();
        for text in self.read_texts(section, key).unwrap_or_default() {
            match parse_host(text.value) {
                Some(host) => hosts.push(host),
                None => self.report_error(
                    code::UNKNOWN_VALUE,
                    &text.span,
                    format!("`{}` is no host", text.value),
                    "write a name such as `files.example.com`, or `files.example.com:8443`",
                ),
            }
        }
        hosts
    }

    /// Reads what ToolMesh's files say about one backend. There a private host need not be named, and
    /// such a file starts all the same.
    pub(super) fn file_hosts(&mut self, section: ConfigSection<'_>) -> FileHosts {
        let hosts = self.read_hosts(section, "file_url_allowed_hosts");
        let allow_private =
            self.read_boolean(section, "allow_private_file_url").unwrap_or_default();
        if allow_private && hosts.is_empty() {
            let what = section.what();
            self.warnings.push(format!(
                "`allow_private_file_url` of {what} has no effect: it is for the hosts of \
                 `file_url_allowed_hosts`, which names none"
            ));
        }
        FileHosts { hosts, allow_private }
    }

    pub(super) fn read_positive(&mut self, section: ConfigSection<'_>, key: &str) -> Option<u64> {
        let entry = section.entry(key)?;
        let number = match &entry.value.value {
            YamlValue::Number(number, _) if !number.is_f64() => {
                number.as_u64().filter(|number| *number > 0)
            }
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{key}` is not a whole number above zero");
            self.report_error(
                code::RANGE,
                &entry.value.span,
                message,
                "write a number such as `1000`",
            );
        }
        number
    }

    fn public_url(&mut self, section: ConfigSection<'_>) -> Option<String> {
        let text = self.read_text(section, "public_url")?;
        if let Err(problem) = check_url(text.value) {
            let help = "write a URL such as `https://mcp.example.com`";
            self.report_error(code::BASE_URL, &text.span, format!("`public_url` {problem}"), help);
        }
        Some(text.value.trim_end_matches('/').to_owned())
    }
}

/// Returns a host as URLs have it, with its port unless that is 443.
fn parse_host(text: &str) -> Option<String> {
    let url = Url::parse(&format!("https://{text}/")).ok()?;
    let plain = url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let whole = plain && !text.contains(['/', '*', '@', '?', '#']);
    url_authority(&url).filter(|_| whole)
}

/// Returns `host` or `host:port` of an `https` URL.
pub(crate) fn url_authority(url: &Url) -> Option<String> {
    let host = match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        address => address.to_string(),
    };
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        assert_eq!(parse_host("Files.Example.com").as_deref(), Some("files.example.com"));
        assert_eq!(parse_host("files.example.com:443").as_deref(), Some("files.example.com"));
        assert_eq!(parse_host("files.example.com:8443").as_deref(), Some("files.example.com:8443"));
        assert_eq!(parse_host("[::1]:8443").as_deref(), Some("[::1]:8443"));
        for wrong in ["", "https://x", "x/y", "*.example.com", "u@x", "x?y", "x#y", "x y"] {
            assert_eq!(parse_host(wrong), None, "{wrong}");
        }
    }
}
