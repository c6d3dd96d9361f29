//! What many tools say alike, kept once.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, LazyLock},
};

use http::{HeaderName, HeaderValue};

use super::{ErrorRules, ParamForm, ResponseRules, ShownRules};

/// A value that its copies have in common; one that is changed becomes a value of its own.
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// Returns whether both are the same value, and not only alike.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

/// Header fields with their values.
pub type HeaderFields = Vec<(HeaderName, HeaderValue)>;

/// The default of a type is one value too.
macro_rules! shared_default {
    ($($kind:ty),*) => {$(
        impl Default for Shared<$kind> {
            fn default() -> Self {
                static USUAL: LazyLock<Shared<$kind>> =
                    LazyLock::new(|| Shared::from(<$kind>::default()));
                USUAL.clone()
            }
        }
    )*};
}

shared_default!(ErrorRules, HeaderFields, ParamForm, ResponseRules, ShownRules);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_one_value_until_one_is_changed() {
        let first = Shared::<ResponseRules>::default();
        let mut second = first.clone();
        assert!(first.is_same(&second) && first.is_same(&Shared::default()));
        second.binary = true;
        assert!(!first.is_same(&second) && !first.binary && second.binary);
    }
}
