//! A Tilt process: in the background for a run's scenarios, or in the foreground for a developer.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::CommandFdExt;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::dev_environment::DevEnvironment;
use super::hud;
use super::tree;
use super::view::View;
use crate::cluster::{Change, ClusterState, Lock, Mode, tilt};
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::http::Reader;
use crate::process::Process;
use crate::progress::Step;
use crate::project::Project;
use crate::run::Run;
use crate::settings::DEV_INPUTS;
use crate::spec::spec;
use crate::tools::{ChildKind, Look, Tool, Tools};

/// The deadline for Tilt's page to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The deadline for every resource to be green for the first time; all images are built meanwhile.
const GREEN: Duration = Duration::from_secs(900);
/// How many lines of Tilt's log a failure shows.
const TAIL: usize = 40;

/// A running Tilt, whose resources have all been green once.
#[derive(Debug, Clone)]
pub struct TiltSession {
    /// The client of its API.
    pub view: View,
    /// The copy of the checkout that it watches: `Tiltfile`, `charts`, `backend`, `frontend`.
    pub tree: PathBuf,
    /// The file that its output goes to.
    pub log: PathBuf,
}

/// The options that a Tilt is started with.
#[derive(Debug, Clone, Copy)]
pub struct TiltOptions<'a> {
    /// The tools; Tilt is one of them, and calls others by PATH.
    pub tools: &'a Tools,
    /// The dev cluster's state folder.
    pub cluster_state: &'a ClusterState,
    /// The checkout.
    pub project: &'a Project,
    /// The cluster and the Tiltfile's inputs.
    pub environment: &'a DevEnvironment,
}

