//! `Dev`: the run's Tilt, the release that it deploys, and a copy of the checkout to edit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::future::BoxFuture;
use kube::ResourceExt;

use super::shared::Stack;
use crate::cluster::{Lock, Mode};
use crate::dev::{self, Breakpoint, Debugger, OtherCluster, Resource, ResourceUpdate};
use crate::error::{Error, Result};
use crate::events;
use crate::http::Reader;
use crate::k8s::{self, State, workload};
use crate::scenario::{Argument, Fixture, Needs, Teardown};
use crate::session::{self, Session};
use crate::spec::{Component, spec};
use crate::tools::{Command, Tool};

/// The time between two requests for an edited text: the measured time is a fraction of a second.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// The deadline of a Tilt task that was started by its button: 240 s.
const TASK: Duration = Duration::from_secs(240);
/// The deadline of each of Tilt's updates after a scenario's edits are undone: 220 s.
const UNDONE: Duration = Duration::from_secs(220);

/// The run's Tilt, for one scenario at a time: others wait until its edits are undone. Stage dev only.
#[derive(Debug)]
pub struct Dev {
    dev: Arc<session::DevSession>,
    session: Arc<Session>,
    edits: Edits,
    /// The scenario's name, for what it measures.
    scenario: String,
}

/// The files that were edited, each with its text from before the first edit.
type Edits = Arc<Mutex<BTreeMap<PathBuf, String>>>;

/// The time at which a file was saved, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Saved {
    /// By the monotonic clock: for durations.
    pub at: Instant,
    /// By the system clock: for comparison with Tilt's start times.
    pub moment: SystemTime,
}

