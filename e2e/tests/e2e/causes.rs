//! Causes of failed deploys: the first line of the error names the pod, the cause, and the message of whoever reported it.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::k8s::failure_cause::failure_cause;
use harness::k8s::snapshot::Watched;
use harness::k8s::window::Window;
use harness::k8s::{self, FailureCause, Snapshot, State, pod, workload};
use harness::release::{Edit, Plan};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::{DurableStack, OwnStack};
use harness::{Error, Result, expect};
use jetscale::components::FRONTEND;
use jetscale::services::JetscaleSite;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::EvictParams;
use kube::{Api, ResourceExt};

pub fn scenarios() -> Vec<Scenarios> {
    let at_once = [BROKEN_IMPORT, WRONG_TARGET_PORT];
    vec![
        // One release meets them one after another: a release of its own for each would cost more than all of them.
        each(are_in_the_first_line, [("what_is_seen_at_once", at_once)]).within(300),
        each(
            is_in_the_first_line,
            [
                ("a_missing_key", MISSING_KEY),
                ("a_storage_class_that_is_nowhere", NO_STORAGE_CLASS),
                ("a_failing_migration", FAILING_MIGRATION),
                ("a_missing_secret", MISSING_SECRET),
                ("too_little_memory", TOO_LITTLE_MEMORY),
                ("a_node_too_small", NODE_TOO_SMALL),
                ("a_quota", QUOTA),
                ("a_store_that_is_not_there", NO_STORE),
                ("a_probe_at_the_wrong_path", WRONG_PROBE),
                ("a_named_target_port", NAMED_TARGET_PORT),
                ("a_broken_configuration_of_the_router", BROKEN_ROUTER),
                ("a_liveness_probe_that_kills", KILLING_PROBE),
                ("a_missing_config_map", MISSING_CONFIG_MAP),
                ("a_volume_that_is_not_mounted", NO_MOUNT),
                ("an_evicted_pod", EVICTED),
            ],
        )
        .within(300)
        .nightly(),
        each(
            an_evicted_pod_is_not_to_blame,
            [
                ("where_its_replacement_serves", (Evictor::Kubelet, LATE)),
                ("where_its_replacement_fails", (Evictor::Kubelet, NEVER_ASKED_WELL)),
                ("where_somebody_asked_for_it", (Evictor::Somebody, LATE)),
            ],
        )
        .within(300)
        .nightly(),
        scenario(containers_that_end_by_design_are_no_failures).within(300).nightly(),
        scenario(a_registry_that_comes_back_is_waited_for).within(300).nightly(),
    ]
}

/// A fault that a colleague could merge, and what the error's first line says of it.
#[derive(Debug, Clone, Copy)]
struct Fault {
    edits: &'static [Edit<'static>],
    values: &'static [&'static str],
    says: &'static [&'static str],
}

const NOTHING: Fault = Fault { edits: &[], values: &[], says: &[] };

const API: &str = "charts/backend/templates/api.yaml";
const ROUTER: &str = "charts/frontend/templates/frontend.yaml";
const API_MOUNTS: &str = "            {{- with include \"backend.managedMounts\" . | trim }}";
const MIGRATIONS_MOUNTS: &str = "            - {name: tmp, mountPath: /tmp}\n            {{- with include \"backend.databaseCaMount\" . | trim }}\n            {{- . | nindent 12 }}\n            {{- end }}\n      containers:";

/// The api's pods have the ConfigMap `fault` as a volume.
const FAULT_AS_A_VOLUME: Edit<'static> = Edit {
    file: API,
    from: "        {{- with include \"backend.managedVolumes\" . | trim }}",
    to: "        - name: fault\n          configMap: {name: fault}\n        {{- with include \"backend.managedVolumes\" . | trim }}",
};

