//! Calls of git: with the user's configuration (safe.directory, core.excludesFile), except settings that would change what is
//! read of a repository, or start a program.

use std::path::Path;

use super::{Command, Tool, Tools};
use crate::error::Result;

/// The settings that override the user's configuration.
const OVERRIDES: &[&str] = &[
    // Else a signature's verdict would be printed before a revision.
    "log.showSignature=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    // No programs that a repository or its user configures: none is needed to read a repository.
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "init.templateDir=",
    // No maintenance, which would go on after the call, and write to the repository.
    "gc.auto=0",
    "maintenance.auto=false",
    // Output that is parsed has no colours, and lists each new file.
    "color.ui=false",
    "status.showUntrackedFiles=normal",
];

/// Settings of archives, which hold a commit's bytes: no line-end conversion, no attributes of the user, and the permissions of
/// a checkout (git's default would let a group write).
const OF_ARCHIVES: &[&str] = &["core.autocrlf=false", "core.eol=lf", "core.attributesFile=/dev/null", "tar.umask=0022"];

impl Tools {
    /// The command git in a folder; git is not called in any other way.
    ///
    /// It takes no optional locks of the repository, and never prompts for a password.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when it is not installed.
    pub async fn git(&self, folder: &Path) -> Result<Command> {
        let command = self.command(Tool::Git).await?.folder(folder);
        Ok(with(command, OVERRIDES).env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0"))
    }

    /// The command `git archive`, whose output depends on the commit alone.
    ///
    /// # Errors
    /// As [`Tools::git`].
    pub async fn git_archive(&self, folder: &Path) -> Result<Command> {
        Ok(with(self.git(folder).await?, OF_ARCHIVES).arg("archive"))
    }
}

fn with(command: Command, configuration: &[&str]) -> Command {
    configuration.iter().fold(command, |command, setting| command.args(["-c", setting]))
}

/// Repositories of tests, which no configuration of the machine's or its user's reaches.
#[cfg(test)]
mod scratch {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::Tools;
    use harness_settings::settings::Settings;

    /// Tools whose children have this folder for their home, with `more` in the environment.
    pub fn tools(home: &Path, more: &[(&str, &str)]) -> Tools {
        let path = Settings::from_environment().path;
        let home = home.to_string_lossy().into_owned();
        let own = [("PATH", path.as_str()), ("HOME", home.as_str())];
        let all = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Tools::new(Settings::parse(&all.collect::<BTreeMap<_, _>>()).tools())
    }

