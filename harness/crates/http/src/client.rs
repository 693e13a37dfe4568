//! The HTTP client that may write.

use std::ops::Deref;

use reqwest::Method;
use serde::Serialize;

use super::{HttpOptions, Reader, Reply};
use crate::Result;

/// A [`Reader`] that may also write. Only [`writer`] makes one. On cancel of a write the server may still carry it out.
#[derive(Debug, Clone)]
pub struct Client {
    reader: Reader,
}

/// A [`Client`] with these options.
///
/// # Errors
/// [`harness_base::Error::Malformed`] or [`harness_base::Error::Refused`] when the URL or the CA bundle is not usable.
pub fn writer(options: HttpOptions) -> Result<Client> {
    Ok(Client { reader: Reader::with(options)? })
}

impl Deref for Client {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Client {
    /// The same client with one more header on every request.
    ///
    /// # Errors
    /// The name or the value is not allowed in a header.
    pub fn with_header(self, name: &str, value: &str) -> Result<Self> {
        Ok(Self { reader: self.reader.with_header(name, value)? })
    }

    /// The same client, signed in with a bearer token.
    ///
    /// # Errors
    /// The token is not allowed in a header.
    pub fn bearer(self, token: &str) -> Result<Self> {
        Ok(Self { reader: self.reader.bearer(token)? })
    }

    /// Sends POST with a JSON body.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.write(Method::POST, path, body).await
    }

    /// Sends PUT with a JSON body.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.write(Method::PUT, path, body).await
    }

    /// Sends DELETE.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.reader.once(Method::DELETE, path, None).await
    }

    async fn write(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Reply> {
        let json =
            serde_json::to_vec(body).map_err(harness_base::Error::malformed(format!("the body of {method} {path}")))?;
        self.reader.once(method, path, Some(json)).await
    }
}
