//! Signing in, and what a token is worth.

use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::services::{self, Credentials, ME};
use harness::stack::{Site, Stack};
use harness::{Error, expect, expect_eq};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(a_user_signs_in),
        each(wrong_credentials_are_refused, [("password", true), ("login", false)]),
        scenario(no_token_is_refused),
        each(a_token_is_refused, [("expired", -60), ("signed_with_another_key", 3600)]),
    ]
}

async fn a_user_signs_in(stack: Stack) -> ScenarioResult {
    let login = stack.credentials().await?.login;
    let me = stack.user().await?.client().get(ME).await?;
    expect_eq!(me.expect_status(200)?.data()?["login"], json!(login))
}

/// The same answer for a wrong password and an unknown login: it tells nobody which logins exist.
async fn wrong_credentials_are_refused(stack: Stack, known_login: bool) -> ScenarioResult {
    let login = if known_login { stack.credentials().await?.login } else { stack.own_name("nobody") };
    let credentials = Credentials { login, password: "not the password".to_owned() };
    let reply = services::try_sign_in(&stack.client()?, &credentials).await?;
    reply.expect_status(401)?;
    let body: serde_json::Value = reply.json()?;
    expect_eq!(body["error"]["code"], json!("invalid_credentials"))
}

async fn no_token_is_refused(site: Site) -> ScenarioResult {
    let reply = site.get(ME).await?;
    reply.expect_status(401)?;
    expect!(reply.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")), "{reply}: no challenge")
}

/// A token that would do but for its age, or for the key it is signed with.
async fn a_token_is_refused(stack: Stack, lives_secs: i64) -> ScenarioResult {
    let key = if lives_secs < 0 { stack.auth_secret().await?["jwt-secret-key"].clone() } else { vec![b'k'; 64] };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() as i64;
    let login = stack.credentials().await?.login;
    let claims = json!({"sub": login, "iat": now - 3600, "exp": now + lives_secs});
    let token = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&key))
        .map_err(Error::malformed("sign a token"))?;
    let reply = stack.client()?.bearer(&token)?.get(ME).await?;
    reply.expect_status(401).map(drop)
}
