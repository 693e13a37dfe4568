//! Rules about volumes: mounts have a volume, written folders are writable, and nothing fills a node's disk.

use super::resources::bytes;
use super::{all_containers, pod, promise};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// The most that an emptyDir may hold, in bytes: 512 MiB, so that it does not fill a node's disk.
const SCRATCH_MOST: u64 = 512 << 20;
/// The least limit of the one at /tmp, in bytes: several request bodies of the largest size at once.
const TMP_LEAST: u64 = 32 << 20;
/// The sizes that a claim may ask for, in bytes.
const CLAIM: std::ops::RangeInclusive<u64> = (1 << 30)..=(8 << 30);

/// Rule: each mount is of a volume of its pod, each volume is mounted, and no two mounts have one path.
pub fn mounts(rendered: &Rendered) -> Vec<Finding> {
    rendered
        .objects
        .iter()
        .filter_map(|object| Some((object, pod(object)?)))
        .flat_map(|(object, pod)| of_pod(object, &pod))
        .collect()
}

fn of_pod(object: &Object, pod: &Node<'_>) -> Vec<Finding> {
    let volumes: Vec<Node<'_>> = volumes(object, pod);
    let mounts: Vec<Node<'_>> =
        all_containers(pod).flat_map(|container| container.get("volumeMounts").items()).collect();
    let mut findings = Vec::new();
    for mount in &mounts {
        let (name, path, sub) = (mount.get("name"), mount.get("mountPath"), mount.get("subPath"));
        let volume = volumes.iter().find(|volume| name_of(volume).text() == name.text());
        if volume.is_none() {
            findings.push(name.finding(format!("the pod has no volume {}", name.value)));
        }
        if !path.text().starts_with('/') {
            findings.push(path.finding(format!("{} is no absolute path", path.value)));
        }
        // Kubernetes mounts a missing file as an empty folder.
        if sub.is_set()
            && volume.is_some_and(|volume| volume.get("configMap").is_set())
            && !path.text().ends_with(sub.text())
        {
            findings.push(
                sub.finding("a file of a ConfigMap is mounted under another name: misspelt, it is an empty folder"),
            );
        }
        if volume
            .is_some_and(|volume| ["configMap", "secret", "projected"].iter().any(|kind| volume.get(kind).is_set()))
            && mount.get("readOnly").value != true
        {
            findings.push(mount.get("readOnly").finding("it holds what the pod is given, and is not read-only"));
        }
    }
    for container in all_containers(pod) {
        let mut paths: Vec<&str> = Vec::new();
        for mount in container.get("volumeMounts").items() {
            let path = mount.get("mountPath");
            if paths.contains(&path.text()) {
                findings.push(path.finding("two volumes are mounted here"));
            }
            paths.push(path.text());
        }
    }
    for volume in &volumes {
        let name = name_of(volume);
        if !mounts.iter().any(|mount| mount.get("name").text() == name.text()) {
            findings.push(name.finding(format!("no container mounts the volume {}", name.value)));
        }
        let kinds = ["emptyDir", "configMap", "secret", "projected", "persistentVolumeClaim"];
        if volume.get("name").is_set() && !kinds.iter().any(|kind| volume.get(kind).is_set()) {
            findings.push(volume.finding("the volume is of no kind"));
        }
    }
    findings
}

/// A pod's volumes, and its StatefulSet's claims.
fn volumes<'a>(object: &'a Object, pod: &Node<'a>) -> Vec<Node<'a>> {
    pod.at(&["spec", "volumes"]).items().chain(object.root().at(&["spec", "volumeClaimTemplates"]).items()).collect()
}

fn name_of<'a>(volume: &Node<'a>) -> Node<'a> {
    if volume.get("metadata").is_set() { volume.at(&["metadata", "name"]) } else { volume.get("name") }
}

