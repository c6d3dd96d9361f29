//! Tasks: work that a worker does later, and the log of what was done.
//!
//! A task is waiting at first, then at work, and ends after the configured time. That is found out
//! when somebody asks for anything: nothing runs by itself.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::data::{RequestData, order};
use super::failure::DanubeFailure;
use super::records::BackupStatus;
use super::state::DanubeState;
use super::task_records::{DanubeTask, LogEntry, TaskEffect, TaskEnd};
use super::users::{AccountUser, UserRole};

/// A task that is to begin.
pub(super) struct TaskPlan<'plan> {
    pub(super) user: &'plan AccountUser,
    pub(super) dc: &'plan str,
    pub(super) method: &'static str,
    pub(super) hostname: &'plan str,
    pub(super) disk_id: u64,
    pub(super) bkpname: &'plan str,
    pub(super) machine: &'plan str,
    pub(super) effect: TaskEffect,
    pub(super) fails: bool,
}

/// A task that has begun: its id.
#[derive(Debug, PartialEq)]
pub(super) struct BegunTask(pub(super) String);

impl DanubeState {
    /// Begins a task.
    pub(super) fn begin(&mut self, plan: TaskPlan<'_>) -> BegunTask {
        let TaskPlan { user, dc, method, hostname, disk_id, bkpname, machine, effect, fails } =
            plan;
        let owner =
            self.machines.iter().find(|it| it.uuid == machine).map_or(user.name, |it| it.owner);
        let id = self.task_id('e', user.name, owner, dc);
        let begun = self.clock.now();
        let message = match effect {
            TaskEffect::Create(_) => "Create backup",
            TaskEffect::Delete(_) => "Delete backup",
            TaskEffect::Restore(..) => "Restore backup",
        };
        self.write_log(&id, user.name, dc, "PENDING", message, hostname);
        self.tasks.push(DanubeTask {
            id: id.clone(),
            user: user.name,
            owner,
            dc: dc.to_owned(),
            disk_id,
            machine: machine.to_owned(),
            begun,
            ends: begun + self.task_duration,
            end: None,
            effect,
            fails,
            details: json!({
                "view": "vm_backup",
                "method": method,
                "hostname": hostname,
                "disk_id": disk_id,
                "bkpname": bkpname,
                "vm": true,
                "task_id": id,
            }),
        });
        BegunTask(id)
    }

    /// Makes the id of an answer at once, which names no task.
    pub(super) fn dummy_id(&mut self, user: &'static str, dc: &str) -> String {
        self.task_id('d', user, user, dc)
    }

    /// Makes an id: who began it, of what kind it is, whose it is, and in which datacenter.
    fn task_id(&mut self, kind: char, user: &str, owner: &str, dc: &str) -> String {
        let number =
            |name: &str| self.users.iter().find(|it| it.name == name).map_or(0, |it| it.id);
        let (user, owner) = (number(user), number(owner));
        let dc = self.datacenters.iter().find(|it| it.name == dc).map_or(1, |it| it.id);
        let (bits, more) = (self.generator.next_u64(), self.generator.next_u64());
        format!(
            "{user}{kind}{owner}d{dc}-{:08x}-{:04x}-{:04x}-{:04x}",
            bits >> 32,
            bits & 0xffff,
            more >> 48,
            more & 0xffff
        )
    }

    fn write_log(
        &mut self,
        task: &str,
        user: &'static str,
        dc: &str,
        status: &'static str,
        message: &'static str,
        object: &str,
    ) {
        let time = self.clock.date(Duration::ZERO);
        let (task, dc, object) = (task.to_owned(), dc.to_owned(), object.to_owned());
        self.log.insert(0, LogEntry { task, user, dc, status, time, message, object });
    }

    /// Ends what has taken its time.
    pub(super) fn settle(&mut self) {
        let now = self.clock.now();
        let due: Vec<DanubeTask> =
            self.tasks.iter().filter(|it| it.is_pending() && it.ends <= now).cloned().collect();
        for task in due {
            let end = if task.fails { self.undo(&task) } else { self.apply(&task) };
            self.finish(&task.id, end);
        }
    }

