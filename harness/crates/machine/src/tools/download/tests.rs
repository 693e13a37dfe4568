use harness_base::progress::Step;

use super::*;
use crate::tools::tests::site::{Manner, Site};

fn body() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Fetches from a site into a file that holds this beforehand.
async fn fetched(site: &Site, before: &[u8], sha256: &str) -> (Result<(), DownloadFault>, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("file");
    if !before.is_empty() {
        std::fs::write(&into, before).unwrap();
    }
    let step = Step::begin("testing");
    let result = fetch(&client(None, &site.base).unwrap(), &site.base, sha256, &into, &step.teller()).await;
    (result, std::fs::read(&into).ok())
}

fn right() -> String {
    hex::encode(Sha256::digest(body()))
}

#[tokio::test]
async fn a_part_is_gone_on_with() {
    let site = Site::serve(body(), Manner::Whole);
    let (result, file) = fetched(&site, &body()[..1000], &right()).await;
    result.unwrap();
    assert_eq!((file, site.asked()), (Some(body()), vec!["GET bytes=1000-".to_owned()]));
}

#[tokio::test]
async fn a_site_without_ranges_sends_all_of_it_again() {
    let site = Site::serve(body(), Manner::NoRanges);
    let (result, file) = fetched(&site, &body()[..1000], &right()).await;
    result.unwrap();
    assert_eq!(file, Some(body()));
}

#[tokio::test]
async fn one_that_breaks_off_is_gone_on_with_at_once() {
    let site = Site::serve(body(), Manner::HalfOnce);
    let (result, file) = fetched(&site, &[], &right()).await;
    result.unwrap();
    assert_eq!((file, site.asked()), (Some(body()), vec!["GET all".to_owned(), "GET bytes=400000-".to_owned()]));
}

#[tokio::test]
async fn what_came_is_kept_when_the_site_goes_on_breaking_off() {
    let site = Site::serve(body(), Manner::Half);
    let (result, file) = fetched(&site, &[], &right()).await;
    assert!(matches!(result, Err(DownloadFault::Unreachable(why)) if why.contains("broke off")));
    assert_eq!(file.unwrap(), body()[..750_000]);
}

#[tokio::test]
async fn a_part_of_something_else_is_dropped() {
    let site = Site::serve(body(), Manner::Whole);
    let (result, file) = fetched(&site, b"something else", &right()).await;
    result.unwrap();
    assert_eq!(file, Some(body()));
    // The same when it is as long as all of it.
    let (result, file) = fetched(&site, &vec![0; body().len()], &right()).await;
    result.unwrap();
    assert_eq!(file, Some(body()));
}

#[tokio::test]
async fn all_of_it_is_taken_as_it_is() {
    let site = Site::serve(body(), Manner::Whole);
    fetched(&site, &body(), &right()).await.0.unwrap();
    assert_eq!(site.asked(), [format!("GET bytes={}-", body().len())]);
}

#[tokio::test]
async fn another_checksum_is_refused_and_removed() {
    let site = Site::serve(body(), Manner::Whole);
    let (result, file) = fetched(&site, &[], &"0".repeat(64)).await;
    assert!(matches!(result, Err(DownloadFault::Mismatch(_))) && file.is_none());
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_site_that_does_not_have_it_or_is_not_there_is_said() {
    let site = Site::serve(body(), Manner::NotFound);
    let (result, _) = fetched(&site, &[], &right()).await;
    assert!(matches!(result, Err(DownloadFault::Unreachable(why)) if why.contains("404")));
    assert!(size(&client(None, &site.base).unwrap(), &site.base).await.unwrap_err().contains("404"));
    let nowhere = Site { base: "http://127.0.0.1:9/".to_owned(), asked: site.asked.clone() };
    let (result, _) = fetched(&nowhere, &[], &right()).await;
    assert!(matches!(result, Err(DownloadFault::Unreachable(why)) if why.contains("refused")));
}