    /// git in a test's own repository, as somebody; its output.
    pub async fn git(tools: &Tools, folder: &Path, args: &[&str]) -> String {
        let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"];
        let git = tools.git(folder).await.unwrap().args(who).args(args.iter().copied());
        git.env("GIT_CONFIG_NOSYSTEM", "1").run().await.unwrap().stdout
    }
}

/// Whether a served revision is `revision`. Either may be abbreviated; `served` to no less than seven digits. A revision with
/// uncommitted changes (`…-dirty`) equals only itself.
pub fn is_of_revision(served: &str, revision: &str) -> bool {
    let begins = |whole: &str, part: &str| {
        whole.strip_prefix(part).is_some_and(|rest| rest.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    begins(served, revision) || (served.len() >= 7 && begins(revision, served))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::scratch::{git, tools};
    use super::*;

    async fn repository(tools: &Tools, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("file"), "one\n").unwrap();
        git(tools, folder, &["init", "--quiet", "."]).await;
        git(tools, folder, &["add", "."]).await;
        git(tools, folder, &["commit", "--quiet", "--message=one"]).await;
    }

    #[tokio::test]
    async fn the_repository_of_a_hook_that_runs_us_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let theirs = home.path().join("theirs");
        repository(&tools(home.path(), &[]), &theirs).await;
        let before = git(&tools(home.path(), &[]), &theirs, &["rev-parse", "HEAD"]).await;
        // As git sets them for a hook; the last as `git -c` does for what it calls.
        let (folder, index) = (theirs.join(".git"), theirs.join(".git/index"));
        let (folder, index, tree) = (folder.to_str().unwrap(), index.to_str().unwrap(), theirs.to_str().unwrap());
        let of_a_hook = [
            ("GIT_DIR", folder),
            ("GIT_WORK_TREE", tree),
            ("GIT_INDEX_FILE", index),
            ("GIT_CONFIG_PARAMETERS", "'user.name=them'"),
        ];
        let (in_a_hook, ours) = (tools(home.path(), &of_a_hook), home.path().join("ours"));
        repository(&in_a_hook, &ours).await;
        assert!(ours.join(".git").is_dir());
        assert_eq!(git(&tools(home.path(), &[]), &theirs, &["rev-parse", "HEAD"]).await, before);
        assert_eq!(git(&tools(home.path(), &[]), &theirs, &["status", "--porcelain"]).await, "");
    }

    #[tokio::test]
    async fn the_users_configuration_holds_but_for_what_would_change_an_answer() {
        let home = tempfile::tempdir().unwrap();
        let (tools, folder) = (tools(home.path(), &[]), home.path().join("repository"));
        repository(&tools, &folder).await;
        let hook = home.path().join("hooks/post-index-change");
        crate::tools::install(&home.path().join("hooks"), "post-index-change", "#!/bin/sh\ntouch \"$0.ran\"\n");
        crate::tools::install(home.path(), "monitor", "#!/bin/sh\ntouch \"$0.ran\"\nexit 1\n");
        let configuration = format!(
            "[core]\n\texcludesFile = {0}/excluded\n\thooksPath = {0}/hooks\n\tfsmonitor = {0}/monitor\n\
             \tautocrlf = true\n[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {0}/monitor\n\
             [commit]\n\tgpgSign = true\n[color]\n\tui = always\n[status]\n\tshowUntrackedFiles = no\n",
            home.path().display()
        );
        std::fs::write(home.path().join(".gitconfig"), configuration).unwrap();
        std::fs::write(home.path().join("excluded"), "*.log\n").unwrap();
        std::fs::write(folder.join("some.log"), "").unwrap();
        std::fs::write(folder.join("new"), "").unwrap();
        let ask = async |args: &[&str]| {
            let git = tools.git(&folder).await.unwrap().args(args.iter().copied());
            git.run().await.unwrap().stdout
        };
        // Excluded by its user: not new. New: said, though its user wants to see none.
        assert_eq!(ask(&["status", "--porcelain"]).await, "?? new\n");
        assert_eq!(ask(&["show", "--no-patch", "--format=%s", "HEAD"]).await, "one\n");
        git(&tools, &folder, &["add", "new"]).await;
        git(&tools, &folder, &["commit", "--quiet", "--message=two"]).await;
        assert!(!hook.with_extension("ran").exists() && !home.path().join("monitor.ran").exists());
        let archive = folder.join("archive.tar");
        let made = tools.git_archive(&folder).await.unwrap().arg("--output").arg(&archive);
        made.args(["HEAD", "file"]).run().await.unwrap();
        assert!(!std::fs::read_to_string(&archive).unwrap().contains('\r'));
    }

    #[rstest]
    #[case("abcdef0123", "abcdef0", true)]
    #[case("abcdef0123", "abcdef0123", true)]
    #[case("abcdef0123", "abcdef1", false)]
    #[case("abcdef0123", "abcdef01234", true)]
    #[case("abcdef", "abcdef01234", false)]
    #[case("", "abcdef01234", false)]
    #[case("abcdef0123", "abcdef0123-dirty", false)]
    #[case("abcdef0123-dirty", "abcdef0123", false)]
    #[case("abcdef0123-dirty", "abcdef0123-dirty", true)]
    fn a_revision_may_be_abbreviated(#[case] served: &str, #[case] revision: &str, #[case] is: bool) {
        assert_eq!(is_of_revision(served, revision), is);
    }
}
