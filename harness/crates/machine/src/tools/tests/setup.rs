//! Downloads into the cache, from a real site.

use sha2::{Digest, Sha256};

use super::site::{Manner, Site};
use super::{downloaded, install, script, settings, tools};
use crate::tools::{Command, Look, Origin, ProvisionSource, SetupPlan, Tool, Version};

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn a_program_is_downloaded_once_and_then_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let body = script("0.33.0").into_bytes();
    let site = Site::serve(body.clone(), Manner::Whole);
    let settings = settings(folder.path(), &[]);
    let tools = tools(&settings, downloaded(&site.base, "kind", &sha256(&body), None));
    let plan = tools.plan(Tool::Kind, ProvisionSource::Auto).await.unwrap();
    assert_eq!(plan, SetupPlan::Download { url: format!("{}kind", site.base), bytes: Some(body.len() as u64) });
    let found = tools.ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap();
    assert_eq!((found.version, found.origin), (Some(Version::new(0, 33, 0)), Origin::Cache));
    assert_eq!(tools.ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap(), found);
    assert_eq!(site.asked(), ["HEAD all", "GET all"]);
    assert!(tools.command(Tool::Kind).await.unwrap().line().contains("kind-0.33.0/bin/kind"));
    let left: Vec<_> =
        std::fs::read_dir(tools.cache_folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".download")), "{left:?}");
}

#[tokio::test]
async fn a_program_is_taken_out_of_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    install(&folder.path().join("packed/linux-amd64"), "kind", &script("0.33.0"));
    let archive = folder.path().join("kind.tar.gz");
    let tar = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder.path().join("packed"));
    tar.arg("linux-amd64").run().await.unwrap();
    let body = std::fs::read(&archive).unwrap();
    let site = Site::serve(body.clone(), Manner::Whole);
    let entry = downloaded(&site.base, "kind.tar.gz", &sha256(&body), Some("linux-amd64/kind"));
    let found =
        tools(&settings(folder.path(), &[]), entry).ensure(Tool::Kind, ProvisionSource::Downloads).await.unwrap();
    assert_eq!(found.version, Some(Version::new(0, 33, 0)));
}

#[tokio::test]
async fn a_wrong_checksum_is_said_and_nothing_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::serve(script("0.33.0").into_bytes(), Manner::Whole);
    let tools = tools(&settings(folder.path(), &[]), downloaded(&site.base, "kind", &"0".repeat(64), None));
    let error = tools.ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap_err().report();
    assert!(error.contains("and should have 0000") && error.contains("cannot be built here"), "{error}");
    assert!(matches!(tools.look(Tool::Kind).await.unwrap(), Look::Missing { .. }));
    assert!(!tools.cache_folder().join("kind-0.33.0.download").exists());
}

#[tokio::test]
async fn two_who_want_the_same_tool_download_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let body = script("0.33.0").into_bytes();
    let site = Site::serve(body.clone(), Manner::Whole);
    let settings = settings(folder.path(), &[]);
    // Two of them share nothing but the disk, as two processes do.
    let (one, two) = [(); 2].map(|()| tools(&settings, downloaded(&site.base, "kind", &sha256(&body), None))).into();
    let (one, two) =
        tokio::join!(one.ensure(Tool::Kind, ProvisionSource::Auto), two.ensure(Tool::Kind, ProvisionSource::Auto));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(site.asked(), ["GET all"]);
}

#[tokio::test]
async fn never_means_never_and_says_each_way() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::serve(Vec::new(), Manner::Whole);
    let settings = settings(folder.path(), &[("SHOP_SETUP", "never")]);
    let tools = tools(&settings, downloaded(&site.base, "kind", &"0".repeat(64), None));
    install(&folder.path().join("path"), "kind", &script("0.20.0"));
    let error = tools.require(&[Tool::Kind]).await.unwrap_err().report();
    for part in ["SHOP_SETUP=never", "kind 0.20.0 at", ">=0.27, <0.34", &site.base, "SHOP_TOOLBOX"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn a_corrupt_program_in_the_cache_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let body = script("0.33.0").into_bytes();
    let site = Site::serve(body.clone(), Manner::Whole);
    let settings = settings(folder.path(), &[]);
    let fresh = || tools(&settings, downloaded(&site.base, "kind", &sha256(&body), None));
    let found = fresh().ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap();
    std::fs::write(&found.path, "#!/bin/sh\nexit 1\n").unwrap();
    fresh().ensure(Tool::Kind, ProvisionSource::Auto).await.unwrap();
    assert_eq!(std::fs::read(&found.path).unwrap(), body);
}
