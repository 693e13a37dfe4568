//! Reads a stack from its repository: from skaffold.yaml, the rendered chart and Dockerfiles. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use harness::spec::variable::in_a_variable;
use serde_json::Value;

/// The parts of a spec that can be read from a repository.
#[derive(Debug, PartialEq, Eq)]
pub struct StackFound {
    /// The Helm release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The folder of charts (`.` for the repository's own), and the name of the chart's folder in it.
    pub chart: (String, String),
    /// The values file of stages local and ci, relative to the chart's folder; default: `values.yaml`.
    pub values: String,
    /// The paths of the values that name an image, with `{image}` for its name: one value, or repository and digest.
    pub image: Vec<String>,
    /// The images that Skaffold builds.
    pub built: Vec<BuiltFound>,
    /// The keys of two labels: the one whose value is the release's name, and the one whose value differs between workloads.
    pub labels: (String, String),
    /// The Deployments and StatefulSets that the chart renders.
    pub workloads: Vec<WorkloadFound>,
}

/// An image that Skaffold builds.
#[derive(Debug, PartialEq, Eq)]
pub struct BuiltFound {
    /// The image's name in skaffold.yaml.
    pub name: String,
    /// The folder of its build context, relative to the repository; default: `.`.
    pub context: String,
}

/// A Deployment or a StatefulSet.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkloadFound {
    /// The workload's name without its beginning `<release>-`.
    pub suffix: String,
    /// The value of the pods' label that differs between workloads.
    pub label: String,
    /// Whether the workload is a StatefulSet.
    pub stateful: bool,
    /// The first port of its first container (0 if it declares none), and the first port of the Service of the same name
    /// (without one, the container's).
    pub ports: (u16, u16),
    /// The name of the image that it runs, if Skaffold builds that image.
    pub artifact: Option<String>,
}

/// The reason why a repository cannot be read as a stack.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The problem, and where it is.
    pub what: String,
    /// The change that repairs it.
    pub next: String,
}

/// The release and the images of a skaffold.yaml.
#[derive(Debug, PartialEq, Eq)]
pub struct SkaffoldFound {
    /// The Helm release's name.
    pub release: String,
    /// The release's namespace; default: the release's name.
    pub namespace: String,
    /// The chart's folder (`chartPath`).
    pub chart: String,
    /// The values files; of a value that several set, the last file's counts.
    pub values: Vec<String>,
    /// `setValueTemplates`: the paths of values, each with its template.
    pub set: BTreeMap<String, String>,
    /// The images of `build.artifacts`.
    pub built: Vec<BuiltFound>,
    /// Whether it has both profiles that stages local and ci deploy by, `local` and `ci`.
    pub has_profiles: bool,
}

/// Placeholders for an image's repository and digest, by which the rendered chart shows which workloads run the image.
pub fn stand_in(image: &str) -> (String, String) {
    (format!("init.invalid/{image}"), format!("sha256:{}", "0".repeat(64)))
}

