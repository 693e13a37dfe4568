//! The state of Tilt's resources, by Tilt's own API, which is watched like Kubernetes' API.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::k8s::{self, State};

/// The deadline for Tilt's API to answer once its page does.
const OPEN: Duration = Duration::from_secs(30);
/// The time between two tries to reach the API.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The name of the resource that stands for the Tiltfile itself.
pub const TILTFILE: &str = "(Tiltfile)";

/// A resource of Tilt's (`UIResource` of tilt.dev/v1alpha1), as far as it is read here.
#[derive(Debug, Clone, Deserialize)]
pub struct Resource {
    metadata: ObjectMeta,
    #[serde(default)]
    status: ResourceStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceStatus {
    update_status: String,
    runtime_status: String,
    /// The finished builds, the newest first.
    build_history: Vec<ResourceBuild>,
    current_build: Option<RunningBuild>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunningBuild {
    start_time: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceBuild {
    start_time: Option<Timestamp>,
    error: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceUpdate {
    /// Files were copied into the running container.
    Live,
    /// An image was built, or objects were applied.
    Whole,
    /// The update failed; the error.
    Failed(String),
}

impl Resource {
    /// The resource's name.
    pub fn name(&self) -> String {
        self.metadata.name.clone().unwrap_or_default()
    }

    /// The newest update, if it began at or after `moment` and has ended, and none is running.
    pub fn update_since(&self, moment: SystemTime) -> Option<ResourceUpdate> {
        if self.status.current_build.as_ref().is_some_and(|build| build.start_time.is_some()) {
            return None;
        }
        let build = self.status.build_history.first()?;
        if SystemTime::from(build.start_time?) < moment {
            return None;
        }
        Some(match (build.error.is_empty(), build.span_id.starts_with("liveupdate:")) {
            (false, _) => ResourceUpdate::Failed(build.error.clone()),
            (true, true) => ResourceUpdate::Live,
            (true, false) => ResourceUpdate::Whole,
        })
    }

    /// Why the resource is not green yet; `None` if it is.
    fn problem(&self) -> Option<String> {
        let ResourceStatus { update_status, runtime_status, build_history, .. } = &self.status;
        let name = self.name();
        // "none" is the status of a task that runs on request only.
        let well = |status: &str| matches!(status, "ok" | "not_applicable" | "none");
        match (well(update_status), well(runtime_status)) {
            (true, true) => None,
            (true, false) => Some(format!("{name} runs, with status {runtime_status:?}")),
            (false, _) => {
                let error = build_history.first().map(|build| build.error.as_str()).unwrap_or_default();
                Some(format!("{name} is updated, with status {update_status:?} {error}").trim_end().to_owned())
            }
        }
    }

    fn failed(&self) -> bool {
        self.status.update_status == "error"
    }
}

impl kube::Resource for Resource {
    type DynamicType = ();
    type Scope = k8s_openapi::ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "UIResource".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "tilt.dev".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "uiresources".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A client of a running Tilt's API.
#[derive(Clone)]
pub struct View {
    client: Client,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

impl View {
    /// Connects by the kubeconfig that Tilt writes once its API is up.
    ///
    /// Tilt writes the file in several steps, after its page answers, and nothing tells when it is complete; so it is tried until
    /// the API answers.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 30 s, with the last error.
    pub async fn open(config: &Path) -> Result<Self> {
        let mut last = String::new();
        let opening = async {
            let mut beat = tokio::time::interval(BETWEEN_TRIES);
            loop {
                beat.tick().await;
                match Self::try_open(config).await {
                    Ok(view) => return view,
                    Err(error) => last = error.report(),
                }
            }
        };
        let opened = tokio::time::timeout(OPEN, opening).await;
        Ok(opened.map_err(|_| harness_base::Error::Deadline { awaited: "Tilt's API".to_owned(), after: OPEN, last })?)
    }

    async fn try_open(config: &Path) -> Result<Self> {
        // Tilt names the context by its port; at the default port it is "default".
        let view = Self { client: k8s::connect(config, "tilt-default").await? };
        let what = "list Tilt's resources";
        let listing = async { view.api().list_metadata(&ListParams::default()).await.map_err(Error::kube(what)) };
        k8s::within(what, k8s::CALL, listing).await?;
        Ok(view)
    }

    fn api(&self) -> Api<Resource> {
        Api::all(self.client.clone())
    }

    /// Waits until the Tiltfile is read and every resource is updated and runs.
    ///
    /// # Errors
    /// [`Error::Failed`] when an update fails and stays so for 5 s; [`harness_base::Error::Deadline`] after `limit`.
    pub async fn all_green(&self, limit: Duration) -> Result<Vec<Arc<Resource>>> {
        Ok(k8s::wait::all(self.api(), "all of Tilt's resources", limit, |all| {
            // While the Tiltfile's own resource is the only one, the Tiltfile has not been read.
            if all.len() < 2 && !all.iter().any(|resource| resource.failed()) {
                return State::Pending("the Tiltfile is not read yet".to_owned());
            }
            let problems: Vec<String> = all.iter().filter_map(|resource| resource.problem()).collect();
            match all.iter().find(|resource| resource.failed()).and_then(|resource| resource.problem()) {
                Some(cause) => State::Degraded(k8s::FailureCause::quoted(&cause, Duration::from_secs(5))),
                None if problems.is_empty() => State::Ready,
                None => State::Pending(problems.join("; ")),
            }
        })
        .await?)
    }

    /// Waits until one resource is ready by `judge`.
    ///
    /// # Errors
    /// [`Error::Failed`] when the judge says so; [`harness_base::Error::Deadline`] after `limit`.
    pub async fn resource(
        &self,
        name: &str,
        awaited: &str,
        limit: Duration,
        mut judge: impl FnMut(&Resource) -> State + Send,
    ) -> Result<()> {
        k8s::wait::all(self.api(), awaited, limit, |all| {
            match all.iter().find(|resource| resource.name_any() == name) {
                Some(resource) => judge(resource),
                None => State::Pending(format!("Tilt has no resource {name}")),
            }
        })
        .await?;
        Ok(())
    }

    /// Waits for the end of an update of one resource that began at or after `since`.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`.
    pub async fn updated(&self, name: &str, since: SystemTime, limit: Duration) -> Result<ResourceUpdate> {
        let mut update = None;
        let awaited = format!("Tilt's update of {name}");
        self.resource(name, &awaited, limit, |resource| match resource.update_since(since) {
            Some(found) => {
                update = Some(found);
                State::Ready
            }
            None => State::Pending(format!("none began since the edit; {:?}", resource.status.update_status)),
        })
        .await?;
        Ok(update.unwrap_or(ResourceUpdate::Whole))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn resource(status: Value) -> Resource {
        serde_json::from_value(json!({"metadata": {"name": "backend"}, "status": status})).unwrap()
    }

    #[rstest]
    #[case::green(json!({"updateStatus": "ok", "runtimeStatus": "ok"}), None)]
    #[case::without_pods(json!({"updateStatus": "ok", "runtimeStatus": "not_applicable"}), None)]
    #[case::task(json!({"updateStatus": "none", "runtimeStatus": "not_applicable"}), None)]
    #[case::starting(json!({"updateStatus": "ok", "runtimeStatus": "pending"}), Some("backend runs, with status \"pending\""))]
    #[case::failed(
        json!({"updateStatus": "error", "runtimeStatus": "ok", "buildHistory": [{"error": "exit code: 1"}]}),
        Some("backend is updated, with status \"error\" exit code: 1")
    )]
    #[case::unknown(json!({}), Some("backend is updated, with status \"\""))]
    fn problems(#[case] status: Value, #[case] problem: Option<&str>) {
        assert_eq!(resource(status).problem().as_deref(), problem);
    }

    #[test]
    fn an_update_counts_from_the_moment_of_the_edit() {
        let moment = |text: &str| SystemTime::from(text.parse::<Timestamp>().unwrap());
        let live = json!({"buildHistory": [
            {"startTime": "2026-11-24T19:55:22.920347Z", "finishTime": "2026-11-24T19:55:23.4Z", "spanID": "liveupdate:backend:x"},
            {"startTime": "2026-11-24T19:55:16Z", "error": "exit code: 1", "spanID": "liveupdate:backend:x"},
        ]});
        assert_eq!(resource(live.clone()).update_since(moment("2026-11-24T19:55:22Z")), Some(ResourceUpdate::Live));
        assert_eq!(resource(live).update_since(moment("2026-11-24T19:55:23Z")), None);
        let build = json!({"buildHistory": [{"startTime": "2026-11-24T19:55:22Z", "spanID": "build:1"}]});
        assert_eq!(resource(build).update_since(moment("2026-11-24T19:55:21Z")), Some(ResourceUpdate::Whole));
        let running = json!({
            "buildHistory": [{"startTime": "2026-11-24T19:55:22Z"}],
            "currentBuild": {"startTime": "2026-11-24T19:55:30Z"},
        });
        assert_eq!(resource(running).update_since(moment("2026-11-24T19:55:21Z")), None);
    }
}
