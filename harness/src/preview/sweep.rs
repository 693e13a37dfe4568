//! Removes previews whose pull request is closed or whose time is over. What goes is decided by a pure function.

use std::fmt;
use std::time::Duration;

use super::{Expiry, GitHub, Gone, Preview, PullRequest, PullState, WITHIN, down, identity, list};
use crate::cluster::Cluster;
use crate::error::Result;

/// How long to wait for a preview's Lease: longer than a dead holder is believed to live.
const TURN: Duration = Duration::from_secs(45);

/// What is to become of a preview, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes.
    Remove(String),
    /// It stays.
    Keep(String),
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(why) => write!(f, "remove: {why}"),
            Self::Keep(why) => write!(f, "keep: {why}"),
        }
    }
}

/// What is to become of a preview at this time; without doubt only.
pub fn decide(preview: &Preview, state: &PullState, now: u64) -> Decision {
    if preview.is_terminating {
        return Decision::Remove("it is being deleted".to_owned());
    }
    if let Expiry::At(at) = preview.expires
        && at <= now
    {
        return Decision::Remove(format!("its time was over {} ago", span(now - at)));
    }
    let left = match preview.expires {
        Expiry::At(at) => format!("{} left", span(at - now)),
        Expiry::Unknown => "its label says no time".to_owned(),
    };
    match state {
        PullState::Closed => Decision::Remove("its pull request is closed".to_owned()),
        PullState::Open => Decision::Keep(format!("its pull request is open, {left}")),
        PullState::Unknown(why) => Decision::Keep(format!("{why}, {left}")),
    }
}

/// Removes what is to go, and says of each preview what became of it; with `dry_run` it only says so.
///
/// Without `github` the time alone decides. What remains on cancel or kill: what was not reached; the next call goes on.
///
/// # Errors
/// The first error; the others were tried all the same.
pub async fn sweep(
    cluster: &Cluster,
    github: Option<&GitHub>,
    dry_run: bool,
    mut tell: impl FnMut(PullRequest, &str),
) -> Result<()> {
    let mut first: Result<()> = Ok(());
    for preview in list(cluster).await? {
        let state = match github {
            Some(github) => github.state(preview.of).await,
            None => PullState::Unknown("GitHub is not asked".to_owned()),
        };
        let decision = decide(&preview, &state, identity::now());
        tell(preview.of, &decision.to_string());
        if dry_run || matches!(decision, Decision::Keep(_)) {
            continue;
        }
        // It may have been deployed anew while the Lease was waited for.
        let still = |now: &Preview| matches!(decide(now, &state, identity::now()), Decision::Remove(_));
        match down(cluster, preview.of, TURN, WITHIN, still).await {
            Ok(Gone::Removed | Gone::Absent) => tell(preview.of, "removed"),
            Ok(Gone::Kept) => tell(preview.of, "kept: it was deployed anew meanwhile"),
            Err(error) => {
                tell(preview.of, &format!("not removed: {}", error.report()));
                first = first.and(Err(error));
            }
        }
    }
    first
}

/// A time in the largest whole unit.
fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn unknown() -> PullState {
        PullState::Unknown("GitHub answered 404".to_owned())
    }

    #[rstest]
    #[case::open(Expiry::At(NOW + 60), false, PullState::Open, false)]
    #[case::closed(Expiry::At(NOW + 60), false, PullState::Closed, true)]
    #[case::not_found(Expiry::At(NOW + 60), false, unknown(), false)]
    #[case::expired(Expiry::At(NOW), false, PullState::Open, true)]
    #[case::expired_and_not_found(Expiry::At(NOW - 60), false, unknown(), true)]
    #[case::no_time_and_open(Expiry::Unknown, false, PullState::Open, false)]
    #[case::no_time_and_not_found(Expiry::Unknown, false, unknown(), false)]
    #[case::no_time_and_closed(Expiry::Unknown, false, PullState::Closed, true)]
    #[case::half_gone(Expiry::At(NOW + 60), true, PullState::Open, true)]
    fn what_goes(#[case] expires: Expiry, #[case] is_terminating: bool, #[case] state: PullState, #[case] goes: bool) {
        let of = PullRequest::parse("7").unwrap();
        let preview = Preview { of, sha: "abcdef0".to_owned(), created: 0, expires, is_terminating };
        let decision = decide(&preview, &state, NOW);
        assert_eq!(matches!(decision, Decision::Remove(_)), goes, "{decision}");
    }

    #[test]
    fn a_keep_says_why() {
        let of = PullRequest::parse("7").unwrap();
        let (expires, is_terminating) = (Expiry::At(NOW + 7200), false);
        let preview = Preview { of, sha: String::new(), created: 0, expires, is_terminating };
        assert_eq!(decide(&preview, &unknown(), NOW).to_string(), "keep: GitHub answered 404, 2 h left");
    }
}
