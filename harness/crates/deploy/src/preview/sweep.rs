//! Removes previews whose pull request is closed, or that have expired; decided by a function without I/O.

use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::github::LABEL;
use super::{Expiry, GitHub, Gone, Preview, PullRequest, PullState, WITHIN, clock, down, identity, list};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::k8s;

/// How long to wait for a preview's Lease: longer than a dead holder is believed to live.
const TURN: Duration = Duration::from_secs(45);

/// The decision about a preview, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Remove the preview.
    Remove(String),
    /// Keep the preview.
    Keep(String),
    /// Keep the preview, and start its lifetime anew.
    Renew(String),
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(why) => write!(f, "remove: {why}"),
            Self::Keep(why) => write!(f, "keep: {why}"),
            Self::Renew(why) => write!(f, "renew: {why}"),
        }
    }
}

/// Decides about a preview. An open and labelled pull request keeps its preview, however old; the expiry decides where GitHub's
/// answer is not known. `now`: seconds since 1970.
pub fn decide(preview: &Preview, state: &PullState, now: u64, lifetime: Duration) -> Decision {
    if preview.is_terminating {
        return Decision::Remove("it is being deleted".to_owned());
    }
    let (left, text) = match preview.expires {
        Expiry::At(at) if at <= now => (Some(0), format!("its time was over {} ago", span(now - at))),
        Expiry::At(at) => (Some(at - now), format!("{} left", span(at - now))),
        Expiry::Unknown => (None, "its label says no time".to_owned()),
    };
    match state {
        PullState::Closed => Decision::Remove("its pull request is closed".to_owned()),
        PullState::Unlabelled => Decision::Remove(format!("its pull request has no label {LABEL}")),
        PullState::Open if left.is_none_or(|left| left < lifetime.as_secs() / 2) => {
            Decision::Renew(format!("its pull request is open, {text}"))
        }
        PullState::Open => Decision::Keep(format!("its pull request is open, {text}")),
        PullState::Unknown(why) if left == Some(0) => Decision::Remove(format!("{text}, and {why}")),
        PullState::Unknown(why) => Decision::Keep(format!("{why}, {text}")),
    }
}

/// Removes or renews all previews as [`decide`] says, side by side; `tell` gets each decision and outcome. With `dry_run`,
/// nothing is changed.
///
/// Without `github`, only the expiry decides, by the API server's clock. What remains on cancel or kill: deletions that were
/// begun go on in the cluster; the next call begins the others.
///
/// # Errors
/// The first error; the other previews are handled all the same.
pub async fn sweep(
    cluster: &Cluster,
    github: Option<&GitHub>,
    dry_run: bool,
    lifetime: Duration,
    tell: impl Fn(PullRequest, &str),
) -> Result<()> {
    let now = clock::now(cluster).await?;
    let previews = list(cluster).await?;
    let asked = async |preview: &Preview| {
        let state = match github {
            Some(github) => github.state(preview.of).await,
            None => PullState::Unknown("GitHub is not asked".to_owned()),
        };
        decide(preview, &state, now, lifetime)
    };
    let one = async |preview: Preview| {
        let decision = asked(&preview).await;
        tell(preview.of, &decision.to_string());
        if dry_run {
            return Ok(());
        }
        let done = match decision {
            Decision::Keep(_) => return Ok(()),
            Decision::Renew(_) => renew(cluster, preview.of, now + lifetime.as_secs()).await.map(|()| "renewed"),
            Decision::Remove(_) => {
                // The pull request may have been reopened, or the preview deployed anew, while the Lease was waited for.
                let still = async |found: &Preview| matches!(asked(found).await, Decision::Remove(_));
                down(cluster, preview.of, TURN, WITHIN, still).await.map(|gone| match gone {
                    Gone::Removed | Gone::Absent => "removed",
                    Gone::Kept => "kept: it was reopened or deployed anew meanwhile",
                })
            }
        };
        match &done {
            Ok(what) => tell(preview.of, what),
            Err(error) => tell(preview.of, &format!("not done: {}", error.report())),
        }
        done.map(drop)
    };
    // Side by side, so that one that hangs does not stop the others.
    join_all(previews.into_iter().map(one)).await.into_iter().collect()
}

/// Sets a preview's expiry, in seconds since 1970.
async fn renew(cluster: &Cluster, of: PullRequest, expires: u64) -> Result<()> {
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let patch = json!({"metadata": {"labels": {identity::EXPIRES_LABEL.name(): expires.to_string()}}});
    let what = format!("give the preview {} more time", of.namespace());
    k8s::call(&what, api.patch(&of.namespace(), &PatchParams::default(), &Patch::Merge(&patch))).await?;
    Ok(())
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

    const LIFE: Duration = Duration::from_secs(7200);

    #[rstest]
    #[case::open(Expiry::At(NOW + 7000), false, PullState::Open, "keep")]
    #[case::open_for_long(Expiry::At(NOW + 60), false, PullState::Open, "renew")]
    #[case::open_and_expired(Expiry::At(NOW - 86_400), false, PullState::Open, "renew")]
    #[case::closed(Expiry::At(NOW + 60), false, PullState::Closed, "remove")]
    #[case::unlabelled(Expiry::At(NOW + 60), false, PullState::Unlabelled, "remove")]
    #[case::not_found(Expiry::At(NOW + 60), false, unknown(), "keep")]
    #[case::expired(Expiry::At(NOW), false, unknown(), "remove")]
    #[case::expired_and_not_found(Expiry::At(NOW - 60), false, unknown(), "remove")]
    #[case::no_time_and_open(Expiry::Unknown, false, PullState::Open, "renew")]
    #[case::no_time_and_not_found(Expiry::Unknown, false, unknown(), "keep")]
    #[case::no_time_and_closed(Expiry::Unknown, false, PullState::Closed, "remove")]
    #[case::half_gone(Expiry::At(NOW + 60), true, PullState::Open, "remove")]
    fn what_goes(#[case] expires: Expiry, #[case] is_terminating: bool, #[case] state: PullState, #[case] what: &str) {
        let of = PullRequest::parse("7").unwrap();
        let preview = Preview { of, sha: "abcdef0".to_owned(), created: 0, expires, is_terminating };
        let decision = decide(&preview, &state, NOW, LIFE).to_string();
        assert!(decision.starts_with(&format!("{what}: ")), "{decision}");
    }

    #[test]
    fn a_keep_says_why() {
        let of = PullRequest::parse("7").unwrap();
        let (expires, is_terminating) = (Expiry::At(NOW + 7200), false);
        let preview = Preview { of, sha: String::new(), created: 0, expires, is_terminating };
        assert_eq!(decide(&preview, &unknown(), NOW, LIFE).to_string(), "keep: GitHub answered 404, 2 h left");
    }
}
