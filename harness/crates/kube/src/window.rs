//! How long each kind of cause may last before it is final: the defaults of docs/causes.md, and the user's settings.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// The longest window that can be set, in seconds.
pub const LONGEST_SECS: u64 = 3600;

/// By how many seconds an event about a pod's claim may be older than the pod: one deploy makes both.
pub const AHEAD_SECS: i64 = 5;
/// How many seconds a container must have run for its end to count as a first one again.
pub const SERVED_SECS: i64 = 60;
/// Pods of one revision made further apart than this, in seconds, are of two deploys: a rollback uses a former revision
/// again.
pub const SAME_DEPLOY_SECS: i64 = 300;

/// A kind of cause, by what may heal it; [`Window::default_secs`] is how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// A cause that nothing heals; its window cannot be set.
    None,
    /// An answer that another try rarely changes, such as an unknown tag.
    Answered,
    /// A cause that a later object or one more try may heal.
    Retried,
    /// A pod that its controller replaces.
    Replaced,
    /// Missing room on a node, which another pod's end may make. In stage preview an autoscaler makes a node, for which there
    /// is no known time.
    Room,
    /// A container's end, until its next start: the kubelet's back-off is 10 s at first, if there is one.
    Restarted,
    /// A volume that is not mounted: the kubelet tries again 10 to 15 s after a failure, and its first try may come before
    /// the API server lets the node see the claim of a pod that was just bound (seen: "no relationship found between node and
    /// this object").
    Mount,
    /// An image that its registry does not give now, until a second try has failed: the kubelet's first back-off is 10 s, and
    /// it looks 10 to 15 s after its last action, so that its second try begins 10 to 25 s after the first one failed, and
    /// takes its time.
    Pulled,
    /// A container that runs and is not ready, once nothing else of the release is starting: a database that is slow to start
    /// is no cause before it runs.
    Ready,
    /// A container as in [`Window::Ready`] without a startup probe, so that nothing says how long its start may take.
    Unbounded,
}

impl Window {
    /// The windows that can be set.
    pub const SETTABLE: [Self; 9] = [
        Self::Answered,
        Self::Retried,
        Self::Replaced,
        Self::Room,
        Self::Restarted,
        Self::Mount,
        Self::Pulled,
        Self::Ready,
        Self::Unbounded,
    ];

    /// The window's name in docs/causes.md, and in the setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Answered => "answered",
            Self::Retried => "retried",
            Self::Replaced => "replaced",
            Self::Room => "room",
            Self::Restarted => "restarted",
            Self::Mount => "mount",
            Self::Pulled => "pulled",
            Self::Ready => "ready",
            Self::Unbounded => "unbounded",
        }
    }

    /// The window's default, in seconds.
    pub const fn default_secs(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Answered => 1,
            Self::Retried => 5,
            Self::Replaced => 15,
            Self::Room => 20,
            Self::Restarted => 30,
            Self::Mount | Self::Pulled => 40,
            Self::Ready => 60,
            Self::Unbounded => 180,
        }
    }
}

/// How long one cause may last before it is final: its window, and at least `at_least`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// The kind of cause.
    pub window: Window,
    /// A minimum that an object gives itself: a startup probe's budget, a Lease's duration. Otherwise zero.
    pub at_least: Duration,
}

impl Tolerance {
    /// The tolerance where no window is set.
    pub fn by_default(self) -> Duration {
        Duration::from_secs(self.window.default_secs()).max(self.at_least)
    }

    /// The order in which causes are told: the least tolerable first, by the defaults; one that only a deadline ends comes
    /// last, since it would hide a final one.
    pub fn rank(self) -> (bool, Duration) {
        (windows().of(self).is_none(), self.by_default())
    }

    /// The longer one of this tolerance and a window, by the defaults.
    #[must_use]
    pub fn or_longer(self, window: Window) -> Self {
        let other = Self::from(window);
        if other.by_default() > self.by_default() { other } else { self }
    }
}

