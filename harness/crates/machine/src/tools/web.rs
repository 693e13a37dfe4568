//! Web assets that a Go program embeds: built by Node with the yarn that the program's module contains.
//!
//! Go has verified the module, and with it yarn and its lock file, which has the checksum of each npm package.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::files::copy_folder;
use harness_base::folders::remove;
use harness_base::progress::{Step, Teller};

use super::entry::Web;
use super::go_build::{BUILD, GoJob};
use super::{ChildKind, Command, Tools, Version, table};
use crate::error::Result;

/// The deadline for a program to print its version, or its settings.
const ASK: Duration = Duration::from_secs(20);

/// The remedy where there is no Node, and none can be set up.
const NODE_REMEDY: &str =
    "install Node.js 20 or newer (nodejs.org), or python3 with pip, by which it is set up from PyPI";

impl Tools {
    /// Builds the web assets of a copied module, and puts them into the folder that the program embeds.
    ///
    /// What remains on cancel: yarn's downloads, in Go's cache folder, from which the next call goes on.
    pub(super) async fn build_web(&self, job: &GoJob<'_>, web: &Web, source: &Path) -> Result<()> {
        let step = Step::begin(format!("building the web assets of {} {}", job.build.module, job.build.version));
        let node = self.node(job).await?;
        let folder = source.join(web.folder);
        let yarn = Yarn { tools: self, job, program: folder.join(web.yarn), folder: &folder, node: &node };
        let registry = yarn.registry().await;
        let call = |args: &[&str]| yarn.call(args, registry.as_deref(), step.teller());
        call(&["install", "--immutable"])?.run().await?;
        call(&["build"])?.run().await?;
        copy_folder(&folder.join(web.made), &source.join(web.embedded), &[])?;
        // Frees a GiB of disk, which the compiler may need next.
        remove(&folder.join("node_modules"))?;
        remove(&job.part.join("node"))?;
        step.done();
        Ok(())
    }

    /// A Node that is new enough: from PATH, else from PyPI for this build alone, since nothing else needs one.
    async fn node(&self, job: &GoJob<'_>) -> Result<PathBuf> {
        for path in self.programs_in_path("node") {
            let asked =
                self.program(&path, ChildKind::Node).arg("--version").folder(Path::new("/")).limit(ASK).run().await;
            // A node that prints no version is another tool's wrapper, or broken: a later one in PATH may do.
            let version = asked.ok().and_then(|said| Version::said(&said.stdout));
            if version.is_some_and(|version| table::NODE.contains(version)) {
                return Ok(path);
            }
        }
        let (pin, home) = (table::NODE_WHEEL, job.part.join("node"));
        let step = Step::begin(format!("setting up Node {} from PyPI", pin.version));
        self.inner.cache.make_folder(&home)?;
        self.unpack_wheel(&pin, &home, job.turn.descriptor()?, NODE_REMEDY).await?;
        step.done();
        Ok(home.join(pin.folder).join("bin/node"))
    }
}

/// yarn in the folder of the web assets' sources.
struct Yarn<'a> {
    tools: &'a Tools,
    job: &'a GoJob<'a>,
    program: PathBuf,
    folder: &'a Path,
    node: &'a Path,
}

impl Yarn<'_> {
    /// A yarn command of the build; with the user's own settings of yarn, except those that would change the result.
    fn call(&self, args: &[&str], registry: Option<&str>, teller: Teller) -> Result<Command> {
        let mut command = self.command(args).limit(BUILD).telling_all(teller);
        for (name, value) in [
            // Packages' install scripts are not run: none is needed.
            ("YARN_ENABLE_SCRIPTS", "false"),
            // Else the module's configuration would accept packages that do not match its lock file.
            ("YARN_CHECKSUM_BEHAVIOR", "throw"),
            ("YARN_ENABLE_TELEMETRY", "false"),
            ("YARN_ENABLE_PROGRESS_BARS", "false"),
            // With CI set, a warning would fail the build.
            ("CI", "false"),
            // Lint and source maps are not needed, and take half the time.
            ("DISABLE_ESLINT_PLUGIN", "true"),
            ("GENERATE_SOURCEMAP", "false"),
        ] {
            command = command.env(name, value);
        }
        if let Some(registry) = registry {
            command = command.env("YARN_NPM_REGISTRY_SERVER", registry);
        }
        Ok(command.holding(Some(self.job.turn.descriptor()?)).on_failure(
            "where another npm registry is to be asked: npm config set registry <its address>, and run the same command again",
        ))
    }

    /// The registry that npm is set to use, unless yarn is set to use one: yarn does not read npm's settings.
    async fn registry(&self) -> Option<String> {
        let said = self.command(&["config", "--json"]).limit(ASK).run().await.ok()?.stdout;
        if !is_default(&said) {
            return None;
        }
        // Node's own npm by its path, since the wheel's `bin/npm` does not find it; else an npm in PATH.
        let own = self.node.parent()?.parent()?.join("lib/node_modules/npm/bin/npm-cli.js");
        let npm = if own.is_file() { self.of_node(self.node).arg(own) } else { self.of_node(Path::new("npm")) };
        let asked = npm.args(["config", "get", "registry"]).folder(Path::new("/")).limit(ASK);
        let registry = asked.run().await.ok()?.stdout.trim().to_owned();
        registry.starts_with("http").then_some(registry)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.of_node(self.node).folder(self.folder).arg(&self.program).args(args);
        let cache = &self.tools.inner.cache;
        command = command
            .env("TMPDIR", self.job.tmp().to_string_lossy())
            // yarn's cache is in Go's, and removed with it.
            .env("YARN_GLOBAL_FOLDER", cache.yarn().to_string_lossy())
            .env("YARN_ENABLE_GLOBAL_CACHE", "true")
            // Trust the system's certificates, where this Node can, and those of the file that the settings name.
            .env("NODE_USE_SYSTEM_CA", "1");
        // A file that is not allowed was refused before anything was set up.
        match self.tools.inner.options.node_ca.get().ok().flatten() {
            Some(file) => command.env("NODE_EXTRA_CA_CERTS", file.to_string_lossy()),
            None => command,
        }
    }

    /// A command with a PATH in which `node` is the chosen one.
    fn of_node(&self, program: &Path) -> Command {
        let command = self.tools.program(program, ChildKind::Node);
        let folder = self.node.parent().unwrap_or(Path::new("/")).display();
        command.env("PATH", format!("{folder}:{}", self.tools.search_path()))
    }
}

/// Whether yarn's configuration (one JSON object a line) has no npm registry set by its user.
fn is_default(configuration: &str) -> bool {
    let settings = configuration.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    settings.filter(|setting| setting["key"] == "npmRegistryServer").all(|setting| setting["source"] == "<default>")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::default("<default>", true)]
    #[case::file("/home/me/.yarnrc.yml", false)]
    #[case::environment("<environment>", false)]
    fn a_registry_that_yarn_is_set_to_use_is_left_alone(#[case] source: &str, #[case] default: bool) {
        let line = |key: &str, source: &str| serde_json::json!({"key": key, "effective": "x", "source": source});
        let said = format!("{}\n{}\n", line("nodeLinker", "/x/.yarnrc.yml"), line("npmRegistryServer", source));
        assert_eq!(is_default(&said), default);
    }
}