impl TiltOptions<'_> {
    /// The command `tilt <task>`, with the cluster, the address of its page, and the Tiltfile's inputs. It inherits the locks.
    #[expect(
        clippy::disallowed_methods,
        reason = "Tilt is the user's in the foreground, and outlives us in the background"
    )]
    async fn command(&self, task: &str, inputs: &Path, folder: &Path, held: Vec<&Lock>) -> Result<Command> {
        let Look::Found(found) = self.tools.look(Tool::Tilt).await? else {
            return Err(Error::refused("there is no tilt", "cargo stack setup"));
        };
        let cluster = &self.environment.cluster;
        let mut command = Command::new(&found.path);
        command
            .args([
                task,
                "--context",
                &cluster.context,
                "--host",
                "127.0.0.1",
                "--port",
                &spec().dev.hud_port.to_string(),
            ])
            .arg("--file")
            .arg(folder.join("Tiltfile"))
            .current_dir(folder)
            .env("KUBECONFIG", cluster.kubeconfig.to_string())
            .env("PATH", self.tools.search_path())
            .env(DEV_INPUTS.name(), inputs);
        let held = held.into_iter().map(Lock::descriptor).collect::<Result<Vec<_>, _>>()?;
        command.as_std_mut().preserved_fds(held);
        Ok(command)
    }

    fn lock(&self) -> Result<Lock> {
        let path = self.cluster_state.tilt_lock();
        let mut lock = Lock::try_take(&path, Mode::Exclusive)?
            .ok_or_else(|| Error::refused("another Tilt runs on the dev cluster", "cargo stack clean --wait"))?;
        lock.label("tilt");
        Ok(lock)
    }

    /// Notes a Tilt that was just started in the cluster's state. If that fails, Tilt is killed, since no other process would
    /// know of it.
    async fn note(&self, child: &mut Child, running: impl FnOnce(Process) -> tilt::Running) -> Result<tilt::Running> {
        let noted = process_of(child).and_then(|process| {
            let running = running(process);
            tilt::note(self.cluster_state, &running)?;
            Ok(running)
        });
        if noted.is_err() {
            let _ = child.kill().await;
        }
        noted
    }

    /// Starts a run's Tilt in the background, on a copy of the checkout, and waits until all of its resources are green.
    ///
    /// Only under the lock `change`. Tilt outlives this process, also when this call is cancelled or fails, since the run's other
    /// processes use it; the reaper ends it.
    ///
    /// # Errors
    /// [`Error::Failed`] or [`harness_base::Error::Deadline`], with the end of its log.
    pub async fn detached(&self, run: &Run) -> Result<TiltSession> {
        let step = Step::begin("starting Tilt, until all of its resources are green");
        let (tree, log) = (run.folder.join("tree"), run.folder.join("tilt.log"));
        let (inputs, config) = (run.folder.join("dev-inputs.json"), run.folder.join("tilt-config"));
        tree::copy(self.project, &self.environment.inputs, &tree)?;
        write_json(&inputs, &self.environment.inputs.clone().from_copies(&tree))?;
        let lock = self.lock()?;
        let say = || format!("write {}", log.display());
        let output = File::create(&log).map_err(Error::io(say()))?;
        let both = output.try_clone().map_err(Error::io(say()))?;
        let mut command = self.command("up", &inputs, &tree, vec![&lock]).await?;
        // A Tilt in the foreground has the user's whole environment; this one gets only the variables that it needs.
        let (given, own) = (self.tools.environment().of(ChildKind::Engine), command.as_std().get_envs());
        let own: Vec<_> = own.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command.env_clear().envs(given).envs(own);
        command.arg("--stream").env("TILT_CONFIG", &config).stdin(Stdio::null()).stdout(output).stderr(both);
        // Not in the test runner's process group, which is killed when a test times out.
        command.as_std_mut().process_group(0);
        let mut child = command.spawn().map_err(Error::io("start tilt"))?;
        drop((command, lock));
        let running = |process| {
            let (tree, config, log) = (tree.clone(), config.clone(), log.clone());
            tilt::Running { process, run: run.id.clone(), tree, config, log, by: None }
        };
        self.note(&mut child, running).await?;
        let work = async {
            Reader::new(&hud())?.answers("/", ANSWER).await?;
            let view = View::open(&config).await?;
            view.all_green(GREEN).await?;
            Ok(TiltSession { view, tree, log: log.clone() })
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            status = child.wait() => Err(ended(status)),
        };
        match outcome {
            Ok(tilt) => {
                step.done();
                Ok(tilt)
            }
            Err(error) => Err(error.diagnosed(format!("the end of {}\n{}", log.display(), tail(&log)))),
        }
    }

    /// Runs Tilt in the foreground with this process's own terminal, and returns when it has ended.
    ///
    /// Ctrl-C reaches Tilt by the terminal; SIGTERM, and SIGINT where there is no terminal, are passed on to it. Tilt inherits
    /// `use` and its own lock, and holds them until it ends.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be started.
    pub async fn foreground(&self, ci: bool, change: Change<'_>) -> Result<ExitStatus> {
        let inputs = self.cluster_state.folder.join("dev-inputs.json");
        write_json(&inputs, &self.environment.inputs)?;
        let used = change.begin_use().await?;
        let lock = self.lock()?;
        let task = if ci { "ci" } else { "up" };
        let mut command = self.command(task, &inputs, &self.project.root, vec![&lock, used.lock()]).await?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::io("listen for SIGINT"))?;
        let mut terminated = signal(SignalKind::terminate()).map_err(Error::io("listen for SIGTERM"))?;
        let mut child = command.spawn().map_err(Error::io("start tilt"))?;
        drop((command, lock));
        let running = |process| {
            let (nowhere, by) = (PathBuf::new(), Some(Process::this()));
            let (run, tree) = (tilt::BY_HAND.to_owned(), self.project.root.clone());
            tilt::Running { process, run, tree, config: nowhere.clone(), log: nowhere, by }
        };
        let running = self.note(&mut child, running).await?;
        drop((change, used));
        let by_terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
        loop {
            let given = tokio::select! {
                status = child.wait() => return status.map_err(Error::io("wait for tilt")),
                _ = interrupted.recv() => (!by_terminal).then_some(Signal::INT),
                _ = terminated.recv() => Some(Signal::TERM),
            };
            if let Some(signal) = given {
                running.process.signal(signal);
            }
        }
    }
}

impl TiltSession {
    /// Connects to the Tilt of this run that another of its processes started.
    ///
    /// # Errors
    /// As [`View::open`].
    pub async fn join(running: tilt::Running) -> Result<Self> {
        let view = View::open(&running.config).await?;
        Ok(Self { view, tree: running.tree, log: running.log })
    }

    /// The last 40 lines of Tilt's log.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

fn process_of(child: &Child) -> Result<Process> {
    let process = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Process::of);
    process.ok_or_else(|| Error::Unmet("tilt ended at once".to_owned()))
}

fn ended(status: std::io::Result<ExitStatus>) -> Error {
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    Error::Unmet(format!("tilt ended by itself ({status})"))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
