//! How long each kind of cause may heal by itself before it is final: the table of docs/causes.md, and what the user sets
//! instead.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// The longest that a window can be set to, in seconds.
pub const LONGEST_SECS: u64 = 3600;

/// By how many seconds an event about a pod's claim may be older than the pod: both are made by one deploy.
pub const AHEAD_SECS: i64 = 5;
/// A container that ran for as long did its work for a while: its end is a first one again.
pub const SERVED_SECS: i64 = 60;
/// Pods of one revision that were made further apart are of two deploys: a rollback uses a former revision's again.
pub const SAME_DEPLOY_SECS: i64 = 300;

/// A kind of cause, by what may heal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// For what nothing heals; no setting.
    None,
    /// For an answer that another try rarely changes, such as a tag that the registry does not know.
    Answered,
    /// For what a later object or one more try may heal.
    Retried,
    /// For a pod that its controller replaces.
    Replaced,
    /// For room on a node, which another pod's end may make; in stage preview a node that an autoscaler makes, for which
    /// nobody knows a time.
    Room,
    /// From a container's first end to its next start; the kubelet's back-off is 10 s at first, if there is one.
    Restarted,
    /// For a volume: the kubelet tries again 10 to 15 s after a failure, and its first try may come before the API server
    /// lets the node see the claim of a pod that was just bound (seen: "no relationship found between node and this
    /// object").
    Mount,
    /// For an image that its registry does not give now: until a second try has failed, too. The kubelet's first back-off is
    /// 10 s, and it looks 10 to 15 s after whatever it did last: its second try begins 10 to 25 s after the first one
    /// failed, and takes its time.
    Pulled,
    /// For a container that runs and says that it is not ready, once nothing else of the release is still starting: a
    /// database that is slow to start is no cause before it runs itself.
    Ready,
    /// The same for one without a startup probe: nobody says how long its start may take.
    Unbounded,
}

impl Window {
    /// Those that can be set.
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

    /// Its name in docs/causes.md, and where it is set.
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

    /// How long it is, in seconds, unless it is set.
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

/// How long one cause may last before it is final: its window, and no less than it asks for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Its kind.
    pub window: Window,
    /// Zero but where an object says so itself: the budget of a startup probe, the duration of a Lease.
    pub at_least: Duration,
}

impl Tolerance {
    /// How long it is where no window is set.
    pub fn by_default(self) -> Duration {
        Duration::from_secs(self.window.default_secs()).max(self.at_least)
    }

    /// The order of causes, of which the first is told: the least tolerable first, which no setting changes; after all others
    /// one that only a deadline ends, or it would hide what is final.
    pub fn rank(self) -> (bool, Duration) {
        (windows().of(self).is_none(), self.by_default())
    }

    /// This one, or a window if that is longer by default.
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

/// How long the windows are: those that are set, and the defaults of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    set: BTreeMap<Window, Duration>,
    /// Whether the cluster has as many nodes as its pods want, in time.
    grows: bool,
}

impl Windows {
    /// The defaults, with these instead.
    pub const fn new(set: BTreeMap<Window, Duration>) -> Self {
        Self { set, grows: false }
    }

    /// The same, in a cluster that makes nodes where pods ask for room, or in one that does not.
    #[must_use]
    pub fn where_nodes_come(self, grows: bool) -> Self {
        Self { grows, ..self }
    }

    /// How long a cause may last; `None` for one that only the deadline of who waits ends.
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

/// Sets the windows of this process; the first call counts.
///
/// Process-wide, like the secrets that are known: every wait of a process uses the same, a process has one environment,
/// and what waits (a handle on a workload, a Job, a release) knows a client and no settings.
pub fn set(windows: Windows) {
    let _ = SET.set(windows);
}

/// The windows of this process: the defaults, until they are [`set`].
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
