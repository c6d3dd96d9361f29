//! Lists and single objects: which objects belong to a list, filters and limits, and the four
//! forms in which a list is given (addresses, objects, NDJSON, Markdown).

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::accounts::XenUser;
use super::app::{XenApp, XenCall};
use super::failure::XenFailure;
use super::filter::ObjectFilter;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::state::XenState;
use super::store::pick;
use crate::server::{HttpReply, QueryParams};

impl XenApp {
    /// Answers with the objects of a collection, or with those that belong to an object.
    pub(super) fn list(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        if call.flag("watch") && !call.flag("ndjson") {
            return Err(watch_needs_ndjson());
        }
        let state = self.state();
        let segments = call.operation.segments();
        let parent = segments.first().and_then(|collection| XenKind::from_collection(collection));
        let Some(parent) = parent else {
            return Err(XenFailure::unexpected("no such collection"));
        };
        let (kind, objects) = match segments.as_slice() {
            [_, _, relation] => state.related(parent, call.capture(0), relation),
            _ => (parent, state.store.all_seen(parent).cloned().collect()),
        };
        let mut objects = state.readable(kind, objects, &call.user);
        let repositories: Vec<&str> = call.request.query.all("backup-repository").collect();
        // Without a repository XO looks into none.
        if kind == XenKind::BackupArchive && repositories != ["*"] {
            let wanted = repositories.iter().flat_map(|value| value.split(',')).collect::<Vec<_>>();
            for id in &wanted {
                state.store.find(XenKind::BackupRepository, id)?;
            }
            objects.retain(|archive| wanted.contains(&archive.text("backupRepository")));
        }
        drop(state);
        render(kind, objects, &call.request.query)
    }

    /// Answers with one object.
    pub(super) fn show(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let collection = call.operation.segments().first().copied().unwrap_or_default();
        let kind = XenKind::from_collection(collection);
        let kind = kind.ok_or_else(|| XenFailure::unexpected("no such collection"))?;
        let state = self.state();
        let object = state.store.find_seen(kind, call.capture(0))?;
        Ok(HttpReply::json(StatusCode::OK, &Value::Object(object.clone())))
    }

    /// Answers with whether a backup repository can be written to.
    pub(super) fn health(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        let state = self.state();
        let error = state.store.find(XenKind::BackupRepository, call.capture(0))?.text("error");
        let health = match error {
            "" => json!({"success": true}),
            error => json!({"success": false, "error": {"message": error}, "step": "write"}),
        };
        Ok(HttpReply::json(StatusCode::OK, &health))
    }

    /// Answers with a user's tokens, or makes one. Both are for the user alone.
    pub(super) fn tokens(
        &self,
        call: &XenCall<'_>,
        method: &Method,
    ) -> Result<HttpReply, XenFailure> {
        let mut state = self.state();
        let own = call.capture(0) == call.user.id;
        if *method == Method::POST {
            if !own {
                let operation = "create authentication token";
                let reason = "you can only create token for yourself";
                return Err(XenFailure::forbidden(operation, reason));
            }
            let lifetime = match call.body.get("expiresIn") {
                None => 30 * 86_400_000,
                Some(value) => lifetime(value)?,
            };
            let client = call.body.get("client").cloned();
            let description = call.body.get("description").cloned();
            let token = state.create_token(&call.user, client, description, lifetime);
            return Ok(HttpReply::json(StatusCode::CREATED, &json!({"token": token})));
        }
        if !own {
            let operation = "get authentication tokens";
            let reason = "can only see own authentication tokens";
            return Err(XenFailure::forbidden(operation, reason));
        }
        let tokens = state.accounts.tokens.iter();
        let own = tokens.filter(|token| token.text("user_id") == call.user.id).cloned().collect();
        let tokens = select(own, &call.request.query)?;
        let tokens: Vec<Value> = tokens
            .into_iter()
            .map(|mut token| {
                // XO shows the identifier, which is the secret itself, last.
                if let Some(id) = token.shift_remove("id") {
                    token.insert("id".to_owned(), id);
                }
                Value::Object(token)
            })
            .collect();
        Ok(HttpReply::json(StatusCode::OK, &Value::Array(tokens)))
    }
}

