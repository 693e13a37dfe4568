//! Registry credentials and trusted CAs: by the settings, else by the configuration of the engine's client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness_machine::tools::{ChildKind, Command, Environment};
use harness_settings::settings::{self, KEY_OF_HUB, Login, Settings, is_hub, key_of_registry};

use super::client_config::{ClientConfig, CredentialSource, HelperAnswer};
use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Result};

/// The deadline of a credential helper; some ask a cloud.
const HELPER: Duration = Duration::from_secs(30);

/// Registry credentials; each account is looked up when it is needed.
#[derive(Debug, Clone)]
pub struct RegistryCredentials {
    logins: Vec<Login>,
    docker_config: Option<PathBuf>,
    ca_bundle: Option<PathBuf>,
    environment: Environment,
    /// By registry, why a helper gave no account: part of the error if the registry then wants one.
    unusable: Arc<Mutex<BTreeMap<String, String>>>,
}

impl RegistryCredentials {
    /// The credentials of the settings ([`settings::REGISTRY_SERVER`] and its account), else of the engine's client's
    /// configuration.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when a setting is not allowed.
    pub fn of(settings: &Settings) -> Result<Self> {
        let logins = settings.registry_login.get()?.into_iter().collect();
        let docker_config = Some(settings.docker_config.join("config.json"));
        Ok(Self {
            logins,
            docker_config,
            ca_bundle: settings.ca_bundle.get()?,
            environment: settings.environment.clone(),
            unusable: Arc::default(),
        })
    }

    /// The credentials of the client's configuration in a folder only.
    pub fn of_client(docker_config: &Path, environment: &Environment) -> Self {
        let docker_config = Some(docker_config.join("config.json"));
        let (environment, unusable) = (environment.clone(), Arc::default());
        Self { logins: Vec::new(), docker_config, ca_bundle: None, environment, unusable }
    }

    /// Adds an account, which comes before all others; its password is redacted in all output from here on.
    #[must_use]
    pub fn with(mut self, login: Login) -> Self {
        harness_base::secrets::know(&login.password);
        self.logins.insert(0, login);
        self
    }

    /// The account at a registry, if there is one. A credential helper that is missing or fails counts as one that knows no
    /// account: it may be left over, and most registries need none. If this one does, its refusal names the helper.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the client's configuration names an account that cannot be used.
    pub async fn at(&self, registry: &str) -> Result<Option<Login>> {
        if let Some(login) = self.logins.iter().find(|login| login.is_at(registry)) {
            return Ok(Some(Login { server: registry.to_owned(), ..login.clone() }));
        }
        let Some(path) = self.docker_config.as_ref().filter(|path| path.is_file()) else { return Ok(None) };
        let server = key_of_registry(registry);
        let refuse = |why: &str| {
            Error::refused(
                format!("the credentials of {server} in {} cannot be used: {why}", path.display()),
                format!("docker login {server}, or set {}", settings::REGISTRY_SERVER),
            )
        };
        let text = std::fs::read_to_string(path).map_err(|_| refuse("it cannot be read"))?;
        let account = ClientConfig::parse(&text).and_then(|config| config.source(server)).map_err(refuse)?;
        let account = match account {
            CredentialSource::Nowhere => return Ok(None),
            CredentialSource::Account(username, password) => Some((username, password)),
            CredentialSource::Helper(helper) => self.ask_for(&helper, registry).await.unwrap_or_else(|why| {
                let mut unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
                unusable.insert(registry.to_owned(), format!("{}: {why}", path.display()));
                None
            }),
        };
        Ok(account.map(|(username, password)| {
            harness_base::secrets::know(&password);
            Login { server: registry.to_owned(), username, password }
        }))
    }

    /// The account at a registry that a credential helper keeps; Docker Hub's also under its other name.
    async fn ask_for(&self, helper: &str, registry: &str) -> Result<Option<(String, String)>, String> {
        let server = key_of_registry(registry);
        match self.ask(helper, server).await? {
            None if is_hub(registry) && server != KEY_OF_HUB => self.ask(helper, KEY_OF_HUB).await,
            found => Ok(found),
        }
    }

    /// Asks a credential helper for the name and password at a server; `None` if it knows none.
    ///
    /// Its output may hold a secret, and is not shown.
    async fn ask(&self, helper: &str, server: &str) -> Result<Option<(String, String)>, String> {
        let program = format!("docker-credential-{helper}");
        let command = Command::new(&program).given(&self.environment, ChildKind::Credentials);
        match command.arg("get").input(server).limit(HELPER).run().await {
            Ok(output) => HelperAnswer::read(&output.stdout).map(Some),
            // A helper without an account for the server fails with this text (docker-credential-helpers).
            Err(harness_machine::Error::Command(failure)) if failure.tail.contains("credentials not found") => Ok(None),
            Err(harness_machine::Error::Command(failure)) => {
                Err(format!("the credential helper {program} fails ({})", failure.status))
            }
            Err(error) => Err(format!("the credential helper {program} fails: {error}")),
        }
    }

