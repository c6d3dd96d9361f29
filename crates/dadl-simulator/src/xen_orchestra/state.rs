//! What one simulated XO knows.

use serde_json::json;

use super::accounts::AccountTable;
use super::kind::XenKind;
use super::store::ObjectStore;
use crate::server::now_millis;

/// Objects and accounts.
#[derive(Debug)]
pub(super) struct XenState {
    /// The objects.
    pub(super) store: ObjectStore,
    /// Passwords and tokens.
    pub(super) accounts: AccountTable,
}

impl XenState {
    /// Adds a pending task and returns its identifier.
    pub(super) fn add_task(&mut self, properties: serde_json::Value) -> String {
        let start = now_millis();
        let id = self.task_id(start);
        self.store.insert(
            XenKind::Task,
            json!({
                "id": id,
                "properties": properties,
                "start": start,
                "status": "pending",
                "updatedAt": start,
            }),
        )
    }

    /// Adds the task that XO leaves behind for a failed login.
    pub(super) fn record_failed_login(&mut self, name: &str, address: &str) {
        let id = self.add_task(json!({
            "credentials": {"username": name, "password": "* obfuscated *"},
            "userData": {"ip": address},
            "name": "XO user authentication",
            "type": "xo:authentication:authenticateUser",
        }));
        self.store.update(XenKind::Task, &id, |task| {
            task.insert("status".to_owned(), "failure".into());
            task.insert("end".to_owned(), now_millis().into());
            task.insert(
                "result".to_owned(),
                json!({
                    "code": 3,
                    "message": "invalid credentials",
                    "name": "XoError",
                    "stack": "XoError: invalid credentials\n    at simulator",
                }),
            );
        });
    }

    /// Returns an identifier made of the time and some random digits, both in base 36.
    fn task_id(&mut self, start: u64) -> String {
        let mut digits = String::new();
        let mut rest = start;
        while rest > 0 {
            let digit = char::from_digit((rest % 36) as u32, 36).unwrap_or('0');
            digits.insert(0, digit);
            rest /= 36;
        }
        format!("0{digits}-{}", self.store.generator.base36(10))
    }
}
