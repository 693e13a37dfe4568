//! Who we are at an image registry: by the settings, else by the engine's client's own configuration. And whom we trust
//! to be one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Result};
use crate::settings::{self, Login, Settings};

/// How long a credential helper may take; some ask a cloud.
const HELPER: Duration = Duration::from_secs(30);
/// What Docker's own hub is called in image references, and in the client's configuration.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Where to look for credentials; nothing is looked at yet.
#[derive(Debug, Clone)]
pub struct Credentials {
    logins: Vec<Login>,
    docker_config: Option<PathBuf>,
    ca_bundle: Option<PathBuf>,
}

impl Credentials {
    /// [`settings::REGISTRY_SERVER`] and its account, else the engine's client's configuration.
    ///
    /// # Errors
    /// [`Error::Refused`] when they are set to what is not allowed.
    pub fn of(settings: &Settings) -> Result<Self> {
        let logins = settings.registry_login.get()?.into_iter().collect();
        let docker_config = Some(settings.docker_config.join("config.json"));
        Ok(Self { logins, docker_config, ca_bundle: settings.ca_bundle.get()? })
    }

    /// What the engine's client's configuration in a folder says, and nothing else.
    pub fn of_client(docker_config: &Path) -> Self {
        Self { logins: Vec::new(), docker_config: Some(docker_config.join("config.json")), ca_bundle: None }
    }

    /// The same with one more account, which comes before all others.
    #[must_use]
    pub fn with(mut self, login: Login) -> Self {
        crate::secrets::know(&login.password);
        self.logins.insert(0, login);
        self
    }

