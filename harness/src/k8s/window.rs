//! How long each kind of cause may heal by itself before it is final: the table of docs/causes.md.

use std::time::Duration;

/// For what nothing heals.
pub const NONE: Duration = Duration::ZERO;
/// For an answer that another try rarely changes, such as a tag that the registry does not know.
pub const ANSWERED: Duration = Duration::from_secs(1);
/// For what a later object, a slow registry or one more try may heal.
pub const RETRIED: Duration = Duration::from_secs(5);
/// For a pod that its controller replaces.
pub const REPLACED: Duration = Duration::from_secs(15);
/// For room on a node, which another pod's end may make.
pub const ROOM: Duration = Duration::from_secs(20);
/// From a container's first end to its next start; the kubelet's back-off is 10 s at first, if there is one.
pub const RESTARTED: Duration = Duration::from_secs(30);
/// For a volume: the kubelet tries again 10 to 15 s after a failure, and its first try may come before the API server
/// lets the node see the claim of a pod that was just bound (seen: "no relationship found between node and this object").
pub const MOUNT: Duration = Duration::from_secs(40);
/// For a container that runs and says that it is not ready, once nothing else of the release is still starting: a
/// database that is slow to start is no cause before it runs itself.
pub const READY: Duration = Duration::from_secs(60);

/// For a container without a startup probe that runs and says that it is not ready: nobody says how long its start may take.
pub const UNBOUNDED: Duration = Duration::from_secs(180);

/// By how many seconds an event about a pod's claim may be older than the pod: both are made by one deploy.
pub const AHEAD_SECS: i64 = 5;
/// A container that ran for as long did its work for a while: its end is a first one again.
pub const SERVED_SECS: i64 = 60;

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DOCS: &str = include_str!("../../../docs/causes.md");

    #[rstest]
    #[case::none("NONE", NONE)]
    #[case::answered("ANSWERED", ANSWERED)]
    #[case::retried("RETRIED", RETRIED)]
    #[case::replaced("REPLACED", REPLACED)]
    #[case::room("ROOM", ROOM)]
    #[case::restarted("RESTARTED", RESTARTED)]
    #[case::mount("MOUNT", MOUNT)]
    #[case::ready("READY", READY)]
    fn the_documented_window_is_the_one_that_counts(#[case] name: &str, #[case] window: Duration) {
        let row = format!("| `{name}` | {} s |", window.as_secs());
        assert!(DOCS.contains(&row), "docs/causes.md has no row {row}");
    }
}
