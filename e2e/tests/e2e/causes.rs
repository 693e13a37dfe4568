//! What keeps a deploy from coming about is said in the first line of its error: who, what, and in whose words.

use harness::release::{Edit, Plan};
use harness::scenario::{ScenarioResult, Scenarios, each};
use harness::stack::OwnStack;
use harness::{Error, Result, expect};
use jetscale::services::JetscaleSite;

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
    says: &["pod jetscale-backend-", "container api: crashes: ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"],
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
    edits: &[Edit { file: "charts/backend/templates/_pod.tpl", from: "-auth, key: jwt-secret-key", to: "-auth, key: nowhere" }],
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
    says: &["container api: runs and is not ready: readiness probe: HTTP 503: /api/v2/system/ready says ", "\"redis\":\"down\""],
    ..NOTHING
};

const WRONG_PROBE: Fault = Fault {
    edits: &[Edit { file: API, from: "path: /api/v2/system/ready", to: "path: /api/v2/system/nowhere" }],
    says: &["container api: runs and is not ready: readiness probe: HTTP 404: /api/v2/system/nowhere says "],
    ..NOTHING
};

const BROKEN_ROUTER: Fault = Fault {
    edits: &[Edit { file: "charts/frontend/files/nginx.conf", from: "http {", to: "http {\n  a_directive_that_is_none on;" }],
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
    says: &["pod jetscale-backend-", "FailedMount: MountVolume.SetUp failed for volume \"fault\" : configmap \"fault\" not found"],
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
    let folder = tempfile::tempdir().map_err(Error::io("make a folder for the charts with a fault"))?;
    let charts = stack.plan().charts.planted(folder.path(), fault.edits)?;
    let values = fault.values.iter().map(|value| (*value).to_owned());
    let overrides = stack.plan().overrides.iter().cloned().chain(values).collect();
    let plan = Plan { charts, overrides, ..stack.plan().clone() };
    let Err(error) = stack.upgrade(&plan).await else {
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
