//! Connections to preview clusters: the context must be named and allowed by the pattern, and the cluster must answer, be open to
//! previews, and have the expected name.

use harness_machine::tools::Tools;
use harness_settings::settings::{KUBE_CONTEXT, KUBE_CONTEXT_ALLOW, PREVIEW_CLUSTER, Settings};
use harness_settings::spec::spec;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::config::Kubeconfig;

use super::ClusterName;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s;

/// Words in names of contexts, clusters, users and servers that are refused, whatever the pattern.
const PRODUCTION: [&str; 4] = ["prod", "production", "prd", "live"];

/// Connects to the cluster of the context that the settings name.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the context is not named or not allowed, or its cluster is not open to previews or has
/// another name; [`Error::Kube`] when it does not answer.
pub async fn connect(settings: &Settings, tools: &Tools) -> Result<Cluster> {
    let context = allowed(settings.kube_context.as_deref(), settings.kube_context_allow.as_deref())?;
    let cluster = named(settings.preview_cluster.as_deref())?;
    let kubeconfig = settings.kubeconfig.get()?;
    leads_to_no_production(&kubeconfig.read()?, context)?;
    let client = k8s::connect_with(&kubeconfig, context, &settings.environment).await?;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), spec().preview.namespace);
    let what = format!("ask the cluster of the context {context:?} what it calls itself");
    let found = k8s::call(&what, api.get_opt(spec().preview.cluster)).await?;
    is_the_one(&cluster, found.and_then(|map| map.data?.remove("name")).as_deref())?;
    let context = context.to_owned();
    Ok(Cluster { name: context.clone(), context, kubeconfig, client, tools: tools.clone() })
}

/// The named context, if the pattern allows it.
fn allowed<'a>(context: Option<&'a str>, pattern: Option<&str>) -> Result<&'a str> {
    let context = context.ok_or_else(|| {
        Error::refused(
            format!("{KUBE_CONTEXT} names no context, and the current one is never taken"),
            format!("kubectl config get-contexts --output name; set {KUBE_CONTEXT} to one of them"),
        )
    })?;
    let pattern = pattern.ok_or_else(|| {
        Error::refused(
            format!("{KUBE_CONTEXT_ALLOW} is not set, so no context may be used"),
            format!("set {KUBE_CONTEXT_ALLOW} to a pattern of the contexts that previews may use"),
        )
    })?;
    if pattern.chars().all(|sign| sign == '*') {
        return Err(Error::refused(
            format!("{KUBE_CONTEXT_ALLOW}={pattern} allows every context"),
            "name the clusters that previews may use, such as *preview*",
        ));
    }
    if !harness_base::pattern::matches(pattern, context) {
        return Err(Error::refused(
            format!("the context {context:?} is not allowed by {KUBE_CONTEXT_ALLOW}={pattern}"),
            format!("set {KUBE_CONTEXT} to a preview cluster's context"),
        ));
    }
    is_no_production("context", context)?;
    Ok(context)
}

/// The expected name of the cluster, as its administrator gave it; the kubeconfig's name does not count.
fn named(setting: Option<&str>) -> Result<ClusterName> {
    let next = format!(
        "set {PREVIEW_CLUSTER} to the name that its administrator gave it{}",
        by_chart(", `cluster` in the values of")
    );
    let text = setting.ok_or_else(|| {
        Error::refused(format!("{PREVIEW_CLUSTER} is not set, so no cluster is the one that is meant"), &next)
    })?;
    is_no_production("cluster", text)?;
    ClusterName::parse(text)
        .ok_or_else(|| Error::refused(format!("{PREVIEW_CLUSTER}={text:?} is no name of a cluster"), next))
}

/// The words and the administrators' chart; nothing where the spec names none.
fn by_chart(words: &str) -> String {
    spec().preview.administrators_chart.map(|chart| format!("{words} {}", chart.path)).unwrap_or_default()
}

/// Checks that the cluster's own name is the expected one.
fn is_the_one(meant: &ClusterName, says: Option<&str>) -> Result<()> {
    match says {
        Some(says) if ClusterName::parse(says).as_ref() == Some(meant) => Ok(()),
        Some(says) => Err(Error::refused(
            format!("the cluster says that it is {says:?}, and {PREVIEW_CLUSTER} is {meant}: nothing there is touched"),
            format!("set {KUBE_CONTEXT} to the context of {meant}"),
        )),
        None => Err(Error::refused(
            format!(
                "the cluster does not say which it is: there is no ConfigMap {} in {}, so it is not open to \
                 previews",
                spec().preview.cluster,
                spec().preview.namespace
            ),
            format!("its administrator opens it to previews{}", by_chart(" by")),
        )),
    }
}