/// The api's module of attachments imports what no image has.
const BROKEN_IMPORT: Fault = Fault {
    edits: &[
        Edit {
            file: "templates/fault.yaml",
            from: "",
            to: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fault}\ndata:\n  broken.py: import a_module_that_is_nowhere\n",
        },
        FAULT_AS_A_VOLUME,
        Edit {
            file: API,
            from: API_MOUNTS,
            to: "            - {name: fault, mountPath: /app/jetscale_backend/attachments.py, subPath: broken.py}\n            {{- with include \"backend.managedMounts\" . | trim }}",
        },
    ],
    says: &[
        "pod jetscale-backend-",
        "container api: crashes: ModuleNotFoundError: No module named 'a_module_that_is_nowhere'",
    ],
    ..NOTHING
};

const FAILING_MIGRATION: Fault = Fault {
    edits: &[
        Edit {
            file: "templates/fault.yaml",
            from: "",
            to: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fault}\ndata:\n  broken.py: |\n    from alembic import op\n    revision, down_revision = \"0003\", \"0002\"\n    branch_labels = depends_on = None\n    def upgrade():\n        op.execute(\"ALTER TABLE nowhere ADD COLUMN x INTEGER\")\n",
        },
        FAULT_AS_A_VOLUME,
        Edit {
            file: API,
            from: MIGRATIONS_MOUNTS,
            to: "            - {name: tmp, mountPath: /tmp}\n            - {name: fault, mountPath: /app/jetscale_backend/migrations/versions/0003_broken.py, subPath: broken.py}\n      containers:",
        },
    ],
    says: &["init container migrate: crashes: ", "relation \"nowhere\" does not exist"],
    ..NOTHING
};

const MISSING_KEY: Fault = Fault {
    edits: &[Edit {
        file: "charts/backend/templates/_pod.tpl",
        from: "-auth, key: jwt-secret-key",
        to: "-auth, key: nowhere",
    }],
    says: &["its configuration is incomplete: couldn't find key nowhere in Secret", "jetscale-auth"],
    ..NOTHING
};

const MISSING_SECRET: Fault = Fault {
    edits: &[Edit {
        file: "charts/backend/templates/_pod.tpl",
        from: "{name: {{ .Release.Name }}-auth, key: jwt-secret-key",
        to: "{name: nowhere, key: jwt-secret-key",
    }],
    says: &["its configuration is incomplete: secret \"nowhere\" not found"],
    ..NOTHING
};

const WRONG_TARGET_PORT: Fault = Fault {
    edits: &[Edit { file: API, from: "targetPort: http", to: "targetPort: 8123" }],
    says: &[
        "service/jetscale-backend: its port 8000 leads to the target port 8123, which no container of deployment/jetscale-backend has",
        "http (8000)",
    ],
    ..NOTHING
};

const NAMED_TARGET_PORT: Fault = Fault {
    edits: &[Edit { file: ROUTER, from: "targetPort: http", to: "targetPort: web" }],
    says: &["service/jetscale-frontend: its port 80 leads to the target port web", "http (8080)"],
    ..NOTHING
};

const NO_STORAGE_CLASS: Fault = Fault {
    edits: &[
        Edit {
            file: "templates/fault.yaml",
            from: "",
            to: "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: fault}\nspec:\n  accessModes: [ReadWriteOnce]\n  storageClassName: nowhere\n  resources: {requests: {storage: 1Mi}}\n",
        },
        Edit { file: ROUTER, from: "emptyDir: {sizeLimit: 256Mi}", to: "persistentVolumeClaim: {claimName: fault}" },
    ],
    says: &["pod jetscale-frontend-", "its volume claim fault gets no volume: ", "\"nowhere\" not found"],
    ..NOTHING
};

const TOO_LITTLE_MEMORY: Fault = Fault {
    values: &["backend.api.resources.requests.memory=16Mi", "backend.api.resources.limits.memory=24Mi"],
    says: &["init container migrate: killed for using more memory than its limit of 24Mi (OOMKilled)"],
    ..NOTHING
};

const NODE_TOO_SMALL: Fault = Fault {
    values: &["frontend.resources.requests.cpu=64"],
    says: &["pod jetscale-frontend-", "unschedulable: 0/1 nodes are available: 1 Insufficient cpu"],
    ..NOTHING
};

