//! The objects, and who is told when they change.
//!
//! Every change goes through [`ObjectStore`], so that event streams and task watchers see all of
//! them. A listener that does not keep up is dropped: XO does so above 20 MiB, here the limit
//! is a number of messages.
//!
//! What belongs to a pool is as the hypervisor has it; those who read may be behind
//! ([`ObjectStore::delay`]), and then see the objects as they were.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties as _, XenObject};
use super::unseen::UnseenChanges;
use crate::WriteLag;
use crate::server::SeededGenerator;

/// All objects of one simulated XO.
#[derive(Debug)]
pub(super) struct ObjectStore {
    objects: BTreeMap<XenKind, Map<String, Value>>,
    /// Where new identifiers come from.
    pub(super) generator: SeededGenerator,
    /// When the data were "taken", in seconds since 1970: what is older is dated from it.
    pub(super) moment: u64,
    /// Who is told about changes.
    pub(super) listeners: ChangeListeners,
    /// What those who read do not see yet.
    unseen: UnseenChanges,
}

impl ObjectStore {
    /// Makes an empty store.
    pub(super) fn new(generator: SeededGenerator, moment: u64) -> Self {
        let listeners = ChangeListeners::default();
        Self {
            objects: BTreeMap::new(),
            generator,
            moment,
            listeners,
            unseen: UnseenChanges::default(),
        }
    }

    /// Keeps from those who read what is changed from now on.
    pub(super) fn delay(&mut self, lag: WriteLag) {
        self.unseen = UnseenChanges::new(lag);
    }

    /// Lets those who read see what has waited long enough; each request that looks at objects
    /// says so once.
    pub(super) fn look(&mut self) {
        self.unseen.look();
    }

    /// Returns an object as those who read see it.
    pub(super) fn seen(&self, kind: XenKind, id: &str) -> Option<&XenObject> {
        match self.unseen.before(kind, id) {
            Some(before) => before,
            None => self.get(kind, id),
        }
    }

    /// Returns an object as those who read see it, or the failure that says it does not exist.
    pub(super) fn find_seen(&self, kind: XenKind, id: &str) -> Result<&XenObject, XenFailure> {
        self.seen(kind, id).ok_or_else(|| XenFailure::no_such(kind, id))
    }

    /// Returns all objects of a kind as those who read see them.
    pub(super) fn all_seen(&self, kind: XenKind) -> impl Iterator<Item = &XenObject> {
        let there = self.all(kind).map(|(id, _)| id);
        let removed = self.unseen.ids(kind).filter(move |id| self.get(kind, id).is_none());
        there.chain(removed).filter_map(move |id| self.seen(kind, id))
    }

    /// Returns an object.
    pub(super) fn get(&self, kind: XenKind, id: &str) -> Option<&XenObject> {
        self.objects.get(&kind)?.get(id)?.as_object()
    }

    /// Returns an object, or the failure that says it does not exist.
    pub(super) fn find(&self, kind: XenKind, id: &str) -> Result<&XenObject, XenFailure> {
        self.get(kind, id).ok_or_else(|| XenFailure::no_such(kind, id))
    }

    /// Returns all objects of a kind, oldest first.
    pub(super) fn all(&self, kind: XenKind) -> impl Iterator<Item = (&str, &XenObject)> {
        self.objects
            .get(&kind)
            .into_iter()
            .flatten()
            .filter_map(|(id, object)| Some((id.as_str(), object.as_object()?)))
    }

    /// Returns how many objects of a kind exist.
    pub(super) fn count(&self, kind: XenKind) -> usize {
        self.objects.get(&kind).map_or(0, Map::len)
    }

    /// Adds an object under its `id` and returns the identifier.
    pub(super) fn insert(&mut self, kind: XenKind, object: Value) -> String {
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.unseen.changes(kind, &id, None);
        self.listeners.notify(kind, ObjectChange::Added, &object);
        self.objects.entry(kind).or_default().insert(id.clone(), object);
        id
    }

    /// Changes an object if it exists, and says whether it does.
    pub(super) fn update(
        &mut self,
        kind: XenKind,
        id: &str,
        change: impl FnOnce(&mut XenObject),
    ) -> bool {
        let Some(object) = self.objects.get_mut(&kind).and_then(|all| all.get_mut(id)) else {
            return false;
        };
        if let Some(properties) = object.as_object_mut() {
            self.unseen.changes(kind, id, Some(properties));
            change(properties);
        }
        self.listeners.notify(kind, ObjectChange::Updated, object);
        true
    }

    /// Sets one property of an object.
    pub(super) fn set(&mut self, kind: XenKind, id: &str, property: &str, value: impl Into<Value>) {
        self.update(kind, id, |object| {
            object.insert(property.to_owned(), value.into());
        });
    }

    /// Adds an element to a list of an object, once.
    pub(super) fn link(&mut self, kind: XenKind, id: &str, list: &str, element: &str) {
        if self.get(kind, id).is_some_and(|object| object.lists(list, element)) {
            return;
        }
        self.update(kind, id, |object| {
            if let Some(elements) = object.entry(list).or_insert_with(|| json!([])).as_array_mut() {
                elements.push(element.into());
            }
        });
    }

