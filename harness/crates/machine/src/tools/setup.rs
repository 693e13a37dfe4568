//! Setting up missing tools: unpacked, downloaded, or built; one process at a time for each tool.

use futures::future::try_join_all;
use harness_base::folders::remove;
use harness_base::progress::Step;
use harness_settings::spec::variable::{SETUP, TOOLBOX};

use super::cache::with_ending;
use super::download::{self, DownloadFault};
use super::entry::{Build, Download, Entry, File};
use super::{ChildKind, Found, Look, ProvisionSource, SetupPlan, Tool, Tools};
use crate::error::{Error, Result};

/// The platform (GOOS, GOARCH), as Go names it.
pub(super) fn platform() -> (&'static str, &'static str) {
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    (os, arch)
}

impl Tools {
    /// Makes sure that all of these tools are there; missing ones are set up, which may take minutes.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], naming each missing tool that may not or cannot be set up, before anything is set up; as
    /// [`Tools::ensure`].
    pub async fn require(&self, tools: &[Tool]) -> Result<()> {
        self.unpack_toolbox(ProvisionSource::Auto).await?;
        let mut missing = Vec::new();
        for &tool in tools {
            if let Look::Missing { seen } = self.look(tool).await? {
                missing.push((tool, seen));
            }
        }
        // Tools that only a person can install are reported first, so that no build is waited for in vain.
        missing.retain(|(tool, _)| !self.inner.options.may_set_up || !self.can_set_up(*tool));
        if !missing.is_empty() {
            return Err(self.refusal(&missing));
        }
        // Helm and Helm 3 may be the same program: Helm 3 is ensured once Helm is there.
        let (second, first): (Vec<Tool>, Vec<Tool>) = tools.iter().partition(|tool| **tool == Tool::Helm3);
        for tools in [first, second] {
            try_join_all(tools.into_iter().map(|tool| self.ensure(tool, ProvisionSource::Auto))).await?;
        }
        Ok(())
    }

    /// Finds a tool, or sets it up from an allowed source.
    ///
    /// What remains on cancel: a partial download, from which the next call goes on; half-made folders, which it removes.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when it is missing and may not ([`SETUP`]: `never`) or cannot be set up, or the disk is
    /// full.
    pub async fn ensure(&self, tool: Tool, from: ProvisionSource) -> Result<Found> {
        self.unpack_toolbox(from).await?;
        let found = match self.look(tool).await? {
            Look::Found(found) => found,
            Look::Missing { seen } => self.set_up(tool, from, seen).await?,
        };
        if tool == Tool::Buildx {
            self.link_buildx(&found)?;
        }
        Ok(found)
    }

    /// What [`Tools::ensure`] would do. Asks the download's site for the size; sets up nothing.
    ///
    /// # Errors
    /// As [`Tools::look`].
    pub async fn plan(&self, tool: Tool, from: ProvisionSource) -> Result<SetupPlan> {
        if let (ProvisionSource::Auto | ProvisionSource::Toolbox, Some(archive)) =
            (from, self.packed().into_iter().next())
        {
            return Ok(SetupPlan::Unpack { archive: archive.path });
        }
        let seen = match self.look(tool).await? {
            Look::Found(found) => return Ok(SetupPlan::AtHand(found)),
            Look::Missing { seen } => seen,
        };
        let Some(entry) = (self.inner.table)(tool) else {
            return Ok(SetupPlan::Impossible { why: format!("next: {}", tool.remedy()) });
        };
        let mut why = seen;
        if from != ProvisionSource::Registries && file(entry).is_none() {
            why.push("it has no download for this platform".to_owned());
        }
        if let (ProvisionSource::Auto | ProvisionSource::Downloads, Some((download, file))) = (from, file(entry)) {
            let url = format!("{}{}", download.base, file.name);
            match download::size(&download::client(self.inner.options.ca_bundle.get()?.as_deref(), &url)?, &url).await {
                Ok(bytes) => return Ok(SetupPlan::Download { url, bytes }),
                Err(reason) => {
                    why.push(format!("{url} cannot be reached: {}{reason}", self.environment().through(&url)));
                }
            }
        }
        match entry.build {
            _ if !matches!(from, ProvisionSource::Auto | ProvisionSource::Registries) => {}
            Some(Build::Go(go)) => match self.lacks_for(&go) {
                Some(error) => return Ok(SetupPlan::Impossible { why: error.report() }),
                None => {
                    return Ok(SetupPlan::Build { module: format!("{}@v{}", go.module, go.version), about: go.about });
                }
            },
            Some(Build::Cargo { package, version, about }) => {
                return Ok(SetupPlan::Build { module: format!("{package}@{version}"), about });
            }
            None => why.push("it cannot be built here: no package registry carries it".to_owned()),
        }
        Ok(SetupPlan::Impossible { why: format!("{}; next: {}", why.join("; "), tool.remedy()) })
    }

