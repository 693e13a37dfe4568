//! Artifact sets that are refused before anything is deployed, and credentials for registries, against real registries.

use harness::artifacts;
use harness::k8s::pod;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::settings::Login;
use harness::stack::{DurableStack, Images};
use harness::{Error, expect, expect_eq};
use jetscale::PULL_SECRET;
use jetscale::services::JetscaleSite;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(a_whole_set_is_taken),
        each(
            a_set_is_refused,
            [
                ("that_is_empty", (damage_all, "is empty")),
                ("that_is_cut_off", (cut_off, "does not parse")),
                ("without_images", (|set| put(set, "/builds", json!([])), "names no image")),
                ("without_one_image", (|set| remove(set, 3), "has no redis, which skaffold.yaml names")),
                (
                    "with_a_tag",
                    (
                        |set| tag(set, "r.example/backend:v1"),
                        "backend: image reference \"r.example/backend:v1\": it has no digest",
                    ),
                ),
                (
                    "with_half_a_digest",
                    (|set| tag(set, "r.example/backend@sha256:12"), "is not 64 lower-case hex digits"),
                ),
                ("with_another_digest", (|set| tag(set, "r.example/backend@md5:12"), "is not a sha256")),
                (
                    "with_a_strange_repository",
                    (|set| tag(set, &format!("r.example/back end@sha256:{ZEROS}")), "signs that no repository has"),
                ),
                ("with_a_name_twice", (|set| put(set, "/builds/1/imageName", json!("backend")), "names backend twice")),
                ("with_an_odd_revision_of_its_own", (odd_revision, "says of backend the revision \"main\"")),
                ("without_a_revision", (|set| put(set, "/revision", Value::Null), "which revision")),
                ("without_a_platform", (|set| put(set, "/platform", Value::Null), "which platform")),
                (
                    "for_another_engine",
                    (|set| put(set, "/platform", json!("linux/s390x")), "is for linux/s390x, and this engine runs"),
                ),
                ("with_a_digest_that_is_nowhere", (nowhere, "does not hold it")),
                (
                    "in_a_registry_that_is_not_there",
                    (
                        |set| tag(set, &format!("127.0.0.1:1/backend@sha256:{ZEROS}")),
                        "the registry 127.0.0.1:1 cannot be reached",
                    ),
                ),
            ],
        ),
        scenario(an_image_for_another_platform_is_refused).within(300),
        each(
            credentials_are_asked_before_anything_is_deployed,
            [
                ("missing", (None, "wants credentials, and there are none")),
                ("wrong", (Some("wrong"), "refuses the credentials of robot")),
            ],
        )
        .within(300),
        scenario(good_credentials_pull_every_image).within(300).nightly(),
        scenario(a_wrong_pull_secret_fails_the_deploy_with_its_cause).within(300).nightly(),
    ]
}

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

type Damage = fn(Value) -> String;

fn put(mut set: Value, path: &str, value: Value) -> String {
    if let Some(place) = set.pointer_mut(path) {
        *place = value;
    }
    set.to_string()
}

fn tag(set: Value, reference: &str) -> String {
    put(set, "/builds/0/tag", json!(reference))
}

fn remove(mut set: Value, index: usize) -> String {
    set["builds"].as_array_mut().map(|builds| builds.remove(index));
    set.to_string()
}

fn odd_revision(mut set: Value) -> String {
    set["builds"][0]["revision"] = json!("main");
    set.to_string()
}

fn nowhere(set: Value) -> String {
    let there = set["builds"][0]["tag"].as_str().unwrap_or_default().to_owned();
    let repository = there.split('@').next().unwrap_or_default().to_owned();
    tag(set, &format!("{repository}@sha256:{ZEROS}"))
}

fn damage_all(_: Value) -> String {
    String::new()
}

fn cut_off(set: Value) -> String {
    let text = set.to_string();
    text[..text.len() / 2].to_owned()
}

async fn a_whole_set_is_taken(images: Images) -> ScenarioResult {
    let set = images.artifacts().await?;
    let text = serde_json::to_string(&set).map_err(Error::malformed("write the set"))?;
    expect_eq!(images.check_set(&text, images.credentials().clone()).await?, set)
}

