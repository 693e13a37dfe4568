//! What the harness is told of this repository's stack. Made by `cargo stack init`: what it could not read is a default.

use harness::spec::{
    BaseImage, Built, ChartsSpec, Component, ImageValues, ImagesSpec, StackSpec, ValuesFile, ValuesSpec,
};

/// The Deployment `notes-web`.
pub const WEB: Component = Component { service_port: 80, ..Component::deployment("web", 8000).running("notes") };
/// The StatefulSet `notes-store`.
pub const STORE: Component = Component::stateful_set("store", 8001).running("notes");

const NOTES_IMAGE: Built = Built {
    name: "notes",
    context: "app",
    sibling: false,
    base: Some(BaseImage { argument: "PYTHON_IMAGE", recipe: "python", official: "python:3.13-alpine" }),
};

const VALUES: ValuesFile = ValuesFile { name: "local", file: "values.yaml", set: &[], dev: false };

/// The stack.
pub static STACK: StackSpec = StackSpec {
    name: "notes",
    source: file!(),
    env_prefix: "NOTES",
    namespace: "notes",
    release: "notes",
    charts: ChartsSpec {
        folder: "deploy",
        umbrella: "notes",
        release_label: "app",
        component_label: "role",
        image: ImageValues::Combined("image"),
        ..ChartsSpec::DEFAULT
    },
    values: ValuesSpec { shared: VALUES, all: &[VALUES], ..ValuesSpec::DEFAULT },
    images: ImagesSpec { built: &[NOTES_IMAGE], third_party: &[] },
    components: &[WEB, STORE],
    // The image of scenarios' Jobs, and the way to everything: a workload named web, front, router or gateway, else the first
    // Deployment of an image that is built here, else the first workload.
    api: &WEB,
    router: &WEB,
    // The second is answered once the store is reached.
    reached: &["/", "/notes"],
    recipes: "../../kind",
    ..StackSpec::DEFAULT
};
