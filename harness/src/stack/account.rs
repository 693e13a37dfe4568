//! `Account`: a site, read with a signed-in account.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::shared::{SharedCare, Stack};
use super::site::Site;
use crate::error::{Error, Result};
use crate::http::{Reader, Reply};
use crate::scenario::reading::ReadOnly;
use crate::scenario::reading::sealed::Sealed;
use crate::scenario::{Argument, Fixture, Needs};
use crate::session::Session;
use crate::settings::{ACCOUNT_LOGIN, ACCOUNT_PASSWORD};
use crate::sign_in::{self, UserCredentials};
use crate::stage::Stage;
use crate::websocket::Handshake;

/// A site with a signed-in account, to read from. The sign-in is the only POST; all that it changes is a session.
#[derive(Debug)]
pub struct Account {
    site: Site,
    reader: Reader,
    token: String,
    /// The account's login name.
    pub login: String,
}

impl Account {
    async fn sign_in(site: Site, credentials: UserCredentials) -> Result<Self> {
        site.takes_a_token()?;
        let client = harness_http::writer(site.options().clone())?;
        let token = sign_in::sign_in(&client, &credentials).await?;
        let reader = Reader::with(site.options().clone())?.bearer(&token)?;
        Ok(Self { site, reader, token, login: credentials.login })
    }

    /// The same account with a token whose signature is wrong: the site has to refuse it.
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub fn spoilt(&self) -> Result<Self> {
        let token = spoilt(&self.token);
        let reader = Reader::with(self.site.options().clone())?.bearer(&token)?;
        Ok(Self { site: self.site.clone(), reader, token, login: self.login.clone() })
    }

    /// The same site without the account.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// GET of a path with the account's token.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no whole answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.get(path).await?)
    }

    /// Tries to open the WebSocket at a path with the account's token.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no answer at all.
    pub async fn websocket(&self, path: &str) -> Result<Handshake> {
        self.site.websocket(path, Some(&self.token)).await
    }
}

/// A token with one letter changed in the middle of its last part, the signature: in base64 the last letter may stand for
/// bits that do not count.
fn spoilt(token: &str) -> String {
    let (head, signature) = token.rsplit_once('.').map_or(("", token), |(head, signature)| (head, signature));
    let middle = signature.len() / 2;
    let change = |(index, letter): (usize, char)| match letter {
        'A' if index == middle => 'B',
        _ if index == middle => 'A',
        other => other,
    };
    let signature: String = signature.chars().enumerate().map(change).collect();
    if head.is_empty() { signature } else { format!("{head}.{signature}") }
}

impl ReadOnly for Account {}
impl Sealed for Account {}

impl Argument for Account {
    const NEEDS: Needs = Needs::Account;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            sign_in::of_the_stack()?;
            if session.stage == Stage::Live {
                let none = || Error::NotApplicable(format!("{ACCOUNT_LOGIN} and {ACCOUNT_PASSWORD} are not set"));
                let credentials = session.settings.account.get()?.ok_or_else(none)?;
                let Fixture { argument, teardown } = Site::make(session, scenario).await?;
                return Ok(Fixture { argument: Self::sign_in(argument, credentials).await?, teardown });
            }
            let shared = session.release().await?;
            let stack = Stack::of(Arc::clone(&session), &shared.cluster, &shared.plan, scenario).await?;
            let credentials = stack.credentials().await?;
            let care = SharedCare::of(&session, &shared.cluster, &shared.plan).await?;
            let site = Site::shared(session.stage, &shared, scenario).await?;
            Ok(Fixture { argument: Self::sign_in(site, credentials).await?, teardown: Box::new(care) })
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("head.claims.signed", "head.claims.sigAed")]
    #[case("head.claims.sigAed", "head.claims.sigBed")]
    #[case("good", "goAd")]
    fn one_letter_of_the_signature_is_another(#[case] token: &str, #[case] spoilt: &str) {
        assert_eq!(super::spoilt(token), spoilt);
    }
}
