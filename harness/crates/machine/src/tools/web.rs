//! Web assets that a Go program carries: built by Node with the yarn that the program's own module holds.
//!
//! Go has verified the module, and with it yarn and yarn's lock file, which holds the checksum of each npm package.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::files::copy_folder;
use harness_base::folders::remove;
use harness_base::progress::{Step, Teller};

use super::entry::Web;
use super::go_build::{BUILD, GoJob};
use super::{ChildKind, Command, Tools, Version, table};
use crate::error::Result;

/// How long a program may take to say its version, or its settings.
const ASK: Duration = Duration::from_secs(20);

/// What a person does where Node can be had in neither way.
const NODE_REMEDY: &str =
    "install Node.js 20 or newer (nodejs.org), or python3 with pip, by which it is set up from PyPI";

impl Tools {
    /// Builds the web assets of a copied module, and puts them where the program is built with them.
    ///
    /// What remains on cancel: what yarn downloaded, beside Go's caches, from which the next call goes on.
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
        // A GiB that the compiler, which comes next, may need.
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
            // One that does not say its version is another tool's wrapper, or broken: there may be another behind it.
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
    /// A call that builds; the user's own settings of yarn hold, but for those that would make another thing of it.
    fn call(&self, args: &[&str], registry: Option<&str>, teller: Teller) -> Result<Command> {
        let mut command = self.command(args).limit(BUILD).telling_all(teller);
        for (name, value) in [
            // A package's own install script is run by nobody; none is needed.
            ("YARN_ENABLE_SCRIPTS", "false"),
            // The module's configuration would accept what does not match its lock file.
            ("YARN_CHECKSUM_BEHAVIOR", "throw"),
            ("YARN_ENABLE_TELEMETRY", "false"),
            ("YARN_ENABLE_PROGRESS_BARS", "false"),
            // With it, a warning would end the build.
            ("CI", "false"),
            // They find faults in sources and help to debug them, and take half the time.
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
        // Node's own npm, which the wheel's `bin/npm` does not find; else a package of its own.
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
            // One cache, beside Go's, which is removed with them.
            .env("YARN_GLOBAL_FOLDER", cache.yarn().to_string_lossy())
            .env("YARN_ENABLE_GLOBAL_CACHE", "true")
            // Certificates: the system's, where Node knows how to read them, and the file that settings name.
            .env("NODE_USE_SYSTEM_CA", "1");
        // One that is not allowed was refused before anything was set up.
        match self.tools.inner.options.node_ca.get().ok().flatten() {
            Some(file) => command.env("NODE_EXTRA_CA_CERTS", file.to_string_lossy()),
            None => command,
        }
    }

    /// A program on whose PATH `node` is the one that was chosen.
    fn of_node(&self, program: &Path) -> Command {
        let command = self.tools.program(program, ChildKind::Node);
        let folder = self.node.parent().unwrap_or(Path::new("/")).display();
        command.env("PATH", format!("{folder}:{}", self.tools.search_path()))
    }
}

/// Whether yarn, which was asked for its configuration, has no registry from its user: one JSON object a line.
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
