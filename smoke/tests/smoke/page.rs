//! The page at the public address, and its assets.

use harness::http::Reply;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each, scenario};
use harness::stack::Site;
use harness::{Error, Result, expect, expect_eq};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        scenario(is_served),
        scenario(head_answers_like_get_without_a_body),
        each(every_asset_is_served_as_what_it_is, [("styles", ".css"), ("scripts", ".js"), ("images", ".svg")]),
        scenario(is_compressed),
        scenario(styles_are_compressed),
        scenario(is_asked_for_anew_each_time),
        scenario(every_asset_says_how_long_it_may_be_kept),
    ]
}

/// What a browser is told of a file of this kind.
const TYPES: [(&str, &str); 3] = [(".css", "text/css"), (".js", "javascript"), (".svg", "image/svg+xml")];

/// The site's files that the page names, with that ending; at least one.
fn assets(page: &Reply, ending: &str) -> Result<Vec<String>> {
    let text = page.text();
    let quoted = text.split('"').skip(1).step_by(2);
    let own = quoted.filter(|name| name.ends_with(ending) && !name.contains("://") && !name.starts_with("//"));
    let paths: std::collections::BTreeSet<_> =
        own.map(|name| format!("/{}", name.trim_start_matches(['.', '/']))).collect();
    match paths.is_empty() {
        true => Err(Error::Unmet(format!("the page names no {ending}"))),
        false => Ok(paths.into_iter().collect()),
    }
}

async fn page(site: &Site) -> Result<Reply> {
    let page = site.get("/").await?;
    page.expect_status(200)?;
    Ok(page)
}

async fn is_served(site: Site) -> ScenarioResult {
    let page = page(&site).await?;
    site.measured("bytes", page.body.len());
    expect!(
        page.header("content-type").is_some_and(|kind| kind.to_lowercase().starts_with("text/html")),
        "{page} is no page"
    )?;
    expect!(page.text().contains("<title>"), "{page} has no title")
}

async fn head_answers_like_get_without_a_body(site: Site) -> ScenarioResult {
    let (head, get) = (site.head("/").await?, page(&site).await?);
    site.measured("status", head.status);
    expect_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")))?;
    expect!(head.body.is_empty(), "{head} with a body of {} bytes", head.body.len())
}

async fn every_asset_is_served_as_what_it_is(site: Site, ending: &'static str) -> ScenarioResult {
    let assets = assets(&page(&site).await?, ending)?;
    site.measured("files", assets.len());
    for path in assets {
        let asset = site.get(&path).await?;
        let kind = asset.expect_status(200)?.header("content-type").unwrap_or_default();
        let wanted = TYPES.iter().filter(|(of, _)| *of == ending).map(|(_, kind)| *kind).collect::<String>();
        expect!(kind.contains(&wanted), "{asset} with type {kind:?} instead of {wanted}")?;
    }
    Ok(())
}

async fn is_compressed(site: Site) -> ScenarioResult {
    compressed(&site, "/").await
}

async fn styles_are_compressed(site: Site) -> ScenarioResult {
    for path in assets(&page(&site).await?, ".css")? {
        compressed(&site, &path).await?;
    }
    Ok(())
}

/// Text takes a fraction of its size on the way.
async fn compressed(site: &Site, path: &str) -> ScenarioResult {
    let (plain, packed) = (site.get(path).await?, site.get_with(path, "accept-encoding", "gzip").await?);
    let (before, after) = (plain.body.len(), packed.expect_status(200)?.body.len());
    site.measured(path, format!("{before} -> {after} bytes"));
    let encoding = packed.header("content-encoding").unwrap_or("none");
    expect!(
        encoding.eq_ignore_ascii_case("gzip") && after < before,
        "{packed} with {after} of {before} bytes and encoding {encoding}"
    )
}

/// A browser that kept an old page would ask for assets that are gone.
async fn is_asked_for_anew_each_time(site: Site) -> ScenarioResult {
    let page = page(&site).await?;
    let caching = page.field("cache-control").unwrap_or_else(|| "nothing".to_owned()).to_lowercase();
    site.measured("cache-control", &caching);
    let mut directives = caching.split(',').map(str::trim);
    let anew = directives.any(|directive| ["no-cache", "no-store", "max-age=0"].contains(&directive));
    expect!(anew, "{page} says {caching} about caching")
}

async fn every_asset_says_how_long_it_may_be_kept(site: Site) -> ScenarioResult {
    let page = page(&site).await?;
    for (ending, _) in TYPES {
        for path in assets(&page, ending)? {
            let asset = site.head(&path).await?;
            let caching = asset.expect_status(200)?.header("cache-control").unwrap_or_default();
            site.measured(&path, caching);
            expect!(!caching.is_empty(), "{asset} says nothing about caching")?;
        }
    }
    Ok(())
}