impl From<Window> for Tolerance {
    fn from(window: Window) -> Self {
        Self { window, at_least: Duration::ZERO }
    }
}

impl From<Duration> for Tolerance {
    fn from(at_least: Duration) -> Self {
        Self { window: Window::None, at_least }
    }
}

/// The windows of a process: those that are set, and the defaults of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    set: BTreeMap<Window, Duration>,
    /// Whether the cluster adds nodes for pods that find no room.
    grows: bool,
}

impl Windows {
    /// The defaults, with the windows of `set` instead.
    pub const fn new(set: BTreeMap<Window, Duration>) -> Self {
        Self { set, grows: false }
    }

    /// The same windows, for a cluster that adds nodes for pods that find no room, or one that does not.
    #[must_use]
    pub fn where_nodes_come(self, grows: bool) -> Self {
        Self { grows, ..self }
    }

    /// How long a cause may last; `None` for one that only the wait's deadline ends.
    pub fn of(&self, tolerance: Tolerance) -> Option<Duration> {
        match self.set.get(&tolerance.window) {
            Some(set) => Some((*set).max(tolerance.at_least)),
            None if self.grows && tolerance.window == Window::Room => None,
            None => Some(tolerance.by_default()),
        }
    }
}

static DEFAULTS: Windows = Windows::new(BTreeMap::new());
static SET: OnceLock<Windows> = OnceLock::new();

/// Sets the windows of this process; only the first call counts.
///
/// Process-wide, like the known secrets: every wait of a process uses the same windows, a process has one environment, and
/// what waits (a handle on a workload, a Job, a release) has a client and no settings.
pub fn set(windows: Windows) {
    let _ = SET.set(windows);
}

/// The windows of this process: the defaults until [`set`] is called.
pub(crate) fn windows() -> &'static Windows {
    SET.get().unwrap_or(&DEFAULTS)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_default(Window::Room.into(), 20)]
    #[case::one_that_is_set(Window::Ready.into(), 120)]
    #[case::one_that_is_set_to_nothing(Window::Mount.into(), 0)]
    #[case::what_is_shorter_than_the_window(Tolerance { window: Window::Ready, at_least: Duration::from_secs(90) }, 120)]
    #[case::what_is_longer(Tolerance { window: Window::Ready, at_least: Duration::from_secs(300) }, 300)]
    #[case::what_has_no_window(Duration::from_secs(30).into(), 30)]
    fn a_cause_lasts_as_long_as_its_window_and_no_less_than_it_says(#[case] cause: Tolerance, #[case] secs: u64) {
        let set = [(Window::Ready, 120), (Window::Mount, 0)].map(|(window, secs)| (window, Duration::from_secs(secs)));
        assert_eq!(Windows::new(set.into()).of(cause), Some(Duration::from_secs(secs)));
    }

    #[rstest]
    #[case::on_one_node(false, None, Window::Room, Some(20))]
    #[case::where_nodes_come(true, None, Window::Room, None)]
    #[case::where_somebody_knows_better(true, Some(90), Window::Room, Some(90))]
    #[case::what_no_node_heals(true, None, Window::Mount, Some(40))]
    fn room_comes_with_a_node(
        #[case] grows: bool,
        #[case] set: Option<u64>,
        #[case] window: Window,
        #[case] secs: Option<u64>,
    ) {
        let set = set.map(|secs| (Window::Room, Duration::from_secs(secs))).into_iter().collect();
        assert_eq!(Windows::new(set).where_nodes_come(grows).of(window.into()), secs.map(Duration::from_secs));
    }

    #[rstest]
    #[case::what_nothing_heals(Window::None, Window::Replaced)]
    #[case::what_takes_longer(Window::Mount, Window::Mount)]
    fn the_longer_of_two_is_so_by_default(#[case] of: Window, #[case] longer: Window) {
        assert_eq!(Tolerance::from(of).or_longer(Window::Replaced), longer.into());
    }
}
