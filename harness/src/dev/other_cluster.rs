//! The images and repositories in another stage's cluster on this machine: a scenario checks that none are stage dev's.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use crate::cluster::{self, ClusterState, Phase};
use crate::error::{Error, Result};
use crate::k8s;
use crate::tools::Tools;

/// The contents of another stage's cluster and of the registry beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherCluster {
    /// The cluster's name.
    pub cluster: String,
    /// The image references of its pods' containers; none where there is no cluster.
    pub images: BTreeSet<String>,
    /// The repositories in its registry's data.
    pub repositories: BTreeSet<String>,
}

impl OtherCluster {
    /// Reads the contents; changes nothing.
    ///
    /// # Errors
    /// [`Error::Kube`] when the cluster is there and does not answer.
    pub async fn look(cluster_state: &ClusterState, tools: &Tools) -> Result<Self> {
        let mut images = BTreeSet::new();
        let record = cluster_state.record()?;
        if let Phase::Ready { .. } = record.cluster {
            let cluster = cluster::find(cluster_state, &record, tools).await?;
            let what = format!("list the pods of {}", cluster.name);
            let pods: Api<Pod> = Api::all(cluster.client.clone());
            let pods = k8s::within(&what, k8s::CALL, async {
                pods.list(&ListParams::default()).await.map_err(Error::kube(&what))
            })
            .await?;
            let specs = pods.items.into_iter().filter_map(|pod| pod.spec);
            images.extend(specs.flat_map(|spec| spec.containers).filter_map(|container| container.image));
        }
        let repositories = repositories(&cluster_state.registry_data())?;
        Ok(Self { cluster: cluster_state.name.clone(), images, repositories })
    }

    /// Whether the cluster runs any pods, or its registry has any repositories.
    pub fn is_there(&self) -> bool {
        !self.images.is_empty() || !self.repositories.is_empty()
    }
}

/// The repositories in a registry's data (the distribution registry's layout on disk).
fn repositories(data: &Path) -> Result<BTreeSet<String>> {
    let root = data.join("docker/registry/v2/repositories");
    let listed = match std::fs::read_dir(&root) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Error::io(format!("list {}", root.display()))(error)),
    };
    Ok(listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}
