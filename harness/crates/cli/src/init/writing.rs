//! The texts of the files that init writes. No I/O, except to find the harness's checkout.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use harness::{Error, Result};

use super::reading::{BuiltFound, StackFound, WorkloadFound};

/// The base image of an image that is built here.
#[derive(Debug, PartialEq, Eq)]
pub struct Base {
    /// The name of the build argument that the Dockerfile takes it by.
    pub argument: String,
    /// The name of its recipe in kind/base-images.
    pub recipe: String,
    /// The reference of the official image, as the Dockerfile has it.
    pub official: String,
}

/// The dependency on the harness, which is not published.
#[derive(Debug)]
pub enum Pin {
    /// By path: the harness's checkout, relative to the repository.
    Path(String),
    /// By git.
    Git {
        /// The URL of the harness's repository.
        url: String,
        /// The git revision (`rev`).
        revision: String,
    },
}

/// The arguments of [`files`].
#[derive(Debug)]
pub struct InitRequest<'a> {
    /// The stack, as it was read from the repository.
    pub found: &'a StackFound,
    /// The base image of each image in `found.built`, in that order; `None` where the Dockerfile alone names it.
    pub bases: Vec<Option<Base>>,
    /// The dependency on the harness.
    pub pin: &'a Pin,
}

impl Pin {
    /// The dependency on the checkout that this program was compiled from, by its path relative to `root`.
    ///
    /// # Errors
    /// [`harness::Error::Base`] when that checkout or `root` does not exist.
    pub fn path(root: &Path) -> Result<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let own = own.canonicalize().map_err(Error::io("find the harness that this command was compiled from"))?;
        let root = root.canonicalize().map_err(Error::io(format!("find {}", root.display())))?;
        Ok(Self::Path(relative(&root, &own)))
    }

    /// The folder of the recipes, for a repository at `root`.
    pub fn recipes_from(&self, root: &Path) -> PathBuf {
        root.join(self.recipes())
    }

    fn recipes(&self) -> String {
        match self {
            Self::Path(path) => format!("{path}/kind"),
            Self::Git { .. } => "kind".to_owned(),
        }
    }

    fn dependency(&self, folder: &str) -> String {
        match self {
            Self::Path(path) => format!("{{ path = \"{path}/{folder}\" }}"),
            Self::Git { url, revision } => format!("{{ git = \"{url}\", rev = \"{revision}\" }}"),
        }
    }

    /// The dependency as text for people.
    pub fn said(&self) -> String {
        match self {
            Self::Path(path) => format!("by path, from {path}"),
            Self::Git { url, revision } => format!("by git, {revision} of {url}"),
        }
    }
}

/// The relative path from one folder to another; both are absolute.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(one, two)| one == two).count();
    let up = from.iter().skip(shared).map(|_| "..".to_owned());
    let down = to.iter().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// The files to write: each path in the repository, with its text.
pub fn files(wanted: &InitRequest<'_>) -> Vec<(&'static str, String)> {
    let InitRequest { found, pin, .. } = wanted;
    let front = constant(&front(found).suffix);
    let filled = |text: &str| {
        text.replace("@HARNESS@", &pin.dependency("harness"))
            .replace("@HARNESS_CLI@", &pin.dependency("harness/crates/cli"))
            .replace("@FRONT@", &front)
    };
    let mut files = vec![
        ("Cargo.toml", filled(include_str!("../../templates/workspace.toml"))),
        (".cargo/config.toml", filled(include_str!("../../templates/cargo-config.toml"))),
        (".config/nextest.toml", filled(include_str!("../../templates/nextest.toml"))),
        ("stack/Cargo.toml", filled(include_str!("../../templates/stack.toml"))),
        ("stack/src/lib.rs", spec(wanted)),
        ("cli/Cargo.toml", filled(include_str!("../../templates/cli.toml"))),
        ("cli/src/main.rs", filled(include_str!("../../templates/cli.rs"))),
        ("e2e/Cargo.toml", filled(include_str!("../../templates/e2e.toml"))),
        ("e2e/src/lib.rs", filled(include_str!("../../templates/nothing.rs"))),
        ("e2e/tests/e2e/main.rs", filled(include_str!("../../templates/suite.rs"))),
        ("e2e/tests/e2e/release.rs", filled(include_str!("../../templates/release.rs"))),
    ];
    if matches!(pin, Pin::Git { .. }) {
        // With a dependency by path, another machine could not build the workspace.
        files.push((".github/workflows/stack.yaml", filled(include_str!("../../templates/workflow.yaml"))));
        files.push(("kind/kind-config.yaml", filled(include_str!("../../templates/kind-config.yaml"))));
    }
    files
}

/// The workload behind which the release is reached: of the Deployments with a port and an image that is built here, one named
/// web, front, router or gateway, else the first; else the first workload.
fn front(found: &StackFound) -> &WorkloadFound {
    let ours = |it: &&WorkloadFound| !it.stateful && it.artifact.is_some() && it.ports.0 > 0;
    let of_people =
        |it: &&WorkloadFound| ["web", "front", "router", "gateway"].iter().any(|word| it.suffix.contains(word));
    let mut all = found.workloads.iter().filter(ours);
    all.clone().find(of_people).or_else(|| all.next()).unwrap_or(&found.workloads[0])
}

fn constant(suffix: &str) -> String {
    suffix.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_uppercase() } else { '_' }).collect()
}