/// The quota leaves no room for a pod beside those that run.
const QUOTA: Fault = Fault {
    edits: &[Edit {
        file: "templates/fault.yaml",
        from: "",
        to: "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: fault}\nspec: {hard: {pods: \"1\"}}\n",
    }],
    values: &["frontend.resources.requests.cpu=11m"],
    says: &["deployment/jetscale-frontend: its pods cannot be created: exceeded quota: fault", "limited: pods=1"],
};

/// The api runs, and says for ever which store it lacks.
const NO_STORE: Fault = Fault {
    values: &["backend.env.JETSCALE_REDIS_URL=redis://nowhere:6379/0"],
    says: &[
        "container api: runs and is not ready: readiness probe: HTTP 503: /api/v2/system/ready says ",
        "\"redis\":\"down\"",
    ],
    ..NOTHING
};

const WRONG_PROBE: Fault = Fault {
    edits: &[Edit { file: API, from: "path: /api/v2/system/ready", to: "path: /api/v2/system/nowhere" }],
    says: &["container api: runs and is not ready: readiness probe: HTTP 404: /api/v2/system/nowhere says "],
    ..NOTHING
};

const BROKEN_ROUTER: Fault = Fault {
    edits: &[Edit {
        file: "charts/frontend/files/nginx.conf",
        from: "http {",
        to: "http {\n  a_directive_that_is_none on;",
    }],
    says: &["container frontend: crashes: [emerg] unknown directive \"a_directive_that_is_none\""],
    ..NOTHING
};

/// The router's pods do not become ready in time, since nobody asks them whether they are: else the deploy would be done
/// before the fault shows.
const NEVER_READY: Edit<'static> = Edit {
    file: ROUTER,
    from: "          readinessProbe:\n",
    to: "          readinessProbe:\n            initialDelaySeconds: 240\n",
};

/// The router serves, and its liveness probe asks for a page that is not there.
const KILLING_PROBE: Fault = Fault {
    edits: &[
        NEVER_READY,
        Edit {
            file: ROUTER,
            from: "          livenessProbe:\n            httpGet: {path: /, port: http}\n            periodSeconds: 10\n            timeoutSeconds: 5\n            failureThreshold: 6\n",
            // Once, with little time to end: the kubelet writes 25 events about a pod at most, and each kill takes five.
            to: "          livenessProbe:\n            httpGet: {path: /nowhere, port: http}\n            periodSeconds: 1\n            timeoutSeconds: 5\n            failureThreshold: 1\n            terminationGracePeriodSeconds: 1\n",
        },
    ],
    says: &[
        "pod jetscale-frontend-",
        "container frontend: killed by the kubelet: Liveness probe failed: HTTP probe failed with statuscode: 404",
    ],
    ..NOTHING
};

/// The api has a volume of a ConfigMap that nobody makes.
const MISSING_CONFIG_MAP: Fault = Fault {
    edits: &[
        FAULT_AS_A_VOLUME,
        // The kubelet mounts what a container uses alone.
        Edit {
            file: API,
            from: API_MOUNTS,
            to: "            - {name: fault, mountPath: /fault}\n            {{- with include \"backend.managedMounts\" . | trim }}",
        },
    ],
    says: &[
        "pod jetscale-backend-",
        "FailedMount: MountVolume.SetUp failed for volume \"fault\" : configmap \"fault\" not found",
    ],
    ..NOTHING
};

/// The router has a folder of the node, which is a file there.
const NO_MOUNT: Fault = Fault {
    edits: &[Edit {
        file: ROUTER,
        from: "emptyDir: {sizeLimit: 256Mi}",
        to: "hostPath: {path: /etc/hostname, type: Directory}",
    }],
    says: &[
        "pod jetscale-frontend-",
        "FailedMount: MountVolume.SetUp failed for volume \"tmp\" : hostPath type check failed: /etc/hostname is not a directory",
    ],
    ..NOTHING
};

/// The router may keep 64 bytes on its node, since a unit was forgotten. The kubelet looks every 10 s, and it has to evict
/// two before that is the cause.
const EVICTED: Fault = Fault {
    edits: &[NEVER_READY],
    values: &["frontend.resources.limits.ephemeral-storage=64"],
    says: &["pod jetscale-frontend-", ": Evicted: ", "ephemeral"],
};

