//! `remote.*`, and how a repository is found by its URL.

use serde_json::{Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use super::seed::{BackupRepository, ProxyState};

/// The kinds of repository that the proxy can read.
const SCHEMES: [&str; 5] = ["azure", "file", "nfs", "s3", "smb"];

impl ProxyState {
    /// Finds a repository. One that nobody knows is empty; a host called `down` does not answer.
    pub(super) fn repository(
        &mut self,
        remote: &Value,
    ) -> Result<&mut BackupRepository, ProxyFailure> {
        let Some(url) = remote.get("url").and_then(Value::as_str) else {
            return Err(ProxyFailure::thrown(
                "Cannot read properties of undefined (reading 'match')",
            ));
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if !SCHEMES.contains(&scheme) {
            return Err(ProxyFailure::thrown("Unhandled remote type"));
        }
        let authority = rest.split(['/', '\\']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        if host.split('.').next() == Some("down") {
            return Err(ProxyFailure::thrown(format!(
                "mount.{scheme}: connection timed out for {url}"
            )));
        }
        Ok(self.repositories.entry(url.to_owned()).or_default())
    }
}

impl ProxyApp {
    pub(super) fn remote(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        let mut state = self.state();
        let remote = call.params.get("remote").unwrap_or(&Value::Null);
        let repository = state.repository(remote);
        let value = match (call.name, repository) {
            // A test never fails: it says why it did.
            ("test", Err(failure)) => json!({ "success": false, "error": failure.message() }),
            ("test", Ok(_)) => {
                json!({ "success": true, "writeRate": 1_233_640_448.5, "readRate": 739_080_185.7 })
            }
            (_, Err(failure)) => return Err(failure),
            ("ping", Ok(_)) => json!({ "success": true }),
            ("getInfo", Ok(_)) => json!({
                "size": 270_553_174_016_u64, "used": 20_612_243_456_u64,
                "available": 76_960_505_856_u64,
            }),
            (_, Ok(repository)) => repository.size(),
        };
        Ok(MethodOutcome::Value(value))
    }
}
