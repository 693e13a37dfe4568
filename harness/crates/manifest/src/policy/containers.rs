//! Rules about containers: images, commands, security contexts.

use super::{all_containers, pods, promise};
use crate::finding::Finding;
use crate::object::{Node, Rendered};
use crate::{ArtifactSet, Reference};

/// Each container of each pod, with its pod.
fn each<'a>(rendered: &'a Rendered) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
    pods(rendered).flat_map(|pod| all_containers(&pod).map(move |container| (pod.clone(), container)))
}

/// Rule: each image has a digest, so that it cannot become another one.
pub fn digest(rendered: &Rendered) -> Vec<Finding> {
    each(rendered)
        .map(|(_, container)| container.get("image"))
        .filter(|image| image.text().parse::<Reference>().is_err())
        .map(|image| image.finding(format!("image {:?} is not named by a digest (repository@sha256:…)", image.text())))
        .collect()
}

/// Rule: a component runs its own artifact in every container. It is judged by the placeholder images, of which it is known
/// which is which.
pub fn own_image(rendered: &Rendered) -> Vec<Finding> {
    let known = ArtifactSet::placeholder();
    let is_placeholder = |image: &str| known.builds.iter().any(|build| build.tag.by_digest() == image);
    each(rendered)
        .filter_map(|(pod, container)| Some((promise(&pod)?.component, container.get("image"))))
        .filter(|(component, image)| {
            let own = known.builds.iter().find(|build| build.image_name == component.artifact);
            is_placeholder(image.text()) && own.is_none_or(|own| own.tag.by_digest() != image.text())
        })
        .map(|(component, image)| {
            image.finding(format!("{} does not run the artifact {}", component.label, component.artifact))
        })
        .collect()
}

/// Rule: no image is `latest`, or has no tag and no digest, which means the same.
pub fn latest(rendered: &Rendered) -> Vec<Finding> {
    let tagged_latest = |image: &str| {
        let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
        let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
        tag.map_or(!digest, |tag| tag == "latest")
    };
    each(rendered)
        .map(|(_, container)| container.get("image"))
        .filter(|image| tagged_latest(image.text()))
        .map(|image| image.finding(format!("image {:?} is whatever is the latest: give it a digest", image.text())))
        .collect()
}

/// Rule: outside stage live a failing container's status quotes its log, for a deploy's first line; in stage live it does
/// not, since those who may read pods need not be allowed to read logs.
pub fn last_words(rendered: &Rendered) -> Vec<Finding> {
    let policies = each(rendered).map(|(_, container)| container.get("terminationMessagePolicy"));
    let quotes = |policy: &Node<'_>| policy.text() == "FallbackToLogsOnError";
    let problem = match rendered.live {
        true => "in stage live a pod's status must not hold its log",
        false => "a failed deploy cannot quote it: set FallbackToLogsOnError",
    };
    policies.filter(|policy| quotes(policy) == rendered.live).map(|policy| policy.finding(problem)).collect()
}

/// Rule: containers fit Pod Security "restricted", and pods have no hostPID, hostIPC or hostPath.
pub fn security_context(rendered: &Rendered) -> Vec<Finding> {
    let containers = each(rendered).flat_map(|(pod, container)| unsafe_settings(&pod, &container));
    let hosts = pods(rendered).flat_map(|pod| {
        let spec = pod.get("spec");
        let shared = ["hostPID", "hostIPC"].into_iter().map(|key| spec.get(key)).filter(|node| node.value == true);
        let paths = spec.get("volumes").items().map(|volume| volume.get("hostPath")).filter(Node::is_set);
        shared.chain(paths).map(|node| node.finding("the pod shares this with its node")).collect::<Vec<_>>()
    });
    containers.chain(hosts).collect()
}

fn unsafe_settings(pod: &Node<'_>, container: &Node<'_>) -> Vec<Finding> {
    let (own, pods) = (container.get("securityContext"), pod.at(&["spec", "securityContext"]));
    // A container's setting overrides its pod's.
    let effective = |keys: &[&'static str]| if own.at(keys).is_set() { own.at(keys) } else { pods.at(keys) };
    let non_root = effective(&["runAsNonRoot"]);
    let seccomp = effective(&["seccompProfile", "type"]);
    let escalation = own.get("allowPrivilegeEscalation");
    let capabilities = own.get("capabilities");
    let drops_all = capabilities.get("drop").items().any(|item| item.text() == "ALL");
    let adds = capabilities.get("add").items().any(|item| item.text() != "NET_BIND_SERVICE");
    let checks = [
        (non_root.value == true, non_root, "runAsNonRoot is not true"),
        (effective(&["runAsUser"]).value != 0, effective(&["runAsUser"]), "runAsUser is 0, which is root"),
        (escalation.value == false, escalation, "allowPrivilegeEscalation is not false"),
        (drops_all, capabilities.get("drop"), "capabilities.drop has no ALL"),
        (!adds, capabilities.get("add"), "capabilities.add gives back what drop takes"),
        (
            matches!(seccomp.text(), "RuntimeDefault" | "Localhost"),
            seccomp,
            "seccompProfile.type is not RuntimeDefault",
        ),
        (own.get("privileged").value != true, own.get("privileged"), "privileged is true"),
    ];
    let name = container.get("name").text();
    let wrong = checks.into_iter().filter(|(holds, ..)| !holds);
    wrong
        .map(|(_, node, what)| match node.path().0.starts_with(&container.path().0) {
            true => node.finding(format!("container {name}: {what}")),
            false => node.finding(what),
        })
        .collect()
}

/// Rule: a container's root file system is read-only, so that it writes into volumes alone.
pub fn read_only_root(rendered: &Rendered) -> Vec<Finding> {
    each(rendered)
        .map(|(_, container)| {
            (container.get("name").text(), container.at(&["securityContext", "readOnlyRootFilesystem"]))
        })
        .filter(|(_, setting)| setting.value != true)
        .map(|(name, setting)| setting.finding(format!("container {name}: readOnlyRootFilesystem is not true")))
        .collect()
}

/// Rule: a container runs its image's own command, so that the tested image is what is deployed.
pub fn command(rendered: &Rendered) -> Vec<Finding> {
    each(rendered)
        .flat_map(|(_, container)| {
            let name = container.get("name").text();
            let set = ["command", "args"].into_iter().map(move |key| container.get(key)).filter(Node::is_set);
            set.map(move |node| node.finding(format!("container {name} does not run its image's own command")))
        })
        .collect()
}
