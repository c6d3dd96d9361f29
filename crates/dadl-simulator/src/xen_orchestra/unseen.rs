//! What was changed a moment ago and is not seen yet, as it was before.
//!
//! XO hears of a change from the events of the pool, some 150 ms after the request that made it was
//! answered. Tests count the requests that look instead of waiting for a clock.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::kind::XenKind;
use super::object::XenObject;
use crate::WriteLag;

/// The objects that changed a moment ago.
#[derive(Debug)]
pub(super) struct UnseenChanges {
    lag: WriteLag,
    objects: BTreeMap<XenKind, BTreeMap<String, ObjectBefore>>,
}

/// An object as it was; `None` when it was not there.
#[derive(Debug)]
struct ObjectBefore {
    object: Option<XenObject>,
    until: HiddenUntil,
}

#[derive(Debug)]
enum HiddenUntil {
    Looks(u32),
    Time(Instant),
}

impl Default for UnseenChanges {
    fn default() -> Self {
        Self::new(WriteLag::None)
    }
}

impl UnseenChanges {
    /// Keeps changes unseen for so long.
    pub(super) fn new(lag: WriteLag) -> Self {
        Self { lag, objects: BTreeMap::new() }
    }

    /// Notes how an object was before a change. The first of several changes counts.
    pub(super) fn changes(&mut self, kind: XenKind, id: &str, object: Option<&XenObject>) {
        let until = match self.lag {
            WriteLag::Looks(looks) if looks > 0 => HiddenUntil::Looks(looks),
            WriteLag::Time(time) if !time.is_zero() => HiddenUntil::Time(Instant::now() + time),
            _ => return,
        };
        if kind.is_of_pool() {
            let known = self.objects.entry(kind).or_default();
            let before = || ObjectBefore { object: object.cloned(), until };
            known.entry(id.to_owned()).or_insert_with(before);
        }
    }

    /// Begins a request that looks at objects: what has been looked for often enough, or for long
    /// enough, is seen by it.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        for known in self.objects.values_mut() {
            known.retain(|_, before| match &mut before.until {
                HiddenUntil::Looks(0) => false,
                HiddenUntil::Looks(left) => {
                    *left -= 1;
                    true
                }
                HiddenUntil::Time(time) => *time > now,
            });
        }
    }

    /// Returns an object as it was before a change that is not seen yet; the inner `None` when it
    /// was not there.
    pub(super) fn before(&self, kind: XenKind, id: &str) -> Option<Option<&XenObject>> {
        Some(self.objects.get(&kind)?.get(id)?.object.as_ref())
    }

    /// Returns the objects of a kind with changes that are not seen yet.
    pub(super) fn ids(&self, kind: XenKind) -> impl Iterator<Item = &str> {
        self.objects.get(&kind).into_iter().flat_map(|known| known.keys().map(String::as_str))
    }
}
