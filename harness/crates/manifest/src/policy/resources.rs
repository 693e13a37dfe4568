//! Rules about resources: the scheduler knows what each container needs, and a laptop can hold a release.

use super::{all_containers, pods};
use crate::finding::Finding;
use crate::object::{Node, Rendered};

/// The most that a memory limit may be of its request: beyond, a node that looks half empty kills pods.
const OVERCOMMIT: u64 = 12;
/// The least CPU request, in thousandths of a processor: below, busy neighbours starve the pod.
const LEAST_CPU: u64 = 5;
/// The most that a release of a laptop's stages may request, in thousandths of a processor: four fit on a node of two, of
/// which Kubernetes' own pods take one.
const RELEASE_CPU: u64 = 250;
/// The most memory that it may request, in bytes: four fit on a node of 4 GiB.
const RELEASE_MEMORY: u64 = 1 << 30;

/// Rule: each container requests CPU and memory and has a memory limit, so that no leak takes the node.
pub fn present(rendered: &Rendered) -> Vec<Finding> {
    const NEEDED: [[&str; 2]; 3] = [["requests", "cpu"], ["requests", "memory"], ["limits", "memory"]];
    containers(rendered)
        .flat_map(|container| {
            let name = container.get("name").text();
            let resources = container.get("resources");
            let absent = NEEDED.into_iter().filter(move |keys| !resources.at(keys).is_set());
            absent.map(move |[list, what]| {
                container.at(&["resources", list]).finding(format!("container {name} has no resources.{list}.{what}"))
            })
        })
        .collect()
}

/// Rule: a CPU request is not below the least, and limits are neither below their requests nor far above them.
pub fn proportion(rendered: &Rendered) -> Vec<Finding> {
    containers(rendered)
        .flat_map(|container| {
            let resources = container.get("resources");
            let of = |list: &'static str, what: &'static str| resources.at(&[list, what]);
            let mut findings = Vec::new();
            let (request, limit) = (of("requests", "memory"), of("limits", "memory"));
            if let (Some(asked), Some(most)) = (bytes(request.text()), bytes(limit.text()))
                && !(asked..=asked * OVERCOMMIT).contains(&most)
            {
                let what = format!("the limit is {most} bytes and the request {asked}: below it, or more than {OVERCOMMIT} times as much");
                findings.push(limit.finding(what));
            }
            let (request, limit) = (of("requests", "cpu"), of("limits", "cpu"));
            let asked = millis(&request);
            if asked.is_some_and(|asked| asked < LEAST_CPU) {
                findings.push(request.finding(format!("less than {LEAST_CPU}m of a CPU: a busy neighbour starves it")));
            }
            // At least 100m and at most 50 times the request: a start takes much, waiting nothing.
            if let (Some(asked), Some(most)) = (asked, millis(&limit))
                && !(asked.max(100)..=asked * 50).contains(&most)
            {
                findings.push(limit.finding(format!("the limit is {most}m of a CPU and the request {asked}m: a start takes minutes, or it is no limit")));
            }
            findings
        })
        .collect()
}

/// Rule: a release of a laptop's stages fits beside three more.
pub fn fit(rendered: &Rendered) -> Vec<Finding> {
    if rendered.live {
        return Vec::new();
    }
    let mut sum = (0, 0);
    let mut most: Option<(u64, Node<'_>)> = None;
    for object in &rendered.objects {
        let replicas = object.root().at(&["spec", "replicas"]).value.as_u64().unwrap_or(1);
        for container in
            super::pod(object).into_iter().flat_map(|pod| pod.at(&["spec", "containers"]).items().collect::<Vec<_>>())
        {
            let requests = container.at(&["resources", "requests"]);
            let (cpu, memory) = (
                millis(&requests.get("cpu")).unwrap_or(0) * replicas,
                bytes(requests.get("memory").text()).unwrap_or(0) * replicas,
            );
            sum = (sum.0 + cpu, sum.1 + memory);
            if most.as_ref().is_none_or(|(before, _)| cpu > *before) {
                most = Some((cpu, requests));
            }
        }
    }
    let fits = sum.0 <= RELEASE_CPU && sum.1 <= RELEASE_MEMORY;
    let what = format!(
        "the release asks for {}m of a CPU and {} bytes: above {RELEASE_CPU}m or {RELEASE_MEMORY}, four of them do not fit on a laptop",
        sum.0, sum.1
    );
    most.filter(|_| !fits).map(|(_, node)| node.finding(what)).into_iter().collect()
}

fn containers<'a>(rendered: &'a Rendered) -> impl Iterator<Item = Node<'a>> {
    pods(rendered).flat_map(|pod| all_containers(&pod))
}

/// A quantity of memory or disk in bytes: a whole number with no unit, `Ki`, `Mi` or `Gi`; `None` for other forms.
pub fn bytes(text: &str) -> Option<u64> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..unit].parse().ok()?;
    let shift = match &text[unit..] {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        _ => return None,
    };
    Some(number << shift)
}

/// A CPU quantity in thousandths of a processor.
fn millis(node: &Node<'_>) -> Option<u64> {
    harness_kube::quantity::millis(node.text()).or_else(|| node.value.as_u64()?.checked_mul(1000))
}
