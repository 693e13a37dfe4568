//! `Account`: somebody who is signed in, and reads.

use std::sync::Arc;

use super::shared::{SharedCare, Stack};
use super::site::Site;
use crate::error::{Error, Result};
use crate::fixture::Fixtures;
use crate::http::{Client, Reader, Reply};
use crate::scenario::{Argument, Made, Needs};
use crate::services::{Credentials, User};
use crate::settings::{ACCOUNT_LOGIN, ACCOUNT_PASSWORD};
use crate::stage::Stage;
use crate::websocket::Handshake;

/// A site as somebody who signed in sees it: the sign-in is the one POST there is, and all that it changes is a session.
#[derive(Debug)]
pub struct Account {
    site: Site,
    reader: Reader,
    token: String,
    /// Who it is.
    pub login: String,
}

impl Account {
    async fn sign_in(site: Site, credentials: Credentials) -> Result<Self> {
        let client = Client::with(site.options().clone())?;
        let token = User::sign_in(client, &credentials).await?.token;
        let reader = Reader::with(site.options().clone())?.bearer(&token)?;
        Ok(Self { site, reader, token, login: credentials.login })
    }

    /// The site, as anybody sees it.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// GET as who is signed in.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when there is no whole answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.reader.get(path).await
    }

    /// Tries to open the WebSocket as who is signed in.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when there is no answer at all.
    pub async fn websocket(&self) -> Result<Handshake> {
        self.site.websocket(Some(&self.token)).await
    }
}

impl Argument for Account {
    const NEEDS: Needs = Needs::Account;

    async fn make(fixtures: Arc<Fixtures>, scenario: &str) -> Result<Made<Self>> {
        if fixtures.stage == Stage::Live {
            let none = || Error::NotApplicable(format!("{ACCOUNT_LOGIN} and {ACCOUNT_PASSWORD} are not set"));
            let credentials = fixtures.settings.account.clone().ok_or_else(none)?;
            let Made { argument, aftercare } = Site::make(fixtures, scenario).await?;
            return Ok(Made { argument: Self::sign_in(argument, credentials).await?, aftercare });
        }
        let shared = fixtures.release().await?;
        let stack = Stack::of(Arc::clone(&fixtures), &shared.cluster, &shared.plan, scenario).await?;
        let credentials = stack.credentials().await?;
        let care = SharedCare::of(&fixtures, &shared.cluster, &shared.plan).await?;
        let site = Site::shared(fixtures.stage, &shared, scenario).await?;
        Ok(Made { argument: Self::sign_in(site, credentials).await?, aftercare: Box::new(care) })
    }
}
