//! Performance figures: smooth, made up, and the same for the same object.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use crate::server::{HttpReply, SeededGenerator, fingerprint, now_millis};

impl XenApp {
    /// Answers with the figures of a VM or a host, or of all hosts of a pool.
    pub(super) fn stats(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let (interval, points) = match call.request.query.first("granularity") {
            Some("minutes") => (60, 120),
            Some("hours") => (3600, 168),
            Some("days") => (86_400, 366),
            _ => (5, 120),
        };
        let state = self.state();
        let id = call.capture(0);
        let figures = match call.operation.segments().first() {
            Some(&"vms") => {
                let vm = state.store.find(XenKind::Vm, id)?;
                if vm.text("power_state") != "Running" {
                    return Err(no_host(vm));
                }
                machine_figures(vm, interval, points)
            }
            Some(&"hosts") => host_figures(state.store.find(XenKind::Host, id)?, interval, points),
            _ => {
                let hosts = state.store.all(XenKind::Host);
                let hosts = hosts.filter(|host| host.1.text("$pool") == id);
                hosts
                    .map(|host| (host.0.to_owned(), host_figures(host.1, interval, points)))
                    .collect::<Map<_, _>>()
                    .into()
            }
        };
        Ok(HttpReply::json(StatusCode::OK, &figures))
    }
}

/// Fails because a VM is on no host; the error of the method behind it comes along.
fn no_host(vm: &XenObject) -> XenFailure {
    let id = vm.text("id");
    let message = format!("VM {id} is halted or host could not be found.");
    XenFailure::unprocessable(&message).with_data(json!({"errors": {
        "code": 25,
        "data": {
            "expected": "<host-uuid>",
            "object": {
                "uuid": id, "name_label": vm.text("name_label"),
                "name_description": vm.text("name_description"),
                "power_state": vm.text("power_state"), "is_a_template": false,
            },
        },
    }}))
}

/// Returns how busy an object's processors are, in percent, between 2 and 82.
pub(super) fn load(id: &str) -> f64 {
    let mut generator = SeededGenerator::new(fingerprint(id));
    (generator.fraction() * 800.0).round() / 10.0 + 2.0
}

fn machine_figures(vm: &XenObject, interval: u64, points: usize) -> Value {
    let id = vm.text("id");
    let cpus = vm.get("CPUs").and_then(|cpus| cpus.get("number")).and_then(Value::as_u64);
    let size = vm.get("memory").and_then(|memory| memory.get("size")).and_then(Value::as_u64);
    let size = size.unwrap_or_default();
    let cpus: Map<String, Value> = (0..cpus.unwrap_or(1))
        .map(|cpu| (cpu.to_string(), series(id, &format!("cpu{cpu}"), load(id), points)))
        .collect();
    json!({
        "endTimestamp": now_millis() / 1000,
        "interval": interval,
        "stats": {
            "cpus": cpus,
            "memory": vec![size; points],
            "iops": {
                "r": {"a": series(id, "reads", 12.0, points)},
                "w": {"a": series(id, "writes", 30.0, points)},
            },
            "xvds": {
                "r": {"a": series(id, "read", 40_000.0, points)},
                "w": {"a": series(id, "written", 90_000.0, points)},
            },
            "vifs": {
                "rx": {"0": series(id, "received", 20_000.0, points)},
                "tx": {"0": series(id, "sent", 60_000.0, points)},
            },
            "memoryFree": series(id, "free", size as f64 / 3.0, points),
        },
    })
}

fn host_figures(host: &XenObject, interval: u64, points: usize) -> Value {
    let id = host.text("id");
    // A storage repository has the first digits of its UUID.
    let storage = id.get(..8).unwrap_or(id);
    let memory =
        |name: &str| host.get("memory").and_then(|memory| memory.get(name)).and_then(Value::as_u64);
    let size = memory("size").unwrap_or_default();
    let free = size.saturating_sub(memory("usage").unwrap_or_default());
    let cpus: Map<String, Value> = (0..16)
        .map(|cpu| (cpu.to_string(), series(id, &format!("cpu{cpu}"), load(id), points)))
        .collect();
    json!({
        "endTimestamp": now_millis() / 1000,
        "interval": interval,
        "stats": {
            "cpus": cpus,
            "load": series(id, "load", 0.8, points),
            "memoryFree": series(id, "free", free as f64, points),
            "memory": vec![size; points],
            "pifs": {
                "rx": {"0": series(id, "received", 900_000.0, points)},
                "tx": {"0": series(id, "sent", 700_000.0, points)},
            },
            "iops": {
                "r": {storage: series(id, "reads", 90.0, points)},
                "w": {storage: series(id, "writes", 210.0, points)},
            },
            "ioThroughput": {
                "r": {storage: series(id, "read", 400_000.0, points)},
                "w": {storage: series(id, "written", 800_000.0, points)},
            },
        },
    })
}

fn series(id: &str, name: &str, around: f64, points: usize) -> Value {
    let mut generator = SeededGenerator::new(fingerprint(id) ^ fingerprint(name));
    let values = (0..points).map(|_| {
        let value = around * (0.8 + generator.fraction() * 0.4);
        (value * 1000.0).round() / 1000.0
    });
    values.collect()
}
