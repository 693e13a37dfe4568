//! Secrets: created once and kept, or applied. Their values are never printed: redaction knows them.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_base::secrets;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};

use super::{FIELD_MANAGER, call, has_code};
use crate::in_one_line;

use crate::Result;

/// The key of a pull secret's accounts.
const ACCOUNTS: &str = ".dockerconfigjson";
/// The type of the Secrets in which Helm stores releases.
const HELM: &str = "helm.sh/release.v1";
/// The limit for reading the Secrets in [`know_all`].
const LIMIT: Duration = Duration::from_secs(3);

/// Creates a Secret unless one of that name exists; returns whether it did. On cancel the Secret may remain.
///
/// An existing Secret stays as it is, since a kept volume keeps its password.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn ensure_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    data: BTreeMap<String, String>,
) -> Result<bool> {
    data.iter().for_each(|(key, value)| secrets::know_unless_public(key, value));
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

/// The type of a pull secret.
const PULL: &str = "kubernetes.io/dockerconfigjson";

/// Applies a pull secret with these accounts, which are the JSON of a Docker client's configuration. On cancel the server may
/// still carry it out.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn apply_pull_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    accounts: String,
) -> Result<()> {
    passwords(accounts.as_bytes()).iter().for_each(secrets::know);
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

/// Makes the values of a namespace's Secrets known to redaction, so that no text shows them, also where a pod's log repeats
/// them. Takes at most 3 s and never fails: returns why the values are not known, if so.
pub(super) async fn know_all(client: &Client, namespace: &str) -> Option<String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(LIMIT, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => {
            list.items.iter().for_each(know);
            None
        }
        Ok(Err(error)) => Some(in_one_line(&error)),
        Err(_) => Some(format!("no answer within {LIMIT:?}")),
    }
}

fn know(secret: &Secret) {
    // Helm's Secrets hold manifests, and no values to hide.
    if secret.type_.as_deref() == Some(HELM) {
        return;
    }
    for (key, bytes) in secret.data.iter().flatten() {
        // A pull secret's registry names are no secrets, and an error must show them.
        match key == ACCOUNTS {
            true => passwords(&bytes.0).iter().for_each(secrets::know),
            false => secrets::know_unless_public(key, &bytes.0),
        }
    }
}

/// The secret parts of a pull secret's accounts.
fn passwords(accounts: &[u8]) -> Vec<String> {
    let accounts: serde_json::Value = serde_json::from_slice(accounts).unwrap_or_default();
    let all = accounts["auths"].as_object().into_iter().flat_map(|auths| auths.values());
    all.flat_map(|auth| ["password", "auth"].map(|key| auth[key].as_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;

    #[test]
    fn the_values_of_secrets_are_known_and_names_of_registries_are_not() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let accounts = "{\"auths\": {\"registry.example\": {\"username\": \"robot-of-secret\", \"password\": \"hunter2-of-pull\"}}}";
        let data = [
            ("db-key", "hunter2-of-secret"),
            ("admin-email", "admin@secret.example"),
            ("short", "a"),
            (ACCOUNTS, accounts),
        ];
        let data: BTreeMap<&str, String> = data.into_iter().map(|(key, value)| (key, encode(value))).collect();
        know(&serde_json::from_value(serde_json::json!({ "data": data })).unwrap());
        let release = serde_json::json!({"type": HELM, "data": {"release": encode("a manifest of helm's")}});
        know(&serde_json::from_value(release).unwrap());
        let text = "robot-of-secret at registry.example: hunter2-of-pull, hunter2-of-secret, admin@secret.example, a manifest of helm's";
        let clean =
            "robot-of-secret at registry.example: [secret], [secret], admin@secret.example, a manifest of helm's";
        assert_eq!(secrets::redact(text), clean);
    }
}
