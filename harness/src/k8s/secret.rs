//! Secrets that are made once and never changed; their values are never printed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

use super::{FIELD_MANAGER, brief, call, has_code};
use crate::{Error, Result};

/// A shorter value is no secret, and would blot out the text.
const SHORTEST: usize = 6;
/// How long reading the Secrets for [`Blot`] may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Creates a Secret unless there is one of that name; says whether it did.
///
/// An existing one is kept as it is, since a kept volume keeps its password.
///
/// # Errors
/// The API's error, or [`crate::Error::Deadline`] after 10 s.
pub async fn ensure_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    data: BTreeMap<String, String>,
) -> Result<bool> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        string_data: Some(data),
        ..Secret::default()
    };
    let what = format!("create the Secret {name} in the namespace {namespace}");
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match call(&what, api.create(&params, &secret)).await {
        Ok(_) => Ok(true),
        Err(error) if has_code(&error, 409) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Blots out a namespace's Secret values in text that pods wrote, as they are and in base64.
pub(super) struct Blot {
    values: Vec<String>,
    /// Why the values are not known, when the Secrets cannot be read.
    pub problem: Option<String>,
}

impl Blot {
    /// Reads the Secrets, within 3 s; never fails, but then blots out nothing.
    pub(super) async fn of(client: &Client, namespace: &str) -> Self {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        match tokio::time::timeout(LIMIT, api.list(&ListParams::default())).await {
            Ok(Ok(list)) => Self::of_secrets(&list.items),
            Ok(Err(error)) => Self { values: Vec::new(), problem: Some(brief(&error)) },
            Err(_) => Self { values: Vec::new(), problem: Some(format!("no answer within {LIMIT:?}")) },
        }
    }

    fn of_secrets(secrets: &[Secret]) -> Self {
        let mut values: Vec<String> = Vec::new();
        for bytes in secrets.iter().flat_map(|secret| secret.data.iter().flatten()).map(|(_, value)| &value.0) {
            values.push(base64::engine::general_purpose::STANDARD.encode(bytes));
            if let Ok(value) = std::str::from_utf8(bytes) {
                values.push(value.trim().to_owned());
            }
        }
        values.retain(|value| value.len() >= SHORTEST);
        // The longest first, so that no part of a value is left over.
        values.sort_by_key(|value| Reverse(value.len()));
        Self { values, problem: None }
    }

    /// The text without the values.
    pub(super) fn text(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, value| text.replace(value, "[secret]"))
    }

    /// The error without the values, where it quotes what a pod said.
    pub(super) fn error(&self, error: Error) -> Error {
        match error {
            Error::Doomed { awaited, cause } => Error::Doomed { awaited, cause: self.text(&cause) },
            Error::Deadline { awaited, after, last } => Error::Deadline { awaited, after, last: self.text(&last) },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blots_out_values_and_their_base64() {
        let secret = |value: &str| -> Secret {
            let encoded = base64::engine::general_purpose::STANDARD.encode(value);
            serde_json::from_value(serde_json::json!({ "data": { "key": encoded } })).unwrap()
        };
        let blot = Blot::of_secrets(&[secret("hunter2"), secret("hunter2-and-more"), secret("a")]);
        assert_eq!(blot.text("a: hunter2-and-more, hunter2, aHVudGVyMg=="), "a: [secret], [secret], [secret]");
    }
}
