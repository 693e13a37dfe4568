//! The differences between two sets of Kubernetes objects: stages local and ci must be the same deployment.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// The fields that an API server assigns to each object: identity, times, versions, addresses, status.
const ASSIGNED: [&str; 9] = [
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/managedFields",
    "/metadata/annotations/deployment.kubernetes.io~1revision",
    "/spec/clusterIP",
    "/spec/clusterIPs",
    "/status",
];
/// The label that Skaffold adds to what it renders, and Helm does not.
pub const RUN_ID: &str = "skaffold.dev/run-id";

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object's kind and name.
    pub object: String,
    /// The field's path in the object, such as `spec.replicas`; empty when one side lacks the object.
    pub path: String,
    /// The value on the left side; `None` when absent.
    pub left: Option<Value>,
    /// The value on the right side; `None` when absent.
    pub right: Option<Value>,
}

impl Difference {
    /// Whether both sides are images by digest, the one difference that two artifact sets may make.
    pub fn is_image_reference(&self) -> bool {
        let reference = |value: &Option<Value>| {
            let text = value.as_ref().and_then(Value::as_str);
            text.and_then(|text| text.split_once("@sha256:"))
                .is_some_and(|(name, hex)| !name.is_empty() && hex.len() == 64)
        };
        self.path.ends_with(".image") && reference(&self.left) && reference(&self.right)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            let side = if self.left.is_some() { "first" } else { "second" };
            return write!(f, "{}: only in the {side}", self.object);
        }
        let word = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{}: {}: {} is not {}", self.object, self.path, word(&self.left), word(&self.right))
    }
}

/// The fields in which two sets of objects differ; lists are compared by index.
pub fn differences(left: &[Value], right: &[Value]) -> Vec<Difference> {
    let (left, right) = (by_name(left), by_name(right));
    let mut found = Vec::new();
    for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
        let mut at = |path: &str, left: Option<&Value>, right: Option<&Value>| {
            found.push(Difference {
                object: name.clone(),
                path: path.to_owned(),
                left: left.cloned(),
                right: right.cloned(),
            });
        };
        match (left.get(name), right.get(name)) {
            (Some(left), Some(right)) => compare("", left, right, &mut at),
            // The objects themselves would be too long to show.
            (Some(_), None) => at("", Some(&Value::from("there")), None),
            _ => at("", None, Some(&Value::from("there"))),
        }
    }
    found
}

/// The text `Kind name`, or `Kind namespace/name` where the object names its namespace.
pub fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{} {namespace}/{}", text(&object["kind"]), text(&object["metadata"]["name"])),
        None => format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"])),
    }
}

fn by_name(objects: &[Value]) -> BTreeMap<String, &Value> {
    objects.iter().map(|object| (title(object), object)).collect()
}

fn compare(path: &str, left: &Value, right: &Value, at: &mut impl FnMut(&str, Option<&Value>, Option<&Value>)) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (left.get(key), right.get(key)) {
                    (Some(left), Some(right)) => compare(&path, left, right, at),
                    (left, right) => at(&path, left, right),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let path = format!("{path}[{index}]");
                match (left.get(index), right.get(index)) {
                    (Some(left), Some(right)) => compare(&path, left, right, at),
                    (left, right) => at(&path, left, right),
                }
            }
        }
        (left, right) if left == right => {}
        (left, right) => at(path, Some(left), Some(right)),
    }
}

/// The object without the label that Skaffold adds to it and to its pods.
#[must_use]
pub fn without_run_id(mut object: Value) -> Value {
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(labels) = object.pointer_mut(labels).and_then(Value::as_object_mut) {
            labels.remove(RUN_ID);
        }
    }
    object
}

/// A live object without the fields that its API server assigns; the `None` of a headless Service's address stays.
#[must_use]
pub fn without_assigned(mut live: Value) -> Value {
    let headless = live["spec"]["clusterIP"] == "None";
    for path in ASSIGNED.iter().filter(|path| !(headless && path.starts_with("/spec/clusterIP"))) {
        let (parent, key) = path.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(fields)) = live.pointer_mut(parent) {
            fields.remove(&key.replace("~1", "/"));
        }
    }
    live
}

