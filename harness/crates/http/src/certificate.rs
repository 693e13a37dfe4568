//! X.509 certificates, as far as a person who reads a verdict needs them.

use std::fmt;
use std::net::IpAddr;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

const DAY_SECS: i64 = 24 * 3600;

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The distinguished name of the subject.
    pub subject: String,
    /// The distinguished name of the issuer.
    pub issuer: String,
    /// The DNS names and addresses of its subjectAltName.
    pub names: Vec<String>,
    /// The first second of its validity, in seconds since the epoch.
    pub not_before: i64,
    /// The last second of its validity, in seconds since the epoch.
    pub not_after: i64,
    /// The days of both, as text.
    from: String,
    until: String,
}

impl Certificate {
    /// Parses a certificate in DER.
    ///
    /// # Errors
    /// The parser's message when it is no certificate.
    pub fn parse(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("a certificate: {error}"))?;
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.iter().filter_map(name).collect());
        Ok(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names.unwrap_or_default(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            from: day(validity.not_before),
            until: day(validity.not_after),
        })
    }

    /// Whole days until it expires; negative once it has.
    pub fn days_left(&self) -> i64 {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        (self.not_after - i64::try_from(now).unwrap_or(i64::MAX)).div_euclid(DAY_SECS)
    }

    /// The share of its lifetime that is left, from 1 (it has just begun) to 0; negative once it has expired.
    pub fn share_left(&self) -> f64 {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
        let lifetime = (self.not_after - self.not_before).max(1) as f64;
        (self.not_after as f64 - now) / lifetime
    }

    /// The length of its validity in days.
    pub fn lifetime_days(&self) -> f64 {
        (self.not_after - self.not_before) as f64 / DAY_SECS as f64
    }

    /// Whether the certificate names this host: by name, by a wildcard for one label, or by address.
    pub fn is_for(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            name.eq_ignore_ascii_case(host)
                || name.strip_prefix("*.").zip(parent).is_some_and(|(wild, parent)| wild.eq_ignore_ascii_case(parent))
        })
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer, from, until, .. } = self;
        write!(f, "subject {subject}, issuer {issuer}, valid from {from} until {until}")
    }
}

fn day(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rstest::rstest;

    use super::*;

    fn certificate() -> Certificate {
        let names = ["*.app.example".to_owned(), "app.example".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 2), date_time_ymd(2020, 3, 4));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::parse(certificate.der()).unwrap()
    }

    #[rstest]
    #[case("app.example", true)]
    #[case("PR-1.app.example", true)]
    #[case("127.0.0.1", true)]
    #[case("a.b.app.example", false)]
    #[case("example", false)]
    #[case("127.0.0.2", false)]
    fn names_are_matched(#[case] host: &str, #[case] matches: bool) {
        assert_eq!(certificate().is_for(host), matches);
    }

    #[test]
    fn it_says_whose_it_is_and_until_when() {
        let certificate = certificate();
        let text = certificate.to_string();
        assert!(text.ends_with("valid from 2020-01-02 until 2020-03-04"), "{text}");
        assert!(certificate.days_left() < -2000);
    }

    #[test]
    fn what_is_left_is_a_share_of_its_lifetime() {
        let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let of = |lived: i64, left: i64| Certificate {
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            not_before: now - lived * DAY_SECS,
            not_after: now + left * DAY_SECS,
            from: String::new(),
            until: String::new(),
        };
        assert!((of(3, 3).share_left() - 0.5).abs() < 0.01 && (of(3, 3).lifetime_days() - 6.0).abs() < 0.01);
        assert!(of(10, -1).share_left() < 0.0);
    }
}
