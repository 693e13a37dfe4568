//! The revision of the working tree, as images and the set record it.

use super::Sources;
use super::set::DIRTY;
use crate::error::{Error, Result};
use crate::tools::Tool;

/// What is built from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Revision {
    /// The commit, `-dirty` when the working tree has changes, `unknown` without a history.
    pub sha: String,
    /// The branch or tag.
    pub reference: String,
    /// When it was committed.
    pub time: String,
}

/// What the images record of their source. The time is the commit's, so that building twice gives the same image.
pub(super) async fn revision(sources: &Sources<'_>) -> Result<Revision> {
    let git = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        async move {
            let command = sources.tools.command(Tool::Git).await?.args(args).folder(&sources.project.root);
            Ok::<_, Error>(command.run().await?.stdout.trim().to_owned())
        }
    };
    let head = git(&["show", "--no-patch", "--format=%H %cI", "HEAD"]).await;
    // An exported tree has no history; its images say so.
    let Ok(head) = head else {
        tracing::warn!("the checkout has no git history: images record the revision as unknown");
        let unknown = || "unknown".to_owned();
        return Ok(Revision { sha: unknown(), reference: unknown(), time: unknown() });
    };
    let (reference, changes) =
        tokio::join!(git(&["rev-parse", "--abbrev-ref", "HEAD"]), git(&["status", "--porcelain"]));
    let (sha, time) = head.split_once(' ').unwrap_or((head.as_str(), ""));
    let dirty = if changes?.is_empty() { "" } else { DIRTY };
    Ok(Revision { sha: format!("{sha}{dirty}"), reference: reference?, time: time.to_owned() })
}

impl Revision {
    /// Refuses what nobody could build again: changes that no commit holds, or no history at all.
    pub fn expect_official(&self) -> Result<()> {
        let why = if self.sha.ends_with(DIRTY) {
            "the working tree has changes that no commit holds"
        } else if self.sha == "unknown" {
            "the checkout has no git history"
        } else {
            return Ok(());
        };
        Err(Error::refused(
            format!("a set that is to be official names a commit, and {why} (revision {})", self.sha),
            "git status; commit or stash what it lists, or build without --official",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_commit_is_official() {
        let of = |sha: &str| Revision { sha: sha.into(), reference: "main".into(), time: String::new() };
        assert!(of("0123456789").expect_official().is_ok());
        for sha in ["0123456789-dirty", "unknown"] {
            let error = of(sha).expect_official().unwrap_err().report();
            assert!(error.contains(sha) && error.contains("git status"), "{error}");
        }
    }
}
