//! An embedded HTTP server that behaves like the API of a real product.
//!
//! It takes [`SimulatorOptions`] and gives a running server on a local port, so that
//! `dadl-mcp demo`, `dadl-mcp simulate` and the integration tests have something to talk to
//! without a data center at hand. The data are seeded: two runs show the same names and identifiers,
//! with dates that are counted from one moment.
//!
//! `server` knows sockets, bodies, streams and recording, and nothing about any product.
//! `product` has the table of the products that are built on it. Whatever a product's server gets
//! wrong (a 404 in HTML, a 500 for bad JSON) the simulator gets wrong too: a client that
//! works here must work there. `mcp_server` is another kind of server, on lines: one of the Model Context
//! Protocol, with every fault that a script gives it.
//!
//! ```no_run
//! use dadl_simulator::{SimulatorOptions, XenOrchestra};
//!
//! # async fn example() -> std::io::Result<()> {
//! let product = XenOrchestra::start(SimulatorOptions::default()).await?;
//! println!("{} takes {}", product.url(), product.token());
//! # Ok(())
//! # }
//! ```
//!
//! It is a part of dadl-mcp and promises no stability: any version may change anything.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod danube_cloud;
mod mcp_server;
mod product;
mod server;
mod xen_orchestra;
mod xo_proxy;

pub use self::danube_cloud::DanubeCloud;
pub use self::mcp_server::{ScriptError, ScriptedSite, ServerScript, serve_script};
pub use self::product::{PRODUCTS, Product, SimulatedProduct};
pub use self::server::RecordedRequest;
pub use self::xen_orchestra::XenOrchestra;
pub use self::xo_proxy::{XoProxy, XoProxyOptions};

/// When the data are from unless somebody says otherwise: 20 November 2026, 13:26:14 UTC.
const MOMENT: u64 = 1_795_181_174;

/// Returns a moment for data that people look at: an hour ago, to the minute, so that nothing is of
/// the future.
pub fn recent() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    now.saturating_sub(3600) / 60 * 60
}

/// What kind of behavior to simulate.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The authentication token of the administrator.
    pub token: String,
    /// How long an ordinary action takes; zero ends it as soon as it is polled.
    pub task_duration: Duration,
    /// How long those who read do not see what was written, where the product has it so.
    pub lag: WriteLag,
    /// Bytes of each exported disk or VM.
    pub export_size: u64,
    /// How often a second an object changes by itself; never when it is not given.
    pub changes_per_second: Option<NonZeroU32>,
    /// Whether the administrator lets calls through MCP pass, where the product has such a switch.
    pub mcp: bool,
    /// The version that the product says it is, where it says one; the usual one without.
    pub version: Option<String>,
    /// Operations that it lacks: method and path as its table has them.
    pub lacks: Vec<String>,
    /// Whether it has what few servers have: operations of plugins.
    pub extras: bool,
    /// When the data were "taken", in seconds since 1970.
    pub moment: u64,
    /// Whether requests are kept for `take_requests`.
    pub record: bool,
}

/// How long what was written stays unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteLag {
    /// Not at all.
    None,
    /// The next so many requests that look at objects do not see it.
    Looks(u32),
    /// It is not seen before this time has passed.
    Time(Duration),
}

impl WriteLag {
    /// That of a real Xen Orchestra.
    pub const REAL: Self = Self::Time(Duration::from_millis(150));
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: "demo-token".to_owned(),
            task_duration: Duration::from_secs(2),
            lag: WriteLag::None,
            export_size: 8 * 1024 * 1024,
            changes_per_second: None,
            mcp: true,
            version: None,
            lacks: Vec::new(),
            extras: false,
            moment: MOMENT,
            record: false,
        }
    }
}