/// The fields of a live object that its manifest has too: the others are the API server's defaults and notes.
#[must_use]
pub fn as_declared(live: &Value, manifest: &Value) -> Value {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => manifest
            .iter()
            .filter_map(|(key, declared)| Some((key.clone(), as_declared(live.get(key)?, declared))))
            .collect(),
        (Value::Array(live), Value::Array(manifest)) if live.len() == manifest.len() => {
            live.iter().zip(manifest).map(|(live, manifest)| as_declared(live, manifest)).collect()
        }
        (live, _) => live.clone(),
    }
}

/// The number of an object's fields that hold no others.
pub fn fields(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(fields).sum(),
        Value::Array(list) => list.iter().map(fields).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: u32, image: &str) -> Value {
        json!({
            "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "api", "image": image}]}}},
        })
    }

    fn digest(sign: char) -> String {
        format!("r.example/api@sha256:{}", sign.to_string().repeat(64))
    }

    #[test]
    fn a_difference_names_object_path_and_both_values() {
        let found = differences(&[deployment(1, "a")], &[deployment(2, "a")]);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Deployment api: spec.replicas: 1 is not 2"]
        );
    }

    #[test]
    fn an_object_and_a_field_that_one_side_lacks_are_differences() {
        let mut more = deployment(1, "a");
        more["spec"]["paused"] = true.into();
        let found =
            differences(&[deployment(1, "a")], &[more, json!({"kind": "Service", "metadata": {"name": "api"}})]);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["Deployment api: spec.paused: nothing is not true", "Service api: only in the second"]);
    }

    #[test]
    fn only_a_digest_in_the_place_of_a_digest_is_an_image_reference() {
        let of = |left: &str, right: &str| {
            let found = differences(&[deployment(1, left)], &[deployment(1, right)]);
            (found[0].path.clone(), found[0].is_image_reference())
        };
        let path = "spec.template.spec.containers[0].image".to_owned();
        assert_eq!(of(&digest('a'), &digest('b')), (path.clone(), true));
        assert_eq!(of(&digest('a'), "r.example/api:latest"), (path, false));
    }

    #[test]
    fn defaults_of_the_api_server_are_no_difference_and_drift_is() {
        let manifest = deployment(1, "a");
        let mut live = manifest.clone();
        live["spec"]["progressDeadlineSeconds"] = 600.into();
        live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
        live["status"] = json!({"replicas": 1});
        assert_eq!(as_declared(&live, &manifest), manifest);
        live["spec"]["replicas"] = 3.into();
        assert_eq!(differences(&[as_declared(&live, &manifest)], &[manifest])[0].path, "spec.replicas");
    }

    #[test]
    fn what_each_cluster_assigns_is_left_out_and_nothing_else() {
        let service = |uid: &str, address: &str| {
            json!({
                "kind": "Service", "metadata": {"name": "api", "uid": uid, "annotations": {"a": "b"}},
                "spec": {"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP"}, "status": {"loadBalancer": {}},
            })
        };
        let [left, right] = [("1", "10.0.0.1"), ("2", "10.0.0.2")].map(|(uid, at)| without_assigned(service(uid, at)));
        assert_eq!(left, right);
        assert_eq!(left["spec"], json!({"type": "ClusterIP"}));
        assert_eq!(left["metadata"], json!({"name": "api", "annotations": {"a": "b"}}));
        assert_eq!(without_assigned(service("1", "None"))["spec"]["clusterIP"], "None");
        let mut restarted = deployment(1, "a");
        restarted["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "3"});
        restarted["spec"]["template"]["metadata"] =
            json!({"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}});
        let found = differences(&[deployment(1, "a")], &[without_assigned(restarted)]);
        assert_eq!(
            found.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(),
            ["metadata.annotations", "spec.template.metadata"]
        );
    }

    #[test]
    fn skaffolds_label_is_left_out_and_no_other() {
        let mut labelled = deployment(1, "a");
        labelled["metadata"]["labels"] = json!({RUN_ID: "x", "a": "b"});
        assert_eq!(without_run_id(labelled)["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(fields(&deployment(1, "a")), 5);
    }
}
