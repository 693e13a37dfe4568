//! Build contexts of images: their folders, and the revisions that images and the set record.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use harness_base::files::private_folder;
use harness_machine::project::DEFAULT_SET;
use harness_machine::tools::{ChildKind, Tools};
use harness_manifest::artifact_set::DIRTY;
use harness_settings::spec::{Built, spec};

use super::Sources;
use crate::error::{Error, Result};

/// The build contexts of all images, with the stack's revision.
#[derive(Debug)]
pub(super) struct Origins {
    /// The checkout's revision.
    pub stack: Revision,
    /// The build context of each image.
    pub images: Vec<BuildContext>,
}

/// The build context of one image.
#[derive(Debug)]
pub(super) struct BuildContext {
    pub image: &'static Built,
    /// The build's context.
    pub folder: PathBuf,
    /// The revision of the repository that the folder is in, when that is not the stack's.
    pub revision: Option<Revision>,
}

impl Origins {
    /// Reads contexts and revisions of the working trees.
    ///
    /// # Errors
    /// As [`harness_machine::project::Project::context`]; [`harness_base::Error::Refused`] for a context without a .dockerignore.
    pub async fn of(sources: &Sources<'_>) -> Result<Self> {
        let Sources { project, settings, tools, .. } = sources;
        let stack = Revision::of(tools, &project.root).await?;
        let origin = async |image: &'static Built| {
            let folder = project.context(image, settings)?;
            expect_dockerignore(&folder)?;
            let revision = match folder.starts_with(&project.root) {
                true => None,
                false => Some(Revision::of(tools, &folder).await?),
            };
            Ok::<_, Error>(BuildContext { image, folder, revision: revision.filter(|own| own.sha != stack.sha) })
        };
        let images = try_join_all(spec().images.built.iter().map(origin)).await?;
        Ok(Self { stack, images })
    }

    /// The revision of an image's own repository, when that is not the stack's.
    pub fn own(&self, image: &str) -> Option<&Revision> {
        self.images.iter().find(|origin| origin.image.name == image)?.revision.as_ref()
    }

    /// Refuses revisions that could not be built again: with uncommitted changes, or without a history.
    pub fn expect_official(&self) -> Result<()> {
        let elsewhere = self.images.iter().filter_map(|origin| origin.revision.as_ref());
        [&self.stack].into_iter().chain(elsewhere).try_for_each(Revision::expect_official)
    }

    /// Replaces the contexts by archives of their commits, unpacked below a folder: a working tree may have files that git
    /// ignores and a .dockerignore does not. File times are the commit's, so that layers are the same each time.
    ///
    /// # Errors
    /// [`Error::Command`] when git or tar fails; [`harness_base::Error::Refused`] when a .dockerignore is not committed.
    pub async fn committed(mut self, tools: &Tools, folder: &Path) -> Result<Self> {
        for BuildContext { image, folder: context, .. } in &mut self.images {
            let (archive, into) = (folder.join(format!("{}.tar", image.name)), folder.join(image.name));
            private_folder(&into)?;
            let git = tools.git_archive(context).await?.arg("--format=tar").arg("--output").arg(&archive);
            git.arg("HEAD").run().await?;
            tools
                .program("tar", ChildKind::Program)
                .arg("--extract")
                .arg("--file")
                .arg(&archive)
                .arg("--directory")
                .arg(&into)
                .run()
                .await?;
            expect_dockerignore(&into)?;
            *context = into;
        }
        Ok(self)
    }
}

/// Refuses a context without a .dockerignore: any file in the folder would get into the image.
fn expect_dockerignore(folder: &Path) -> Result<()> {
    if folder.join(".dockerignore").is_file() {
        return Ok(());
    }
    Err(Error::refused(
        format!("{} has no .dockerignore: what lies about there would get into the image", folder.display()),
        "write one that excludes all (*) and names what the image holds (!src/)",
    ))
}

/// The revision of a working tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Revision {
    /// The commit, `-dirty` when the working tree has changes, `unknown` without a history.
    pub sha: String,
    /// The branch or tag.
    pub reference: String,
    /// The time of the commit. No other time is recorded, so that building twice gives the same image.
    pub time: String,
    folder: PathBuf,
}

