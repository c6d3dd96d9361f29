//! `appliance.*`: the machine that the proxy runs on.

use serde_json::{Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;

impl ProxyApp {
    pub(super) fn appliance(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        let mut state = self.state();
        let value = match call.name {
            "check" => Value::from(
                "\u{1b}[32m✔\u{1b}[39m Node version\n\u{1b}[32m✔\u{1b}[39m Disk space for /\n\
                 \u{1b}[33m⚠\u{1b}[39m NTP synchronization\n",
            ),
            "getInfo" => json!({ "os": "debian", "osVersion": "12" }),
            "supportTunnel.getState" => {
                let stdout = if state.has_tunnel { "Your support ID: 31337" } else { "" };
                json!({ "open": state.has_tunnel, "stdout": stdout })
            }
            "supportTunnel.open" => {
                state.has_tunnel = true;
                true.into()
            }
            "supportTunnel.close" => {
                state.has_tunnel = false;
                true.into()
            }
            "updater.configure" => {
                state.channel = call.text("channel").to_owned();
                true.into()
            }
            "updater.getLocalManifest" => {
                json!({ "channel": state.channel, "npm": { "@xen-orchestra/proxy": "0.31.6" } })
            }
            "updater.upgrade" => json!({ "state": "upgraded", "level": "success" }),
            _ => json!({ "state": "up-to-date", "level": "success" }),
        };
        Ok(MethodOutcome::Value(value))
    }
}
