//! Which tools need not be listed, because the server lacks them (`_dadl_mcp.fit`).

use dadl_descriptor::{
    model::Descriptor,
    offer::{ServerOffer, ToolAvailability, standing},
};

use super::{CatalogOperation, UnlistedReason};

/// Says of each tool and composite why it need not be listed, in the order of the names.
pub(super) fn unlisted_reason(
    descriptor: &Descriptor,
    operation: CatalogOperation<'_>,
    offer: Option<&ServerOffer>,
) -> Option<UnlistedReason> {
    let fit = descriptor.fit.as_ref()?;
    let name = operation.declared_name();
    match standing(descriptor, name, offer) {
        ToolAvailability::Has | ToolAvailability::Unknown(None) => None,
        ToolAvailability::Lacks(lack) => Some(UnlistedReason::Lacking(lack)),
        // What most servers have is listed until one says no.
        ToolAvailability::Unknown(Some(lack)) => {
            fit.needs.contains_key(name).then_some(UnlistedReason::Unknown(lack))
        }
    }
}

#[cfg(test)]
mod tests;
