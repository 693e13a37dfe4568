//! The services as a scenario talks to them: typed requests to the contract's paths.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::http::{Client, Reader, Reply};
use crate::k8s::Forward;
use crate::secrets;
use crate::websocket::{self, Handshake};

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

/// What readiness says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    /// `ok` or `down` for each part.
    pub components: std::collections::BTreeMap<String, String>,
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
        let rest = self.git_sha.strip_prefix(revision);
        rest.is_some_and(|rest| rest.bytes().all(|digit| digit.is_ascii_hexdigit()))
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

/// What an answer's `data` says.
///
/// # Errors
/// [`harness_base::Error::Malformed`] when it is something else.
pub fn data<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T> {
    serde_json::from_value(reply.data()?).map_err(Error::malformed(format!("read the data of {reply}")))
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

    /// The api of the pod at the end of a forward.
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub fn through(forward: Forward) -> Result<Self> {
        Ok(Self { reader: Reader::with(forward.options())? })
    }

    /// GET of any path.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.get(path).await?)
    }

    /// What readiness says, and by which status.
    ///
    /// # Errors
    /// [`Error::Http`] or [`harness_base::Error::Malformed`].
    pub async fn ready(&self) -> Result<(u16, Readiness)> {
        let reply = self.reader.get(READY).await?;
        Ok((reply.status, data(&reply)?))
    }

    /// Waits until readiness says 200 again.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] with the last answer.
    pub async fn becomes_ready(&self) -> Result<()> {
        Ok(self.reader.answers(READY, Duration::from_secs(30)).await.map(drop)?)
    }

    /// What is served.
    ///
    /// # Errors
    /// [`Error::Unmet`] for another status than 200.
    pub async fn version(&self) -> Result<ServiceVersion> {
        data(self.reader.get(VERSION).await?.expect_status(200)?)
    }
}

/// Login and password of an account.
#[derive(Clone)]
pub struct UserCredentials {
    /// The login.
    pub login: String,
    /// The password; never printed.
    pub password: String,
}

impl std::fmt::Debug for UserCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.login)
    }
}

/// The api as a signed-in user.
#[derive(Debug, Clone)]
pub struct User {
    client: Client,
    /// The access token.
    pub token: String,
}

/// The answer to a try to sign in.
///
/// # Errors
/// [`Error::Http`] when there is no answer.
pub async fn try_sign_in(client: &Client, credentials: &UserCredentials) -> Result<Reply> {
    secrets::know(&credentials.password);
    let reply = client.post(SIGN_IN, &json!({"login": credentials.login, "password": credentials.password})).await?;
    // Before anybody can show it: the tokens need not look like some.
    // One document, or several one after the other, as far as they are JSON.
    let documents = serde_json::Deserializer::from_slice(&reply.body).into_iter::<serde_json::Value>();
    documents.map_while(Result::ok).for_each(|document| secrets::know_fields(&document));
    Ok(reply)
}

impl User {
    /// Signs in.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the answer is not 200 with a token.
    pub async fn sign_in(client: Client, credentials: &UserCredentials) -> Result<Self> {
        let reply = try_sign_in(&client, credentials).await?;
        let answer = reply.expect_status(200)?.data()?;
        let token = answer["tokens"]["access_token"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(Error::Unmet(format!("{reply}: no data.tokens.access_token")));
        }
        Ok(Self { client: client.bearer(&token)?, token })
    }

    /// The client that carries the token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Stores an item.
    ///
    /// # Errors
    /// [`Error::Unmet`] for another status than 201.
    pub async fn create_item(&self, name: &str) -> Result<Item> {
        data(self.client.post(ITEMS, &json!({ "name": name })).await?.expect_status(201)?)
    }

    /// Reads an item.
    ///
    /// # Errors
    /// [`Error::Unmet`] for another status than 200.
    pub async fn item(&self, id: &str) -> Result<Item> {
        data(self.client.get(&format!("{ITEMS}/{id}")).await?.expect_status(200)?)
    }

    /// The items whose names start so.
    ///
    /// # Errors
    /// [`Error::Unmet`] for another status than 200.
    pub async fn items(&self, prefix: &str) -> Result<Vec<Item>> {
        data(self.client.get(&format!("{ITEMS}?prefix={prefix}")).await?.expect_status(200)?)
    }

    /// Deletes an item.
    ///
    /// # Errors
    /// [`Error::Unmet`] for another status than 204.
    pub async fn delete_item(&self, id: &str) -> Result<()> {
        Ok(self.client.delete(&format!("{ITEMS}/{id}")).await?.expect_status(204).map(drop)?)
    }
}

/// Tries to open the WebSocket of a site.
///
/// # Errors
/// [`Error::Http`] when there is no answer at all.
pub async fn open_websocket(base: &str, options: &websocket::WebSocketOptions) -> harness_http::Result<Handshake> {
    websocket::connect_with(&format!("{}{WS}", base.trim_end_matches('/')), options).await
}

/// How long a workload of ours may take to be replaced or scaled.
pub const ROLLOUT: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("abcdef0", true)]
    #[case("abcdef0123", true)]
    #[case("abcdef1", false)]
    #[case("abcdef01234", false)]
    fn a_revision_may_be_abbreviated(#[case] revision: &str, #[case] is: bool) {
        let version = |git_sha: &str| ServiceVersion {
            version: "1".to_owned(),
            git_sha: git_sha.to_owned(),
            git_ref: String::new(),
            build_time: String::new(),
        };
        assert_eq!(version("abcdef0123").is(revision), is);
        assert!(!version("abcdef0123-dirty").is(revision));
        assert!(version("abcdef0123-dirty").is("abcdef0123-dirty"));
    }
}
