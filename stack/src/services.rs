//! The services as a scenario talks to them: typed requests to the contract's paths, beside what every stack's handles have.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::http::{Client, Reader, Reply};
use harness::k8s::job::{JobSpec, RunningJob};
use harness::sign_in::{self, UserCredentials};
use harness::stack::{Site, Stack};
use harness::tools::is_of_revision;
use harness::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::components::API;

/// The api's interactive documentation.
pub const DOCS: &str = "/docs";
/// The api's description.
pub const OPENAPI: &str = "/openapi.json";
/// Liveness of the api.
pub const LIVE: &str = "/api/v2/system/live";
/// Readiness of the api.
pub const READY: &str = "/api/v2/system/ready";
/// Version of the api.
pub const VERSION: &str = "/api/v2/system/version";
/// Readiness of the WebSocket service.
pub const WS_READY: &str = "/api/v2/system/ws/ready";
/// The WebSocket.
pub const WS: &str = "/api/v1/ws";
/// Sign-in.
pub const SIGN_IN: &str = "/api/v2/auth/sign-in";
/// Who is signed in.
pub const ME: &str = "/api/v2/auth/me";
/// The stored resource.
pub const ITEMS: &str = "/api/v2/items";

/// How long readiness may take to be well again, beside a suite that takes all of the machine: 60 s.
const WELL: Duration = Duration::from_secs(60);

/// What readiness says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    /// `ok` or `down` for each part.
    pub components: BTreeMap<String, String>,
}

/// What the version endpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceVersion {
    /// The version.
    pub version: String,
    /// The revision; ends in `-dirty` when the tree had changes.
    pub git_sha: String,
    /// The branch or tag.
    pub git_ref: String,
    /// The commit's time.
    pub build_time: String,
}

impl ServiceVersion {
    /// Whether this was built from that revision, which may be abbreviated; changes that nobody committed are another.
    pub fn is(&self, revision: &str) -> bool {
        is_of_revision(&self.git_sha, revision)
    }
}

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// Its identity.
    pub id: String,
    /// What it was named.
    pub name: String,
    /// When, as the api writes it.
    pub created_at: String,
}

/// The services' envelope.
pub trait Envelope {
    /// What its member `data` says.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when there is none, a malformed body when it is something else.
    fn data<T: DeserializeOwned>(&self) -> Result<T>;
}

impl Envelope for Reply {
    fn data<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.at("/data")?).map_err(Error::malformed(format!("read the data of {self}")))
    }
}

/// What a [`Site`] of JetScale has.
pub trait JetscaleSite {
    /// The api behind the site's origin.
    fn backend(&self) -> Backend;
}

impl JetscaleSite for Site {
    fn backend(&self) -> Backend {
        Backend::new(self.reader().clone())
    }
}

/// What a [`Stack`] of JetScale has.
#[expect(async_fn_in_trait, reason = "called by scenarios alone, by the type's name")]
pub trait JetscaleStack {
    /// The api as the release's first account.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when signing in fails.
    async fn user(&self) -> Result<User>;

    /// The api of one pod, without the router, whether the pod is ready or not.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when there is no pod.
    async fn api_of_one_pod(&self) -> Result<Backend>;

    /// Starts a Job with the backend's image that runs this Python program with these arguments ([`Stack::start_job`]).
    ///
    /// # Errors
    /// As [`Stack::start_job`].
    async fn start_python(&self, name: &str, program: &str, args: &[&str], limit: Duration) -> Result<RunningJob>;

    /// The same as a description, for another namespace or with other labels ([`Stack::job`]).
    ///
    /// # Errors
    /// As [`Stack::job`].
    fn python(
        &self,
        name: &str,
        program: &str,
        args: &[&str],
        limit: Duration,
        labels: &[(&str, &str)],
    ) -> Result<JobSpec>;
}

impl JetscaleStack for Stack {
    async fn user(&self) -> Result<User> {
        User::sign_in(self.client()?, &self.credentials().await?).await
    }

    async fn api_of_one_pod(&self) -> Result<Backend> {
        self.one_pod(&API).await.map(Backend::new)
    }

    async fn start_python(&self, name: &str, program: &str, args: &[&str], limit: Duration) -> Result<RunningJob> {
        self.start_job(name, &command(program, args), limit).await
    }

    fn python(
        &self,
        name: &str,
        program: &str,
        args: &[&str],
        limit: Duration,
        labels: &[(&str, &str)],
    ) -> Result<JobSpec> {
        self.job(name, &command(program, args), limit, labels)
    }
}

fn command<'a>(program: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["python", "-c", program], args].concat()
}

/// The api as anybody may read it.
#[derive(Debug, Clone)]
pub struct Backend {
    reader: Reader,
}

impl Backend {
    /// The api behind this reader's address.
    pub fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// GET of any path.
    ///
    /// # Errors
    /// [`harness::Error::Http`] when there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.get(path).await?)
    }

    /// What readiness says at this moment, and by which status.
    ///
    /// # Errors
    /// [`harness::Error::Http`], or a malformed body.
    pub async fn ready(&self) -> Result<(u16, Readiness)> {
        let reply = self.reader.get(READY).await?;
        Ok((reply.status, reply.data()?))
    }

    /// What readiness says once its status is 200, within 60 s: a store may be slow for a moment.
    ///
    /// # Errors
    /// The deadline, with the last answer.
    pub async fn becomes_ready(&self) -> Result<Readiness> {
        self.reader.answers(READY, WELL).await?.data()
    }

    /// What is served.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 200.
    pub async fn version(&self) -> Result<ServiceVersion> {
        self.reader.get(VERSION).await?.expect_status(200)?.data()
    }
}

/// The api as a signed-in user.
#[derive(Debug, Clone)]
pub struct User {
    client: Client,
    /// The access token.
    pub token: String,
}

impl User {
    /// Signs in.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when the answer is not 200 with a token.
    pub async fn sign_in(client: Client, credentials: &UserCredentials) -> Result<Self> {
        let token = sign_in::sign_in(&client, credentials).await?;
        Ok(Self { client: client.bearer(&token)?, token })
    }

    /// The client that carries the token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Stores an item.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 201.
    pub async fn create_item(&self, name: &str) -> Result<Item> {
        self.client.post(ITEMS, &json!({ "name": name })).await?.expect_status(201)?.data()
    }

    /// Reads an item.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 200.
    pub async fn item(&self, id: &str) -> Result<Item> {
        self.client.get(&format!("{ITEMS}/{id}")).await?.expect_status(200)?.data()
    }

    /// The items whose names start so.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 200.
    pub async fn items(&self, prefix: &str) -> Result<Vec<Item>> {
        self.client.get(&format!("{ITEMS}?prefix={prefix}")).await?.expect_status(200)?.data()
    }

    /// Deletes an item.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 204.
    pub async fn delete_item(&self, id: &str) -> Result<()> {
        self.client.delete(&format!("{ITEMS}/{id}")).await?.expect_status(204)?;
        Ok(())
    }
}