async fn is_in_the_first_line(stack: OwnStack, fault: Fault) -> ScenarioResult {
    names(&stack, &fault).await
}

async fn are_in_the_first_line(stack: OwnStack, faults: [Fault; 2]) -> ScenarioResult {
    for fault in faults {
        names(&stack, &fault).await?;
    }
    Ok(())
}

/// The fault fails the deploy, its first line says why, and the release is as it was.
async fn names(stack: &OwnStack, fault: &Fault) -> ScenarioResult {
    let folder = folder()?;
    let outcome = stack.upgrade(&planted(stack, folder.path(), fault)?).await;
    says(stack, outcome, fault).await
}

fn folder() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(Error::io("make a folder for the charts with a fault"))
}

/// The release's own plan, with a fault in a copy of the charts.
fn planted(stack: &OwnStack, folder: &Path, fault: &Fault) -> Result<Plan> {
    let charts = stack.plan().charts.planted(folder, fault.edits)?;
    let values = fault.values.iter().map(|value| (*value).to_owned());
    let overrides = stack.plan().overrides.iter().cloned().chain(values).collect();
    Ok(Plan { charts, overrides, ..stack.plan().clone() })
}

/// The deploy failed, its first line says why, and the release is as it was.
async fn says(stack: &OwnStack, outcome: Result<()>, fault: &Fault) -> ScenarioResult {
    let Err(error) = outcome else {
        return Err(Error::Unmet(format!("a release with a fault was deployed: {fault:?}")));
    };
    let report = error.report();
    let first = report.lines().next().unwrap_or_default();
    // Said when it was final, that is, and not when the deploy's time was over; how soon, docs/causes.md says: a
    // machine that is busy with a whole suite takes its time.
    for part in [&[" cannot come about: "], fault.says].concat() {
        expect!(first.contains(part), "the first line does not say {part:?}: {report}")?;
    }
    expect!(!report.contains("rollback failed"), "{report}")?;
    serves(stack).await
}

async fn serves(stack: &OwnStack) -> Result<()> {
    stack.backend().becomes_ready().await.map(drop)
}

/// Longer than an eviction takes.
const LATE: Fault = Fault {
    edits: &[Edit {
        file: ROUTER,
        from: "          readinessProbe:\n",
        to: "          readinessProbe:\n            initialDelaySeconds: 45\n",
    }],
    values: &[LITTLE_STORAGE],
    says: &[],
};

/// The router serves, and its readiness probe asks for a page that is not there.
const NEVER_ASKED_WELL: Fault = Fault {
    edits: &[Edit {
        file: ROUTER,
        from: "          readinessProbe:\n            httpGet: {path: /, port: http}\n",
        to: "          readinessProbe:\n            httpGet: {path: /nowhere, port: http}\n",
    }],
    values: &[LITTLE_STORAGE],
    says: &["pod jetscale-frontend-", "container frontend: runs and is not ready: readiness probe: HTTP 404"],
};

/// Enough for what the router logs, and less than [`FILLS`] writes.
const LITTLE_STORAGE: &str = "frontend.resources.limits.ephemeral-storage=2Mi";
/// Into the container's log: the kubelet knows the size of a log sooner than that of a volume, which it asks for once a
/// minute.
const FILLS: &str = "yes of-no-use | head -c 6291456 > /proc/1/fd/1";

/// Who ends an update's first pod while it starts.
#[derive(Debug, Clone, Copy)]
enum Evictor {
    /// Its node, for what it keeps there: what is left of it stays beside its replacement.
    Kubelet,
    /// By the API, as whoever drains a node: it goes.
    Somebody,
}

