//! Exports and imports: raw bytes that are generated or counted, never kept.
//!
//! XO announces the length of exported disks but not that of machines, and has no resume. An
//! upload onto an existing disk must be as long as the disk.

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use serde_json::{Map, json};

use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::Properties;
use super::seed::{NewMachine, add_disk, add_machine};
use crate::server::{HttpReply, SeededGenerator, fingerprint};

impl XenApp {
    /// Exports a disk or a machine, or overwrites a disk.
    pub(super) async fn transfer(&self, call: &mut XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let collection = call.operation.path.split(['/', '{']).nth(1).unwrap_or_default();
        let kind = XenKind::from_collection(collection);
        let kind = kind.ok_or_else(|| XenFailure::unexpected("no such collection"))?;
        let (id, format) = (call.capture(0).to_owned(), call.capture(1).to_owned());
        let is_disk = matches!(kind, XenKind::Vdi | XenKind::VdiSnapshot);
        let formats: &[&str] = if is_disk { &["raw", "vhd"] } else { &["ova", "xva"] };
        if !formats.contains(&format.as_str()) {
            let mut errors = Map::new();
            let message = "Value does not match any allowed schema";
            errors.insert("format".to_owned(), json!({"message": message, "value": format}));
            return Err(XenFailure::invalid(errors));
        }
        if call.operation.method == Method::PUT {
            return self.overwrite(&id, call).await;
        }
        self.state().store.find(kind, &id)?;
        let size = self.options.export_size;
        let generator = SeededGenerator::new(fingerprint(&format!("{id}.{format}")));
        let reply = HttpReply::generated(generator, size);
        if is_disk {
            return Ok(reply.header(CONTENT_LENGTH, &size.to_string()));
        }
        Ok(reply)
    }

    /// Makes a disk or a machine from an upload.
    pub(super) async fn import(&self, call: &mut XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let id = call.capture(0).to_owned();
        let size = call.request.body.count().await?;
        let query = &call.request.query;
        let mut state = self.state();
        let created = if call.operation.path.starts_with("/srs") {
            let name = query.first("name_label").unwrap_or_default();
            let description = query.first("name_description").unwrap_or_default();
            state.add_loose_disk(&id, name, description, size)?
        } else {
            let storage = match query.first("sr") {
                Some(storage) => state.store.find(XenKind::Sr, storage)?.text("id").to_owned(),
                None => state.store.find(XenKind::Pool, &id)?.text("default_SR").to_owned(),
            };
            let vm = add_machine(
                &mut state.store,
                &NewMachine {
                    name: "imported".to_owned(),
                    description: format!("Imported, {size} bytes"),
                    pool: id.clone(),
                    container: id,
                    cpus: 2,
                    memory: 2 << 30,
                    template: None,
                    user: Some(call.user.id.clone()),
                    auto_poweron: false,
                    firmware: "bios".to_owned(),
                },
            );
            add_disk(&mut state.store, (XenKind::Vm, &vm), &storage, "imported", size);
            vm
        };
        Ok(HttpReply::json(StatusCode::CREATED, &json!({"id": created})))
    }

    async fn overwrite(&self, id: &str, call: &mut XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let size = self.state().store.find(XenKind::Vdi, id)?.number("size");
        let received = call.request.body.count().await?;
        if received != size {
            return Err(XenFailure::unexpected(format!(
                "the content has {received} bytes, the VDI has {size}"
            )));
        }
        self.state().store.set(XenKind::Vdi, id, "usage", received);
        Ok(HttpReply::empty(StatusCode::NO_CONTENT))
    }
}
