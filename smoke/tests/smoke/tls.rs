//! TLS as a browser meets it. Every handshake here verified chain and host name; an invalid certificate fails all.

use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, scenario};
use harness::stack::Site;
use harness::{expect, expect_eq};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        scenario(speaks_the_current_protocol),
        scenario(refuses_the_obsolete_protocol),
        scenario(certificate_is_for_the_host),
        scenario(chain_is_whole_and_in_order),
        scenario(certificates_last_for_two_more_weeks),
        scenario(plain_http_leads_to_https),
    ]
}

/// Certificates are renewed a month before they expire; at two weeks that has failed for two.
const LEAST_DAYS: i64 = 14;

async fn speaks_the_current_protocol(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    site.measured("protocol", &tls.protocol);
    expect_eq!(tls.protocol, "TLSv1.3")
}

async fn refuses_the_obsolete_protocol(site: Site) -> ScenarioResult {
    let how = site.refuses_old_tls().await?;
    site.measured("TLS 1.1 refused", how);
    Ok(())
}

async fn certificate_is_for_the_host(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    let own = tls.own();
    site.measured("names", own.names.join(" "));
    expect!(own.is_for(site.host()), "tls: the certificate is not for {}: {own}", site.host())
}

/// Each certificate was signed by the next, and there is a next one: no public authority signs a site's certificate by its
/// root, and browsers look for no missing link. Who trusts the intermediate itself would not see that it is missing.
async fn chain_is_whole_and_in_order(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    site.measured("certificates", tls.chain.len());
    expect!(tls.chain.len() > 1, "tls: the certificate is sent alone, without its issuer's: {}", tls.own())?;
    for pair in tls.chain.windows(2) {
        expect_eq!(pair[0].issuer, pair[1].subject)?;
    }
    Ok(())
}

/// Of the whole chain: an intermediate expires as well.
async fn certificates_last_for_two_more_weeks(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    let first = tls.first_to_expire();
    site.measured("days left", first.days_left());
    expect!(first.days_left() >= LEAST_DAYS, "tls: a certificate has {} days left: {first}", first.days_left())
}

/// For good: whoever typed the name without https is not asked in plain text again.
async fn plain_http_leads_to_https(site: Site) -> ScenarioResult {
    let reply = site.plain()?.first_answer("/").await?;
    let location = reply.header("location").unwrap_or("nowhere");
    site.measured("redirect", format!("{} to {location}", reply.status));
    expect!(matches!(reply.status, 301 | 308), "{reply} instead of a redirect for good")?;
    expect!(location.starts_with(&format!("https://{}", site.host())), "{reply} and leads to {location}")
}
