//! Jobs that check something from inside the cluster and end.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{LogParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::failure_cause::{cannot_create_pods, failure_cause};
use super::pod::{is_over, phase, statuses, summary};
use super::secret;
use super::snapshot::{Snapshot, Watched};
use super::wait::{State, wait_on};
use super::{CALL, call, within};
use crate::{Error, Result};

/// A Python script. It tries each host:port in front of `--` until it is open, since each target's policies learn of a new
/// client in their own time, and then each of the others once. It prints one line for each: open, closed, unknown.
pub const CONNECT: &str = include_str!("connect.py");

const CONTAINER: &str = "job";
const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// A Job to run: one pod, one try, within Pod Security `restricted`.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The Job's name, unique in its namespace.
    pub name: String,
    /// The image as the node knows it; pulled if the node lacks it.
    pub image: String,
    /// Program and arguments; empty runs the image's own.
    pub command: Vec<String>,
    /// Environment variables; they are readable in the pod's spec, so no secrets.
    pub env: BTreeMap<String, String>,
    /// Labels of the Job and its pod.
    pub labels: BTreeMap<String, String>,
    /// Names of the Secrets to pull the image with, in the Job's namespace.
    pub pull_secrets: Vec<String>,
    /// The limit from its creation to its end. Default: 60 s.
    pub limit: Duration,
}

impl JobSpec {
    /// A Job with no environment, labels or pull secrets, and a limit of 60 s.
    pub fn new(
        name: impl Into<String>,
        image: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            pull_secrets: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    fn manifest(&self) -> serde_json::Value {
        let env: Vec<_> = self.env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let pull_secrets: Vec<_> = self.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        // The server's limit is 15 s longer: when the server ends the Job, its pod and logs go too.
        let server_limit = self.limit.as_secs() + 15;
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": self.name, "labels": self.labels },
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": server_limit,
                "ttlSecondsAfterFinished": 300,
                "template": {
                    "metadata": { "labels": self.labels },
                    "spec": {
                        "restartPolicy": "Never",
                        "automountServiceAccountToken": false,
                        "enableServiceLinks": false,
                        "terminationGracePeriodSeconds": 5,
                        "imagePullSecrets": pull_secrets,
                        "securityContext": {
                            "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                            "seccompProfile": { "type": "RuntimeDefault" },
                        },
                        "containers": [{
                            "name": CONTAINER,
                            "image": self.image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": self.command,
                            "env": env,
                            "securityContext": {
                                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                "capabilities": { "drop": ["ALL"] },
                            },
                            "resources": {
                                "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "memory": "256Mi" },
                            },
                            "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
                        }],
                        "volumes": [{ "name": "tmp", "emptyDir": { "sizeLimit": "64Mi" } }],
                    },
                },
            },
        })
    }
}

/// The end of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    /// Whether the Job succeeded, by its own condition or its last pod's phase.
    pub succeeded: bool,
    /// The exit code of the container; `None` when the pod was removed before it could tell.
    pub exit_code: Option<i32>,
    /// The log of the container, both streams together.
    pub logs: String,
}

/// A started Job. Dropping the handle does not stop it; the server removes it 300 s after its end.
pub struct RunningJob {
    client: Client,
    namespace: String,
    name: String,
    container: String,
    started: tokio::time::Instant,
    limit: Duration,
}

/// Creates the Job and returns at once. On cancel the Job may be there.
///
/// # Errors
/// The API's error, also when the Job exists already; [`harness_base::Error::Deadline`] after 10 s.
pub async fn start(client: &Client, namespace: &str, spec: &JobSpec) -> Result<RunningJob> {
    let what = format!("create the job {} in the namespace {namespace}", spec.name);
    let job: Job = serde_json::from_value(spec.manifest()).map_err(Error::malformed(what.as_str()))?;
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    call(&what, api.create(&PostParams::default(), &job)).await?;
    Ok(RunningJob {
        client: client.clone(),
        namespace: namespace.to_owned(),
        name: spec.name.clone(),
        container: CONTAINER.to_owned(),
        started: tokio::time::Instant::now(),
        limit: spec.limit,
    })
}