fn missing(what: impl Into<String>, next: impl Into<String>) -> Unreadable {
    Unreadable { what: what.into(), next: next.into() }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The variables by which Skaffold's templates name an image's repository and digest.
pub fn variables(image: &str) -> (String, String) {
    let name = in_a_variable(image);
    (format!("IMAGE_REPO_{name}"), format!("IMAGE_DIGEST_{name}"))
}

/// Reads skaffold.yaml: the release of the profile local, else of the file itself.
///
/// # Errors
/// There is no Helm release, or no image to build.
pub fn skaffold(file: &Value) -> Result<SkaffoldFound, Unreadable> {
    let profile = |name: &str| list(&file["profiles"]).find(|profile| profile["name"] == name);
    let own = &file["deploy"]["helm"]["releases"][0];
    let release = profile("local").map_or(own, |local| &local["deploy"]["helm"]["releases"][0]);
    if release.is_null() {
        return Err(missing(
            "skaffold.yaml deploys no Helm release",
            "add deploy.helm.releases, or a profile `local` that has it",
        ));
    }
    let built: Vec<BuiltFound> = list(&file["build"]["artifacts"])
        .map(|artifact| BuiltFound {
            name: text(&artifact["image"]),
            context: artifact["context"].as_str().unwrap_or(".").to_owned(),
        })
        .collect();
    if built.is_empty() {
        return Err(missing("skaffold.yaml builds no image", "add build.artifacts"));
    }
    let set = release["setValueTemplates"].as_object().into_iter().flatten();
    let name = text(&release["name"]);
    Ok(SkaffoldFound {
        namespace: release["namespace"].as_str().unwrap_or(&name).to_owned(),
        chart: text(&release["chartPath"]),
        values: list(&release["valuesFiles"]).map(text).collect(),
        set: set.map(|(key, value)| (key.clone(), text(value))).collect(),
        has_profiles: ["local", "ci"].iter().all(|name| profile(name).is_some()),
        release: name,
        built,
    })
}

/// The values that name an image: those whose template is its repository, its digest, or both.
///
/// # Errors
/// An image is not set by digest, or two images' values are not named alike.
pub fn image_values(found: &SkaffoldFound) -> Result<Vec<String>, Unreadable> {
    let mut all: Vec<(&str, Vec<String>)> = Vec::new();
    for BuiltFound { name, .. } in &found.built {
        let (repository, digest) = variables(name);
        let with = |wanted: &[&String], without: &[&String]| {
            let fits = |template: &String| {
                wanted.iter().all(|word| template.contains(*word))
                    && !without.iter().any(|word| template.contains(*word))
            };
            let key = found.set.iter().find(|(_, template)| fits(template)).map(|(key, _)| key);
            key.map(|key| key.replace(name.as_str(), "{image}"))
        };
        let apart = with(&[&repository], &[&digest]).zip(with(&[&digest], &[&repository]));
        let values = with(&[&repository, &digest], &[]).map(|both| vec![both]);
        all.push((name, values.or(apart.map(|(repository, digest)| vec![repository, digest])).unwrap_or_default()));
    }
    let (first, rest) =
        all.split_first().map_or((Vec::new(), [].as_slice()), |((_, values), rest)| (values.clone(), rest));
    let is_one_image = rest.is_empty() || first.iter().all(|value| value.contains("{image}"));
    if !first.is_empty() && is_one_image && rest.iter().all(|(_, values)| *values == first) {
        return Ok(first);
    }
    if let Some((name, values)) =
        rest.iter().find(|(_, values)| !values.is_empty() && !first.is_empty() && *values != first)
    {
        return Err(missing(
            format!(
                "the values of the image {name}, {}, are not named as those of the first, {}",
                values.join(" and "),
                first.join(" and ")
            ),
            "name them alike, with the image's name in each: <image>.image.repository and <image>.image.digest",
        ));
    }
    let without = all.iter().filter(|(_, values)| values.is_empty() || !is_one_image).map(|(name, _)| *name);
    let names: Vec<&str> = without.collect();
    Err(missing(
        format!("skaffold.yaml does not set the digest of {} by a value of its own", names.join(", ")),
        "in setValueTemplates of the release, set values of the chart to '{{.IMAGE_REPO_name}}' and '{{.IMAGE_DIGEST_name}}', or one to \
         '{{.IMAGE_REPO_name}}@{{.IMAGE_DIGEST_name}}'",
    ))
}

/// Combines skaffold.yaml with the objects that its chart renders to.
///
/// # Errors
/// The first requirement of docs/another-stack.md that the chart or skaffold.yaml does not meet.
pub fn found(skaffold: SkaffoldFound, objects: &[Value]) -> Result<StackFound, Unreadable> {
    let image = image_values(&skaffold)?;
    let is_workload = |object: &&Value| matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet"));
    let workloads: Vec<&Value> = objects.iter().filter(is_workload).collect();
    if workloads.is_empty() {
        return Err(missing("the chart renders no Deployment and no StatefulSet", "correct chartPath and valuesFiles"));
    }
    let labels = labels(&skaffold.release, &workloads)?;
    let service =
        |name: &str| objects.iter().find(|object| object["kind"] == "Service" && object["metadata"]["name"] == name);
    let of = |workload: &&Value| {
        let name = text(&workload["metadata"]["name"]);
        let suffix = name.strip_prefix(&format!("{}-", skaffold.release)).ok_or_else(|| {
            missing(
                format!("the workload {name} is not named after the release {}", skaffold.release),
                "name it {{ .Release.Name }}-<component>: two releases of one namespace would be one otherwise",
            )
        })?;
        let image_of = |container: &Value| {
            let runs = text(&container["image"]);
            let repository = runs.split('@').next().unwrap_or_default().to_owned();
            skaffold.built.iter().find(|image| repository == stand_in(&image.name).0)
        };
        // A container of an image that is built here, before a proxy that stands first.
        let containers = workload["spec"]["template"]["spec"]["containers"].as_array().map(Vec::as_slice);
        let containers = containers.unwrap_or_default();
        let container = containers.iter().find(|container| image_of(container).is_some()).or(containers.first());
        let container = container.unwrap_or(&Value::Null);
        let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
        let of_service = |field: &str| service(&name).and_then(|service| port(&service["spec"]["ports"][0][field]));
        // A container need not declare its port; its Service leads there.
        let declared = port(&container["ports"][0]["containerPort"]).or_else(|| of_service("targetPort"));
        let own = declared.or_else(|| of_service("port")).unwrap_or_default();
        let served = of_service("port").unwrap_or(own);
        let artifact = image_of(container);
        Ok(WorkloadFound {
            suffix: suffix.to_owned(),
            label: text(&workload["spec"]["template"]["metadata"]["labels"][&labels.1]),
            stateful: workload["kind"] == "StatefulSet",
            ports: (own, served),
            artifact: artifact.map(|image| image.name.clone()),
        })
    };
    let workloads = workloads.iter().map(of).collect::<Result<Vec<_>, Unreadable>>()?;
    let (folder, umbrella) = skaffold.chart.rsplit_once('/').unwrap_or((".", &skaffold.chart));
    let below = format!("{}/", skaffold.chart);
    let values = match skaffold.values.as_slice() {
        [] => "values.yaml",
        [one] => one.strip_prefix(&below).ok_or_else(|| {
            missing(
                format!("the values file {one} is not in the chart's folder"),
                format!("move it to {}", skaffold.chart),
            )
        })?,
        many => {
            return Err(missing(
                format!("the release takes {} values files: {}", many.len(), many.join(", ")),
                "merge them into one: a stage has one file, beside the chart's own",
            ));
        }
    };
    Ok(StackFound {
        chart: (folder.to_owned(), umbrella.to_owned()),
        values: values.to_owned(),
        release: skaffold.release,
        namespace: skaffold.namespace,
        built: skaffold.built,
        image,
        labels,
        workloads,
    })
}

/// The keys of two labels: the one that all workloads and their pods have, with the release's name as its value, and the pods'
/// label whose value differs between all workloads.
fn labels(release: &str, workloads: &[&Value]) -> Result<(String, String), Unreadable> {
    let of = |value: &Value| -> BTreeMap<String, String> {
        value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let pods: Vec<_> = workloads.iter().map(|it| of(&it["spec"]["template"]["metadata"]["labels"])).collect();
    let both: Vec<_> = workloads.iter().map(|it| of(&it["metadata"]["labels"])).chain(pods.iter().cloned()).collect();
    let names: BTreeSet<&String> = both.iter().flat_map(BTreeMap::keys).collect();
    let everywhere =
        |name: &&&String| both.iter().all(|labels| labels.get(**name).is_some_and(|value| value == release));
    let distinct = |name: &&&String| {
        let values: BTreeSet<_> = pods.iter().filter_map(|labels| labels.get(**name)).collect();
        values.len() == workloads.len()
    };
    // Kubernetes' recommended label, where several fit.
    let best = |found: Vec<&&String>, first: &str| {
        found.iter().find(|name| name.as_str() == first).or(found.first()).map(|name| (***name).clone())
    };
    let of_release = best(names.iter().filter(everywhere).collect(), "app.kubernetes.io/instance");
    let of_component = best(names.iter().filter(distinct).collect(), "app.kubernetes.io/component");
    let of_release = of_release.ok_or_else(|| {
        missing(
            format!("no label of all workloads and their pods has the release's name {release} for its value"),
            "add app.kubernetes.io/instance: {{ .Release.Name }} to the labels of workloads, pods and Services",
        )
    })?;
    let of_component = of_component.ok_or_else(|| {
        missing(
            "no label of the pods tells the workloads apart",
            "add app.kubernetes.io/component with another value to the pods of each workload",
        )
    })?;
    Ok((of_release, of_component))
}

/// The build argument that names the base image of a Dockerfile's last stage, and the argument's default; `None` where no
/// argument names it.
pub fn base_of(dockerfile: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = dockerfile.lines().map(str::trim).collect();
    let from = lines.iter().rev().find_map(|line| line.strip_prefix("FROM "))?;
    let argument = from.split_whitespace().next()?.strip_prefix("${")?.strip_suffix('}')?;
    let default = lines.iter().find_map(|line| line.strip_prefix("ARG ")?.strip_prefix(argument)?.strip_prefix('='))?;
    Some((argument.to_owned(), default.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn skaffold_file() -> Value {
        json!({
            "build": {"artifacts": [{"image": "notes", "context": "app"}]},
            "profiles": [
                {"name": "local", "deploy": {"helm": {"releases": [{
                    "name": "shop", "namespace": "shop", "chartPath": "deploy/notes",
                    "valuesFiles": ["deploy/notes/values.local.yaml"],
                    "setValueTemplates": {"image": "{{.IMAGE_REPO_notes}}@{{.IMAGE_DIGEST_notes}}"},
                }]}}},
                {"name": "ci"},
            ],
        })
    }

    fn workload(kind: &str, name: &str, role: &str, image: &str) -> Value {
        let labels = json!({"app": "shop", "role": role});
        json!({"kind": kind, "metadata": {"name": name, "labels": labels}, "spec": {"template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"image": image, "ports": [{"containerPort": 8000}]}]},
        }}})
    }

    #[test]
    fn a_chart_says_its_workloads_labels_and_images() {
        let (repository, digest) = stand_in("notes");
        let objects = [
            workload("Deployment", "shop-web", "web", &format!("{repository}@{digest}")),
            workload("StatefulSet", "shop-store", "store", "redis:8"),
            json!({"kind": "Service", "metadata": {"name": "shop-web"}, "spec": {"ports": [{"port": 80}]}}),
        ];
        let found = found(skaffold(&skaffold_file()).unwrap(), &objects).unwrap();
        assert_eq!(found.labels, ("app".to_owned(), "role".to_owned()));
        assert_eq!((found.image, found.values.as_str()), (vec!["image".to_owned()], "values.local.yaml"));
        assert_eq!(found.chart, ("deploy".to_owned(), "notes".to_owned()));
        let web = &found.workloads[0];
        assert_eq!((web.suffix.as_str(), web.ports, web.artifact.as_deref()), ("web", (8000, 80), Some("notes")));
        let store = &found.workloads[1];
        assert_eq!((store.stateful, store.ports, store.artifact.as_deref()), (true, (8000, 8000), None));
    }

    #[test]
    fn values_of_several_images_are_named_alike() {
        let of = |set: Value| {
            let mut file = skaffold_file();
            file["build"]["artifacts"] = json!([{"image": "shop-api"}, {"image": "shop-web"}]);
            file["profiles"][0]["deploy"]["helm"]["releases"][0]["setValueTemplates"] = set;
            image_values(&skaffold(&file).unwrap())
        };
        let both = |name: &str| format!("{{{{ .IMAGE_REPO_{name} }}}}@{{{{ .IMAGE_DIGEST_{name} }}}}");
        let alike = json!({"shop-api.image": both("shop_api"), "shop-web.image": both("shop_web")});
        assert_eq!(of(alike).unwrap(), ["{image}.image"]);
        let apart = json!({"api.image": both("shop_api"), "web.image": both("shop_web")});
        assert!(of(apart).unwrap_err().what.contains("are not named as those of the first"));
        let one = json!({"shop-api.image": both("shop_api")});
        assert!(of(one).unwrap_err().what.contains("does not set the digest of shop-web"));
    }

    #[test]
    fn an_image_may_have_two_values_of_its_own() {
        let mut file = skaffold_file();
        file["profiles"][0]["deploy"]["helm"]["releases"][0]["setValueTemplates"] = json!({
            "notes.image.repository": "{{.IMAGE_REPO_notes}}", "notes.image.digest": "{{.IMAGE_DIGEST_notes}}",
        });
        let values = image_values(&skaffold(&file).unwrap()).unwrap();
        assert_eq!(values, ["{image}.image.repository", "{image}.image.digest"]);
    }

    #[test]
    fn what_is_missing_is_said_with_what_mends_it() {
        let says = |problem: Unreadable, what: &str| assert!(problem.what.contains(what), "{problem:?}");
        says(skaffold(&json!({})).unwrap_err(), "deploys no Helm release");
        let mut file = skaffold_file();
        file["profiles"][0]["deploy"]["helm"]["releases"][0]["setValueTemplates"] = json!({});
        says(image_values(&skaffold(&file).unwrap()).unwrap_err(), "does not set the digest of notes");
        let read = |objects: &[Value]| found(skaffold(&skaffold_file()).unwrap(), objects).unwrap_err();
        says(read(&[]), "no Deployment and no StatefulSet");
        says(read(&[workload("Deployment", "web", "web", "x")]), "not named after the release shop");
        let mut strange = workload("Deployment", "shop-web", "web", "x");
        strange["spec"]["template"]["metadata"]["labels"]["app"] = json!("another");
        says(read(&[strange]), "no label of all workloads");
        let twice = [workload("Deployment", "shop-a", "web", "x"), workload("Deployment", "shop-b", "web", "x")];
        says(read(&twice), "tells the workloads apart");
    }

    #[test]
    fn a_dockerfile_names_its_base() {
        let file = "ARG PYTHON_IMAGE=python:3.13\nFROM ${PYTHON_IMAGE}\nCOPY . .\n";
        assert_eq!(base_of(file), Some(("PYTHON_IMAGE".to_owned(), "python:3.13".to_owned())));
        assert_eq!(base_of("FROM python:3.13\n"), None);
    }
}
