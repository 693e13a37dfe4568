//! The rule about labels: objects of one chart, release and component can be found together (kubernetes.io, "Recommended
//! Labels").

use harness_settings::spec::spec;
use std::collections::BTreeSet;

use super::selectors::selected;
use super::{NAME, pod};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const PART_OF: &str = "app.kubernetes.io/part-of";
/// Labels that change with a chart's version: on a pod they would restart everything at each release.
const OF_A_VERSION: [&str; 2] = ["helm.sh/chart", "app.kubernetes.io/version"];

/// Rule: each object has the labels of its chart, release and component; a pod's and a volume claim's have these and no
/// version.
pub fn recommended(rendered: &Rendered) -> Vec<Finding> {
    let part_of = rendered.objects.iter().map(|object| labels(&object.root()).get(PART_OF).text()).next();
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let root = object.root();
        let own = labels(&root);
        let chart = chart_of(object);
        let mut expect = |at: &Node<'_>, key: &str, wanted: &str| {
            let label = at.get(key);
            if label.text() != wanted || wanted.is_empty() {
                findings.push(label.finding(format!("the label {key} is {}, and it is of {wanted:?}", label.value)));
            }
        };
        expect(&own, NAME, chart);
        expect(&own, spec().charts.release_label, &rendered.release);
        expect(&own, MANAGED_BY, "Helm");
        expect(&own, PART_OF, part_of.unwrap_or_default());
        // An object of no component, or of several, names its purpose in this label.
        let component = own.get(spec().charts.component_label).text();
        let components = components(object, rendered);
        expect(
            &own,
            spec().charts.component_label,
            if components.len() == 1 { components.first().copied().unwrap_or_default() } else { component },
        );
        if let Some(pod) = pod(object) {
            let of_pod = labels(&pod);
            for key in [NAME, spec().charts.release_label, spec().charts.component_label, MANAGED_BY, PART_OF] {
                expect(&of_pod, key, own.get(key).text());
            }
        }
        let claims = root.at(&["spec", "volumeClaimTemplates"]).items();
        for claim in claims.map(|claim| labels(&claim)) {
            for key in [NAME, spec().charts.release_label, spec().charts.component_label] {
                expect(&claim, key, own.get(key).text());
            }
        }
        findings.extend(versions(object, chart));
    }
    findings
}

/// The findings about version labels: the chart's version is on the object, and not on its pods and claims.
fn versions(object: &Object, chart: &str) -> Vec<Finding> {
    let root = object.root();
    let label = labels(&root).get("helm.sh/chart");
    let version = label.text().strip_prefix(chart).and_then(|rest| rest.strip_prefix('-'));
    let number = |part: &str| {
        part == "0" || (!part.is_empty() && !part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let known = version.is_some_and(|version| version.split('.').count() == 3 && version.split('.').all(number));
    let unknown = (!known).then(|| label.finding(format!("helm.sh/chart is not {chart}-<version>")));
    let claims = root.at(&["spec", "volumeClaimTemplates"]).items();
    let lasting = pod(object).into_iter().chain(claims).map(|lasting| labels(&lasting));
    let told = lasting.flat_map(|of| {
        let set = OF_A_VERSION.into_iter().map(move |key| of.get(key)).filter(Node::is_set);
        set.map(|label| label.finding("it changes with the chart's version, and every release then restarts the pods"))
    });
    unknown.into_iter().chain(told).collect()
}

fn labels<'a>(of: &Node<'a>) -> Node<'a> {
    of.at(&["metadata", "labels"])
}

/// The chart of an object's template: `app/charts/backend/templates/api.yaml` is of `backend`.
fn chart_of(object: &Object) -> &str {
    let folder = object.template.split("/templates/").next().unwrap_or_default();
    folder.rsplit('/').next().unwrap_or_default()
}

/// The components of the object's own chart whose pods the object is about.
fn components<'a>(object: &'a Object, rendered: &'a Rendered) -> BTreeSet<&'a str> {
    let root = object.root();
    let body = root.get("spec");
    let uses = |keys: &'static [&'static str]| {
        let of = rendered
            .objects
            .iter()
            .filter(move |workload| pod(workload).is_some_and(|pod| names(&pod, keys, object.name())));
        of.collect::<Vec<_>>()
    };
    let about = match object.kind() {
        "Service" | "PodDisruptionBudget" => selected(&body.get("selector"), rendered),
        "NetworkPolicy" => selected(&body.get("podSelector"), rendered),
        "ServiceAccount" => uses(&["spec", "serviceAccountName"]),
        "ConfigMap" => uses(&["configMap", "name"]),
        _ => pod(object).map(|_| object).into_iter().collect(),
    };
    // Objects about another chart's pods do not take that chart's label.
    let own = about.into_iter().filter(|workload| chart_of(workload) == chart_of(object)).filter_map(pod);
    own.map(|pod| labels(&pod).get(spec().charts.component_label).text()).collect()
}

/// Whether a pod names an object, in its own fields or in those of a volume.
fn names(pod: &Node<'_>, keys: &[&str], name: &str) -> bool {
    let volumes = pod.at(&["spec", "volumes"]).items();
    std::iter::once(pod.clone()).chain(volumes).any(|node| node.at(keys).text() == name)
}