    /// The account at a registry, if there is one.
    ///
    /// # Errors
    /// [`Error::Refused`] when the client's configuration names one that cannot be used.
    pub async fn at(&self, registry: &str) -> Result<Option<Login>> {
        if let Some(login) = self.logins.iter().find(|login| login.server == registry) {
            return Ok(Some(login.clone()));
        }
        let Some(path) = self.docker_config.clone().filter(|path| path.is_file()) else { return Ok(None) };
        let server = if registry == HUB.0 { HUB.1 } else { registry }.to_owned();
        let refuse = {
            let (path, server) = (path.clone(), server.clone());
            move |why: &str| {
                Error::refused(
                    format!("the credentials of {server} in {} cannot be used: {why}", path.display()),
                    format!("docker login {server}, or set {}", settings::REGISTRY_SERVER),
                )
            }
        };
        let asked = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(&path).map_err(|_| CredentialRetrievalError::ConfigReadError)?;
            get_credential_from_reader(file, &server)
        });
        let found = match tokio::time::timeout(HELPER, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => return Err(refuse("its credential helper could not be run")),
            Err(_) => return Err(refuse("its credential helper does not answer")),
        };
        match found {
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                crate::secrets::know(&password);
                Ok(Some(Login { server: registry.to_owned(), username, password }))
            }
            Ok(DockerCredential::IdentityToken(_)) => Err(refuse("an identity token cannot be handed to a cluster")),
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            // A helper that knows nothing of a server says so by failing (docker-credential-helpers).
            Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("not found") => Ok(None),
            // What a helper prints may hold a secret.
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(refuse(&format!("{helper} fails"))),
            Err(other) => Err(refuse(&other.to_string())),
        }
    }

    /// Certificates of authorities that are trusted beside the system's, as DER: those of [`settings::CA_BUNDLE`].
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Malformed`] when that file cannot be read.
    pub(super) fn authorities(&self) -> Result<Vec<Vec<u8>>> {
        let Some(path) = &self.ca_bundle else { return Ok(Vec::new()) };
        let say = || format!("read the CA bundle {}", path.display());
        let text = std::fs::read(path).map_err(Error::io(say()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        Ok(found.map_err(Error::malformed(say()))?.into_iter().map(|der| der.to_vec()).collect())
    }

    /// Where an account was looked for, for an error.
    pub(super) fn places(&self) -> String {
        let servers: Vec<&str> = self.logins.iter().map(|login| login.server.as_str()).collect();
        let login = match servers.as_slice() {
            [] => format!("{} is not set", settings::REGISTRY_SERVER),
            servers => format!("{} is {}", settings::REGISTRY_SERVER, servers.join(", ")),
        };
        match &self.docker_config {
            Some(path) if path.is_file() => format!("{login}, and {} names no account for it", path.display()),
            Some(path) => format!("{login}, and there is no {}", path.display()),
            None => login,
        }
    }

    /// The accounts at these registries as a cluster's pull secret holds them (`.dockerconfigjson`): no others go there.
    ///
    /// # Errors
    /// As [`Credentials::at`].
    pub(crate) async fn pull_secret(&self, registries: impl IntoIterator<Item = &str>) -> Result<String> {
        let mut auths = BTreeMap::new();
        for registry in registries {
            if let Some(Login { username, password, .. }) = self.at(registry).await? {
                let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                let server = if registry == HUB.0 { HUB.1 } else { registry };
                auths.insert(server, serde_json::json!({"username": username, "password": password, "auth": auth}));
            }
        }
        Ok(serde_json::json!({ "auths": auths }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> (tempfile::TempDir, Credentials) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let credentials = Credentials::of_client(folder.path());
        (folder, credentials)
    }

    #[tokio::test]
    async fn the_settings_come_before_the_clients_configuration() {
        let auth = base64::engine::general_purpose::STANDARD.encode("carol:from-file");
        let (_folder, credentials) =
            from_file(&format!("{{\"auths\": {{\"r.example:5000\": {{\"auth\": \"{auth}\"}}}}}}"));
        let found = credentials.at("r.example:5000").await.unwrap().unwrap();
        assert_eq!((found.username.as_str(), found.password.as_str()), ("carol", "from-file"));
        assert_eq!(credentials.at("other.example").await.unwrap(), None);
        let login = |server: &str| Login { server: server.into(), username: "robot".into(), password: "set".into() };
        let credentials = credentials.with(login("r.example:5000"));
        assert_eq!(credentials.at("r.example:5000").await.unwrap().unwrap().username, "robot");
    }

    #[tokio::test]
    async fn a_cluster_gets_the_accounts_of_its_registries_alone() {
        let auth = base64::engine::general_purpose::STANDARD.encode("carol:word");
        let (_folder, credentials) = from_file(&format!(
            "{{\"auths\": {{\"a.example\": {{\"auth\": \"{auth}\"}}, \"b.example\": {{\"auth\": \"{auth}\"}}}}}}"
        ));
        let secret = credentials.pull_secret(["a.example", "c.example"]).await.unwrap();
        let secret: serde_json::Value = serde_json::from_str(&secret).unwrap();
        assert_eq!(
            secret,
            serde_json::json!({"auths": {"a.example": {"username": "carol", "password": "word", "auth": auth}}})
        );
    }

    #[test]
    fn each_authority_of_a_bundle_is_trusted() {
        let of = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert;
        let (one, two) = (of("one.example"), of("two.example"));
        let bundle = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(bundle.path(), format!("# ours\n{}{}", one.pem(), two.pem())).unwrap();
        let (_folder, mut credentials) = from_file("{}");
        credentials.ca_bundle = Some(bundle.path().to_owned());
        assert_eq!(credentials.authorities().unwrap(), [one.der().to_vec(), two.der().to_vec()]);
        credentials.ca_bundle = Some("/nowhere/ca.pem".into());
        assert!(credentials.authorities().unwrap_err().report().contains("/nowhere/ca.pem"));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said_and_not_shown() {
        let (_folder, credentials) = from_file("{\"auths\": {\"r.example\": {\"auth\": \"hunter2\"}}}");
        let error = credentials.at("r.example").await.unwrap_err().report();
        assert!(error.contains("docker login r.example") && !error.contains("hunter2"), "{error}");
    }
}