/// Its controller has replaced it: what becomes of the deploy is the replacement's matter.
async fn an_evicted_pod_is_not_to_blame(stack: OwnStack, (evictor, fault): (Evictor, Fault)) -> ScenarioResult {
    let folder = folder()?;
    let plan = planted(&stack, folder.path(), &fault)?;
    let before: Vec<String> = stack.pods(&FRONTEND).await?.iter().map(ResourceExt::name_any).collect();
    let deploy = async { (stack.upgrade(&plan).await, Instant::now()) };
    let evict = async {
        let first = first_new(&stack, &before).await?;
        evicted(&stack, &first, evictor).await?;
        Ok::<_, Error>((first, Instant::now()))
    };
    let ((outcome, deployed), evicted) = futures::join!(deploy, evict);
    let (first, gone) = evicted?;
    expect!(gone < deployed, "the pod was ended when the deploy was over: {outcome:?}")?;
    if let Err(error) = &outcome {
        let report = error.report();
        let blamed = report.lines().next().unwrap_or_default();
        expect!(!blamed.contains(&first) && !blamed.contains("Evicted"), "the evicted pod is blamed: {report}")?;
    }
    let left = pods_of(&stack).get_opt(&first).await.map_err(Error::kube("look for the evicted pod"))?;
    match evictor {
        _ if !fault.says.is_empty() => says(&stack, outcome, &fault).await,
        Evictor::Kubelet => {
            outcome?;
            expect!(left.as_ref().is_some_and(pod::is_over), "nothing is left of the evicted pod: {left:?}")?;
            serves(&stack).await
        }
        Evictor::Somebody => {
            outcome?;
            expect!(left.is_none(), "{first} is still there")?;
            serves(&stack).await
        }
    }
}

fn pods_of(stack: &OwnStack) -> Api<Pod> {
    Api::namespaced(stack.kube().clone(), stack.namespace())
}

/// The first pod of an update's revision, once its container runs.
async fn first_new(stack: &OwnStack, before: &[String]) -> Result<String> {
    let mut found = String::new();
    let selector = stack.name_of(&FRONTEND);
    let judge = |snapshot: &Snapshot| {
        let mut pods = snapshot.pods.iter().filter(|pod| pod.name_any().starts_with(&format!("{selector}-")));
        let runs = |pod: &Pod| pod::phase(pod) == "Running" && !pod::is_terminating(pod);
        match pods.find(|pod| runs(pod) && !before.contains(&pod.name_any())) {
            Some(pod) => {
                found = pod.name_any();
                State::Ready
            }
            None => State::Pending("no new pod runs".to_owned()),
        }
    };
    k8s::wait::wait_on(stack.kube(), stack.namespace(), &[Watched::Pods], "a new pod", LIMIT, judge).await?;
    Ok(found)
}

/// How long a pod may take to come, or to go.
const LIMIT: Duration = Duration::from_secs(120);

/// Ends it, and waits until it is over: what it leaves behind, or nothing.
async fn evicted(stack: &OwnStack, name: &str, evictor: Evictor) -> Result<()> {
    match evictor {
        Evictor::Kubelet => {
            let command = ["sh", "-c", FILLS];
            workload::exec(stack.kube(), stack.namespace(), (name, None), &command, k8s::CALL).await?;
        }
        Evictor::Somebody => {
            let what = format!("evict the pod {name}");
            k8s::call(&what, pods_of(stack).evict(name, &EvictParams::default())).await?;
        }
    }
    let judge = |snapshot: &Snapshot| match snapshot.pod(name) {
        Some(pod) if !pod::is_over(pod) => State::Pending(pod::summary(pod)),
        _ => State::Ready,
    };
    let awaited = format!("the end of the pod {name}");
    Ok(k8s::wait::wait_on(stack.kube(), stack.namespace(), &[Watched::Pods], &awaited, LIMIT, judge).await.map(drop)?)
}

