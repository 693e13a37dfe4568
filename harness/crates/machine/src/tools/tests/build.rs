//! A build in a copied module, with a Go, a Node and an npm of the test's own that note what they are asked.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{install, settings, tools};
use crate::tools::entry::Build;
use crate::tools::{Origin, ProvisionSource, SetupPlan, Tool, Tools, Version, table};

const GO: &str = r#"#!/bin/sh
case "$1 $2" in
"version "*) echo "go version go1.26.8 linux/amd64" ;;
"mod download") printf '{"Dir": "%s/module"}' "$ROOT" ;;
"mod edit") echo changed >> go.mod && echo "go $*" >> "$ROOT/log" ;;
"build "*)
  echo "go build with CGO_ENABLED=$CGO_ENABLED CC=$CC and $(cat pkg/assets/build/index.html pkg/assets/build/robots.txt)" >> "$ROOT/log"
  until [ "$1" = -o ]; do echo "  $1" >> "$ROOT/log"; shift; done
  printf '#!/bin/sh\necho v0.37.7, built 2026-05-01\n' > "$2" && chmod 755 "$2" ;;
esac
"#;

const NODE: &str = r#"#!/bin/sh
[ "$1" = --version ] && echo v20.1.0 && exit
[ -f "$1" ] || exit 1
case "$2" in
config) echo '{"key":"npmRegistryServer","source":"<default>"}' ;;
install) echo "yarn install $3 from $YARN_NPM_REGISTRY_SERVER, cache in ${YARN_GLOBAL_FOLDER#"$ROOT"}" >> "$ROOT/log" ;;
build) mkdir build node_modules && echo "the page" > build/index.html ;;
esac
"#;

/// Programs in PATH, and the module that Go is said to have downloaded.
fn prepare(root: &Path) {
    let with_root = |text: &str| text.replacen('\n', &format!("\nROOT={}\n", root.display()), 1);
    for (program, text) in
        [("go", GO), ("node", NODE), ("npm", "#!/bin/sh\necho https://mirror.invalid/\n"), ("cc", "#!/bin/sh\n")]
    {
        install(&root.join("path"), program, &with_root(text));
    }
    for (path, text) in
        [("web/.yarn/releases/yarn-4.9.3.cjs", ""), ("pkg/assets/build/robots.txt", "no robots"), ("go.mod", "")]
    {
        let path = root.join("module").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        // As Go keeps them.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    }
}

#[tokio::test]
async fn tilt_is_built_with_its_web_assets_and_nothing_but_the_program_stays() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let settings = settings(folder.path(), &[]);
    let mut entry = *table::entry(Tool::Tilt).unwrap();
    if let Some(Build::Go(build)) = &mut entry.build {
        build.disk = 0;
    }
    let tools = tools(&settings, entry);
    let found = tools.ensure(Tool::Tilt, ProvisionSource::Registries).await.unwrap();
    assert_eq!((found.version, found.origin), (Some(Version::new(0, 37, 7)), Origin::Cache));
    insta::assert_snapshot!(std::fs::read_to_string(folder.path().join("log")).unwrap(), @r"
    yarn install --immutable from https://mirror.invalid/, cache in /cache/shop-stack/go/yarn
    go mod edit -require=github.com/docker/buildx@v0.33.0 -require=github.com/smacker/go-tree-sitter@v0.0.0-20240827094217-dd81d9e9be82
    go build with CGO_ENABLED=1 CC=cc and the page
    no robots
      build
      -v
      -trimpath
      -ldflags=-s -w -X main.version=0.37.7
      -tags=osusergo
      -mod=mod
    ");
    let left = |folder: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(left(&tools.cache_folder().join("tilt-0.37.7")), ["bin"]);
    assert_eq!(left(tools.cache_folder()), ["build.lock", "tilt-0.37.7", "tilt.lock"]);
}

#[tokio::test]
async fn without_a_c_compiler_that_is_said_before_anything_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("path");
    let settings = settings(folder.path(), &[("PATH", path.to_str().unwrap())]);
    let tools = Tools::new(settings.tools());
    let error = tools.ensure(Tool::Tilt, ProvisionSource::Registries).await.unwrap_err().report();
    assert!(error.contains("there is no C compiler (cc) in PATH") && error.contains("next: "), "{error}");
    let plan = tools.plan(Tool::Tilt, ProvisionSource::Registries).await.unwrap();
    assert!(matches!(&plan, SetupPlan::Impossible { why } if why.contains("no C compiler")), "{plan:?}");
    install(&path, "cc", "#!/bin/sh\n");
    assert!(matches!(tools.plan(Tool::Tilt, ProvisionSource::Registries).await.unwrap(), SetupPlan::Build { .. }));
}

#[tokio::test]
async fn tilt_is_set_up_by_a_stage_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let tools = Tools::new(settings(folder.path(), &[("SHOP_SETUP", "never")]).tools());
    for (tool, command) in
        [(Tool::Tilt, "cargo stack setup --stage dev, or"), (Tool::Skaffold, "cargo stack setup, or")]
    {
        let error = tools.require(&[tool]).await.unwrap_err().report();
        assert!(error.contains(command), "{error}");
    }
}
