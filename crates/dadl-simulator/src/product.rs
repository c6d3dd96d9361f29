//! The products that can be simulated, by name.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use super::{DanubeCloud, SimulatorOptions, XenOrchestra, XoProxy};

/// A simulated product, one line of [`PRODUCTS`].
#[derive(Clone, Copy)]
pub struct Product {
    /// The name: that of the built-in descriptor as well.
    pub name: &'static str,
    /// What people call the product.
    pub title: &'static str,
    /// The environment variable of the credential for which the simulator's token will do.
    pub credential: &'static str,
    /// A tool and its arguments, as `dadl-mcp call` takes them: something to try.
    pub example: &'static str,
    /// Whether objects can change by themselves (`changes_per_second`).
    pub changes: bool,
    /// Whether its administrator can turn MCP off (`mcp`).
    pub switch: bool,
    start: fn(SimulatorOptions) -> StartingProduct,
}

impl Product {
    /// Returns the product of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|product| product.name == name)
    }

    /// Starts it with fresh data. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn start(&self, options: SimulatorOptions) -> io::Result<Box<dyn SimulatedProduct>> {
        (self.start)(options).await
    }
}

impl fmt::Debug for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Product").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A running simulated product; dropping it stops it.
pub trait SimulatedProduct: fmt::Debug + Send {
    /// Returns the base URL of the API, without a slash at the end.
    fn url(&self) -> String;
    /// Returns the credential that the server accepts.
    fn token(&self) -> &str;
}

/// What every product's handle has under the same names.
macro_rules! simulated {
    ($($product:ty),*) => {$(
        impl SimulatedProduct for $product {
            fn url(&self) -> String {
                Self::url(self)
            }

            fn token(&self) -> &str {
                Self::token(self)
            }
        }
    )*};
}

simulated!(DanubeCloud, XenOrchestra, XoProxy);

/// A product on its way up.
type StartingProduct = Pin<Box<dyn Future<Output = io::Result<Box<dyn SimulatedProduct>>> + Send>>;

/// Forgets which product it is.
fn boxed<S: SimulatedProduct + 'static>(
    starting: impl Future<Output = io::Result<S>> + Send + 'static,
) -> StartingProduct {
    Box::pin(async { Ok(Box::new(starting.await?) as Box<dyn SimulatedProduct>) })
}

/// Every product.
pub const PRODUCTS: &[Product] = &[
    Product {
        name: "danube-cloud",
        title: "Danube Cloud",
        credential: "CREDENTIAL_DANUBE_CLOUD_API_KEY",
        example: "list_backups vm=web01.example.com dc=main",
        changes: false,
        switch: false,
        start: |options| boxed(DanubeCloud::start(options)),
    },
    Product {
        name: "xen-orchestra",
        title: "Xen Orchestra",
        credential: "CREDENTIAL_XEN_ORCHESTRA_TOKEN",
        example: "list_vms limit=3 fields=name_label,power_state",
        changes: true,
        switch: true,
        start: |options| boxed(XenOrchestra::start(options)),
    },
    Product {
        name: "xo-proxy",
        title: "XO Proxy",
        credential: "CREDENTIAL_XO_PROXY_TOKEN",
        example: "list_methods",
        changes: false,
        switch: false,
        start: |options| boxed(XoProxy::start(options)),
    },
];