/// Refuses a context that leads to production by its cluster, user or server, whatever the context's own name.
fn leads_to_no_production(file: &Kubeconfig, context: &str) -> Result<()> {
    let named = file.contexts.iter().find(|one| one.name == context).and_then(|one| one.context.as_ref());
    let Some(named) = named else { return Ok(()) };
    is_no_production("cluster", &named.cluster)?;
    is_no_production("user", named.user.as_deref().unwrap_or_default())?;
    let cluster = file.clusters.iter().find(|one| one.name == named.cluster).and_then(|one| one.cluster.as_ref());
    let server = cluster.and_then(|cluster| cluster.server.as_deref()).unwrap_or_default();
    is_no_production("server", server)
}

fn is_no_production(what: &str, name: &str) -> Result<()> {
    let words = name.split(|sign: char| !sign.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    match words.into_iter().find(|word| PRODUCTION.contains(&word.as_str())) {
        Some(word) => Err(Error::refused(
            format!("the {what} {name:?} looks like production ({word}), which no pattern allows"),
            format!("set {KUBE_CONTEXT} to a preview cluster's context"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none_named(None, Some("*preview*"), "names no context")]
    #[case::no_pattern(Some("preview"), None, "no context may be used")]
    #[case::all_allowed(Some("preview"), Some("**"), "allows every context")]
    #[case::another(Some("minikube"), Some("*preview*"), "is not allowed by")]
    #[case::only_the_start(Some("preview-2"), Some("preview"), "is not allowed by")]
    #[case::production(Some("eks-production"), Some("eks-*"), "looks like production")]
    #[case::production_arn(
        Some("arn:aws:eks:eu-central-1:1:cluster/shop-PROD"),
        Some("arn:*"),
        "looks like production"
    )]
    #[case::live(Some("live/preview"), Some("*preview*"), "looks like production")]
    fn a_context_is_refused(#[case] context: Option<&str>, #[case] pattern: Option<&str>, #[case] says: &str) {
        let error = allowed(context, pattern).unwrap_err().report();
        assert!(error.contains(says) && error.contains("next: "), "{error}");
    }

    #[rstest]
    #[case::not_named(None, "SHOP_PREVIEW_CLUSTER is not set")]
    #[case::no_name(Some("The Cluster"), "is no name of a cluster")]
    #[case::production(Some("eu-prod"), "looks like production")]
    fn a_cluster_must_be_named(#[case] setting: Option<&str>, #[case] says: &str) {
        let error = named(setting).unwrap_err().report();
        assert!(error.contains(says) && error.contains("next: "), "{error}");
    }

    #[rstest]
    #[case::it(Some("eu-1"), "")]
    #[case::another(Some("eu-2"), "says that it is \"eu-2\"")]
    #[case::production(Some("live"), "says that it is \"live\"")]
    #[case::not_open(None, "does not say which it is")]
    fn a_cluster_is_what_it_says(#[case] answer: Option<&str>, #[case] says: &str) {
        match is_the_one(&named(Some("eu-1")).unwrap(), answer) {
            Ok(()) => assert_eq!(says, ""),
            Err(error) => assert!(!says.is_empty() && error.report().contains(says), "{}", error.report()),
        }
    }

    #[rstest]
    #[case::cluster("product-prod", "u", "https://a.example", "the cluster \"product-prod\"")]
    #[case::user("c", "live-deployer", "https://a.example", "the user \"live-deployer\"")]
    #[case::server("c", "u", "https://api.production.example:6443", "the server")]
    #[case::nothing("c", "u", "https://a.example", "")]
    fn what_a_context_leads_to_is_looked_at(
        #[case] cluster: &str,
        #[case] user: &str,
        #[case] server: &str,
        #[case] says: &str,
    ) {
        let file: Kubeconfig = serde_json::from_value(serde_json::json!({
            "clusters": [{"name": cluster, "cluster": {"server": server}}],
            "contexts": [{"name": "preview", "context": {"cluster": cluster, "user": user}}],
        }))
        .unwrap();
        match leads_to_no_production(&file, "preview") {
            Ok(()) => assert_eq!(says, ""),
            Err(error) => assert!(!says.is_empty() && error.report().contains(says), "{}", error.report()),
        }
    }

    #[rstest]
    #[case::exact("preview", "preview")]
    #[case::middle("arn:aws:eks:eu-central-1:1:cluster/preview", "arn:*:cluster/preview")]
    #[case::twice("a-preview-b", "*preview*")]
    #[case::product("product-previews", "product-*")]
    fn a_context_is_allowed(#[case] context: &str, #[case] pattern: &str) {
        assert_eq!(allowed(Some(context), Some(pattern)).unwrap(), context);
    }

    #[tokio::test]
    async fn a_context_that_the_file_lacks_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "apiVersion: v1\nkind: Config\ncontexts: []\n").unwrap();
        let variables = [
            ("KUBECONFIG".to_owned(), file.path().display().to_string()),
            (KUBE_CONTEXT.name(), "preview".to_owned()),
            (KUBE_CONTEXT_ALLOW.name(), "preview".to_owned()),
            (PREVIEW_CLUSTER.name(), "preview".to_owned()),
        ];
        let settings = Settings::parse(&variables.into());
        let error = connect(&settings, &Tools::new(settings.tools())).await.unwrap_err().report();
        assert!(error.contains("\"preview\""), "{error}");
    }
}