    /// Certificates of authorities that are trusted beside the system's, as DER: those of [`settings::CA_BUNDLE`].
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] or [`harness_base::Error::Malformed`] when that file cannot be read.
    pub(super) fn authorities(&self) -> Result<Vec<Vec<u8>>> {
        let Some(path) = &self.ca_bundle else { return Ok(Vec::new()) };
        let say = || format!("read the CA bundle {}", path.display());
        let text = std::fs::read(path).map_err(Error::io(say()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        Ok(found.map_err(Error::malformed(say()))?.into_iter().map(|der| der.to_vec()).collect())
    }

    /// The environment, for proxies.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The places where an account at a registry was looked for, and why there is none; for an error.
    pub(super) fn places(&self, registry: &str) -> String {
        let unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
        match unusable.get(registry) {
            Some(why) => format!("{}; {why}", self.looked_at()),
            None => self.looked_at(),
        }
    }

    fn looked_at(&self) -> String {
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

    /// The accounts at these registries, and no others, as the content of a pull secret (`.dockerconfigjson`).
    ///
    /// # Errors
    /// As [`RegistryCredentials::at`].
    pub async fn pull_secret(&self, registries: impl IntoIterator<Item = &str>) -> Result<String> {
        let mut auths = BTreeMap::new();
        for registry in registries {
            if let Some(Login { username, password, .. }) = self.at(registry).await? {
                let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                auths.insert(
                    key_of_registry(registry),
                    serde_json::json!({"username": username, "password": password, "auth": auth}),
                );
            }
        }
        Ok(serde_json::json!({ "auths": auths }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> (tempfile::TempDir, RegistryCredentials) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let pairs = [("PATH", path.as_str()), ("AWS_PROFILE", "me"), ("GITHUB_TOKEN", "hunter2")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let credentials = RegistryCredentials::of_client(folder.path(), &Environment::new(&pairs.into()));
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

    #[rstest::rstest]
    #[case::as_references_have_it("docker.io")]
    #[case::where_it_answers("registry-1.docker.io")]
    #[case::where_it_answered_once("index.docker.io")]
    #[tokio::test]
    async fn the_hub_has_one_account_by_all_its_names(#[case] set: &str) {
        let login = Login { server: set.into(), username: "robot".into(), password: "set".into() };
        let (_folder, credentials) = from_file("{}");
        let credentials = credentials.with(login);
        let key = "https://index.docker.io/v1/";
        // The last is another registry to a kubelet.
        for (registry, key) in
            [("docker.io", key), ("index.docker.io", key), ("registry-1.docker.io", "registry-1.docker.io")]
        {
            let found = credentials.at(registry).await.unwrap().unwrap();
            assert_eq!((found.server.as_str(), found.username.as_str()), (registry, "robot"));
            let secret = credentials.pull_secret([registry]).await.unwrap();
            assert!(secret.contains(&format!("{{\"{key}\":")), "{secret}");
        }
        assert_eq!(credentials.at("ghcr.io").await.unwrap(), None);
    }

    /// Credentials whose client's configuration names a helper, which is this script.
    fn from_helper(script: &str) -> (tempfile::TempDir, RegistryCredentials) {
        let (folder, credentials) = from_file("{\"credsStore\": \"test\"}");
        crate::testing::install(folder.path(), "docker-credential-test", script);
        (folder, credentials)
    }

    #[tokio::test]
    async fn a_helper_is_asked_with_what_it_needs() {
        let script = "#!/bin/sh\nread -r server\n\
                      printf '{\"Username\": \"%s\", \"Secret\": \"%s\"}' \"$1 $server\" \"$AWS_PROFILE$GITHUB_TOKEN\"\n";
        let (_folder, credentials) = from_helper(script);
        let found = credentials.at("r.example").await.unwrap().unwrap();
        assert_eq!((found.username.as_str(), found.password.as_str()), ("get r.example", "me"));
    }

    #[rstest::rstest]
    #[case::unknown("echo credentials not found in native keychain; exit 1", None)]
    #[case::fails("echo hunter2; exit 1", Some("the credential helper docker-credential-test fails (exit status: 1)"))]
    #[case::nonsense("echo hunter2", Some("its helper's answer cannot be read"))]
    #[case::token("echo '{\"Username\": \"<token>\", \"Secret\": \"hunter2\"}'", Some("identity token"))]
    #[tokio::test]
    async fn a_helper_that_gives_no_account(#[case] script: &str, #[case] says: Option<&str>) {
        let (_folder, credentials) = from_helper(&format!("#!/bin/sh\n{script}\n"));
        assert_eq!(credentials.at("r.example").await.unwrap(), None);
        let (told, elsewhere) = (credentials.places("r.example"), credentials.places("other.example"));
        assert!(says.is_none_or(|says| told.contains(says)) && !told.contains("hunter2"), "{told}");
        assert!(!elsewhere.contains("helper"), "{elsewhere}");
    }

    #[tokio::test]
    async fn a_helper_that_is_left_over_matters_where_an_account_is_needed() {
        let (_folder, credentials) = from_file("{\"credsStore\": \"desktop\"}");
        assert_eq!(credentials.at("r.example").await.unwrap(), None);
        assert_eq!(credentials.pull_secret(["r.example"]).await.unwrap(), "{\"auths\":{}}");
        assert!(
            credentials.places("r.example").contains("docker-credential-desktop"),
            "{}",
            credentials.places("r.example")
        );
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said_and_not_shown() {
        let (_folder, credentials) = from_file("{\"auths\": {\"r.example\": {\"auth\": \"hunter2\"}}}");
        let error = credentials.at("r.example").await.unwrap_err().report();
        assert!(error.contains("docker login r.example") && !error.contains("hunter2"), "{error}");
    }
}
