//! Shows the certificate of a backend that nothing vouches for, and lets a person pin it. Nothing is sent
//! before that: no request, no credential.

use std::io::{self, BufRead as _, Write as _};

use url::Url;

use super::{console::Console, failure::CliFailure};
use crate::{
    app::LoadedBackend,
    call::BaseUrl,
    config::{AddressKey, BackendSettings, CertificatePin, SettingsProvenance},
    http::{
        certificate_trust::{CertificateTrust, PresentedCertificate, RefusedCertificate},
        connection_guard::ConnectionGuard,
        tls,
    },
};

/// Returns the fingerprint that a person pins now; `None` where there is nothing to ask.
///
/// # Errors
///
/// The certificate is not trusted, and nobody pinned it.
pub(super) async fn ask_pin(
    backend: &LoadedBackend,
    console: &mut Console,
) -> Result<Option<CertificatePin>, CliFailure> {
    let Some(api) = backend.web() else { return Ok(None) };
    ask_pin_at(&backend.settings, &api.base, &api.guard, console).await
}

/// Does the same for a backend that is reached so.
///
/// # Errors
///
/// Those of [`ask_pin`].
pub(super) async fn ask_pin_at(
    settings: &BackendSettings,
    base: &BaseUrl,
    guard: &ConnectionGuard,
    console: &mut Console,
) -> Result<Option<CertificatePin>, CliFailure> {
    if !base.is_tls() {
        return Ok(None);
    }
    // What keeps it from being reached is told by the check.
    let presented = tls::presented_certificate(settings, base, guard).await;
    let Ok(presented) = presented else { return Ok(None) };
    show_certificate(&presented, base.as_url(), console)?;
    match &presented.trust {
        Ok(CertificateTrust::Any) => {
            let how = how_to_pin(settings, presented.fingerprint);
            writeln!(console.err, "instead of `tls_skip_verify`, {how}")?;
            Ok(None)
        }
        Ok(_) => Ok(None),
        Err(refused) => {
            let whom = format!("backend \"{}\"", settings.name);
            if console.can_ask && ask_agreement(&whom, console)? {
                return Ok(Some(presented.fingerprint));
            }
            let hint = format!(
                "compare it with that of your server; then {}",
                how_to_pin(settings, presented.fingerprint)
            );
            Err(CliFailure::settings(format!("{refused}; nothing was sent")).hint(hint))
        }
    }
}

/// Lets a person pin the certificate of whoever gives access to an MCP server, at the origin of `url`;
/// `None` where there is nothing to ask.
///
/// # Errors
///
/// The certificate is not trusted, and nobody pinned it.
pub(super) async fn ask_login_pin(
    settings: &BackendSettings,
    url: &Url,
    guard: &ConnectionGuard,
    console: &mut Console,
) -> Result<Option<CertificatePin>, CliFailure> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let place = (AddressKey::AuthorizationServer, url, false);
    let Ok(presented) = tls::presented_at(settings, place, guard).await else { return Ok(None) };
    let Err(refused) = &presented.trust else { return Ok(None) };
    show_certificate(&presented, url, console)?;
    let origin = url.origin().ascii_serialization();
    if console.can_ask && ask_agreement(&format!("the login at {origin}"), console)? {
        return Ok(Some(presented.fingerprint));
    }
    let failure =
        CliFailure::settings(format!("{origin} was not asked: {refused}; nothing was sent"));
    let name = &settings.name;
    Err(failure.hint(format!(
        "run `dadl-mcp setup {name}` at a terminal, compare it with that of the authorization server, and \
         agree to it"
    )))
}

/// Says what pins a certificate for good.
pub(super) fn how_to_pin(settings: &BackendSettings, pin: CertificatePin) -> String {
    match &settings.provenance {
        SettingsProvenance::Flags => format!("pin it with `--tls-fingerprint {pin}`"),
        SettingsProvenance::Named(path) => {
            let path = path.display();
            format!("pin it: `tls_fingerprint: \"{pin}\"` of \"{}\" in {path}", settings.name)
        }
        SettingsProvenance::Own => format!(
            "pin it: `tls_fingerprint: \"{pin}\"` of \"{}\" in backends.yaml",
            settings.name
        ),
    }
}

/// Says what has to be written down, so that what a person agreed to counts from now on.
pub(super) fn tell_pin(
    settings: &BackendSettings,
    pin: CertificatePin,
    console: &mut Console,
) -> io::Result<()> {
    match &settings.provenance {
        SettingsProvenance::Flags => {
            writeln!(console.out, "use this flag from now on:\n  --tls-fingerprint {pin}")
        }
        SettingsProvenance::Named(_) | SettingsProvenance::Own => {
            let name = &settings.name;
            writeln!(
                console.out,
                "add this line to backend \"{name}\" in your settings, beside its `url`:\n    \
                 tls_fingerprint: \"{pin}\""
            )
        }
    }
}

fn show_certificate(
    presented: &PresentedCertificate,
    url: &Url,
    console: &mut Console,
) -> io::Result<()> {
    let PresentedCertificate { details, fingerprint, trust } = presented;
    let err = &mut console.err;
    let host = url.host_str().unwrap_or_default();
    let why = match trust {
        Ok(CertificateTrust::Any) => "accepted like any other (`tls_skip_verify`)",
        Ok(CertificateTrust::Chain) => "an authority vouches for it",
        Ok(CertificateTrust::File) => "it is in `ca_file`",
        Ok(CertificateTrust::Pin) => "it is pinned (`tls_fingerprint`)",
        Err(RefusedCertificate::Changed(_)) => "NOT the pinned one",
        Err(RefusedCertificate::Untrusted { .. }) => "NOT trusted: nothing vouches for it",
    };
    writeln!(err, "the certificate of {host}: {why}")?;
    let nothing = "nothing".to_owned();
    let says = |text: &String| if text.is_empty() { nothing.clone() } else { text.clone() };
    writeln!(err, "  subject: {}", says(&details.subject))?;
    writeln!(err, "  names:   {}", says(&details.names.join(", ")))?;
    let day = |time: &Option<String>| time.clone().unwrap_or_else(|| "unknown".to_owned());
    writeln!(err, "  valid:   {} to {}", day(&details.from), day(&details.until))?;
    writeln!(err, "  SHA-256: {fingerprint}")
}

fn ask_agreement(whom: &str, console: &mut Console) -> io::Result<bool> {
    writeln!(
        console.err,
        "nothing was sent yet. On the server, `openssl x509 -noout -fingerprint -sha256 -in FILE` shows \
         the fingerprint of its certificate"
    )?;
    write!(console.err, "is it the same, and shall {whom} be pinned to it? [y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