async fn a_set_is_refused(images: Images, (damage, says): (Damage, &'static str)) -> ScenarioResult {
    let set = serde_json::to_value(images.artifacts().await?).map_err(Error::malformed("write the set"))?;
    refused(images.check_set(&damage(set), images.credentials().clone()).await, says)
}

/// What a set says of its images is not believed: the image's own configuration counts.
async fn an_image_for_another_platform_is_refused(images: Images) -> ScenarioResult {
    let registry = images.private_registry().await?;
    let mut set = images.artifacts().await?;
    set.builds[0].tag = registry.put_image_for("linux/s390x", images.credentials()).await?;
    let text = serde_json::to_string(&set).map_err(Error::malformed("write the set"))?;
    let outcome = images.check_set(&text, images.credentials().clone().with(registry.login)).await;
    refused(outcome, &format!("artifact backend: {} is for linux/s390x, and the set says", set.builds[0].tag))
}

/// Our own question to the registry comes first: the error names the artifact and the registry, not a pod.
async fn credentials_are_asked_before_anything_is_deployed(
    images: Images,
    (password, says): (Option<&'static str>, &'static str),
) -> ScenarioResult {
    let registry = images.private_registry().await?;
    let mut set = images.artifacts().await?;
    let right = images.credentials().clone().with(registry.login.clone());
    // One image is enough to be asked for: the first of the set, which is the backend.
    let artifact = &mut set.builds[0];
    let from = artifact.tag.clone();
    artifact.tag = artifact.tag.at_registry(&registry.login.server);
    artifacts::copy(&from, &artifact.tag, &right).await?;
    let text = serde_json::to_string(&set).map_err(Error::malformed("write the set"))?;
    images.check_set(&text, right).await?;
    let wrong = password.map(|password| Login { password: password.to_owned(), ..registry.login.clone() });
    let credentials = wrong.into_iter().fold(images.credentials().clone(), artifacts::RegistryCredentials::with);
    let outcome = images.check_set(&text, credentials).await;
    if let Err(error) = &outcome {
        let report = error.report();
        expect!(report.contains("artifact backend") && report.contains(&registry.login.server), "{report}")?;
        expect!(!report.contains(&registry.login.password), "the password is shown")?;
    }
    refused(outcome, says)
}

fn refused<T>(outcome: harness::Result<T>, says: &str) -> ScenarioResult {
    match outcome {
        Err(error) => expect!(error.report().contains(says), "the error does not say {says:?}: {}", error.report()),
        Ok(_) => Err(Error::Unmet("a set that no stage may deploy was taken".to_owned())),
    }
}

/// Every image is pulled from a registry that wants credentials, and every ServiceAccount of the release has them: here
/// those that `docker login` keeps.
async fn good_credentials_pull_every_image(stack: DurableStack) -> ScenarioResult {
    let (plan, login) = stack.private_plan().await?;
    let home = tempfile::tempdir().map_err(Error::io("make a folder for the engine's client's configuration"))?;
    stack.upgrade_as(&plan, &stack.docker_login(&login, home.path()).await?).await?;
    for pod in stack.all_pods().await? {
        for container in pod::containers(&pod) {
            let image = container.image.as_deref().unwrap_or_default();
            expect!(image.starts_with(&format!("{}/", login.server)), "{image} is not from {}", login.server)?;
        }
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(stack.kube().clone(), stack.namespace());
    let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", plan.release));
    let accounts = accounts.list(&of_release).await.map_err(Error::kube("list the ServiceAccounts"))?.items;
    expect_eq!(accounts.len(), 5)?;
    for account in accounts {
        let names: Vec<&str> = account.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str()).collect();
        expect_eq!(names, [PULL_SECRET])?;
    }
    stack.backend().becomes_ready().await.map(drop)
}

/// A password that was changed after the set was checked: the wait ends with the cause, not with its time.
async fn a_wrong_pull_secret_fails_the_deploy_with_its_cause(stack: DurableStack) -> ScenarioResult {
    let (plan, login) = stack.private_plan().await?;
    let wrong = Login { password: "wrong".to_owned(), ..login.clone() };
    let Err(error) = stack.upgrade_as(&plan, &stack.credentials_with(wrong)).await else {
        return Err(Error::Unmet("images were pulled with a wrong password".to_owned()));
    };
    let report = error.report();
    let first = report.lines().next().unwrap_or_default();
    let named = first.contains(" cannot come about: ")
        && first.contains("cannot pull the image")
        && (first.contains("401") || first.contains("authorization failed"));
    expect!(named, "the first line does not name the cause: {report}")?;
    expect!(!report.contains("rollback failed"), "{report}")?;
    stack.backend().becomes_ready().await.map(drop)
}