    fn finish(&mut self, id: &str, end: TaskEnd) {
        let status = match end {
            TaskEnd::Success(_) => "SUCCESS",
            TaskEnd::Failure(_) => "FAILURE",
            TaskEnd::Revoked => "REVOKED",
        };
        if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
            task.end = Some(end);
        }
        // The row of its start stays.
        let started = self.log.iter().find(|entry| entry.task == id).cloned();
        if let Some(started) = started {
            let time = self.clock.date(Duration::ZERO);
            self.log.insert(0, LogEntry { status, time, ..started });
        }
    }

    fn apply(&mut self, task: &DanubeTask) -> TaskEnd {
        let message = match &task.effect {
            TaskEffect::Create(key) => {
                let size = 1_500_000_000 + self.generator.below(900_000_000);
                if let Some(backup) = self.backups.iter_mut().find(|it| it.key() == *key) {
                    backup.status = BackupStatus::Ok;
                    backup.size = Some(size);
                    backup.time = Some(task.ends.saturating_sub(task.begun).as_secs());
                }
                let detail = format!("msg=Backup done, size={size}");
                return TaskEnd::Success(json!({
                    "message": "Backup successfully created",
                    "returncode": 0,
                    "detail": detail,
                }));
            }
            TaskEffect::Delete(keys) => {
                self.backups.retain(|backup| !keys.contains(&backup.key()));
                "Backup successfully deleted"
            }
            TaskEffect::Restore(key, disk_id) => {
                self.set_status(key, BackupStatus::Ok);
                let machine = self.machines.iter_mut().find(|it| it.uuid == task.machine);
                let at = usize::try_from(*disk_id).ok().and_then(|id| id.checked_sub(1));
                if let (Some(machine), Some(at)) = (machine, at)
                    && let Some(disk) = machine.disks.get_mut(at)
                {
                    disk.snapshots = 0;
                    disk.restored_from = Some(key.2.clone());
                }
                "Backup successfully restored"
            }
        };
        TaskEnd::Success(json!({"message": message, "returncode": 0, "detail": ""}))
    }

    /// Takes back what was prepared for a task that fails.
    fn undo(&mut self, task: &DanubeTask) -> TaskEnd {
        let message = match &task.effect {
            TaskEffect::Create(key) => {
                self.backups.retain(|backup| backup.key() != *key);
                "Failed to create backup"
            }
            TaskEffect::Delete(keys) => {
                keys.iter().for_each(|key| self.set_status(key, BackupStatus::Ok));
                "Failed to delete backup"
            }
            TaskEffect::Restore(key, _) => {
                self.set_status(key, BackupStatus::Ok);
                "Failed to restore backup"
            }
        };
        let detail = "msg=cannot open 'zones/backups': dataset does not exist";
        TaskEnd::Failure(json!({"message": message, "returncode": 1, "detail": detail}))
    }

    /// Lists the ids of the tasks that have not ended.
    pub(super) fn list_tasks(&self, user: &AccountUser, dc: &str) -> Value {
        let is_seen =
            |task: &&DanubeTask| task.is_pending() && task.dc == dc && may_see(user, task);
        self.tasks.iter().filter(is_seen).map(|task| task.id.as_str()).collect()
    }

    /// Shows what a pending task does.
    pub(super) fn show_task(
        &self,
        user: &AccountUser,
        dc: &str,
        id: &str,
    ) -> Result<Value, DanubeFailure> {
        let found = self.known(user, id)?.filter(|task| task.is_pending() && task.dc == dc);
        let task = found.ok_or_else(|| DanubeFailure::new(404, "Task does not exist"))?;
        Ok(task.details.clone())
    }

    /// Shows the state of a task.
    pub(super) fn task_status(
        &self,
        user: &AccountUser,
        id: &str,
    ) -> Result<(StatusCode, Value), DanubeFailure> {
        match self.known(user, id)? {
            Some(task) => Ok(task.envelope(self.clock.now())),
            // The queue does not tell an old task from one that has not begun.
            None if is_real(id) => {
                let answer = json!({"task_id": id, "status": "PENDING", "result": null});
                Ok((StatusCode::CREATED, answer))
            }
            None => Err(DanubeFailure::new(404, "Task does not exist (anymore)")),
        }
    }

    /// Says whether a task has succeeded, with the status code of its state.
    pub(super) fn task_done(
        &self,
        user: &AccountUser,
        id: &str,
    ) -> Result<(StatusCode, Value), DanubeFailure> {
        let (code, envelope) = self.task_status(user, id)?;
        let done = envelope.get("status").is_some_and(|status| status == "SUCCESS");
        Ok((code, json!({"done": done})))
    }

    /// Ends a task of a datacenter before its time.
    pub(super) fn cancel_task(
        &mut self,
        user: &AccountUser,
        dc: &str,
        id: &str,
    ) -> Result<(StatusCode, Value), DanubeFailure> {
        let task = self.known(user, id)?;
        // Who owns the machine sees the task, and that is all.
        if task.is_some_and(|task| task.user != user.name && !user.is_admin(&task.dc)) {
            return Err(DanubeFailure::forbidden());
        }
        let task = task.filter(|task| task.is_pending() && task.dc == dc).cloned();
        let task = task.ok_or_else(|| DanubeFailure::new(406, "Task cannot be canceled"))?;
        self.undo(&task);
        self.finish(id, TaskEnd::Revoked);
        self.task_status(user, id)
    }

    /// Deletes the record of a task that is stuck.
    pub(super) fn delete_task(
        &mut self,
        user: &AccountUser,
        dc: &str,
        id: &str,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        if user.role != UserRole::SuperAdmin {
            return Err(DanubeFailure::forbidden());
        }
        if data.flag("force") != Some(true) {
            return Err(DanubeFailure::new(406, "Safe task deletion is not implemented"));
        }
        let found = self.known(user, id)?.filter(|task| task.is_pending() && task.dc == dc);
        let task = found.cloned().ok_or_else(|| DanubeFailure::new(404, "Task does not exist"))?;
        self.undo(&task);
        self.tasks.retain(|task| task.id != id);
        Ok(json!("Delete pending"))
    }

    /// Shows the log: a page, or the newest ten.
    pub(super) fn task_log(
        &self,
        user: &AccountUser,
        dc: &str,
        url: &str,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        check_log(data)?;
        let is_running = data.flag("show_running").unwrap_or_default();
        let runs =
            |entry: &LogEntry| self.tasks.iter().any(|it| it.id == entry.task && it.is_pending());
        let day = |entry: &LogEntry| entry.time.iso().get(..10).unwrap_or_default().to_owned();
        // A name alone says nothing.
        let name = data.text("object_type").and(data.text("object_name"));
        let mut entries: Vec<&LogEntry> = self
            .log
            .iter()
            .filter(|entry| entry.dc == dc && (user.is_admin(dc) || entry.user == user.name))
            .filter(|entry| !is_running || runs(entry))
            .filter(|entry| data.text("status").is_none_or(|status| entry.status == status))
            .filter(|entry| name.is_none_or(|name| entry.object == name))
            .filter(|entry| data.text("date_from").is_none_or(|from| day(entry).as_str() >= from))
            .filter(|entry| data.text("date_to").is_none_or(|to| day(entry).as_str() <= to))
            .filter(|_| data.text("object_type").is_none_or(|kind| kind == "vm"))
            .collect();
        if data.text("order_by") == Some("time") {
            entries.reverse();
        }
        let shown = |entry: &&LogEntry| {
            json!({
                "task": entry.task,
                "username": entry.user,
                "dc": entry.dc,
                "status": entry.status,
                "time": entry.time.iso(),
                "msg": entry.message,
                "detail": "",
                "object_type": "vm",
                "object_name": entry.object,
                "object_alias": entry.object,
            })
        };
        let no_page = || DanubeFailure::new(404, "Invalid page.");
        let Some(page) = data.number("page").map_err(|_| no_page())? else {
            return Ok(json!({"results": entries.iter().take(10).map(shown).collect::<Value>()}));
        };
        let pages = entries.len().div_ceil(PAGE).max(1);
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        if page == 0 || page > pages {
            return Err(no_page());
        }
        let link = |page: usize| format!("{url}?page={page}");
        let results: Value = entries.iter().skip((page - 1) * PAGE).take(PAGE).map(shown).collect();
        Ok(json!({
            "count": entries.len(),
            "next": (page < pages).then(|| link(page + 1)),
            "previous": (page > 1).then(|| link(page - 1)),
            "results": results,
        }))
    }

    /// Counts how tasks ended.
    pub(super) fn log_stats(
        &self,
        user: &AccountUser,
        dc: &str,
        data: &RequestData,
    ) -> Result<Value, DanubeFailure> {
        if !user.is_admin(dc) {
            return Err(DanubeFailure::forbidden());
        }
        let last = data.number("last").map_err(|_| DanubeFailure::new(412, "Invalid last"))?;
        let last = last.unwrap_or(86_400);
        let since = self.clock.date(Duration::from_secs(last));
        let count = |status: &str| {
            let fits =
                |entry: &&LogEntry| entry.dc == dc && entry.status == status && entry.time >= since;
            self.log.iter().filter(fits).count()
        };
        Ok(json!({
            "succeeded": count("SUCCESS"),
            "failed": count("FAILURE"),
            "pending": count("PENDING"),
            "revoked": count("REVOKED"),
            "_last": last,
        }))
    }

    /// Finds a task by its id. Who may see it is in the id: another's, and what is no id, is refused,
    /// whether or not there is such a task.
    fn known(&self, user: &AccountUser, id: &str) -> Result<Option<&DanubeTask>, DanubeFailure> {
        let found = self.tasks.iter().find(|task| task.id == id);
        let is_seen = match found {
            Some(task) => may_see(user, task),
            None => parts(id).is_some_and(|(by, _, owner, dc)| {
                let mut names = self.datacenters.iter().filter(|it| it.id == dc);
                by == user.id || owner == user.id || names.any(|it| user.is_admin(it.name))
            }),
        };
        if is_seen { Ok(found) } else { Err(DanubeFailure::forbidden()) }
    }
}

