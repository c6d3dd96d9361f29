//! Shows the certificate of a backend that nothing vouches for, and lets a person pin it. Nothing is sent
//! before that: no request, no credential.

use std::io::{self, BufRead as _, Write as _};

use super::{console::Console, failure::CliFailure};
use crate::{
    app::{ApiAccess, LoadedBackend},
    config::{BackendSettings, CertificatePin, SettingsProvenance},
    http::{
        certificate_trust::{CertificateTrust, PresentedCertificate, RefusedCertificate},
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
    let Some(api) = backend.web().filter(|api| api.base.is_tls()) else { return Ok(None) };
    // What keeps it from being reached is told by the check.
    let presented = tls::presented_certificate(&backend.settings, &api.base, &api.guard).await;
    let Ok(presented) = presented else { return Ok(None) };
    show_certificate(&presented, api, console)?;
    let settings = &backend.settings;
    match &presented.trust {
        Ok(CertificateTrust::Any) => {
            let how = how_to_pin(settings, presented.fingerprint);
            writeln!(console.err, "instead of `tls_skip_verify`, {how}")?;
            Ok(None)
        }
        Ok(_) => Ok(None),
        Err(refused) => {
            if console.can_ask && ask_agreement(settings, console)? {
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
    api: &ApiAccess,
    console: &mut Console,
) -> io::Result<()> {
    let PresentedCertificate { details, fingerprint, trust } = presented;
    let err = &mut console.err;
    let host = api.base.as_url().host_str().unwrap_or_default();
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

fn ask_agreement(settings: &BackendSettings, console: &mut Console) -> io::Result<bool> {
    let name = &settings.name;
    writeln!(
        console.err,
        "nothing was sent yet. On the server, `openssl x509 -noout -fingerprint -sha256 -in FILE` shows \
         the fingerprint of its certificate"
    )?;
    write!(console.err, "is it the same, and shall backend \"{name}\" be pinned to it? [y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