/// Rule: scratch space has a limit, and a claim has an access mode and size that every cluster offers.
pub fn sizes(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (object, pod) in rendered.objects.iter().filter_map(|object| Some((object, pod(object)?))) {
        let is_store = promise(&pod).is_some_and(|promise| promise.is_store);
        for volume in pod.at(&["spec", "volumes"]).items().filter(|volume| volume.get("emptyDir").is_set()) {
            let limit = volume.at(&["emptyDir", "sizeLimit"]);
            let mut mounts = all_containers(&pod).flat_map(|container| container.get("volumeMounts").items());
            let is_tmp = mounts.any(|mount| {
                mount.get("name").text() == volume.get("name").text() && mount.get("mountPath").text() == "/tmp"
            });
            let least = if is_tmp { TMP_LEAST } else { 1 << 20 };
            let holds = bytes(limit.text()).is_some_and(|size| (least..=SCRATCH_MOST).contains(&size));
            // A store without a volume limits its data itself.
            let is_its_own = is_store && volume.get("name").text() == "data" && !limit.is_set();
            if !holds && !is_its_own {
                findings.push(limit.finding(format!("the emptyDir may hold {}, not {least} to {SCRATCH_MOST} bytes: it fills the node's disk, or not what is written", limit.value)));
            }
        }
        for claim in object.root().at(&["spec", "volumeClaimTemplates"]).items() {
            let (modes, size) =
                (claim.at(&["spec", "accessModes"]), claim.at(&["spec", "resources", "requests", "storage"]));
            let mut all = modes.items();
            if !(all.next().is_some_and(|mode| mode.text() == "ReadWriteOnce") && all.next().is_none()) {
                findings
                    .push(modes.finding("accessModes is not ReadWriteOnce: Kind's provisioner and EBS know no other"));
            }
            if !bytes(size.text()).is_some_and(|size| CLAIM.contains(&size)) {
                findings.push(size.finding(format!(
                    "the claim is for {}, not 1Gi to 8Gi: too little for a database, or more than a laptop has",
                    size.value
                )));
            }
        }
    }
    findings
}

/// Rule: a container has a writable volume wherever the contract says that it writes, and its configuration file where it
/// reads it.
pub fn promised(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (object, pod) in rendered.objects.iter().filter_map(|object| Some((object, pod(object)?))) {
        let Some(promise) = promise(&pod) else { continue };
        let volumes = volumes(object, &pod);
        let volume =
            |mount: &Node<'_>| volumes.iter().find(|volume| name_of(volume).text() == mount.get("name").text());
        for container in all_containers(&pod) {
            let name = container.get("name");
            let Some(asked) = promise.containers.iter().find(|one| one.name == name.text()) else {
                findings.push(
                    name.finding(format!(
                        "the contract knows no container {} of {}",
                        name.value, promise.component.label
                    )),
                );
                continue;
            };
            let mounted =
                |path: &str| container.get("volumeMounts").items().find(|mount| mount.get("mountPath").text() == path);
            for path in asked.writes {
                let holds = mounted(path).is_some_and(|mount| {
                    let kind = volume(&mount)
                        .is_some_and(|volume| volume.get("emptyDir").is_set() || volume.get("metadata").is_set());
                    kind && mount.get("readOnly").value != true && !mount.get("subPath").is_set()
                });
                if !holds {
                    findings.push(
                        container
                            .get("volumeMounts")
                            .finding(format!("{} writes to {path}, and no writable volume is there", asked.name)),
                    );
                }
            }
            if let Some(path) = asked.configuration {
                let file = path.rsplit('/').next().unwrap_or_default();
                let is_map = mounted(path).is_some_and(|mount| {
                    let map = volume(&mount).is_some_and(|volume| volume.at(&["configMap", "name"]).is_set());
                    map && mount.get("subPath").text() == file
                });
                if !is_map {
                    findings.push(
                        container
                            .get("volumeMounts")
                            .finding(format!("{} reads {path}, and no file of a ConfigMap is there", asked.name)),
                    );
                }
            }
            for mount in container.get("volumeMounts").items() {
                let path = mount.get("mountPath");
                let given = volume(&mount).is_some_and(|volume| !volume.get("emptyDir").is_set());
                if !given && !asked.writes.contains(&path.text()) {
                    findings.push(path.finding(format!("{} writes nothing to {}", asked.name, path.value)));
                }
            }
        }
        for asked in promise.containers {
            if !all_containers(&pod).any(|container| container.get("name").text() == asked.name) {
                findings.push(
                    pod.get("spec").finding(format!("{} has no container {}", promise.component.label, asked.name)),
                );
            }
        }
    }
    findings
}