/// Waits for the end of a Job that another program created, and reads the log of one of its containers.
///
/// # Errors
/// As [`RunningJob::finish`].
pub async fn ended(
    client: &Client,
    namespace: &str,
    name: &str,
    container: &str,
    limit: Duration,
) -> Result<JobOutcome> {
    let (client, namespace) = (client.clone(), namespace.to_owned());
    let (name, container) = (name.to_owned(), container.to_owned());
    let started = tokio::time::Instant::now();
    RunningJob { client, namespace, name, container, started, limit }.finish().await
}

impl RunningJob {
    /// Waits for the Job's end; a failed program is an outcome, one that cannot start an error. On cancel the Job runs on.
    ///
    /// # Errors
    /// [`Error::Failed`] when the pod cannot start, [`harness_base::Error::Deadline`] when it has not ended within the limit;
    /// both with the logs so far. The API's error when the logs cannot be read.
    pub async fn finish(self) -> Result<JobOutcome> {
        const KINDS: &[Watched] = &[Watched::Jobs, Watched::Pods, Watched::Warnings];
        let awaited = format!("the end of job/{} in the namespace {}", self.name, self.namespace);
        let left = self.limit.saturating_sub(self.started.elapsed());
        let judge = |snapshot: &Snapshot| judge(snapshot, &self.name);
        let snapshot = match wait_on(&self.client, &self.namespace, KINDS, &awaited, left, judge).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let logs = match self.logs_so_far().await {
                    Ok(logs) if logs.trim().is_empty() => "(none)".to_owned(),
                    Ok(logs) => {
                        secret::know_all(&self.client, &self.namespace).await;
                        logs
                    }
                    Err(problem) => format!("(cannot be read: {problem})"),
                };
                return Err(error.diagnosed(format!("logs of job/{}:\n{logs}", self.name)));
            }
        };
        let pod = pod_of(&snapshot, &self.name);
        let exit_code = pod.and_then(|pod| exit_code(pod, &self.container));
        let logs = match pod {
            Some(pod) => self.logs_of(&pod.name_any()).await?,
            None => String::new(),
        };
        Ok(JobOutcome { succeeded: succeeded(&snapshot, &self.name), exit_code, logs })
    }

    /// Waits for the program's first line of output, by following the log: so the program runs and is past its start.
    ///
    /// # Errors
    /// [`Error::Failed`] when the pod cannot start, [`harness_base::Error::Deadline`] when no line came in time.
    pub async fn first_line(&self) -> Result<String> {
        use futures::{AsyncBufReadExt, TryStreamExt};
        const KINDS: &[Watched] = &[Watched::Jobs, Watched::Pods, Watched::Warnings];
        let awaited = format!("the start of job/{} in the namespace {}", self.name, self.namespace);
        let left = self.limit.saturating_sub(self.started.elapsed());
        let running = |snapshot: &Snapshot| match pod_of(snapshot, &self.name) {
            Some(pod) if phase(pod) == "Running" => State::Ready,
            _ => judge(snapshot, &self.name),
        };
        let snapshot = wait_on(&self.client, &self.namespace, KINDS, &awaited, left, running).await?;
        let pod = pod_of(&snapshot, &self.name).map(ResourceExt::name_any).unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let what = format!("read the first line of job/{}", self.name);
        within(&what, left, async {
            let container = Some(self.container.clone());
            let follow = LogParams { follow: true, container, ..LogParams::default() };
            let log = api.log_stream(&pod, &follow).await.map_err(Error::kube(&what))?;
            log.lines().try_next().await.map_err(Error::io(&what)).map(Option::unwrap_or_default)
        })
        .await
    }

    /// Runs a Python program in the Job's container, to signal something to the program that runs there. On
    /// cancel it may run on.
    ///
    /// # Errors
    /// [`Error::Unmet`] when there is no pod or the program fails; the API's error; [`harness_base::Error::Deadline`] after
    /// 10 s.
    pub async fn tell(&self, program: &str) -> Result<()> {
        let selector = format!("{JOB_LABEL}={}", self.name);
        let pods = super::workload::pods(&self.client, &self.namespace, &selector).await?;
        let none = || Error::Unmet(format!("job/{} has no pod", self.name));
        let pod = youngest(pods.iter()).map(ResourceExt::name_any).ok_or_else(none)?;
        let command = ["python", "-c", program];
        let ended =
            super::workload::exec(&self.client, &self.namespace, (&pod, Some(&self.container)), &command, CALL).await?;
        if ended.succeeded {
            return Ok(());
        }
        Err(Error::Unmet(format!("job/{} cannot be told: {} {}", self.name, ended.reason, ended.stderr.trim())))
    }

    /// The program's log so far; empty before it runs.
    ///
    /// # Errors
    /// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
    pub async fn logs_so_far(&self) -> Result<String> {
        let selector = format!("{JOB_LABEL}={}", self.name);
        let pods = super::workload::pods(&self.client, &self.namespace, &selector).await?;
        let started = |pod: &&Pod| statuses(pod).iter().any(|one| one.started == Some(true) || phase(pod) != "Pending");
        match youngest(pods.iter().filter(started)) {
            Some(pod) => self.logs_of(&pod.name_any()).await,
            None => Ok(String::new()),
        }
    }

    async fn logs_of(&self, pod: &str) -> Result<String> {
        let what = format!("read the logs of the pod {pod}");
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = LogParams { container: Some(self.container.clone()), ..LogParams::default() };
        within(&what, CALL, async { api.logs(pod, &params).await.map_err(Error::kube(what.as_str())) }).await
    }
}

