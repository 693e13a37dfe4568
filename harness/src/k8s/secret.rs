//! Secrets: made once and never changed, or kept as they should be; their values are never printed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};

use super::{FIELD_MANAGER, brief, call, has_code};
use crate::{Error, Result};

/// The one key of a Secret by which images are pulled.
const ACCOUNTS: &str = ".dockerconfigjson";
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

/// The type of a Secret by which the kubelet pulls images.
const PULL: &str = "kubernetes.io/dockerconfigjson";

/// Brings the Secret by which images are pulled to these accounts, as the engine's client's configuration writes them.
///
/// # Errors
/// The API's error, or [`crate::Error::Deadline`] after 10 s.
pub async fn apply_pull_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    accounts: String,
) -> Result<()> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": PULL,
        "metadata": {"name": name, "labels": labels},
        "stringData": {ACCOUNTS: accounts},
    });
    let what = format!("apply the Secret {name} in the namespace {namespace}");
    let how = PatchParams::apply(FIELD_MANAGER).force();
    call(&what, api.patch(name, &how, &Patch::Apply(&secret))).await.map(drop)
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
        for (key, bytes) in secrets.iter().flat_map(|secret| secret.data.iter().flatten()) {
            let bytes = &bytes.0;
            if key == ACCOUNTS {
                // Registries' names stand in there too, and are what an error must show.
                values.extend(passwords(bytes));
                continue;
            }
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

/// What is secret in the accounts of a pull secret.
fn passwords(accounts: &[u8]) -> Vec<String> {
    let accounts: serde_json::Value = serde_json::from_slice(accounts).unwrap_or_default();
    let all = accounts["auths"].as_object().into_iter().flat_map(|auths| auths.values());
    all.flat_map(|auth| ["password", "auth"].map(|key| auth[key].as_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pull_secret_only_what_is_secret_is_blotted_out() {
        let text = "{\"auths\": {\"registry.example\": {\"username\": \"robot\", \"password\": \"hunter2\"}}}";
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        let secret = serde_json::json!({"data": {ACCOUNTS: encoded}});
        let blot = Blot::of_secrets(&[serde_json::from_value(secret).unwrap()]);
        assert_eq!(blot.text("robot at registry.example: hunter2"), "robot at registry.example: [secret]");
    }

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
