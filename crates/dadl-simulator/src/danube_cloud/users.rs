//! Who has an account, and what each may see.

use std::time::Duration;

/// Somebody with an account.
#[derive(Debug, Clone)]
pub(super) struct AccountUser {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) key: String,
    pub(super) role: UserRole,
    pub(super) may_use_api: bool,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserRole {
    /// Administers the datacenter.
    Admin(&'static str),
    /// Sees the machines that belong to the user.
    Owner,
    SuperAdmin,
}

/// A login that has not ended.
#[derive(Debug)]
pub(super) struct UserSession {
    pub(super) user: &'static str,
    pub(super) ends: Duration,
}

impl AccountUser {
    /// Says whether the user administers a datacenter.
    pub(super) fn is_admin(&self, dc: &str) -> bool {
        match self.role {
            UserRole::SuperAdmin => true,
            UserRole::Admin(own) => own == dc,
            UserRole::Owner => false,
        }
    }

    /// Says whether the user can see a datacenter at all.
    pub(super) fn sees(&self, dc: &str) -> bool {
        match self.role {
            UserRole::SuperAdmin => true,
            UserRole::Admin(own) => own == dc,
            UserRole::Owner => dc == CURRENT_DC,
        }
    }
}

/// The datacenter that every user chose last.
pub(super) const CURRENT_DC: &str = "main";
