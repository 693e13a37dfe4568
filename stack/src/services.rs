//! Typed API clients of JetScale's services for scenarios, as extensions of the harness's handles.

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

/// The path of the api's interactive documentation.
pub const DOCS: &str = "/docs";
/// The path of the api's OpenAPI description.
pub const OPENAPI: &str = "/openapi.json";
/// The path of the api's liveness.
pub const LIVE: &str = "/api/v2/system/live";
/// The path of the api's readiness.
pub const READY: &str = "/api/v2/system/ready";
/// The path of the api's version.
pub const VERSION: &str = "/api/v2/system/version";
/// The path of the WebSocket service's readiness.
pub const WS_READY: &str = "/api/v2/system/ws/ready";
/// The path of the WebSocket.
pub const WS: &str = "/api/v1/ws";
/// The path of the sign-in.
pub const SIGN_IN: &str = "/api/v2/auth/sign-in";
/// The path of the signed-in account.
pub const ME: &str = "/api/v2/auth/me";
/// The path of the stored items.
pub const ITEMS: &str = "/api/v2/items";

/// The deadline for readiness to be 200, beside a suite that takes all of the machine: 60 s.
const WELL: Duration = Duration::from_secs(60);

/// The answer of the readiness endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    /// The state of each part by its name: `ok` or `down`.
    pub components: BTreeMap<String, String>,
}

/// The answer of the version endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceVersion {
    /// The version.
    pub version: String,
    /// The git revision; ends in `-dirty` when the working tree had changes.
    pub git_sha: String,
    /// The branch or tag.
    pub git_ref: String,
    /// The commit's time.
    pub build_time: String,
}

impl ServiceVersion {
    /// Whether this was built from a revision, which may be abbreviated; with uncommitted changes it was not.
    pub fn is(&self, revision: &str) -> bool {
        is_of_revision(&self.git_sha, revision)
    }
}

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// Its identity.
    pub id: String,
    /// The name that it was stored with.
    pub name: String,
    /// When it was stored, as the api writes it.
    pub created_at: String,
}

/// The envelope of the services' answers.
pub trait Envelope {
    /// Parses the envelope's member `data`.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when there is none; [`harness::Error::Base`] (malformed) when it is of another shape.
    fn data<T: DeserializeOwned>(&self) -> Result<T>;
}

impl Envelope for Reply {
    fn data<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.at("/data")?).map_err(Error::malformed(format!("read the data of {self}")))
    }
}

/// The JetScale clients of a [`Site`].
pub trait JetscaleSite {
    /// The api behind the site's origin.
    fn backend(&self) -> Backend;
}

impl JetscaleSite for Site {
    fn backend(&self) -> Backend {
        Backend::new(self.reader().clone())
    }
}

/// The JetScale clients of a [`Stack`].
#[expect(async_fn_in_trait, reason = "called by scenarios alone, by the type's name")]
pub trait JetscaleStack {
    /// Signs in with the release's first account, and returns its client.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when signing in fails.
    async fn user(&self) -> Result<User>;

    /// The api of one pod, past the router and whether the pod is ready or not.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] when there is no pod.
    async fn api_of_one_pod(&self) -> Result<Backend>;

    /// Starts a Job that runs a Python program in the backend's image ([`Stack::start_job`]).
    ///
    /// # Errors
    /// As [`Stack::start_job`].
    async fn start_python(&self, name: &str, program: &str, args: &[&str], limit: Duration) -> Result<RunningJob>;

    /// The description of such a Job, to start in another namespace or with other labels ([`Stack::job`]).
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

/// A client of the api without an account, which only reads.
#[derive(Debug, Clone)]
pub struct Backend {
    reader: Reader,
}

impl Backend {
    /// A client of the api at a reader's address.
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

    /// The status and the body of the readiness endpoint now.
    ///
    /// # Errors
    /// [`harness::Error::Http`] when there is no answer; as [`Envelope::data`].
    pub async fn ready(&self) -> Result<(u16, Readiness)> {
        let reply = self.reader.get(READY).await?;
        Ok((reply.status, reply.data()?))
    }

    /// Waits until the readiness endpoint answers 200, and returns its body: a store may be slow for a moment.
    ///
    /// # Errors
    /// A deadline after 60 s, with the last answer; as [`Envelope::data`].
    pub async fn becomes_ready(&self) -> Result<Readiness> {
        self.reader.answers(READY, WELL).await?.data()
    }

    /// The version that is served.
    ///
    /// # Errors
    /// [`harness::Error::Unmet`] for another status than 200.
    pub async fn version(&self) -> Result<ServiceVersion> {
        self.reader.get(VERSION).await?.expect_status(200)?.data()
    }
}

/// A client of the api with a signed-in account.
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

    /// The HTTP client that sends the token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Stores an item. It remains until it is deleted.
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

    /// The items whose names begin with `prefix`.
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
