//! Signing in, as a stack's spec describes it ([`crate::spec::SignInSpec`]).

use crate::error::{Error, Result};
use crate::http::{Client, Reply};
use crate::secrets;
pub use crate::settings::UserCredentials;
use crate::spec::{SignInSpec, spec};

/// How somebody signs in to this stack.
///
/// # Errors
/// [`Error::NotApplicable`] where nobody does.
pub(crate) fn of_the_stack() -> Result<&'static SignInSpec> {
    let none =
        || Error::NotApplicable("nobody signs in to this stack: its spec names no sign_in (StackSpec)".to_owned());
    spec().sign_in.as_ref().ok_or_else(none)
}

/// Tries to sign in, and returns the answer whatever it is. What it holds is known as secret from here on.
///
/// # Errors
/// [`Error::Http`] when there is no answer, [`Error::NotApplicable`] where nobody signs in.
pub async fn try_sign_in(client: &Client, credentials: &UserCredentials) -> Result<Reply> {
    let SignInSpec { path, members: [login, password], .. } = of_the_stack()?;
    secrets::know(&credentials.password);
    let body = serde_json::json!({*login: credentials.login, *password: credentials.password});
    let reply = client.post(path, &body).await?;
    // Before anybody can show it: the tokens need not look like some.
    // One document, or several one after the other, as far as they are JSON.
    let documents = serde_json::Deserializer::from_slice(&reply.body).into_iter::<serde_json::Value>();
    documents.map_while(std::result::Result::ok).for_each(|document| secrets::know_fields(&document));
    Ok(reply)
}

/// Signs in; returns the token.
///
/// # Errors
/// [`Error::Unmet`] when the answer is not 200 with a token, and as [`try_sign_in`].
pub async fn sign_in(client: &Client, credentials: &UserCredentials) -> Result<String> {
    let place = of_the_stack()?.token;
    let reply = try_sign_in(client, credentials).await?;
    // Not as other answers are read: what stands in this one is not for a log.
    let body: Option<serde_json::Value> = serde_json::from_slice(&reply.expect_status(200)?.body).ok();
    let token = body.as_ref().and_then(|body| body.pointer(place)?.as_str()).filter(|token| !token.is_empty());
    let none = || Error::Unmet(format!("{reply}: {place} is no token (StackSpec, sign_in)"));
    token.map(str::to_owned).ok_or_else(none)
}
