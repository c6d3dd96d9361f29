//! `backup.run` and `backup.importVmBackup`: work that takes its time and writes a log.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::backups::missing;
use super::failure::ProxyFailure;
use crate::server::now_millis;

/// So many parts has a run.
const PARTS: u32 = 3;

/// Work that has begun.
struct ProxyWork {
    /// Among the tasks.
    task: String,
    /// The job, which cannot run twice at once.
    job: Option<String>,
    name: &'static str,
    properties: Value,
    /// What the call answers in the end.
    result: Value,
    /// Why no VM was backed up, though the run is a success.
    trouble: Option<String>,
}

impl ProxyApp {
    pub(super) async fn run(
        self: &Arc<Self>,
        call: &ProxyCall,
    ) -> Result<MethodOutcome, ProxyFailure> {
        let work = if call.name == "run" { self.job(call)? } else { self.import(call)? };
        let (sender, receiver) = mpsc::channel(16);
        let result = work.result.clone();
        let done = tokio::spawn(Arc::clone(self).work(work, sender));
        if call.flag("streamLogs") {
            return Ok(MethodOutcome::Stream(receiver));
        }
        // Nobody reads the log, and the work goes on all the same.
        drop(receiver);
        done.await.map_err(|_| ProxyFailure::thrown("worker exited with code 1"))?;
        Ok(MethodOutcome::Value(result))
    }

    fn job(&self, call: &ProxyCall) -> Result<ProxyWork, ProxyFailure> {
        let job = call.member("job", "id").as_str().map(str::to_owned);
        let mut state = self.state();
        // What is missing in a job is found out in another process.
        let kind = call.member("job", "type").as_str();
        if !matches!(kind, Some("backup" | "metadataBackup"))
            || !call.member("job", "settings").is_object()
        {
            return Err(ProxyFailure::of_worker());
        }
        let remotes = call.params.get("remotes").and_then(Value::as_object);
        let trouble = remotes.into_iter().flatten().find_map(|(_, remote)| {
            state.repository(remote).err().map(|failure| failure.message().to_owned())
        });
        if let Some(job) = &job {
            if state.running.contains(job) {
                return Err(ProxyFailure::thrown("job is already running"));
            }
            state.running.push(job.clone());
        }
        let properties = json!({
            "name": "backup run",
            "jobId": job,
            "jobName": call.member("job", "name"),
            "mode": call.member("job", "mode"),
            "scheduleId": call.member("schedule", "id"),
        });
        let task = state.generator.base36(11);
        Ok(ProxyWork { task, job, name: "backup VM", properties, result: true.into(), trouble })
    }

    fn import(&self, call: &ProxyCall) -> Result<ProxyWork, ProxyFailure> {
        let mut state = self.state();
        let remote = call.params.get("remote").unwrap_or(&Value::Null);
        state.repository(remote)?;
        // Whom to log in as is looked at first.
        for (member, read) in [("credentials", "username"), ("url", "hostname")] {
            if call.member("xapi", member).is_null() {
                let text = format!("Cannot read properties of undefined (reading '{read}')");
                return Err(ProxyFailure::of_type(text));
            }
        }
        let id = call.text("backupId");
        let backup = state.repository(remote)?.vm_backup(id).cloned();
        let backup = backup.ok_or_else(|| missing(remote, id.trim_start_matches('/')))?;
        let properties = json!({
            "name": "restore",
            "backupId": call.text("backupId"),
            "jobId": backup.get("jobId"),
            "srId": call.text("srUuid"),
            "time": backup.get("timestamp"),
        });
        let (task, vm) = (state.generator.base36(11), state.generator.uuid());
        Ok(ProxyWork {
            task,
            job: None,
            name: "transfer",
            properties,
            result: vm.into(),
            trouble: None,
        })
    }

    /// Does the work and writes its log, as long as somebody reads that.
    async fn work(self: Arc<Self>, work: ProxyWork, log: mpsc::Sender<Value>) {
        let ProxyWork { task, job, name, properties, result, trouble } = work;
        self.state().tasks.begin(&task, now_millis(), &properties);
        self.announce();
        let say = async |event: Value| {
            // A log that nobody reads any more is no reason to stop.
            let _ = log.send(event).await;
        };
        say(json!({
            "id": task, "type": "start", "timestamp": now_millis(), "properties": properties,
        }))
        .await;
        for part in 1..=PARTS {
            let id = format!("{task}.{part}");
            say(json!({
                "id": id, "parentId": task, "type": "start", "timestamp": now_millis(),
                "properties": { "name": name, "name_label": format!("vm-{part:02}") },
            }))
            .await;
            tokio::time::sleep(self.options.common.task_duration / PARTS).await;
            let mut end =
                json!({ "id": id, "type": "end", "timestamp": now_millis(), "status": "success" });
            if let (Some(end), Some(message)) = (end.as_object_mut(), &trouble) {
                end.insert("status".to_owned(), "failure".into());
                end.insert("result".to_owned(), json!({ "message": message, "name": "Error" }));
            }
            say(end).await;
        }
        let mut end =
            json!({ "id": task, "type": "end", "timestamp": now_millis(), "status": "success" });
        if let (Some(end), true) = (end.as_object_mut(), result.is_string()) {
            end.insert("result".to_owned(), json!({ "id": result }));
        }
        {
            let mut state = self.state();
            state.running.retain(|running| Some(running) != job.as_ref());
            state.tasks.end(&task, now_millis(), "success");
        }
        self.announce();
        say(end).await;
    }
}