/// The youngest pod of a Job: a Job that tries again has one for each try.
fn pod_of<'a>(snapshot: &'a Snapshot, job: &str) -> Option<&'a Pod> {
    let is_of_job = |pod: &&Pod| pod.labels().get(JOB_LABEL).is_some_and(|owner| owner == job);
    youngest(snapshot.pods.iter().map(AsRef::as_ref).filter(is_of_job))
}

fn youngest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by_key(|pod| pod.creation_timestamp())
}

/// Whether the Job's own condition of that kind is true.
fn is(job: &Job, condition: &str) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|one| one.status == "True" && one.type_ == condition)
}

/// Whether a Job that has ended succeeded; its pod may be gone already, or say so before the Job does.
fn succeeded(snapshot: &Snapshot, name: &str) -> bool {
    let says = |job: &Job| {
        is(job, "Complete")
            || (!is(job, "Failed") && pod_of(snapshot, name).is_some_and(|pod| phase(pod) == "Succeeded"))
    };
    snapshot.job(name).is_some_and(says)
}

/// The exit code of a pod's container; `None` while that has not ended.
fn exit_code(pod: &Pod, container: &str) -> Option<i32> {
    let status = statuses(pod).iter().find(|status| status.name == container)?;
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

/// The state of the Job; the pod's phase tells the end sooner than the Job's own conditions.
fn judge(snapshot: &Snapshot, name: &str) -> State {
    let Some(job) = snapshot.job(name) else { return State::Pending(format!("there is no job/{name}")) };
    let ended = is(job, "Complete") || is(job, "Failed");
    let Some(pod) = pod_of(snapshot, name) else {
        let uid = job.uid().unwrap_or_default();
        let warnings = snapshot.warnings_about(&uid);
        let refused = warnings.iter().rev().find(|event| event.reason.as_deref() == Some("FailedCreate"));
        return match refused {
            _ if ended => State::Ready,
            Some(event) => {
                cannot_create_pods(&format!("job/{name}"), event.message.as_deref().unwrap_or_default()).into()
            }
            None => State::Pending("its pod is not created yet".to_owned()),
        };
    };
    // Of a Job that tries again, a pod that failed is not the end.
    let spec = job.spec.as_ref();
    let is_last = spec.and_then(|spec| spec.backoff_limit) == Some(0);
    let is_only = spec.and_then(|spec| spec.completions).is_none_or(|many| many == 1);
    match is_over(pod) {
        _ if ended => return State::Ready,
        true if is_only && (is_last || phase(pod) == "Succeeded") => return State::Ready,
        true => return State::Pending(format!("{}; the Job goes on", summary(pod))),
        false => {}
    }
    match failure_cause(pod, &snapshot.warnings_of(pod)) {
        Some(failure_cause) => failure_cause.into(),
        None => State::Pending(summary(pod)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, made: &str, phase: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {JOB_LABEL: "j"}, "creationTimestamp": made}, "status": {"phase": phase}})
    }

    fn snapshot((tries, completions): (i32, i32), condition: Option<&str>, pods: &[Value]) -> Snapshot {
        let conditions: Vec<_> = condition.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
        let job = json!({
            "metadata": {"name": "j"}, "spec": {"backoffLimit": tries, "completions": completions, "template": {}}, "status": {"conditions": conditions},
        });
        let pods = pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect();
        Snapshot { jobs: vec![Arc::new(serde_json::from_value(job).unwrap())], pods, ..Snapshot::default() }
    }

    #[rstest]
    #[case::runs(0, None, &["Running"], None)]
    #[case::succeeded(6, None, &["Succeeded"], Some(true))]
    #[case::failed_without_another_try(0, None, &["Failed"], Some(false))]
    #[case::failed_and_tries_again(6, None, &["Failed"], None)]
    #[case::the_second_try_runs(6, None, &["Failed", "Running"], None)]
    #[case::the_second_try_succeeded(6, None, &["Failed", "Succeeded"], Some(true))]
    #[case::failed_for_good(1, Some("Failed"), &["Failed", "Failed"], Some(false))]
    #[case::failed_for_good_and_its_pods_are_gone(1, Some("Failed"), &[], Some(false))]
    #[case::complete_and_its_pods_are_gone(1, Some("Complete"), &[], Some(true))]
    fn a_job_has_ended_with_its_last_try(
        #[case] tries: i32,
        #[case] condition: Option<&str>,
        #[case] phases: &[&str],
        #[case] outcome: Option<bool>,
    ) {
        let made = |(number, phase): (usize, &&str)| {
            pod(&format!("j-{number}"), &format!("2026-01-01T00:00:0{number}Z"), phase)
        };
        let pods: Vec<_> = phases.iter().enumerate().map(made).collect();
        let snapshot = snapshot((tries, 1), condition, &pods);
        let state = judge(&snapshot, "j");
        let found = matches!(state, State::Ready).then(|| succeeded(&snapshot, "j"));
        assert_eq!(found, outcome, "{state:?}");
    }

    #[test]
    fn one_of_two_completions_is_not_the_end() {
        let pods = [pod("j-0", "2026-01-01T00:00:00Z", "Succeeded")];
        assert!(matches!(judge(&snapshot((0, 2), None, &pods), "j"), State::Pending(_)));
        assert_eq!(judge(&snapshot((0, 2), Some("Complete"), &pods), "j"), State::Ready);
    }

    #[test]
    fn the_youngest_pod_is_the_last_try() {
        let pods = [pod("j-a", "2026-01-01T00:00:02Z", "Running"), pod("j-b", "2026-01-01T00:00:01Z", "Failed")];
        assert_eq!(pod_of(&snapshot((6, 1), None, &pods), "j").unwrap().name_any(), "j-a");
    }

    #[test]
    fn the_exit_code_is_the_containers_own() {
        let ended = |name: &str, code: i32| {
            json!({
                "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code}},
            })
        };
        let pod = json!({"status": {"containerStatuses": [ended("proxy", 0), ended("program", 3)]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(
            (exit_code(&pod, "program"), exit_code(&pod, "proxy"), exit_code(&pod, "other")),
            (Some(3), Some(0), None)
        );
    }
}