    /// Unpacks the toolbox's archives, also where nothing may be set up: the user put them there.
    async fn unpack_toolbox(&self, from: ProvisionSource) -> Result<()> {
        if matches!(from, ProvisionSource::Auto | ProvisionSource::Toolbox) {
            self.inner.options.toolbox.get()?;
            for archive in self.packed() {
                self.unpack(&archive).await?;
                // The toolbox comes before tools that were found elsewhere.
                Tool::ALL.into_iter().for_each(|tool| self.forget(tool));
            }
        }
        Ok(())
    }

    async fn set_up(&self, tool: Tool, from: ProvisionSource, seen: Vec<String>) -> Result<Found> {
        if tool == Tool::Go && self.inner.options.may_set_up {
            self.go().await?;
            return self.made(tool).await;
        }
        let Some(entry) =
            (self.inner.table)(tool).filter(|_| self.inner.options.may_set_up && from != ProvisionSource::Toolbox)
        else {
            return Err(self.refusal(&[(tool, seen)]));
        };
        self.inner.options.node_ca.get()?;
        let _lock = self.inner.cache.lock(entry.program, &format!("setting up {}", entry.program)).await?;
        // Another process may have set it up meanwhile.
        if let Look::Found(found) = self.look(tool).await? {
            return Ok(found);
        }
        let mut failures = Vec::new();
        if let (ProvisionSource::Auto | ProvisionSource::Downloads, Some((download, file))) = (from, file(entry)) {
            match self.download(entry, download, file).await {
                Ok(()) => return self.made(tool).await,
                Err(DownloadFault::Unreachable(why)) => {
                    tracing::info!("{tool} cannot be downloaded: {why}");
                    failures.push(format!("cannot be downloaded: {why}"));
                }
                Err(DownloadFault::Mismatch(why)) => {
                    tracing::warn!("the download of {tool} is not what it should be, and was removed: {why}");
                    failures.push(format!("the download is not what it should be: {why}"));
                }
                Err(DownloadFault::Here(error)) => return Err(self.inner.cache.explain(error)),
            }
        }
        if matches!(from, ProvisionSource::Auto | ProvisionSource::Registries) {
            match self.build(entry).await {
                Ok(()) => return self.made(tool).await,
                Err(error) if matches!(error, Error::DiskFull { .. }) || failures.is_empty() => return Err(error),
                Err(error) => failures.push(error.report()),
            }
        }
        let what =
            if failures.is_empty() { "has no download for this platform".to_owned() } else { failures.join("\n") };
        Err(Error::refused(format!("{tool} cannot be set up: {what}"), self.next(tool)))
    }

    /// Finds a tool that was just set up: it has to print a supported version.
    async fn made(&self, tool: Tool) -> Result<Found> {
        match self.look(tool).await? {
            Look::Found(found) => Ok(found),
            Look::Missing { seen } => Err(Error::refused(
                format!("{tool} was set up, but does not work here: {}", seen.join("; ")),
                format!("rm -r {}, and run the same command again", self.cache_folder().display()),
            )),
        }
    }

