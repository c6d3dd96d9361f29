//! Which tools need not be listed, because the server lacks them (`_dadl_mcp.fit`).

use dadl_descriptor::{
    model::Descriptor,
    offer::{Offer, Standing, standing},
};

use super::{Absence, Operation};

/// Says of each tool and composite why it need not be listed, in the order of the names.
pub(super) fn absence(
    descriptor: &Descriptor,
    operation: Operation<'_>,
    offer: Option<&Offer>,
) -> Option<Absence> {
    let fit = descriptor.fit.as_ref()?;
    let name = operation.declared_name();
    match standing(descriptor, name, offer) {
        Standing::Has | Standing::Unknown(None) => None,
        Standing::Lacks(lack) => Some(Absence::Lacking(lack)),
        // What most servers have is listed until one says no.
        Standing::Unknown(Some(lack)) => {
            fit.needs.contains_key(name).then_some(Absence::Unknown(lack))
        }
    }
}

#[cfg(test)]
mod tests;
