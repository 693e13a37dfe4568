//! Secrets: they differ between releases and are in no manifest.

use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::{OwnStack, Stack};
use harness::{Error, expect};
use jetscale::{AUTH, STACK};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::ListParams;

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(secrets_differ_between_releases), scenario(no_secret_stands_in_a_manifest)]
}

async fn secrets_differ_between_releases(own: OwnStack) -> ScenarioResult {
    let shared: Api<Secret> = Api::namespaced(own.kube().clone(), STACK.namespace);
    let shared = shared
        .get(&format!("{}-auth", STACK.release))
        .await
        .map_err(Error::kube("read the shared release's Secret"))?;
    let shared = shared.data.unwrap_or_default();
    let mine = own.auth_secret().await?;
    for key in ["db-password", "jwt-secret-key", "admin-password"] {
        expect!(mine.contains_key(key) && shared.contains_key(key), "a release has no {key}")?;
        expect!(mine[key] != shared[key].0, "{key} is the same in two releases")?;
    }
    Ok(())
}

/// Neither a pod's environment nor a ConfigMap spells out a value of `<release>-auth`; both are seen, as what they are to
/// hold shows.
async fn no_secret_stands_in_a_manifest(stack: Stack) -> ScenarioResult {
    let maps: Api<ConfigMap> = Api::namespaced(stack.kube().clone(), stack.namespace());
    let maps = maps.list(&ListParams::default()).await.map_err(Error::kube("list the ConfigMaps"))?;
    let text =
        serde_json::to_string(&(stack.all_pods().await?, maps.items)).map_err(Error::malformed("write objects"))?;
    for seen in [stack.plan().name(AUTH), "server_tokens".to_owned()] {
        expect!(text.contains(&seen), "neither a pod nor a ConfigMap holds {seen}")?;
    }
    for (key, value) in stack.auth_secret().await? {
        let value = String::from_utf8_lossy(&value).into_owned();
        expect!(!text.contains(&value), "the value of {key} stands in a pod or a ConfigMap")?;
    }
    Ok(())
}