/// Beside the router a sidecar, which its pod's init containers name; and a Job that is done while the release still comes,
/// with a sidecar that does not end when it is asked to.
const SIDECARS: Fault = Fault {
    edits: &[
        Edit {
            file: ROUTER,
            from: "      containers:\n        - name: frontend\n",
            to: "      initContainers:\n        - name: beside\n          image: {{ include \"names.image\" . }}\n          restartPolicy: Always\n          command: [sh, -c, \"sleep 3600\"]\n          securityContext: {{- include \"names.containerSecurity\" true | nindent 12 }}\n      containers:\n        - name: frontend\n",
        },
        Edit {
            file: ROUTER,
            from: "          readinessProbe:\n",
            to: "          readinessProbe:\n            initialDelaySeconds: 20\n",
        },
        Edit {
            file: ROUTER,
            from: "---\napiVersion: v1\nkind: Service\n",
            to: "---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{ .Release.Name }}-done\n  labels: {{- include \"names.labels\" (list . \"done\") | nindent 4 }}\nspec:\n  template:\n    metadata:\n      labels: {{- include \"names.podLabels\" (list . \"done\") | nindent 8 }}\n    spec:\n      restartPolicy: OnFailure\n      automountServiceAccountToken: false\n      terminationGracePeriodSeconds: 2\n      securityContext: {runAsNonRoot: true, runAsUser: 101, seccompProfile: {type: RuntimeDefault}}\n      initContainers:\n        - name: deaf\n          image: {{ include \"names.image\" . }}\n          restartPolicy: Always\n          command: [sh, -c, \"trap '' TERM; while true; do sleep 1; done\"]\n          securityContext: {{- include \"names.containerSecurity\" true | nindent 12 }}\n      containers:\n        - name: work\n          image: {{ include \"names.image\" . }}\n          command: [sh, -c, \"sleep 3\"]\n          securityContext: {{- include \"names.containerSecurity\" true | nindent 12 }}\n---\napiVersion: v1\nkind: Service\n",
        },
    ],
    ..NOTHING
};

/// The release comes about, and whoever waits for the Job itself is told of no cause: neither by the sidecar, which its node
/// had to kill, nor by what is left of the pod.
async fn containers_that_end_by_design_are_no_failures(stack: OwnStack) -> ScenarioResult {
    let folder = folder()?;
    let plan = planted(&stack, folder.path(), &SIDECARS)?;
    let beginning = format!("{}-done-", plan.release);
    let mut killed = None;
    let judge = |snapshot: &Snapshot| {
        let Some(pod) = snapshot.pods.iter().find(|pod| pod.name_any().starts_with(&beginning)) else {
            return State::Pending("the Job has no pod".to_owned());
        };
        if let Some(cause) = failure_cause(pod, &snapshot.warnings_of(pod)) {
            // At once, and not when it would be final: none is to be told at all.
            return FailureCause { tolerance: Window::None.into(), ..cause }.into();
        }
        let ended = pod::init_statuses(pod).iter().find_map(|one| one.state.as_ref()?.terminated.as_ref());
        killed = ended.map(|ended| ended.exit_code);
        match pod::is_over(pod) && killed.is_some() {
            true => State::Ready,
            false => State::Pending(pod::summary(pod)),
        }
    };
    let kinds = [Watched::Pods, Watched::Warnings];
    let (deployed, done) = futures::join!(
        stack.upgrade(&plan),
        k8s::wait::wait_on(stack.kube(), stack.namespace(), &kinds, "the Job's end", LIMIT, judge)
    );
    done?;
    deployed?;
    // Else its end would have been one that nobody takes for a failure.
    expect!(killed.is_some_and(|code| code != 0), "the Job's sidecar ended with {killed:?}")?;
    serves(&stack).await
}

/// What it answers nobody knows while nothing is at its address: the kubelet tries again, and that try counts.
async fn a_registry_that_comes_back_is_waited_for(stack: DurableStack) -> ScenarioResult {
    let (plan, login) = stack.private_plan().await?;
    stack.lead_to_registry(&login, false).await?;
    let is_of_a_pull = |event: &Event| {
        let says = event.message.as_deref().unwrap_or_default();
        event.reason.as_deref() == Some("Failed") && says.starts_with("Failed to pull image")
    };
    let judge = |snapshot: &Snapshot| match snapshot.events.iter().any(|event| is_of_a_pull(event)) {
        true => State::Ready,
        false => State::Pending("no pull has failed".to_owned()),
    };
    let back = async {
        let (kinds, awaited) = ([Watched::Warnings], "a pull that fails");
        k8s::wait::wait_on(stack.kube(), stack.namespace(), &kinds, awaited, LIMIT, judge).await?;
        stack.lead_to_registry(&login, true).await
    };
    let credentials = stack.credentials_with(login.clone());
    let (deployed, back) = futures::join!(stack.upgrade_as(&plan, &credentials), back);
    back?;
    deployed?;
    serves(&stack).await
}