/// The text of the spec, without fields that have their default.
fn spec(InitRequest { found, bases, pin }: &InitRequest<'_>) -> String {
    let mut components = String::new();
    for workload in &found.workloads {
        let WorkloadFound { suffix, label, stateful, ports: (container, service), artifact } = workload;
        let kind = if *stateful { "stateful_set" } else { "deployment" };
        let artifact = artifact.as_deref().unwrap_or_default();
        let running = if artifact == suffix { String::new() } else { format!(".running({artifact:?})") };
        let plain = format!("Component::{kind}({suffix:?}, {container}){running}");
        let mut differs = Vec::new();
        if label != suffix {
            differs.push(format!("label: {label:?}"));
        }
        if service != container {
            differs.push(format!("service_port: {service}"));
        }
        let value = match differs.is_empty() {
            true => plain,
            false => format!("Component {{ {}, ..{plain} }}", differs.join(", ")),
        };
        let what = if *stateful { "StatefulSet" } else { "Deployment" };
        let _ = writeln!(components, "/// The {what} `{}-{suffix}`.", found.release);
        let _ = writeln!(components, "pub const {}: Component = {value};", constant(suffix));
    }
    let names: Vec<String> = found.workloads.iter().map(|workload| constant(&workload.suffix)).collect();
    let front = constant(&front(found).suffix);
    let image = match found.image.as_slice() {
        [repository, digest] => format!("ImageValues::Split {{ repository: {repository:?}, digest: {digest:?} }}"),
        all => format!("ImageValues::Combined({:?})", all.first().map_or("", String::as_str)),
    };
    let built: String = found.built.iter().zip(bases).map(|(image, base)| built(image, base.as_ref())).collect();
    let images: Vec<String> = found.built.iter().map(|image| image_constant(&image.name)).collect();
    let base = if bases.iter().any(Option::is_some) { "BaseImage, " } else { "" };
    let ((folder, umbrella), (release_label, component_label)) = (&found.chart, &found.labels);
    let prefix = constant(&found.release);
    let StackFound { release, namespace, values, .. } = found;
    let recipes = pin.recipes();
    format!(
        r#"//! What the harness is told of this repository's stack. Made by `cargo stack init`: what it could not read is a default.

use harness::spec::{{
    {base}Built, ChartsSpec, Component, ImageValues, ImagesSpec, StackSpec, ValuesFile, ValuesSpec,
}};

{components}
{built}
const VALUES: ValuesFile = ValuesFile {{ name: "local", file: {values:?}, set: &[], dev: false }};

/// The stack.
pub static STACK: StackSpec = StackSpec {{
    name: {release:?},
    source: file!(),
    env_prefix: {prefix:?},
    namespace: {namespace:?},
    release: {release:?},
    charts: ChartsSpec {{
        folder: {folder:?},
        umbrella: {umbrella:?},
        release_label: {release_label:?},
        component_label: {component_label:?},
        image: {image},
        ..ChartsSpec::DEFAULT
    }},
    values: ValuesSpec {{ shared: VALUES, all: &[VALUES], ..ValuesSpec::DEFAULT }},
    images: ImagesSpec {{ built: &[{}], third_party: &[] }},
    components: &[{}],
    // The image of scenarios' Jobs, and the way to everything: a workload named web, front, router or gateway, else the first
    // Deployment of an image that is built here, else the first workload.
    api: &{front},
    router: &{front},
    recipes: {recipes:?},
    ..StackSpec::DEFAULT
}};
"#,
        images.join(", "),
        names.join(", ")
    )
}

fn image_constant(name: &str) -> String {
    format!("{}_IMAGE", constant(name))
}

fn built(BuiltFound { name, context }: &BuiltFound, base: Option<&Base>) -> String {
    let constant = image_constant(name);
    match base {
        None => format!(
            "const {constant}: Built = Built {{ name: {name:?}, context: {context:?}, sibling: false, base: None }};\n"
        ),
        Some(Base { argument, recipe, official }) => format!(
            r#"const {constant}: Built = Built {{
    name: {name:?},
    context: {context:?},
    sibling: false,
    base: Some(BaseImage {{ argument: {argument:?}, recipe: {recipe:?}, official: {official:?} }}),
}};
"#
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_between_folders() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b/examples/notes", "/a/b"), "../..");
        assert_eq!(way("/a/one", "/a/two"), "../two");
    }

    #[test]
    fn every_file_is_filled() {
        let found = StackFound {
            release: "shop".to_owned(),
            namespace: "shop".to_owned(),
            chart: ("deploy".to_owned(), "shop".to_owned()),
            values: "values.yaml".to_owned(),
            image: vec!["image".to_owned()],
            built: vec![BuiltFound { name: "shop".to_owned(), context: ".".to_owned() }],
            labels: ("app".to_owned(), "role".to_owned()),
            workloads: vec![WorkloadFound {
                suffix: "web-api".to_owned(),
                label: "web".to_owned(),
                stateful: false,
                ports: (8000, 80),
                artifact: Some("shop".to_owned()),
            }],
        };
        let pin = Pin::Git { url: "https://git.example/harness".to_owned(), revision: "0123456".to_owned() };
        let files = files(&InitRequest { found: &found, bases: vec![None], pin: &pin });
        for (name, text) in &files {
            let places = ["@HARNESS@", "@HARNESS_CLI@", "@FRONT@"];
            assert!(places.iter().all(|place| !text.contains(place)), "{name}: {text}");
        }
        let spec = &files.iter().find(|(name, _)| *name == "stack/src/lib.rs").unwrap().1;
        let component = r#"pub const WEB_API: Component = Component { label: "web", service_port: 80, ..Component::deployment("web-api", 8000).running("shop") };"#;
        assert!(spec.contains(component), "{spec}");
    }
}
