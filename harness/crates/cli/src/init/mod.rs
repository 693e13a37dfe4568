//! `cargo stack init`: writes a spec, a suite and a `cargo stack` for a repository, from its chart and its skaffold.yaml.

mod reading;
mod writing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use harness::settings::Settings;
use harness::tools::{Tool, Tools};
use harness::{Error, Result, say, yaml};
use serde_json::Value;

use reading::{SkaffoldFound, Unreadable};
use writing::{Base, InitRequest, Pin};

/// Where it is made, and which harness it uses.
#[derive(Args)]
pub struct InitOptions {
    /// The repository's folder, which holds skaffold.yaml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Use the harness of this repository by git, at `--rev`; else the checkout that this command is from, by path.
    #[arg(long, value_name = "URL", requires = "rev")]
    git: Option<String>,
    /// The revision of `--git`: the harness is not published yet, and a branch would change under the tests.
    #[arg(long, value_name = "REVISION", requires = "git")]
    rev: Option<String>,
}

impl From<Unreadable> for Error {
    fn from(Unreadable { what, next }: Unreadable) -> Self {
        Self::refused(what, next)
    }
}

/// Reads the repository and writes its new files. On cancel the files that were written so far remain.
///
/// # Errors
/// [`Error::Base`] when one of the files exists, before any is written, and when the repository cannot be read as a stack;
/// [`Error::Command`] when the chart does not render.
pub async fn run(settings: &Settings, options: InitOptions) -> Result<ExitCode> {
    let root = std::path::absolute(&options.folder).map_err(Error::io(format!("find {}", options.folder.display())))?;
    let skaffold = reading::skaffold(&document(&root.join("skaffold.yaml"))?)?;
    let objects = rendered(settings, &root, &skaffold).await?;
    let has_profiles = skaffold.has_profiles;
    let found = reading::found(skaffold, &objects)?;
    let pin = match (options.git, options.rev) {
        (Some(url), Some(revision)) => Pin::Git { url, revision },
        _ => Pin::path(&root)?,
    };
    let bases = found.built.iter().map(|image| base(&root.join(&image.context), &pin.recipes_from(&root)));
    let wanted = InitRequest { bases: bases.collect::<Result<_>>()?, found: &found, pin: &pin };
    let files = writing::files(&wanted);
    let there: Vec<&str> = files.iter().filter(|(name, _)| root.join(name).exists()).map(|(name, _)| *name).collect();
    if !there.is_empty() {
        return Err(Error::refused(
            format!("{} holds {} already: nothing was written", root.display(), there.join(", ")),
            "move them away, or add to them by hand what examples/notes shows",
        ));
    }
    for (name, text) in &files {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io(format!("make {}", parent.display())))?;
        }
        std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        say!("wrote {name}");
    }
    say!("the harness is used {}", pin.said());
    if !has_profiles {
        say!(
            "skaffold.yaml lacks the profiles `local` and `ci`, by which the stages deploy: give both the same deploy.helm"
        );
    }
    for image in found.built.iter().filter(|image| !root.join(&image.context).join(".dockerignore").is_file()) {
        say!(
            "{} has no .dockerignore, and a build refuses that: exclude all (*), and name what the image holds",
            image.context
        );
    }
    say!("next: read stack/src/lib.rs, then cargo test --package e2e");
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

fn document(path: &Path) -> Result<Value> {
    yaml::value(&read(path)?).map_err(Error::malformed(format!("read {}", path.display())))
}

/// The objects that `helm template` renders the chart to, with the placeholders of `reading::stand_in` for the images that are
/// built here.
async fn rendered(settings: &Settings, root: &Path, skaffold: &SkaffoldFound) -> Result<Vec<Value>> {
    let mut helm = Tools::new(settings.tools()).command(Tool::Helm).await?;
    helm = helm.args(["template", &skaffold.release, &skaffold.chart, "--namespace", &skaffold.namespace]).folder(root);
    for values in &skaffold.values {
        helm = helm.args(["--values", values]);
    }
    let named = |template: &str| {
        // Spaces within the braces do not matter.
        let plain = template.replace("{{ ", "{{").replace(" }}", "}}");
        skaffold.built.iter().fold(plain, |text, image| {
            let (standing, variables) = (reading::stand_in(&image.name), reading::variables(&image.name));
            text.replace(&format!("{{{{.{}}}}}", variables.0), &standing.0)
                .replace(&format!("{{{{.{}}}}}", variables.1), &standing.1)
        })
    };
    for (value, template) in &skaffold.set {
        helm = helm.args(["--set-string", &format!("{value}={}", named(template))]);
    }
    let helm =
        helm.on_failure("helm dependency build, or correct what the last lines name, and run the same command again");
    Ok(yaml::objects(&helm.run().await?.stdout)?)
}

/// The base image of a build context; `None` where its Dockerfile does not take it as a build argument, or no recipe makes it.
fn base(context: &Path, recipes: &Path) -> Result<Option<Base>> {
    let Some((argument, official)) = reading::base_of(&read(&context.join("Dockerfile"))?) else { return Ok(None) };
    let name = official.split([':', '@']).next().unwrap_or_default();
    let recipe = name.rsplit('/').next().unwrap_or_default().to_owned();
    let is_made = recipes.join("base-images").join(format!("{recipe}.sh")).is_file();
    Ok(is_made.then_some(Base { argument, recipe, official }))
}
