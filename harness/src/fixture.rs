//! What scenarios stand on, made once and shared: whoever comes first provisions, all others obey.
//!
//! The order of the locks is always the same: take `change`, read the record, act, take `use`,
//! release `change`. A run's first process writes the plan to the run's folder; later ones never
//! look at the working tree again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};

use crate::artifacts::{self, Sources};
use crate::cluster::{self, Cluster, Home, Keeping, Lock, Mode, Phase, Record, ReleaseRecord, reaper};
use crate::descriptor;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::release::{self, Deployment, History, Plan};
use crate::run::{Run, private_folder, read_json, write_json};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::tools::Tools;

/// How long to wait until everybody is out before a release that is in use is changed.
const EVERYONE_OUT: Duration = Duration::from_secs(1800);
/// How long to wait for a slot: other isolated releases end by their scenarios' deadlines.
const SLOT: Duration = Duration::from_secs(900);
/// After this an isolated release is a leaving, whatever its labels say else.
const OWN_EXPIRES: Duration = Duration::from_secs(3600);

/// How much must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The artifact set, in the engine and in the registry.
    Images,
    /// The cluster and the shared release as well.
    Release,
}

/// What one process has, each part made when it is first asked for.
#[derive(Debug)]
pub struct Fixtures {
    /// What the environment asks for.
    pub settings: Settings,
    /// The stage of this run.
    pub stage: Stage,
    /// The run that this process belongs to.
    pub run: Run,
    /// Where the tools are.
    pub tools: Tools,
    /// The checkout.
    pub project: Project,
    home: Home,
    scratch: PathBuf,
    /// The lock `use`, once it is held; its mutex also keeps two levels from provisioning side by side.
    used: Mutex<Option<Lock>>,
    images: OnceCell<Result<Arc<Plan>, Arc<Error>>>,
    release: OnceCell<Result<Arc<Shared>, Arc<Error>>>,
    own: AtomicU32,
}

/// The stage's shared release, deployed and converged.
#[derive(Debug)]
pub struct Shared {
    /// Where.
    pub cluster: Cluster,
    /// What.
    pub plan: Plan,
}

/// The namespace and release of one scenario alone.
#[derive(Debug)]
pub struct Own {
    /// Where.
    pub cluster: Cluster,
    /// What is deployed now.
    pub plan: Plan,
    /// The labels of its namespace and of everything that it makes.
    pub labels: BTreeMap<String, String>,
    /// A folder for the deployer's own files.
    pub scratch: PathBuf,
    owner: Owner,
    /// Given back with this.
    _slot: Lock,
}

/// A lock file that shows that the owner of containers or namespaces lives.
#[derive(Debug)]
pub struct Owner {
    /// The owner's name, which stands in labels.
    pub name: String,
    path: PathBuf,
    /// Held as long as the owner lives.
    _lock: Lock,
}

impl Fixtures {
    /// Finds folders and names; provisions nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] when the stage is not one that this version has, or there is no checkout.
    pub fn new(settings: Settings, stage: Stage) -> Result<Self> {
        if let Some(why) = stage.missing() {
            return Err(Error::refused(why, "set JETSCALE_STAGE=local, or unset it"));
        }
        let run = Run::of(&settings)?;
        crate::events::start(&run.folder, settings.colour)?;
        for name in &settings.unknown {
            tracing::warn!("{name} is set and means nothing to this version");
        }
        let project = Project::find(&settings)?;
        let home = Home::of(&settings, &project, stage)?;
        let scratch = run.folder.join(format!("process-{}", std::process::id()));
        private_folder(&scratch)?;
        Ok(Self {
            tools: Tools::new(&settings),
            settings,
            stage,
            run,
            project,
            home,
            scratch,
            used: Mutex::new(None),
            images: OnceCell::new(),
            release: OnceCell::new(),
            own: AtomicU32::new(0),
        })
    }