impl Dev {
    /// Replaces the first occurrence of a text in a file of the copy (`backend/…`, `frontend/…`, `charts/…`). The edit is undone
    /// after the scenario.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the file does not hold the text; [`harness_base::Error::Io`].
    pub fn edit(&self, path: &str, from: &str, to: &str) -> Result<Saved> {
        let file = self.dev.tilt.tree.join(path);
        let text = std::fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))?;
        if !text.contains(from) {
            return Err(Error::Unmet(format!("{path} does not hold {from:?}")));
        }
        let edited = text.replacen(from, to, 1);
        self.edits.lock().unwrap_or_else(PoisonError::into_inner).entry(file.clone()).or_insert(text);
        let saved = Saved { at: Instant::now(), moment: SystemTime::now() };
        std::fs::write(&file, edited).map_err(Error::io(format!("write {}", file.display())))?;
        Ok(saved)
    }

    /// Waits until a path of an address serves a text, and returns the time since the save.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 45 s, with the last answer.
    pub async fn served(&self, base: &str, path: &str, text: &str, saved: Saved) -> Result<Duration> {
        Reader::new(base)?.serves(path, text, BETWEEN_TRIES, Duration::from_secs(45)).await?;
        Ok(saved.at.elapsed())
    }

    /// Waits for the end of Tilt's update of a resource that began at or after a save.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`.
    pub async fn updated(&self, resource: &str, saved: Saved, limit: Duration) -> Result<ResourceUpdate> {
        self.dev.tilt.view.updated(resource, saved.moment, limit).await
    }

    /// Waits until all of Tilt's resources are green, and both addresses reach every service.
    ///
    /// # Errors
    /// [`Error::Failed`] or [`harness_base::Error::Deadline`].
    pub async fn settled(&self) -> Result<()> {
        self.dev.settled().await
    }

    /// Waits until all of Tilt's resources are green, and returns them.
    ///
    /// # Errors
    /// [`Error::Failed`], or [`harness_base::Error::Deadline`] after 220 s.
    pub async fn all_green(&self) -> Result<Vec<Arc<Resource>>> {
        self.dev.tilt.view.all_green(UNDONE).await
    }

    /// Waits until one of Tilt's resources is [`State::Ready`] by `judge`.
    ///
    /// # Errors
    /// [`Error::Failed`] when `judge` says so, or [`harness_base::Error::Deadline`] after 60 s.
    pub async fn resource(&self, name: &str, judge: impl FnMut(&Resource) -> State + Send) -> Result<()> {
        let awaited = format!("Tilt's resource {name}");
        self.dev.tilt.view.resource(name, &awaited, Duration::from_secs(60), judge).await
    }

    /// Triggers a task of Tilt's, as its button does, and returns how it ended.
    ///
    /// # Errors
    /// [`Error::Command`] when there is no such task; [`harness_base::Error::Deadline`] when it has not ended after 240 s.
    pub async fn press(&self, task: &str) -> Result<ResourceUpdate> {
        let pressed = Saved { at: Instant::now(), moment: SystemTime::now() };
        self.tilt("trigger").await?.arg(task).run().await?;
        self.updated(task, pressed, TASK).await
    }

    /// Evaluates the Tiltfile (`tilt alpha tiltfile-result`) with another kubeconfig: whether it accepts that context. Deploys
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Command`] with Tilt's output when the Tiltfile refuses.
    pub async fn tiltfile_on(&self, kubeconfig: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::new().map_err(Error::io("make a kubeconfig"))?;
        std::fs::write(file.path(), kubeconfig).map_err(Error::io("write a kubeconfig"))?;
        let tree = &self.dev.tilt.tree;
        let command = self.session.tools.command(Tool::Tilt).await?.args(["alpha", "tiltfile-result", "--file"]);
        let command = command.arg(tree.join("Tiltfile")).folder(tree);
        command.env("KUBECONFIG", file.path().to_string_lossy()).run().await?;
        Ok(())
    }

    async fn tilt(&self, task: &str) -> Result<Command> {
        let port = spec().dev.hud_port.to_string();
        Ok(self.session.tools.command(Tool::Tilt).await?.args([task, "--host", "127.0.0.1", "--port", &port]))
    }

    /// The names of a component's pods that are not terminating; at least one, since a comparison of no pods with no pods would
    /// always hold.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed, [`Error::Unmet`] when there is none.
    pub async fn pods(&self, component: &Component) -> Result<Vec<String>> {
        let plan = &self.dev.shared.plan;
        let pods = workload::pods(self.kube(), &plan.namespace, &plan.selector(component)).await?;
        let staying = pods.iter().filter(|pod| !k8s::pod::is_terminating(pod));
        let names: Vec<String> = staying.map(ResourceExt::name_any).collect();
        match names.is_empty() {
            true => Err(Error::Unmet(format!("there is no pod of {}", component.suffix))),
            false => Ok(names),
        }
    }

    /// The whole log of a component's first pod.
    ///
    /// # Errors
    /// [`Error::Kube`] when it cannot be read; as [`Dev::pods`].
    pub async fn log(&self, component: &Component) -> Result<String> {
        let pod = self.pods(component).await?.swap_remove(0);
        let what = format!("read the log of {pod}");
        let api: kube::Api<k8s_openapi::api::core::v1::Pod> =
            kube::Api::namespaced(self.kube().clone(), self.namespace());
        let params = kube::api::LogParams { container: Some(component.label.to_owned()), ..Default::default() };
        k8s::within(&what, k8s::CALL, async { api.logs(&pod, &params).await.map_err(Error::kube(&what)) }).await
    }

    /// Attaches to a component's debugger, as an editor does, with one breakpoint: at the first line of `file`, a file of the
    /// copy (`backend/…`), that holds `text`. `path` is the same file's path in the container.
    ///
    /// # Errors
    /// [`Error::Unmet`] when no line holds the text, or the component has no debugger; as [`Debugger::attach`].
    pub async fn breakpoint(&self, component: &Component, file: &str, text: &str, path: &str) -> Result<Debugger> {
        let debuggers = spec().dev.debuggers.iter();
        let port = debuggers.filter(|(one, _)| one.suffix == component.suffix).map(|(_, port)| *port).next();
        let port = port.ok_or_else(|| Error::Unmet(format!("{} has no debugger", component.suffix)))?;
        let file = self.dev.tilt.tree.join(file);
        let source = std::fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))?;
        let line = source.lines().position(|line| line.contains(text)).map(|index| index + 1);
        let line = line.ok_or_else(|| Error::Unmet(format!("{} does not hold {text:?}", file.display())))?;
        Debugger::attach(port, Breakpoint { file: path.to_owned(), line }).await
    }

    /// The release that Tilt deploys, as a [`Stack`].
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub async fn stack(&self) -> Result<Stack> {
        let shared = &self.dev.shared;
        Stack::of(Arc::clone(&self.session), &shared.cluster, &shared.plan, &self.scenario).await
    }

    /// A Kubernetes client of the dev cluster, meant for reading.
    pub fn kube(&self) -> &kube::Client {
        &self.dev.shared.cluster.client
    }

    /// The release's namespace.
    pub fn namespace(&self) -> &str {
        &self.dev.shared.plan.namespace
    }

    /// The name of a component's Service and workload.
    pub fn name_of(&self, component: &Component) -> String {
        self.dev.shared.plan.name(component.suffix)
    }

    /// The images and repositories in the clusters of this checkout's other stages.
    ///
    /// # Errors
    /// [`Error::Kube`] when such a cluster exists and does not answer.
    pub async fn other_clusters(&self) -> Result<Vec<OtherCluster>> {
        self.session.other_clusters().await
    }

    /// Writes a measured time into the run's events, from which `cargo stack report --measured` makes a table.
    pub fn measured(&self, what: &str, took: Duration) {
        events::timed(&self.scenario, what, took);
    }
}

impl Argument for Dev {
    const NEEDS: Needs = Needs::Dev;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            let dev = session.dev().await?;
            let turn = session.turn(Mode::Exclusive).await?;
            let edits = Edits::default();
            let teardown = Care { dev: Arc::clone(&dev), edits: Arc::clone(&edits), _turn: turn };
            Ok(Fixture {
                argument: Self { dev, session, edits, scenario: scenario.to_owned() },
                teardown: Box::new(teardown),
            })
        })
    }
}

/// The Tilt resource that an edit of a file updates; the path is relative to the copy.
fn resource_of(path: &Path) -> String {
    let mut parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        (folder, chart) if folder == spec().charts.folder && chart == spec().charts.umbrella => {
            dev::TILTFILE.to_owned()
        }
        (folder, chart) if folder == spec().charts.folder => chart,
        (service, _) => service,
    }
}

/// The teardown of [`Dev`]: undoes the edits, waits until all is settled again, and then gives the turn to others.
struct Care {
    dev: Arc<session::DevSession>,
    edits: Edits,
    _turn: Lock,
}

impl Teardown for Care {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async {
            let shared = &self.dev.shared;
            let pods = k8s::diagnose(&shared.cluster.client, &shared.plan.namespace).await;
            Some(format!("{pods}\n\nTilt's last lines:\n{}", self.dev.tilt.tail()))
        })
    }

    fn remove(self: Box<Self>, _passed: bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let edits = std::mem::take(&mut *self.edits.lock().unwrap_or_else(PoisonError::into_inner));
            let moment = SystemTime::now();
            let mut touched = std::collections::BTreeSet::new();
            for (file, text) in edits {
                if std::fs::read_to_string(&file).is_ok_and(|now| now == text) {
                    continue;
                }
                std::fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))?;
                touched.extend(file.strip_prefix(&self.dev.tilt.tree).ok().map(resource_of));
            }
            for resource in touched {
                self.dev.tilt.view.updated(&resource, moment, UNDONE).await?;
            }
            self.dev.settled().await
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("backend/requirements.txt", "backend")]
    #[case("charts/redis/values.yaml", "redis")]
    #[case("charts/app/values.yaml", "(Tiltfile)")]
    fn an_edit_belongs_to_a_resource(#[case] path: &str, #[case] resource: &str) {
        assert_eq!(resource_of(Path::new(path)), resource);
    }
}