impl Revision {
    /// The revision of the repository around a folder. The default artifact set in it does not count as a change.
    async fn of(tools: &Tools, folder: &Path) -> Result<Self> {
        let git = async |args: &[&str]| {
            let command = tools.git(folder).await?.args(args.iter().copied());
            Ok::<_, Error>(command.run().await?.stdout.trim().to_owned())
        };
        let head = match git(&["show", "--no-patch", "--format=%H %cI", "HEAD"]).await {
            Ok(head) => head,
            // An exported tree has no history; its images say so.
            Err(error) => {
                let why = error.report();
                tracing::warn!("images record the revision of {} as unknown: {why}", folder.display());
                let unknown = || "unknown".to_owned();
                return Ok(Self { sha: unknown(), reference: unknown(), time: unknown(), folder: folder.to_owned() });
            }
        };
        let own = format!(":(top,exclude,glob)**/{DEFAULT_SET}");
        let status = ["status", "--porcelain", "--", ":/", &own];
        let (reference, changes) = tokio::join!(git(&["rev-parse", "--abbrev-ref", "HEAD"]), git(&status));
        let (sha, time) = head.split_once(' ').unwrap_or((head.as_str(), ""));
        let dirty = if changes?.is_empty() { "" } else { DIRTY };
        let (sha, time, folder) = (format!("{sha}{dirty}"), time.to_owned(), folder.to_owned());
        Ok(Self { sha, reference: reference?, time, folder })
    }

    /// One that no repository says.
    #[cfg(test)]
    pub fn known(sha: &str, folder: &Path) -> Self {
        Self { sha: sha.into(), reference: "main".into(), time: String::new(), folder: folder.into() }
    }

    fn expect_official(&self) -> Result<()> {
        let why = if self.sha.ends_with(DIRTY) {
            "has changes that no commit holds"
        } else if self.sha == "unknown" {
            "has no history that git reads"
        } else {
            return Ok(());
        };
        let folder = self.folder.display();
        Err(Error::refused(
            format!("a set that is to be official names commits, and {folder} {why} (revision {})", self.sha),
            format!("git -C {folder} status; commit or stash what it lists, or build without --official"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_commits_are_official() {
        let of = |stack: &str, backend: Option<&str>| {
            let revision_of = |sha: &str| Revision::known(sha, Path::new("/backend"));
            let backend = BuildContext {
                image: &spec().images.built[0],
                folder: "/backend".into(),
                revision: backend.map(revision_of),
            };
            Origins { stack: Revision::known(stack, Path::new("/stack")), images: vec![backend] }.expect_official()
        };
        assert!(of("0123456789", None).is_ok() && of("0123456789", Some("9876543210")).is_ok());
        for sha in ["0123456789-dirty", "unknown"] {
            for (folder, refused) in [("/stack", of(sha, None)), ("/backend", of("0123456789", Some(sha)))] {
                let error = refused.unwrap_err().report();
                assert!(error.contains(sha) && error.contains(&format!("git -C {folder} status")), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn an_official_image_is_of_what_its_commit_holds() {
        let (tree, scratch, home) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // No configuration of the machine's or its user's reaches it.
        let own = [
            ("PATH", harness_settings::settings::Settings::from_environment().path),
            ("HOME", home.path().display().to_string()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value)).into();
        let tools = Tools::new(harness_settings::settings::Settings::parse(&own).tools());
        let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"];
        let git = async |folder: &Path, args: &[&str]| {
            let git = tools.git(folder).await.unwrap().args(who).args(args.iter().copied());
            drop(git.env("GIT_CONFIG_NOSYSTEM", "1").run().await.unwrap());
        };
        let context = tree.path().join("apps/backend");
        std::fs::create_dir_all(&context).unwrap();
        let write = |name: &str, text: &str| std::fs::write(context.join(name), text).unwrap();
        let origins = |revision| {
            let image = BuildContext { image: &spec().images.built[0], folder: context.clone(), revision: None };
            Origins { stack: revision, images: vec![image] }
        };
        write(".gitignore", "*.env\n");
        write("main.py", "one\n");
        git(tree.path(), &["init", "--quiet", "."]).await;
        git(tree.path(), &["add", "."]).await;
        git(tree.path(), &["commit", "--quiet", "--message=one"]).await;
        write("secret.env", "password\n");
        let clean = Revision::of(&tools, &context).await.unwrap();
        assert!(clean.expect_official().is_ok(), "{clean:?}");
        let error = origins(clean).committed(&tools, scratch.path()).await.unwrap_err().report();
        assert!(error.contains("has no .dockerignore"), "{error}");
        write(".dockerignore", "");
        let dirty = Revision::of(&tools, &context).await.unwrap();
        assert!(dirty.sha.ends_with(DIRTY), "{dirty:?}");
        git(tree.path(), &["add", "."]).await;
        git(tree.path(), &["commit", "--quiet", "--message=two"]).await;
        let committed = origins(dirty).committed(&tools, scratch.path()).await.unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(&committed.images[0].folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".dockerignore", ".gitignore", "main.py"]);
    }

    #[test]
    fn a_context_without_a_dockerignore_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = expect_dockerignore(folder.path()).unwrap_err().report();
        assert!(error.contains("has no .dockerignore"), "{error}");
        std::fs::write(folder.path().join(".dockerignore"), "*\n").unwrap();
        assert!(expect_dockerignore(folder.path()).is_ok());
    }
}
