//! A registry that wants credentials, in a container of its own, for scenarios about pulling with credentials.

use base64::Engine as _;
use harness_http::Reader;
use harness_machine::engine::{Engine, NewContainer};
use harness_manifest::Reference;
use harness_settings::marks;
use harness_settings::settings::Login;

use super::base::third_party;
use super::distribution::push_nothing;
use super::registry::{ANSWER, PORT};
use super::{RegistryCredentials, Sources};
use crate::artifacts::REGISTRY_IMAGE;
use crate::error::{Error, Result};

/// The bcrypt cost: the least that is allowed, since the password is checked for every request of a pull.
const COST: u32 = 4;

/// A registry with one account.
#[derive(Debug)]
pub struct PrivateRegistry {
    /// Its name on the engine's network, if it is on one.
    pub alias: String,
    /// The account, and the registry's address on this host.
    pub login: Login,
}

fn container(owner: &str) -> String {
    format!("{owner}-private")
}

impl PrivateRegistry {
    /// Starts a registry whose only account is `robot` with this password; on a network of the engine's, if one is given.
    ///
    /// What remains on cancel: a container with the owner's label.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not start it; [`harness_base::Error::Deadline`] when it does not answer within
    /// 20 s.
    pub async fn start(
        engine: &Engine,
        sources: &Sources<'_>,
        owner: &str,
        password: &str,
        network: Option<&str>,
    ) -> Result<Self> {
        let image = sources.bases(engine).ensure(&[third_party(&REGISTRY_IMAGE)]).await?.remove(0).reference;
        let container = container(owner);
        let alias = Self::alias(owner);
        engine
            .create(NewContainer {
                name: &container,
                owner,
                checkout: &sources.project.root,
                image: &image,
                command: &[],
                port: Some(PORT),
                network,
                alias: network.map(|_| alias.as_str()),
                volumes: &[],
                envs: &[
                    ("REGISTRY_AUTH", "htpasswd"),
                    ("REGISTRY_AUTH_HTPASSWD_REALM", "private"),
                    ("REGISTRY_AUTH_HTPASSWD_PATH", "/accounts"),
                ],
            })
            .await?;
        let accounts = tempfile::NamedTempFile::new().map_err(Error::io("make a file of accounts"))?;
        let hash = bcrypt::hash(password, COST).map_err(Error::malformed("hash a password"))?;
        std::fs::write(accounts.path(), format!("robot:{hash}\n")).map_err(Error::io("write a file of accounts"))?;
        // Copied and not mounted, since the engine may be on another machine.
        engine.copy_into(&container, accounts.path(), "/accounts").await?;
        engine.start(&container).await?;
        let server = engine.published(&container, PORT).await?;
        let login = Login { server, username: "robot".to_owned(), password: password.to_owned() };
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", login.username));
        let reader = Reader::new(&format!("http://{}", login.server))?;
        reader.with_header("authorization", &format!("Basic {basic}"))?.answers("/v2/", ANSWER).await?;
        Ok(Self { alias, login })
    }

    /// The name of an owner's registry on its network: below the domain that nodes reach without a proxy, since a bare container
    /// name has no suffix that NO_PROXY could list.
    pub fn alias(owner: &str) -> String {
        format!("{}.{}", container(owner), marks::DOMAIN)
    }

    /// Pushes an image without layers, for any platform, and returns its reference.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the registry does not take it.
    pub async fn put_image_for(&self, platform: &str, credentials: &RegistryCredentials) -> Result<Reference> {
        let credentials = credentials.clone().with(self.login.clone());
        push_nothing(&format!("{}/nothing", self.login.server), platform, &credentials).await
    }
}
