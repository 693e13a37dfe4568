//! What the services ask of the charts, from the service contract: health, environment, writable folders, who asks whom.
//!
//! The charts say how that is met; `validate` compares the two, and the mutants of `mutants`
//! show that it would see a difference. Nothing here repeats what a rendered object says by itself.

use super::{Component, spec};

/// What a component asks of its chart.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// The component.
    pub component: &'static Component,
    /// Its containers, init containers too.
    pub containers: &'static [ContainerContract],
    /// How it is asked for its health.
    pub health: Health,
    /// The components that its pods ask; no others.
    pub asks: &'static [&'static Component],
    /// Whether its pods resolve names.
    pub resolves_names: bool,
    /// Who asks it beside other components.
    pub asked_by: AskedBy,
    /// Whether it keeps data: one pod alone, whose folder outlives it where the stage says so.
    pub is_store: bool,
}

/// Who asks a component beside other components of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// Nobody.
    Nobody,
    /// Pods of its namespace that are marked as clients: scenarios' Jobs.
    Clients,
    /// Every pod of its namespace, and the edge.
    Everybody,
}

/// How a component is asked for its health.
#[derive(Debug, Clone, Copy)]
pub enum Health {
    /// By GET.
    Http {
        /// The path that answers as long as the process works, whatever the stores do.
        live: &'static str,
        /// The path that answers while it can serve.
        ready: &'static str,
    },
    /// By a command, of which each word is one of these, and each of these is there; `$NAME` is the container's variable.
    Command {
        /// The words that must be there.
        words: &'static [&'static str],
        /// Words that change nothing.
        may: &'static [&'static str],
    },
}

/// What one container asks for.
#[derive(Debug, Clone, Copy)]
pub struct ContainerContract {
    /// Its name.
    pub name: &'static str,
    /// The variables that it reads; one that is not among them is read by nobody.
    pub reads: &'static [Variable],
    /// The folders that it writes to: its root is read-only.
    pub writes: &'static [&'static str],
    /// The file that its configuration is read from.
    pub configuration: Option<&'static str>,
}

/// A variable of a container's environment.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub is: Meaning,
    /// Whether it does not start, or not as itself, without.
    pub needed: bool,
}

/// What a variable's value must be.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// The name of a component's Service; where the release has none, a host outside, by its whole name.
    HostOf(&'static Component),
    /// The port of a component's Service; where the release has none, one that the pod may go to.
    PortOf(&'static Component),
    /// A key of the Secret `<release>-auth`.
    Secret(&'static str),
    /// What a store's own variable says; where the release has no such store, anything.
    SameAs(&'static Component, &'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A file or folder below one of the container's volumes.
    Path,
    /// How many proxies stand between a client and the api: the router, and one more where there is an Ingress.
    Proxies,
    /// Anything that its pattern fits: a beginning, and an end.
    Like(&'static str, &'static str),
}

impl Variable {
    /// A variable without which the container does not start, or not as itself.
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
    /// Where it leads: what a browser may ask for, and the component whose answer it gets; none: a file of the page.
    pub routes: &'static [(&'static str, Option<&'static Component>)],
    /// A path where attachments go.
    pub attachment: &'static str,
    /// The largest attachment, in bytes, and the most that the router may let pass there: of more the api does not wait for
    /// the end.
    pub attachment_bytes: (u64, u64),
    /// The largest body that the api takes elsewhere, in bytes.
    pub body_bytes: u64,
}

impl RouterContract {
    /// Nothing is promised.
    pub(super) const NONE: Self =
        Self { routes: &[], attachment: "/", attachment_bytes: (0, u64::MAX), body_bytes: 1 << 20 };
}

/// The promise of the component with that label.
pub fn of(label: &str) -> Option<&'static Promise> {
    spec().contract.iter().find(|promise| promise.component.label == label)
}