fn may_see(user: &AccountUser, task: &DanubeTask) -> bool {
    task.user == user.name || task.owner == user.name || user.is_admin(&task.dc)
}

/// Refuses what the log cannot be searched for.
fn check_log(data: &RequestData) -> Result<(), DanubeFailure> {
    if let Some(status) = data.text("status")
        && !["PENDING", "SUCCESS", "FAILURE", "REVOKED"].contains(&status)
    {
        let text = format!("Select a valid choice. {status} is not one of the available choices.");
        return Err(DanubeFailure::field("status", text));
    }
    let is_date = |text: &str| {
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        lengths == [4, 2, 2] && text.chars().all(|c| c.is_ascii_digit() || c == '-')
    };
    for field in ["date_from", "date_to"] {
        if data.text(field).is_some_and(|text| !is_date(text)) {
            return Err(DanubeFailure::field(field, "Enter a valid date."));
        }
    }
    order(data, &["time"], "-time").map(drop)
}

/// Reads an id: who began the task, whether there can be one, whose it is, and its datacenter.
fn parts(id: &str) -> Option<(u64, bool, u64, u64)> {
    let (head, rest) = id.split_once('-')?;
    let lengths: Vec<usize> = rest.split('-').map(str::len).collect();
    let is_hex = rest.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let (user, rest) = head.split_once(['d', 'e'])?;
    let (owner, dc) = rest.split_once('d')?;
    let is_real = head.get(user.len()..=user.len()) == Some("e");
    let all = (user.parse().ok()?, is_real, owner.parse().ok()?, dc.parse().ok()?);
    (lengths == [8, 4, 4, 4] && is_hex).then_some(all)
}

/// Says whether there can be a task with this id.
fn is_real(id: &str) -> bool {
    parts(id).is_some_and(|(_, is_real, ..)| is_real)
}

/// Entries of a page of the log.
const PAGE: usize = 100;
