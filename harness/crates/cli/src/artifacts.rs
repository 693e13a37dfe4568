//! `cargo stack artifacts`: builds, copies, shows and compares artifact sets, for the stages that build no images.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use harness::artifacts::{self, Artifact, ArtifactSet, BuildOptions, Reference};
use harness::files::write_json;
use harness::output;
use harness::project::Project;
use harness::session::Session;
use harness::settings::{ARTIFACTS, STAGE, Settings};
use harness::stage::Stage;
use harness::{Error, Result, say};

#[derive(Subcommand)]
pub enum ArtifactsTask {
    /// Build the images from the working tree, push them, and write the set.
    ///
    /// Without --registry they go into the registry beside stage ci's cluster of this checkout, where
    /// `STACK_STAGE=ci cargo test` finds them. With it, the engine's client pushes them (docker login).
    ///
    /// Examples: cargo stack artifacts build --official; cargo stack artifacts build --registry ghcr.io/example --official
    Build {
        /// The file to write; artifacts.json in the checkout, unless it is given: that is the one that stage ci takes by itself.
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// The repository to push below, such as ghcr.io/example.
        #[arg(long)]
        registry: Option<String>,
        /// Build what the commits hold, and refuse a working tree, the stack's or a sibling service's, with changes.
        #[arg(long)]
        official: bool,
    },
    /// Copy a set's images to another registry, byte for byte, and write the set that names them there.
    ///
    /// Example: cargo stack artifacts push artifacts.json --to ghcr.io/example --output official.json
    Push {
        /// The set: a file, or an https address.
        set: String,
        /// The repository to push below.
        #[arg(long)]
        to: String,
        /// The file to write.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Print a set as a table.
    ///
    /// Example: cargo stack artifacts show artifacts.json --check
    Show {
        /// The set: a file, or an https address.
        set: String,
        /// Ask each registry whether it holds the image, for which platform.
        #[arg(long)]
        check: bool,
    },
    /// Compare two sets; exit status 1 when an image differs.
    ///
    /// Example: cargo stack artifacts diff official.json artifacts.json
    Diff {
        /// The one: a file, or an https address.
        old: String,
        /// The other.
        new: String,
    },
}

pub async fn run(task: ArtifactsTask, settings: Settings) -> Result<ExitCode> {
    match task {
        ArtifactsTask::Build { output, registry, official } => {
            build(settings, output, registry.as_deref(), official).await
        }
        ArtifactsTask::Push { set, to, output } => push(settings, &set, &to, &output).await,
        ArtifactsTask::Show { set, check } => show(settings, &set, check).await,
        ArtifactsTask::Diff { old, new } => diff(&settings, &old, &new).await,
    }
}

async fn build(
    settings: Settings,
    output: Option<PathBuf>,
    repository: Option<&str>,
    official: bool,
) -> Result<ExitCode> {
    let leave = Stage::Local.may_build().ok_or_else(|| Error::refused("stage local builds", "report this as a bug"))?;
    // The output's folder is checked first, since building takes minutes.
    let default = Project::find(&settings)?.default_set();
    let output = match &output {
        Some(output) => std::path::absolute(output).map_err(Error::io(format!("find {}", output.display())))?,
        None => default.clone(),
    };
    let folder = output.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        return Err(Error::refused(
            format!("there is no folder {}", folder.display()),
            "name a file in one that is there",
        ));
    }
    let session = Arc::new(Session::new(settings, Stage::Ci)?);
    let set = session.build_set(leave, BuildOptions { official, repository }).await?;
    write_json(&output, &set)?;
    output::print(&table(&set));
    match output == default {
        true => say!("{STAGE}=ci cargo test"),
        false => say!("{STAGE}=ci {ARTIFACTS}={} cargo test", output.display()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn push(settings: Settings, location: &str, to: &str, output: &Path) -> Result<ExitCode> {
    let set = read(&settings, location).await?;
    let session = Arc::new(Session::new(settings, Stage::Ci)?);
    let engine = session.engine().await?;
    let mut pushed = set.clone();
    for artifact in &mut pushed.builds {
        let from = session.from_here(&engine, &artifact.tag).await?;
        artifact.tag = below(to, artifact);
        artifacts::copy(&from, &artifact.tag, &session.credentials).await?;
        say!("{} -> {}", from.by_digest(), artifact.tag.by_digest());
    }
    write_json(output, &pushed)?;
    Ok(ExitCode::SUCCESS)
}

/// The reference of an artifact's image below another repository.
fn below(repository: &str, artifact: &Artifact) -> Reference {
    Reference {
        repository: format!("{}/{}", repository.trim_end_matches('/'), artifact.image_name),
        ..artifact.tag.clone()
    }
}

async fn show(settings: Settings, location: &str, check: bool) -> Result<ExitCode> {
    let set = read(&settings, location).await?;
    output::print(&table(&set));
    if !check {
        return Ok(ExitCode::SUCCESS);
    }
    let session = Arc::new(Session::new(settings, Stage::Ci)?);
    let engine = session.engine().await?;
    let mut code = ExitCode::SUCCESS;
    for artifact in &set.builds {
        let checked = match session.from_here(&engine, &artifact.tag).await {
            Ok(at) => artifacts::check(artifact, &at, &set.platform, &session.credentials).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => say!("ok       {}", artifact.image_name),
            Err(error) => {
                code = ExitCode::FAILURE;
                say!("refused  {}", error.report());
            }
        }
    }
    Ok(code)
}

async fn diff(settings: &Settings, old: &str, new: &str) -> Result<ExitCode> {
    let (old, new) = (read(settings, old).await?, read(settings, new).await?);
    let differences = old.differences(&new);
    for line in &differences {
        say!("{line}");
    }
    let same = differences.is_empty();
    say!("{}", if same { "the same images" } else { "not the same images" });
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a set of all images that stage ci deploys, from a file or an https address.
async fn read(settings: &Settings, location: &str) -> Result<ArtifactSet> {
    Ok(artifacts::read(location, Stage::Ci, &Project::find(settings)?, settings).await?)
}

fn table(set: &ArtifactSet) -> String {
    let width = set.builds.iter().map(|artifact| artifact.image_name.len()).max().unwrap_or_default();
    let row = |artifact: &Artifact| {
        let stand_in = artifact.stands_in_for.as_ref().map(|of| format!("  (stands in for {of})")).unwrap_or_default();
        let own = artifact.revision.as_ref().map(|own| format!("  (revision {own})")).unwrap_or_default();
        format!("{:width$}  {}{stand_in}{own}\n", artifact.image_name, artifact.tag.by_digest())
    };
    let rows: String = set.builds.iter().map(row).collect();
    let said = [&set.provenance.reference, &set.provenance.committed, &set.provenance.builder, &set.provenance.run];
    let said: Vec<&str> = said.into_iter().flatten().map(String::as_str).collect();
    format!("revision {}  platform {}  {}\n{rows}", set.revision, set.platform, said.join("  "))
}
