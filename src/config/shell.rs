//! Commands for people to paste.

use std::borrow::Cow;

use super::{BackendSettings, SettingsProvenance, default_name::default_name};

impl BackendSettings {
    /// Returns the command that sets the backend up, with the flags that lead to it.
    pub fn setup_command(&self) -> String {
        let mut words = vec!["dadl-mcp".to_owned(), "setup".to_owned(), self.name.clone()];
        let mut flag = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        match &self.provenance {
            SettingsProvenance::Own => {}
            SettingsProvenance::Named(path) => flag("--config", &path.display().to_string()),
            SettingsProvenance::Flags => {
                flag("--dadl", &self.dadl);
                if let Some(url) = &self.url {
                    flag("--url", url);
                }
                for host in &self.allow_private_hosts {
                    flag("--allow-private-host", &host.to_string());
                }
                for origin in &self.policy.origins {
                    flag("--allow-origin", &origin.to_string());
                }
                if default_name(&self.dadl) != self.name {
                    flag("--name", &self.name);
                }
                if let Some(path) = &self.ca_file {
                    flag("--ca-file", &path.display().to_string());
                }
                for (name, path) in
                    [("--client-cert", &self.client_cert), ("--client-key", &self.client_key)]
                {
                    if let Some(path) = path {
                        flag(name, &path.display().to_string());
                    }
                }
                for pin in &self.tls_fingerprint {
                    flag("--tls-fingerprint", &pin.to_string());
                }
                if self.tls_skip_verify {
                    words.push("--tls-skip-verify".to_owned());
                }
            }
        }
        let words: Vec<Cow<'_, str>> = words.iter().map(|word| shell_quoted(word)).collect();
        words.join(" ")
    }
}

/// Writes a word as a POSIX shell takes it.
pub(crate) fn shell_quoted(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if word.bytes().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(shell_quoted("demo-token"), "demo-token");
        assert_eq!(shell_quoted("a$b"), "'a$b'");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_command_leads_to_the_same_backend() {
        let mut backend = BackendSettings::new("shop", "./my shop.dadl");
        backend.url = Some("https://shop.example/v1".to_owned());
        assert_eq!(
            backend.setup_command(),
            "dadl-mcp setup shop --dadl './my shop.dadl' --url https://shop.example/v1 --name shop"
        );
        backend.dadl = "shop".to_owned();
        backend.tls_skip_verify = true;
        assert_eq!(
            backend.setup_command(),
            "dadl-mcp setup shop --dadl shop --url https://shop.example/v1 --tls-skip-verify"
        );
        backend.allow_private_hosts =
            ["sso.lan:8443", "[fd00::1]"].map(|it| it.parse().unwrap()).into();
        assert_eq!(
            backend.setup_command(),
            "dadl-mcp setup shop --dadl shop --url https://shop.example/v1 --allow-private-host \
             sso.lan:8443 --allow-private-host '[fd00::1]' --tls-skip-verify"
        );
        backend.tls_skip_verify = false;
        backend.allow_private_hosts.clear();
        backend.policy.origins = vec!["https://files.example:444/".parse().unwrap()];
        let expected = "--url https://shop.example/v1 --allow-origin https://files.example:444";
        assert!(backend.setup_command().ends_with(expected), "{}", backend.setup_command());
        backend.policy.origins.clear();
        backend.client_cert = Some("me.pem".into());
        backend.client_key = Some("my key.pem".into());
        let expected = " --client-cert me.pem --client-key 'my key.pem'";
        assert!(backend.setup_command().ends_with(expected), "{}", backend.setup_command());
        (backend.client_cert, backend.client_key) = (None, None);
        let pin = format!("AB{}", ":AB".repeat(31));
        backend.tls_fingerprint = vec![pin.parse().unwrap()];
        let expected = format!("--url https://shop.example/v1 --tls-fingerprint {pin}");
        assert!(backend.setup_command().ends_with(&expected), "{}", backend.setup_command());
        backend.provenance = SettingsProvenance::Named("./backends.yaml".into());
        assert_eq!(backend.setup_command(), "dadl-mcp setup shop --config ./backends.yaml");
        backend.provenance = SettingsProvenance::Own;
        assert_eq!(backend.setup_command(), "dadl-mcp setup shop");
    }
}