    /// The plan of the run, whose images are in the engine; starts no cluster.
    ///
    /// # Errors
    /// What kept it from being made, the same for every scenario of the run.
    pub async fn images(&self) -> Result<Arc<Plan>> {
        let made = self.images.get_or_init(|| async {
            self.once("images", self.provision(Level::Images)).await.map(|(plan, _)| Arc::new(plan))
        });
        made.await.clone().map_err(Error::Shared)
    }

    /// The stage's shared release.
    ///
    /// # Errors
    /// What kept it from being made, the same for every scenario of the run.
    pub async fn release(&self) -> Result<Arc<Shared>> {
        let made = self.release.get_or_init(|| async {
            let (plan, cluster) = self.once("release", self.provision(Level::Release)).await?;
            let cluster = cluster.ok_or_else(|| {
                Arc::new(Error::refused("provisioning ended without a cluster", "report this as a bug"))
            })?;
            Ok(Arc::new(Shared { cluster, plan }))
        });
        made.await.clone().map_err(Error::Shared)
    }

    /// The engine, checked.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn engine(&self) -> Result<Engine> {
        Engine::connect(&self.tools, &self.settings.docker_host, &self.home.folder).await
    }

    /// Charts alone, as they are in the working tree, with images that do not exist.
    ///
    /// # Errors
    /// [`Error::Refused`] when a subchart is missing.
    pub fn charts(&self) -> Result<release::Staged> {
        release::stage_charts(&self.project.root, &self.settings.cache_root.join("charts"))
    }

    /// A fixture that failed is not tried again in the same run, in no process.
    async fn once<T>(&self, name: &str, make: impl Future<Output = Result<T>>) -> Result<T, Arc<Error>> {
        let note = self.run.folder.join(format!("{name}-failed.txt"));
        if let Ok(text) = std::fs::read_to_string(&note) {
            return Err(Arc::new(Error::refused(
                format!("provisioning failed earlier in this run:\n{text}"),
                "mend that, and run again",
            )));
        }
        make.await.map_err(|error| {
            if let Err(second) = std::fs::write(&note, error.report()) {
                tracing::warn!("cannot write {}: {second}", note.display());
            }
            Arc::new(error)
        })
    }

    async fn provision(&self, level: Level) -> Result<(Plan, Option<Cluster>)> {
        let mut used = self.used.lock().await;
        let change = self.home.change(&format!("provisioning for run {}", self.run.id)).await?;
        // First of all, so that whatever happens from here on is cleaned up.
        let mut record = self.home.record()?;
        record.keeping = Keeping::of(&self.settings);
        self.home.write(&record)?;
        reaper::ensure(&self.home)?;
        let known = read_json::<Plan>(&self.plan_file())?;
        let (plan, cluster) = match self.still_there(level, known.as_ref(), &record).await {
            Some(there) => there,
            None => self.make(level, known, &mut record, &mut used, &change).await?,
        };
        record.uses += 1;
        self.home.write(&record)?;
        if used.is_none() {
            *used = Some(Lock::take(&self.home.use_lock(), Mode::Shared, EVERYONE_OUT).await?);
        }
        Ok((plan, cluster))
    }

    fn plan_file(&self) -> PathBuf {
        self.run.folder.join("plan.json")
    }

    /// The quick way: the record says that all is there, and the cluster confirms it.
    async fn still_there(
        &self,
        level: Level,
        known: Option<&Plan>,
        record: &Record,
    ) -> Option<(Plan, Option<Cluster>)> {
        let (plan, Phase::Ready { token, .. }) = (known?, &record.cluster) else { return None };
        if record.release != ReleaseRecord::Deployed(plan.hash()) {
            return None;
        }
        if level == Level::Images {
            return Some((plan.clone(), None));
        }
        let cluster = cluster::find(&self.home, &self.tools, token).await.ok()?;
        let history = History::read(&cluster, &plan.namespace, &plan.release).await.ok()?;
        history.is_deployed().then(|| (plan.clone(), Some(cluster)))
    }

    async fn make(
        &self,
        level: Level,
        known: Option<Plan>,
        record: &mut Record,
        used: &mut Option<Lock>,
        change: &Lock,
    ) -> Result<(Plan, Option<Cluster>)> {
        let engine = self.engine().await?;
        let making_plan = async {
            let plan = self.plan(&engine, known).await?;
            write_json(&self.plan_file(), &plan).map(|()| plan)
        };
        if level == Level::Images {
            return Ok((making_plan.await?, None));
        }
        let making_cluster = async {
            let image = self.settings.node_image.as_deref();
            let found = cluster::ensure(&self.home, record, &engine, &self.tools, &self.project, image, change).await?;
            cluster::sweep_leavings(&self.home, &engine, Some(&found)).await.map(|()| found)
        };
        // Neither needs the other. Both are waited for, so that no half of one is left; the first error counts.
        let (plan, cluster) = tokio::join!(making_plan, making_cluster);
        let (plan, cluster) = (plan?, cluster?);
        artifacts::Registry::join(&engine, &cluster.name, &cluster::node_name(&cluster.name)).await?;
        let hash = plan.hash();
        let history = History::read(&cluster, &plan.namespace, &plan.release).await?;
        if record.release != ReleaseRecord::Deployed(hash.clone()) || !history.is_deployed() {
            let _everyone_out = match record.release {
                ReleaseRecord::Absent => None,
                _ => {
                    // Never converted: let go, then take anew; newcomers queue at `change`, which we hold.
                    drop(used.take());
                    Some(Lock::take(&self.home.use_lock(), Mode::Exclusive, EVERYONE_OUT).await?)
                }
            };
            record.release = ReleaseRecord::Changing(hash.clone());
            record.failed = false;
            self.home.write(record)?;
            let labels = self.labels(&self.home.cluster, None);
            release::deploy(Deployment {
                cluster: &cluster,
                plan: &plan,
                scratch: &self.scratch,
                lock: Some(change),
                labels: &labels,
            })
            .await?;
            record.release = ReleaseRecord::Deployed(hash);
            self.home.write(record)?;
        }
        Ok((plan, Some(cluster)))
    }

    /// The run's plan: the one that is written down, else made from the working tree; its images are in the registry.
    async fn plan(&self, engine: &Engine, known: Option<Plan>) -> Result<Plan> {
        let data = self.home.registry_data();
        let sources = Sources {
            project: &self.project,
            settings: &self.settings,
            tools: &self.tools,
            cluster: &self.home.cluster,
            registry_data: &data,
            scratch: &self.scratch,
        };
        if let Some(plan) = known {
            artifacts::serve(engine, &sources).await?;
            return Ok(plan);
        }
        let charts = self.charts()?;
        let artifacts = artifacts::build(engine, &sources).await?;
        Ok(Plan::shared(charts, artifacts, self.settings.deployer, self.stage.name()))
    }

    fn labels(&self, owner: &str, expires: Option<Duration>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            (descriptor::OWNER_LABEL.to_owned(), owner.to_owned()),
            ("jetscale.ai/stage".to_owned(), self.stage.name().to_owned()),
        ]);
        if let Some(time) = expires {
            let at = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() + time;
            labels.insert("jetscale.ai/run".to_owned(), self.run.id.clone());
            labels.insert("jetscale.ai/expires".to_owned(), at.as_secs().to_string());
        }
        labels
    }

    /// An owner of this process's, whose leavings are removed by others if it dies.
    ///
    /// # Errors
    /// [`Error::Io`] when its lock file cannot be made.
    pub fn owner(&self) -> Result<Owner> {
        let number = self.own.fetch_add(1, Ordering::Relaxed);
        let start: String = self.run.id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let name = format!("jetscale-own-{start}-{}-{number}", std::process::id());
        let path = self.home.owner_lock(&name);
        let lock = Lock::try_take(&path, Mode::Exclusive)?
            .ok_or_else(|| Error::refused(format!("the owner {name} lives already"), "report this as a bug"))?;
        Ok(Owner { name, path, _lock: lock })
    }

    /// A namespace and a release of a scenario's own, deployed and converged.
    ///
    /// What remains on cancel or kill: a namespace whose owner's lock is free; the next run or the reaper removes it.
    ///
    /// # Errors
    /// As for the shared release.
    pub async fn own(&self) -> Result<Own> {
        let shared = self.release().await?;
        let count = cluster::slots(&shared.cluster).await?;
        let slot = Lock::take_any(&self.home.slots(count), Mode::Exclusive, SLOT).await?;
        let owner = self.owner()?;
        let own = Own {
            cluster: shared.cluster.clone(),
            plan: shared.plan.own(&owner.name),
            labels: self.labels(&owner.name, Some(OWN_EXPIRES)),
            scratch: self.scratch.clone(),
            owner,
            _slot: slot,
        };
        if let Err(error) = own.deploy(&own.plan).await {
            if let Err(second) = own.remove().await {
                tracing::warn!("{}", second.report());
            }
            return Err(error);
        }
        Ok(own)
    }

    /// Deploys the shared release's own plan once more, under the lock `change`; nothing may come of it.
    ///
    /// # Errors
    /// As [`release::deploy`].
    pub async fn deploy_again(&self, cluster: &Cluster, plan: &Plan) -> Result<()> {
        let change = self.home.change("deploying the same content again").await?;
        let labels = self.labels(&self.home.cluster, None);
        let (scratch, lock) = (&self.scratch, Some(&change));
        release::deploy(Deployment { cluster, plan, scratch, lock, labels: &labels }).await
    }

    /// The name of this stage's cluster, whether it is there or not.
    pub fn cluster_name(&self) -> &str {
        &self.home.cluster
    }

    /// Notes that a scenario failed: whether the cluster is kept may depend on it.
    ///
    /// # Errors
    /// [`Error::Deadline`] when the record cannot be had.
    pub async fn note_failure(&self) -> Result<()> {
        let _change = self.home.change("noting a failure").await?;
        let mut record = self.home.record()?;
        record.failed = true;
        self.home.write(&record)
    }

    /// What a person wants to know when the run is over: what stays, and how to remove it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the record cannot be read.
    pub fn farewell(&self) -> Result<Option<String>> {
        let record = self.home.record()?;
        if record.cluster == Phase::Absent {
            return Ok(None);
        }
        Ok(Some(match record.idle() {
            None => format!("cluster {} stays; cargo stack clean removes it", self.home.cluster),
            Some(idle) => format!(
                "cluster {} stays {idle:.0?} for the next run; cargo stack clean removes it at once",
                self.home.cluster
            ),
        }))
    }
}

impl Owner {
    /// Removes the containers that are left of it, and then its lock file.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn end(&self, engine: &Engine) -> Result<()> {
        cluster::remove_leavings(engine, None, &self.name).await?;
        // Unlinked while it is held: nobody else ever takes an owner's lock but to sweep.
        std::fs::remove_file(&self.path).map_err(Error::io(format!("remove {}", self.path.display())))
    }
}

impl Own {
    /// Deploys a plan into this namespace, waits, rolls back on failure.
    ///
    /// # Errors
    /// As [`release::deploy`].
    pub async fn deploy(&self, plan: &Plan) -> Result<()> {
        release::deploy(Deployment {
            cluster: &self.cluster,
            plan,
            scratch: &self.scratch,
            lock: None,
            labels: &self.labels,
        })
        .await
    }

    /// Removes the namespace, and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::Deadline`], naming what holds it.
    pub async fn remove(&self) -> Result<()> {
        crate::k8s::namespace::delete(&self.cluster.client, &self.plan.namespace, Duration::from_secs(90)).await?;
        std::fs::remove_file(&self.owner.path).map_err(Error::io(format!("remove {}", self.owner.path.display())))
    }
}