impl XenState {
    /// Returns the objects that belong to an object, and their kind.
    fn related(&self, parent: XenKind, id: &str, relation: &str) -> (XenKind, Vec<XenObject>) {
        let of = |kind: XenKind, test: &dyn Fn(&XenObject) -> bool| {
            let objects = self.store.all_seen(kind).filter(|object| test(object));
            (kind, objects.cloned().collect())
        };
        let property = |object: &XenObject, outer: &str, inner: &str| {
            let inner = object.get(outer).and_then(|outer| outer.get(inner));
            inner.is_some_and(|value| value == id)
        };
        match relation {
            "acl-privileges" => of(XenKind::AclPrivilege, &|privilege| {
                let role = self.store.get(XenKind::AclRole, privilege.text("roleId"));
                let groups = self.store.get(XenKind::User, id).map(|user| user.list("groups"));
                role.is_some_and(|role| {
                    role.lists("userIds", id)
                        || groups.iter().flatten().any(|group| role.lists("groupIds", group))
                })
            }),
            "acl-roles" => of(XenKind::AclRole, &|role| role.lists("groupIds", id)),
            "alarms" => of(XenKind::Alarm, &|alarm| {
                property(alarm, "object", "uuid")
                    || (parent == XenKind::Pool && alarm.text("$pool") == id)
            }),
            "backup-jobs" => of(XenKind::BackupJob, &|job| {
                let vms = job.get("vms").and_then(|vms| vms.get("id"));
                let listed = vms.and_then(|ids| ids.get("__or")).and_then(Value::as_array);
                vms.is_some_and(|single| single == id)
                    || listed.is_some_and(|ids| ids.iter().any(|other| other == id))
            }),
            "groups" if parent == XenKind::AclRole => {
                let role = self.store.get(parent, id);
                of(XenKind::Group, &|group| {
                    role.is_some_and(|role| role.lists("groupIds", group.text("id")))
                })
            }
            "groups" => of(XenKind::Group, &|group| group.lists("users", id)),
            "messages" => of(XenKind::Message, &|message| {
                message.text("$object") == id
                    || (parent == XenKind::Pool && message.text("$pool") == id)
            }),
            "privileges" => of(XenKind::AclPrivilege, &|privilege| privilege.text("roleId") == id),
            "tasks" => of(XenKind::Task, &|task| {
                property(task, "properties", "objectId")
                    || (parent == XenKind::User && property(task, "properties", "userId"))
            }),
            "users" => {
                let list = if parent == XenKind::Group { "users" } else { "userIds" };
                let owner = self.store.get(parent, id);
                of(XenKind::User, &|user| {
                    owner.is_some_and(|owner| owner.lists(list, user.text("id")))
                })
            }
            _ => {
                let kind = match parent {
                    XenKind::VmSnapshot => XenKind::VdiSnapshot,
                    _ => XenKind::Vdi,
                };
                let disks = self.disks(parent, id);
                of(kind, &|disk| disks.iter().any(|other| other == disk.text("id")))
            }
        }
    }

    /// Returns the identifiers of a machine's disks.
    pub(super) fn disks(&self, kind: XenKind, id: &str) -> Vec<String> {
        let connections = self.store.seen(kind, id).map(|machine| machine.list("$VBDs"));
        let connections = connections.into_iter().flatten();
        connections
            .filter_map(|connection| self.store.seen(XenKind::Vbd, &connection))
            .map(|connection| connection.text("VDI").to_owned())
            .filter(|disk| !disk.is_empty())
            .collect()
    }

    fn readable(&self, kind: XenKind, objects: Vec<XenObject>, user: &XenUser) -> Vec<XenObject> {
        if self.allows(user, &kind.resource(), "read") { objects } else { Vec::new() }
    }
}

