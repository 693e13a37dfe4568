//! Signing in, as a stack's spec describes it ([`crate::spec::SignInSpec`]).

use crate::error::{Error, Result};
use crate::http::{Client, Reply};
use crate::secrets;
pub use crate::settings::UserCredentials;
use crate::spec::{SignInSpec, spec};

/// How to sign in to this stack, by its spec.
///
/// # Errors
/// [`Error::NotApplicable`] where the stack's spec names no sign-in.
pub(crate) fn of_the_stack() -> Result<&'static SignInSpec> {
    let none =
        || Error::NotApplicable("nobody signs in to this stack: its spec names no sign_in (StackSpec)".to_owned());
    spec().sign_in.as_ref().ok_or_else(none)
}

/// Tries to sign in, and returns the answer, whatever its status. The password and the fields of the answer are redacted in all
/// output from here on.
///
/// # Errors
/// [`Error::Http`] when there is no answer, [`Error::NotApplicable`] where the stack's spec names no sign-in.
pub async fn try_sign_in(client: &Client, credentials: &UserCredentials) -> Result<Reply> {
    let SignInSpec { path, members: [login, password], .. } = of_the_stack()?;
    secrets::know(&credentials.password);
    let body = serde_json::json!({*login: credentials.login, *password: credentials.password});
    let reply = client.post(path, &body).await?;
    // Before anything can show the answer: a token need not look like one. The body may be one JSON document or several.
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
    // Parsed here and not by `Reply`, whose errors show the body: this one must not get into a log.
    let body: Option<serde_json::Value> = serde_json::from_slice(&reply.expect_status(200)?.body).ok();
    let token = body.as_ref().and_then(|body| body.pointer(place)?.as_str()).filter(|token| !token.is_empty());
    let none = || Error::Unmet(format!("{reply}: {place} is no token (StackSpec, sign_in)"));
    token.map(str::to_owned).ok_or_else(none)
}