    /// Downloads a tool into the cache. Only under the tool's lock.
    async fn download(&self, entry: &Entry, download: &Download, file: &File) -> Result<(), DownloadFault> {
        use std::os::unix::fs::PermissionsExt;
        let cache = &self.inner.cache;
        let (url, home) = (format!("{}{}", download.base, file.name), cache.home(entry.program, download.version));
        let ca_bundle = self.inner.options.ca_bundle.get().map_err(|refused| DownloadFault::Here(refused.into()))?;
        let client = download::client(ca_bundle.as_deref(), &url).map_err(DownloadFault::Here)?;
        let step = Step::begin(format!("downloading {} {} from {url}", entry.program, download.version));
        // Beside the workshop, which is emptied each time, so that the next run goes on where this one was stopped.
        let came = with_ending(&home, "download");
        let fetched = download::fetch(&client, &url, file.sha256, &came, &step.teller()).await;
        fetched.map_err(|fault| match fault {
            DownloadFault::Unreachable(why) => {
                DownloadFault::Unreachable(format!("{}{why}", self.environment().through(&url)))
            }
            other => other,
        })?;
        let place = async {
            let part = cache.workshop(&home)?;
            let program = part.join("bin").join(entry.program);
            match file.member {
                None => std::fs::rename(&came, &program).map_err(Error::io(format!("move {}", came.display())))?,
                Some(member) => {
                    let tar =
                        self.program("tar", ChildKind::Program).arg("-xzf").arg(&came).arg("-C").arg(&part).arg(member);
                    let tar = tar.on_failure("install tar and gzip");
                    if let Err(error) = tar.run().await {
                        remove(&part)?;
                        return Err(error);
                    }
                    let from = part.join(member);
                    std::fs::rename(&from, &program).map_err(Error::io(format!("move {}", from.display())))?;
                }
            }
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
                .map_err(Error::io(format!("make {} a program", program.display())))?;
            cache.publish(&part, &home)?;
            Ok(remove(&came)?)
        };
        place.await.map_err(DownloadFault::Here)?;
        step.done();
        Ok(())
    }

    /// The error that names each missing tool, the programs that were not used, and the remedies.
    pub(super) fn refusal(&self, missing: &[(Tool, Vec<String>)]) -> Error {
        let any_helm = missing.iter().any(|(tool, _)| *tool == Tool::Helm);
        // Where Helm is missing, the one that is set up works for Skaffold too.
        let missing = || missing.iter().filter(|(tool, _)| !(any_helm && *tool == Tool::Helm3));
        let mut what = Vec::new();
        let mut next = Vec::new();
        for (tool, seen) in missing() {
            let range = tool.supported().map(|range| format!(" {range}")).unwrap_or_default();
            let seen = if seen.is_empty() { String::new() } else { format!(" ({})", seen.join("; ")) };
            what.push(format!("{}{range} was found neither in {TOOLBOX} nor in PATH{seen}", tool.program()));
            next.push(self.next(*tool));
        }
        if missing().any(|(tool, _)| self.can_set_up(*tool)) {
            if !self.inner.options.may_set_up {
                what.push(format!("{SETUP}=never forbids setting it up"));
            }
            // Stage dev alone needs Tilt: without being asked for, it is not set up.
            let stage = if missing().any(|(tool, _)| *tool == Tool::Tilt) { " --stage dev" } else { "" };
            next.insert(0, format!("{SETUP}=auto cargo stack setup{stage}, or one of these:"));
            next.push(format!("or name a folder with programs in {TOOLBOX}"));
        }
        Error::refused(what.join("\n"), next.join("\n        "))
    }

    fn can_set_up(&self, tool: Tool) -> bool {
        tool == Tool::Go || (self.inner.table)(tool).is_some()
    }

    /// The ways to get a tool by hand.
    fn next(&self, tool: Tool) -> String {
        let Some(entry) = (self.inner.table)(tool) else { return tool.remedy().to_owned() };
        let mut ways: Vec<String> =
            file(entry).map(|(download, file)| format!("{}{}", download.base, file.name)).into_iter().collect();
        match entry.build {
            Some(Build::Go(go)) if go.copied.is_none() => {
                let package = if go.package.is_empty() { String::new() } else { format!("/{}", go.package) };
                ways.push(format!("go install {}{package}@v{}", go.module, go.version));
            }
            _ => ways.push(tool.remedy().to_owned()),
        }
        format!("{}: {}", tool.program(), ways.join(", or "))
    }
}

/// The download for this platform.
fn file(entry: &Entry) -> Option<(&'static Download, &'static File)> {
    let (os, arch) = platform();
    let name = format!("{os}-{arch}");
    let download: &'static Download = entry.download?;
    download.files.iter().find(|file| file.platform == name).map(|file| (download, file))
}