/// Applies `filter` and `limit`.
fn select(mut objects: Vec<XenObject>, query: &QueryParams) -> Result<Vec<XenObject>, XenFailure> {
    if let Some(text) = query.first("filter") {
        let filter = ObjectFilter::parse(text).map_err(|error| {
            XenFailure::new(StatusCode::BAD_REQUEST, error.to_string())
                .with_data(json!({"stringToParse": text}))
        })?;
        // The filter wants values, and these are cheaper to wrap than to copy.
        objects = objects
            .into_iter()
            .map(Value::Object)
            .filter(|object| filter.matches(object))
            .filter_map(|object| match object {
                Value::Object(object) => Some(object),
                _ => None,
            })
            .collect();
    }
    let limit = query.first("limit").and_then(|limit| limit.parse::<f64>().ok());
    if let Some(limit) = limit.filter(|limit| *limit >= 0.0) {
        objects.truncate(limit.ceil() as usize);
    }
    Ok(objects)
}

/// Gives a list in the form that the query wants.
fn render(
    kind: XenKind,
    objects: Vec<XenObject>,
    query: &QueryParams,
) -> Result<HttpReply, XenFailure> {
    let is = |name: &str| query.first(name) == Some("true");
    if is("ndjson") && is("markdown") {
        return Err(XenFailure::unprocessable(
            "Cannot use both ndjson and markdown output formats simultaneously",
        ));
    }
    let objects = select(objects, query)?;
    let fields = fields(query);
    if is("markdown") {
        let table = markdown(&objects, fields.as_ref());
        return Ok(HttpReply::pieces("text/markdown; charset=utf-8", vec![table]));
    }
    let elements: Vec<Value> = objects
        .iter()
        .map(|object| {
            let href = kind.href(object.text("id"));
            let Some(fields) = &fields else {
                return href.into();
            };
            let mut shown = pick(object, fields.as_deref());
            shown.insert("href".to_owned(), href.into());
            Value::Object(shown)
        })
        .collect();
    if is("ndjson") {
        let lines = elements.iter().map(|element| format!("{element}\n")).collect();
        return Ok(HttpReply::pieces("application/x-ndjson", lines));
    }
    Ok(HttpReply::json(StatusCode::OK, &Value::Array(elements)))
}

/// Reads `fields`: outer `None` when it is not given, inner `None` for all fields.
pub(super) fn fields(query: &QueryParams) -> Option<Option<Vec<String>>> {
    let text = query.first("fields")?;
    if text == "*" {
        return Some(None);
    }
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    Some(Some(names.map(str::to_owned).collect()))
}

/// Draws a table with one line an object.
fn markdown(objects: &[XenObject], fields: Option<&Option<Vec<String>>>) -> String {
    let Some(first) = objects.first() else {
        return "No results.".to_owned();
    };
    let columns: Vec<String> = match fields {
        Some(Some(names)) => names.clone(),
        Some(None) | None => {
            let mut columns: Vec<String> = first.keys().cloned().collect();
            for name in objects.iter().flat_map(Map::keys) {
                if !columns.contains(name) {
                    columns.push(name.clone());
                }
            }
            columns
        }
    };
    let mut lines = vec![
        format!("| {} |", columns.join(" | ")),
        format!("| {} |", vec!["---"; columns.len()].join(" | ")),
    ];
    for object in objects {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| match object.get(column) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.replace('|', "\\|").replace('\n', " "),
                Some(other) => other.to_string().replace('|', "\\|"),
            })
            .collect();
        lines.push(format!("| {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

/// Reads how long a token shall be valid, which XO limits.
fn lifetime(value: &Value) -> Result<u64, XenFailure> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lifetime = milliseconds(value)
        .ok_or_else(|| XenFailure::unexpected(format!("not a valid duration: {text}")))?;
    if lifetime > LONGEST_TOKEN {
        return Err(XenFailure::unexpected(format!("too high expiresIn duration: {text}")));
    }
    Ok(lifetime)
}

/// Reads a duration: milliseconds, or text such as `1 hour` or `30d`.
fn milliseconds(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_f64() {
        return Some(number.max(0.0) as u64);
    }
    let text = value.as_str()?.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "ms" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        "w" | "week" | "weeks" => 604_800_000.0,
        "y" | "yr" | "year" | "years" => 31_557_600_000.0,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

/// Half a year: how long a token is valid at most.
const LONGEST_TOKEN: u64 = 15_778_800_000;

/// Fails because changes are given as lines only.
pub(super) fn watch_needs_ndjson() -> XenFailure {
    XenFailure::new(StatusCode::BAD_REQUEST, "watch=true requires ndjson=true")
}
