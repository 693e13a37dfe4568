//! Builds of Go programs: by `go install`, or in a copy of a module that is changed first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::files::copy_folder;
use harness_base::progress::Teller;

use super::entry::{Copied, GoBuild};
use super::find::is_program;
use super::{BuildTurn, Command, GoEnv, Tools};
use crate::error::{Error, Result};

/// The deadline of a build; the longest needs six minutes of two cores.
pub(super) const BUILD: Duration = Duration::from_secs(3600);

/// The C compiler, by the name of cargo's default linker, so that it is there where cargo builds.
const CC: &str = "cc";

/// The build of a Go program.
pub(super) struct GoJob<'a> {
    pub(super) build: &'a GoBuild,
    pub(super) go: &'a GoEnv,
    /// The folder that the build works in.
    pub(super) part: &'a Path,
    /// The path that the program is built to.
    pub(super) program: &'a Path,
    pub(super) turn: &'a BuildTurn,
    pub(super) teller: Teller,
}

impl Tools {
    /// The error that keeps a program from being built here, if any: a missing C compiler.
    pub(super) fn lacks_for(&self, build: &GoBuild) -> Option<Error> {
        let any = self.programs_in_path(CC).next().is_some();
        (build.cgo && !any).then(|| {
            Error::refused(
                format!("{} has a part in C, and there is no C compiler ({CC}) in PATH", build.module),
                match cfg!(target_os = "macos") {
                    true => "xcode-select --install",
                    false => {
                        "apt-get install gcc libc6-dev (or your system's packages of a C compiler and its headers)"
                    }
                },
            )
        })
    }

    /// The programs of a name in the PATH of called programs, in its order.
    pub(super) fn programs_in_path(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let folders: Vec<PathBuf> = std::env::split_paths(&self.search_path()).collect();
        let name = name.to_owned();
        folders.into_iter().map(move |folder| folder.join(&name)).filter(|path| is_program(path))
    }

    /// Builds a Go program.
    pub(super) async fn go_build(&self, job: &GoJob<'_>) -> Result<()> {
        let tmp = job.tmp();
        std::fs::create_dir_all(&tmp).map_err(Error::io(format!("make the folder {}", tmp.display())))?;
        match &job.build.copied {
            Some(copied) => self.build_copy(job, copied).await,
            None => job.install().await,
        }
    }

    async fn build_copy(&self, job: &GoJob<'_>, copied: &Copied) -> Result<()> {
        let folder = job.download().await?;
        let source = job.part.join("source");
        // Go keeps its modules read-only.
        copy_folder(&folder, &source, &[])?;
        if let Some(web) = &copied.web {
            self.build_web(job, web, &source).await?;
        }
        let mut command = job.command()?.folder(&source).arg("build").args(job.flags());
        if !copied.raised.is_empty() {
            let raised = copied.raised.iter().map(|(module, version)| format!("-require={module}@{version}"));
            job.command()?.folder(&source).args(["mod", "edit"]).args(raised).run().await?;
            // Their own dependencies are in neither go.mod nor go.sum yet; Go adds and verifies them.
            command = command.arg("-mod=mod");
        }
        command.arg("-o").arg(job.program).arg(format!(".{}", job.package())).run().await.map(drop)
    }
}

impl GoJob<'_> {
    pub(super) fn tmp(&self) -> PathBuf {
        self.part.join("tmp")
    }

    fn module(&self) -> String {
        format!("{}@v{}", self.build.module, self.build.version)
    }

    /// The main package's path in the module, with a slash before it.
    fn package(&self) -> String {
        match self.build.package {
            "" => String::new(),
            package => format!("/{package}"),
        }
    }

    fn flags(&self) -> [String; 4] {
        let stamp = self.build.stamp.map(|stamp| format!(" -X {stamp}{}", self.build.version)).unwrap_or_default();
        let tags = format!("-tags={}", self.build.tags);
        ["-v".to_owned(), "-trimpath".to_owned(), format!("-ldflags=-s -w{stamp}"), tags]
    }

    fn command(&self) -> Result<Command> {
        let mut command = self.go.command().env("GOTMPDIR", self.tmp().to_string_lossy());
        if self.build.cgo {
            command = command.env("CGO_ENABLED", "1").env("CC", CC);
        }
        Ok(command.telling(self.teller.clone()).limit(BUILD).holding(Some(self.turn.descriptor()?)))
    }

    async fn install(&self) -> Result<()> {
        let bin = self.part.join("bin");
        let command = self.command()?.folder(self.part).env("GOBIN", bin.to_string_lossy());
        let what = format!("{}{}@v{}", self.build.module, self.package(), self.build.version);
        command.arg("install").args(self.flags()).arg(what).run().await?;
        // `go install` names the program after the package's last folder.
        let name = self.build.package.rsplit('/').next().filter(|name| !name.is_empty());
        let name = name.or_else(|| self.build.module.rsplit('/').next()).unwrap_or_default();
        let (made, program) = (bin.join(name), self.program);
        std::fs::rename(&made, program).map_err(Error::io(format!("move {} to {}", made.display(), program.display())))
    }

    /// Has Go download and verify the module; returns its folder in the module cache.
    async fn download(&self) -> Result<PathBuf> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Module {
            dir: PathBuf,
        }
        let module = self.module();
        let command = self.command()?.args(["mod", "download", "-json", &module]);
        let text = command.folder(Path::new("/")).run().await?.stdout;
        let module: Module =
            serde_json::from_str(&text).map_err(Error::malformed(format!("read where Go put {module}")))?;
        Ok(module.dir)
    }
}
