//! Server certificates by a private CA, for clusters of ours: for the edge, and for a rehearsal's stand-ins of managed stores.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::error::{Error, Result};

/// How long certificates are valid: longer than any cluster lives, so that none is renewed.
const VALID: Duration = Duration::from_secs(5 * 365 * 86_400);
/// How long before they are made certificates are valid, since clocks differ.
const BEFORE: Duration = Duration::from_secs(3600);

/// An issued certificate. The keys of both authorities are dropped, so that no other can be issued.
#[derive(Debug)]
pub struct Issued {
    /// The root's certificate, as PEM; no secret.
    pub ca: String,
    /// The server's certificate and the intermediate's, as PEM.
    pub chain: String,
    /// The server's key, as PEM; it goes into the cluster's Secret and nowhere else.
    pub key: String,
}

/// Issues a certificate for these hosts, names or addresses, by an intermediate authority, as public ones do; valid for five
/// years.
///
/// # Errors
/// [`harness_base::Error::Malformed`] for a text that is no host.
pub fn issue(hosts: &[&str]) -> Result<Issued> {
    make(hosts).map_err(Error::malformed(format!("make a certificate for {}", hosts.join(", "))))
}

fn make(hosts: &[&str]) -> Result<Issued, rcgen::Error> {
    let root = CertifiedIssuer::self_signed(authority("harness, root")?, KeyPair::generate()?)?;
    let mut params = authority("harness, intermediate")?;
    // Strict clients refuse one below the root without it (RFC 5280, 4.2.1.1; Python from 3.13 on).
    params.use_authority_key_identifier_extension = true;
    let intermediate = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &root)?;
    let key = KeyPair::generate()?;
    let mut params = valid(CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?);
    params.distinguished_name.push(DnType::CommonName, hosts.first().copied().unwrap_or_default());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = params.signed_by(&key, &intermediate)?;
    Ok(Issued { ca: root.pem(), chain: format!("{}{}", own.pem(), intermediate.pem()), key: key.serialize_pem() })
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = valid(CertificateParams::new(Vec::<String>::new())?);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn valid(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + now.saturating_sub(BEFORE), epoch + now + VALID);
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness_http::Certificate;

    #[test]
    fn whatever_is_below_the_root_names_its_authoritys_key() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        // 2.5.29.35, authorityKeyIdentifier.
        const EXTENSION: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x23];
        let issued = issue(&["app.example", "127.0.0.1"]).unwrap();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(issued.chain.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(chain.len(), 2);
        for certificate in chain {
            assert!(certificate.windows(EXTENSION.len()).any(|bytes| bytes == EXTENSION));
        }
    }

    #[test]
    fn the_chain_is_for_the_host_and_ends_below_the_root() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let issued = issue(&["app.example"]).unwrap();
        let parse = |pem: &str| -> Vec<Certificate> {
            let ders = CertificateDer::pem_slice_iter(pem.as_bytes());
            ders.map(|der| Certificate::parse(&der.unwrap()).unwrap()).collect()
        };
        let (chain, root) = (parse(&issued.chain), parse(&issued.ca));
        assert!(chain[0].is_for("app.example") && chain[0].days_left() > 365);
        assert_eq!((&chain[0].issuer, &chain[1].issuer), (&chain[1].subject, &root[0].subject));
    }
}
