//! The service contract: what the services require of the charts (health, environment, writable folders, connections).
//!
//! The charts say how it is met; `validate` compares the two, and the mutants of `mutants` show that a difference would be
//! found. Nothing here repeats what a rendered object says by itself.

use super::{Component, spec};

/// The requirements of one component on its chart.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// The component.
    pub component: &'static Component,
    /// The component's containers, init containers included.
    pub containers: &'static [ContainerContract],
    /// How the component's health is checked.
    pub health: Health,
    /// The components that its pods connect to; no others are allowed.
    pub asks: &'static [&'static Component],
    /// Whether its pods use DNS.
    pub resolves_names: bool,
    /// The peers that connect to it beside other components.
    pub asked_by: AskedBy,
    /// Whether the component keeps data: it has one pod alone, whose folder outlives the pod where the stage says so.
    pub is_store: bool,
}

/// The peers that connect to a component beside other components of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// No others.
    Nobody,
    /// Pods of its namespace with the client label: scenarios' Jobs.
    Clients,
    /// Every pod of its namespace, and the edge.
    Everybody,
}

/// How a component's health is checked.
#[derive(Debug, Clone, Copy)]
pub enum Health {
    /// HTTP GET.
    Http {
        /// The path that answers as long as the process works, whatever the state of the stores.
        live: &'static str,
        /// The path that answers while the component can serve.
        ready: &'static str,
    },
    /// A command with all of `words` in their order, and no others but those of `may`; `$NAME` stands for the container's
    /// variable.
    Command {
        /// The required words.
        words: &'static [&'static str],
        /// The optional words, which change nothing.
        may: &'static [&'static str],
    },
}

/// The requirements of one container.
#[derive(Debug, Clone, Copy)]
pub struct ContainerContract {
    /// The container's name.
    pub name: &'static str,
    /// The variables that the container reads; it reads no others.
    pub reads: &'static [Variable],
    /// The folders that the container writes to; its root file system is read-only.
    pub writes: &'static [&'static str],
    /// The path of its configuration file, if it has one.
    pub configuration: Option<&'static str>,
}

/// A variable of a container's environment.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// The requirement on its value.
    pub is: Meaning,
    /// Whether the container needs it, to start at all or as itself.
    pub needed: bool,
}

/// The requirement on a variable's value.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// The name of a component's Service; where the release has none, the full name of an external host.
    HostOf(&'static Component),
    /// A port of a component's Service; where the release has none, one that NetworkPolicies let the pod reach outside.
    PortOf(&'static Component),
    /// A key of the Secret `<release>-auth`.
    Secret(&'static str),
    /// The value of another variable in a store's container; where the release has no such store, any text but the empty one.
    SameAs(&'static Component, &'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A file or folder in one of the container's volumes.
    Path,
    /// The number of proxies between a client and the api: the router, and at least one more where there is an Ingress.
    Proxies,
    /// Any text with this beginning and this end, but the empty one.
    Like(&'static str, &'static str),
}

impl Variable {
    /// A variable that the container needs, to start at all or as itself.
    pub const fn needed(name: &'static str, is: Meaning) -> Self {
        Self { name, is, needed: true }
    }

    /// A variable that may be left out.
    pub const fn optional(name: &'static str, is: Meaning) -> Self {
        Self { name, is, needed: false }
    }
}

/// What the router's configuration must do.
#[derive(Debug)]
pub struct RouterContract {
    /// Paths that a browser may request, and the component that answers each; `None` stands for a file of the page.
    pub routes: &'static [(&'static str, Option<&'static Component>)],
    /// A path at which a WebSocket opens.
    pub websocket: Option<&'static str>,
    /// A path whose page loads scripts from elsewhere, and the origin of these.
    pub scripts_from: Option<(&'static str, &'static str)>,
    /// The expression of the router's cache map (scheme, port and path) whose answers no cache may keep.
    pub no_store: Option<&'static str>,
    /// A path that takes attachments.
    pub attachment: &'static str,
    /// The largest attachment, and the most that the router may let pass there, in bytes: the api does not read to the end of
    /// a larger one.
    pub attachment_bytes: (u64, u64),
    /// The largest body that the api takes elsewhere, in bytes.
    pub body_bytes: u64,
}

impl RouterContract {
    /// A contract without requirements.
    pub(super) const NONE: Self = Self {
        routes: &[],
        websocket: None,
        scripts_from: None,
        no_store: None,
        attachment: "/",
        attachment_bytes: (0, u64::MAX),
        body_bytes: 1 << 20,
    };
}

/// The contract of the component with this label.
pub fn of(label: &str) -> Option<&'static Promise> {
    spec().contract.iter().find(|promise| promise.component.label == label)
}
