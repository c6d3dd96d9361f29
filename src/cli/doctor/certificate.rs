//! What `doctor` says about the certificate of a backend: which one it presents, until when it is valid,
//! and why it is accepted.

use std::time::SystemTime;

use dadl_descriptor::model::auth::login::is_loopback;
use url::Url;

use super::DoctorReport;
use crate::{
    app::LoadedBackend,
    cli::pinning,
    config::BackendSettings,
    http::{
        certificate_trust::{CertificateTrust, PresentedCertificate, RefusedCertificate},
        client_certificate, tls,
    },
    outcome::timestamp,
};

/// What is reported about, in a word.
const SUBJECT: &str = "tls";

/// Reports how requests to `backend` are encrypted; the certificate is looked at when it `is_reachable`.
pub(super) async fn describe_certificate(
    backend: &LoadedBackend,
    is_reachable: bool,
    report: &mut DoctorReport,
) {
    let Some(api) = backend.web() else { return };
    let (url, settings) = (api.base.as_url(), &backend.settings);
    if url.scheme() != "https" {
        if !is_loopback(url) {
            report.warn(
                SUBJECT,
                "plain http: the credential can be read on the way",
                "use https if the backend has it",
            );
        }
        return;
    }
    describe_own(&backend.settings, url, report);
    if !is_reachable {
        return;
    }
    match tls::presented_certificate(settings, &api.base, &api.guard).await {
        Ok(presented) => tell_certificate(&presented, backend, report),
        // What follows says more.
        Err(error) => report.warn(
            SUBJECT,
            format!("nobody knows which certificate it has: {error}"),
            "check that the port speaks TLS",
        ),
    }
}

/// Reports which certificate is shown to the backend. One that cannot be shown is a problem of the settings.
fn describe_own(settings: &BackendSettings, url: &Url, report: &mut DoctorReport) {
    let Ok(Some(own)) = client_certificate::check_identity(settings, url) else { return };
    let until = own.until.as_deref();
    let valid = until.map(|until| format!(", valid until {until}")).unwrap_or_default();
    let finding = format!("`client_cert` is shown: {}{valid}", own.subject);
    let now = timestamp::rfc3339(SystemTime::now());
    if until.is_some_and(|until| *until < *now) {
        report.warn(SUBJECT, finding, "it has expired: replace it");
    } else {
        report.ok(SUBJECT, finding);
    }
}

fn tell_certificate(
    presented: &PresentedCertificate,
    backend: &LoadedBackend,
    report: &mut DoctorReport,
) {
    let PresentedCertificate { details, fingerprint, trust } = presented;
    let until = details.until.as_deref();
    let valid = until.map(|until| format!(", valid until {until}")).unwrap_or_default();
    let finding = format!("SHA-256 {fingerprint}{valid}");
    let now = timestamp::rfc3339(SystemTime::now());
    let is_over = until.is_some_and(|until| *until < *now);
    let over = "it has expired, and is accepted all the same: replace it, and pin the new one";
    let by_itself = match trust {
        Ok(CertificateTrust::Any) => {
            let finding = format!(
                "any certificate is accepted: somebody in between can read the credential; {finding}"
            );
            let hint = format!(
                "instead of `tls_skip_verify`, {}",
                pinning::how_to_pin(&backend.settings, *fingerprint)
            );
            return report.warn(SUBJECT, finding, hint);
        }
        Ok(CertificateTrust::Chain) => {
            return report.ok(SUBJECT, format!("{finding}; an authority vouches for it"));
        }
        Ok(CertificateTrust::File) => "it is in `ca_file` itself",
        Ok(CertificateTrust::Pin) => "it is pinned (`tls_fingerprint`)",
        Err(refused @ RefusedCertificate::Untrusted { .. }) => {
            let hint = format!(
                "compare it with that of your server; then {}",
                pinning::how_to_pin(&backend.settings, *fingerprint)
            );
            return report.fail(SUBJECT, format!("{refused}{valid}"), hint);
        }
        Err(refused @ RefusedCertificate::Changed(_)) => {
            let hint = "where the server has a new certificate, put this fingerprint into \
                        `tls_fingerprint`; else somebody may be in between";
            return report.fail(SUBJECT, format!("{refused}{valid}"), hint);
        }
    };
    match is_over {
        true => report.warn(SUBJECT, format!("{finding}; {by_itself}"), over),
        false => report.ok(SUBJECT, format!("{finding}; {by_itself}")),
    }
}