    /// Removes an element from a list of an object.
    pub(super) fn unlink(&mut self, kind: XenKind, id: &str, list: &str, element: &str) {
        if !self.get(kind, id).is_some_and(|object| object.lists(list, element)) {
            return;
        }
        self.update(kind, id, |object| {
            if let Some(elements) = object.get_mut(list).and_then(Value::as_array_mut) {
                elements.retain(|other| other != element);
            }
        });
    }

    /// Puts the objects of a kind into the order of a number they have.
    pub(super) fn sort(&mut self, kind: XenKind, property: &str) {
        let objects = self.objects.entry(kind).or_default();
        let mut sorted: Vec<(String, Value)> = std::mem::take(objects).into_iter().collect();
        sorted.sort_by_key(|(_, object)| object.get(property).and_then(Value::as_u64));
        *objects = sorted.into_iter().collect();
    }

    /// Removes an object and returns it.
    pub(super) fn remove(&mut self, kind: XenKind, id: &str) -> Option<XenObject> {
        let removed = self.objects.get_mut(&kind)?.shift_remove(id)?;
        self.unseen.changes(kind, id, removed.as_object());
        self.listeners.notify(kind, ObjectChange::Removed, &removed);
        match removed {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectChange {
    Added,
    Removed,
    Updated,
}

/// Who is told about changes.
#[derive(Debug, Default)]
pub(super) struct ChangeListeners {
    /// Open event streams by connection.
    pub(super) streams: BTreeMap<String, EventStream>,
    /// Readers of `GET /tasks?watch=true`.
    pub(super) task_watchers: Vec<TaskWatcher>,
}

/// An open event stream.
#[derive(Debug)]
pub(super) struct EventStream {
    /// Where its events go.
    pub(super) sender: mpsc::Sender<Bytes>,
    /// The properties wanted by collection; `None` stands for all.
    pub(super) subscriptions: BTreeMap<String, Option<Vec<String>>>,
}

/// A reader of changes to tasks.
#[derive(Debug)]
pub(super) struct TaskWatcher {
    /// Where its lines go.
    pub(super) sender: mpsc::Sender<Bytes>,
    /// The properties wanted; `None` stands for all.
    pub(super) fields: Option<Vec<String>>,
}

impl ChangeListeners {
    fn notify(&mut self, kind: XenKind, change: ObjectChange, object: &Value) {
        let Some(object) = object.as_object() else {
            return;
        };
        self.streams.retain(|_, stream| {
            let Some(fields) = stream.subscriptions.get(kind.type_name()) else {
                return !stream.sender.is_closed();
            };
            let name = match change {
                ObjectChange::Added => "add",
                ObjectChange::Removed => "remove",
                ObjectChange::Updated => "update",
            };
            let data = Value::Object(pick(object, fields.as_deref()));
            stream.sender.try_send(format!("event: {name}\ndata: {data}\n\n").into()).is_ok()
        });
        if kind == XenKind::Task {
            self.task_watchers.retain(|watcher| {
                let line = match change {
                    ObjectChange::Removed => json!(["remove", {"id": object.text("id")}]),
                    _ => json!(["update", pick(object, watcher.fields.as_deref())]),
                };
                watcher.sender.try_send(format!("{line}\n").into()).is_ok()
            });
        }
    }
}

/// Returns the wanted properties, in the order wanted; `None` stands for all. `memory.size` is a
/// property of a property, and `tasks[0].status` one of an item; each comes inside what it is in.
pub(super) fn pick(object: &XenObject, fields: Option<&[String]>) -> XenObject {
    let Some(fields) = fields else {
        return object.clone();
    };
    let mut picked = XenObject::new();
    for field in fields {
        if let Some(value) = object.get(field) {
            picked.insert(field.clone(), value.clone());
            continue;
        }
        let path = field.replace('[', ".").replace(']', "");
        let path: Vec<&str> = path.split('.').collect();
        let (Some((first, rest)), false) = (path.split_first(), path.len() == 1) else { continue };
        let found = rest.iter().try_fold(object.get(*first), |value, name| {
            value.map(|value| match value {
                Value::Array(items) => name.parse().ok().and_then(|at: usize| items.get(at)),
                value => value.get(*name),
            })
        });
        if let Some(Some(value)) = found {
            put(picked.entry(*first).or_insert(Value::Null), rest, value);
        }
    }
    picked
}

/// Puts a value where a path leads, and makes the way there.
fn put(place: &mut Value, path: &[&str], value: &Value) {
    let Some((name, rest)) = path.split_first() else {
        *place = value.clone();
        return;
    };
    match name.parse::<usize>() {
        Ok(at) if place.is_array() || place.is_null() => {
            if place.is_null() {
                *place = json!([]);
            }
            let Some(items) = place.as_array_mut() else { return };
            if items.len() <= at {
                items.resize(at + 1, Value::Null);
            }
            if let Some(item) = items.get_mut(at) {
                put(item, rest, value);
            }
        }
        _ => {
            if place.is_null() {
                *place = json!({});
            }
            if let Some(object) = place.as_object_mut() {
                put(object.entry(*name).or_insert(Value::Null), rest, value);
            }
        }
    }
}
