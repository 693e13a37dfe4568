//! Where tools are found, and in which order.

use rstest::rstest;

use super::{downloaded, install, script, settings, tools};
use crate::tools::{Look, Origin, ProvisionSource, SetupPlan, Tool, Tools, Version};

/// A table whose download is on no site at all.
fn offline(settings: &harness_settings::settings::Settings) -> Tools {
    tools(settings, downloaded("http://127.0.0.1:9/", "kind", "", None))
}

#[rstest]
#[case::toolbox(&["toolbox", "path", "cache"], Some(Origin::Toolbox))]
#[case::its_bin(&["toolbox/bin", "path"], Some(Origin::Toolbox))]
#[case::path(&["path", "cache"], Some(Origin::Path))]
#[case::cache(&["cache"], Some(Origin::Cache))]
#[case::nowhere(&[], None)]
#[tokio::test]
async fn the_order(#[case] places: &[&str], #[case] origin: Option<Origin>) {
    let folder = tempfile::tempdir().unwrap();
    let toolbox = folder.path().join("toolbox");
    std::fs::create_dir(&toolbox).unwrap();
    for place in places {
        let place = if *place == "cache" { "cache/shop-stack/tools/kind-0.33.0/bin" } else { place };
        install(&folder.path().join(place), "kind", &script("0.33.0"));
    }
    let settings = settings(folder.path(), &[("SHOP_TOOLBOX", toolbox.to_str().unwrap())]);
    let look = offline(&settings).look(Tool::Kind).await.unwrap();
    let found = match look {
        Look::Found(found) => Some(found.origin),
        Look::Missing { .. } => None,
    };
    assert_eq!(found, origin);
}

#[tokio::test]
async fn one_that_is_too_old_is_passed_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    install(&folder.path().join("path"), "kind", &script("0.26.9"));
    let settings = settings(folder.path(), &[]);
    let Look::Missing { seen } = offline(&settings).look(Tool::Kind).await.unwrap() else { panic!("it was taken") };
    assert!(seen[0].contains("kind 0.26.9 at") && seen[0].contains(">=0.27, <0.34 is supported"), "{seen:?}");
    install(&folder.path().join("cache/shop-stack/tools/kind-0.33.0/bin"), "kind", &script("0.33.0"));
    let found = offline(&settings).ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap();
    assert_eq!(found.origin, Origin::Cache);
}

#[tokio::test]
async fn helm_4_serves_all_but_skaffold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("path");
    install(&path, "helm", &script("4.3.1"));
    install(&path, "skaffold", "#!/bin/sh\n[ $# = 0 ] && exec helm version\necho v2.16.1\n");
    let tools = Tools::new(settings(folder.path(), &[("SHOP_SETUP", "never")]).tools());
    let Look::Found(found) = tools.look(Tool::Helm).await.unwrap() else { panic!("no Helm") };
    assert_eq!(found.version, Some(Version::new(4, 3, 1)));
    let error = tools.skaffold_with_helm().await.unwrap_err().report();
    assert!(error.contains("helm 4.3.1 at") && error.contains("works with Helm 3 alone"), "{error}");
    install(&folder.path().join("cache/shop-stack/tools/helm-3.22.0/bin"), "helm", &script("3.22.0"));
    let said = tools.skaffold_with_helm().await.unwrap().run().await.unwrap().stdout;
    assert_eq!(said, "v3.22.0\n");
    let said = tools.command(Tool::Helm).await.unwrap().run().await.unwrap().stdout;
    assert_eq!(said, "v4.3.1\n");
}

#[tokio::test]
async fn the_toolbox_s_archive_is_unpacked_once_and_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    install(&folder.path().join("packed"), "kind", &script("0.32.0"));
    install(&folder.path().join("path"), "kind", &script("0.33.0"));
    let toolbox = folder.path().join("toolbox");
    std::fs::create_dir(&toolbox).unwrap();
    // Not every machine has zstd: one that unpacks nothing, and wants to be asked as the real one is, of a plain tar.
    install(&folder.path().join("path"), "zstd", "#!/bin/sh\n[ \"$1 $2\" = '-dc --long=31' ] && cat \"$3\"\n");
    let archive = toolbox.join("bin.tar.zst");
    let tar = crate::tools::Command::new("tar").args(["--create", "--file"]).arg(&archive);
    tar.arg("--directory").arg(folder.path().join("packed")).arg("kind").run().await.unwrap();
    let settings = settings(folder.path(), &[("SHOP_TOOLBOX", toolbox.to_str().unwrap()), ("SHOP_SETUP", "never")]);
    let tools = offline(&settings);
    assert_eq!(tools.plan(Tool::Kind, ProvisionSource::Auto).await.unwrap(), SetupPlan::Unpack { archive });
    for _ in 0..2 {
        let found = tools.ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap();
        assert_eq!((found.version, found.origin), (Some(Version::new(0, 32, 0)), Origin::Toolbox));
    }
    assert!(tools.plan(Tool::Kind, ProvisionSource::Auto).await.unwrap().to_string().contains("SHOP_TOOLBOX"));
}

#[tokio::test]
async fn our_buildx_is_linked_where_the_client_looks_and_unlinked_when_it_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("docker/cli-plugins/docker-buildx");
    let settings = settings(folder.path(), &[("SHOP_SETUP", "never")]);
    install(&folder.path().join("cache/shop-stack/tools/docker-buildx-0.33.0/bin"), "docker-buildx", &script("0.33.0"));
    Tools::new(settings.tools()).ensure(Tool::Buildx, ProvisionSource::Auto).await.unwrap();
    assert!(link.read_link().is_ok());
    let found = Tools::new(settings.tools()).ensure(Tool::Buildx, ProvisionSource::Auto).await.unwrap();
    assert!(Tools::new(settings.tools()).unlink_buildx().unwrap() && !link.exists(), "{found:?}");
    install(link.parent().unwrap(), "docker-buildx", &script("0.9.0"));
    let error = Tools::new(settings.tools()).ensure(Tool::Buildx, ProvisionSource::Auto).await.unwrap_err().report();
    assert!(error.contains("is in the way"), "{error}");
    assert!(!Tools::new(settings.tools()).unlink_buildx().unwrap() && link.exists());
}

#[tokio::test]
async fn a_binary_is_asked_once_and_a_script_each_time() {
    let folder = tempfile::tempdir().unwrap();
    install(&folder.path().join("path"), "kind", &script("0.33.0"));
    let settings = settings(folder.path(), &[]);
    offline(&settings).look(Tool::Kind).await.unwrap();
    let note = settings.cache_root.join("tools/versions.json");
    assert!(!note.exists(), "a script may call another program tomorrow");
    // No script: what it says stays what it says, as long as size and time are the same.
    std::fs::copy("/bin/echo", folder.path().join("path/kind")).unwrap();
    offline(&settings).look(Tool::Kind).await.unwrap();
    assert!(std::fs::read_to_string(&note).unwrap().contains("path/kind"));
}
