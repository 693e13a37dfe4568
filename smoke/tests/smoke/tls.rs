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
        scenario(chain_is_whole),
        scenario(certificates_do_not_expire_soon),
        scenario(plain_http_leads_to_https),
    ]
}

/// Certificates are renewed a month before they expire; at two weeks that has failed for two.
const LEAST_DAYS: f64 = 14.0;
/// One that lasts six days or forty is renewed at a third of its lifetime, at the latest: at half of that, that has failed.
const LEAST_SHARE: f64 = 1.0 / 6.0;

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

/// The certificate's issuer is sent with it: no public authority signs a site's certificate by its root, and browsers look for
/// no missing link. Who trusts the intermediate itself would not see that it is missing. In which order, and beside what, is
/// of no matter (RFC 8446, 4.4.2).
async fn chain_is_whole(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    site.measured("certificates", tls.chain.len());
    expect!(tls.path().len() > 1, "tls: the certificate is sent alone, without its issuer's: {}", tls.own())
}

/// Of the whole path: an intermediate expires as well.
async fn certificates_do_not_expire_soon(site: Site) -> ScenarioResult {
    let tls = site.tls().await?;
    let first = tls.first_to_expire();
    site.measured("days left", first.days_left());
    for certificate in tls.path() {
        let least = LEAST_DAYS.min(certificate.lifetime_days() * LEAST_SHARE);
        let left = certificate.share_left() * certificate.lifetime_days();
        expect!(left >= least, "tls: a certificate has {left:.1} days left, less than {least:.1}: {certificate}")?;
    }
    Ok(())
}

/// For good: whoever typed the name without https is not asked in plain text again.
async fn plain_http_leads_to_https(site: Site) -> ScenarioResult {
    let reply = site.plain()?.first_answer("/").await?;
    let location = reply.header("location").unwrap_or("nowhere");
    site.measured("redirect", format!("{} to {location}", reply.status));
    expect!(matches!(reply.status, 301 | 308), "{reply} instead of a redirect for good")?;
    let rest = location.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).map(|_| &location[8..]);
    let host = rest.and_then(|rest| rest.split(['/', ':', '?', '#']).next()).unwrap_or_default();
    expect!(host.eq_ignore_ascii_case(site.host()), "{reply} and leads to {location}")
}
