//! The chart by which an administrator opens a cluster to previews, rendered with its example.

use std::path::Path;
use std::time::Duration;

use harness_manifest::{Finding, Place};

use super::{Rendered, helm_refusal, policy, types};
use crate::error::{Error, Result};
use crate::spec::{AdministratorsChart, spec};
use crate::tools::{Tool, Tools};

/// How long one call of Helm may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Rules that hold for what a stage deploys, and not for this chart: it has cluster-wide roles and policies with names of their
/// own, calls the API server by its token, serves no requests, is one pod of each kind, and runs its image with arguments.
const NOT_FOR_IT: [&str; 10] = [
    "own-namespace",
    "names-and-ports",
    "labels",
    "no-token",
    "cloud-role",
    "probes",
    "update",
    "network-written-out",
    "configuration-rolls",
    "container-command",
];

/// Checks the administrators' chart; returns the findings, and how many objects it renders to. None of both where the spec names
/// no such chart.
///
/// # Errors
/// [`Error`] when Helm cannot be called.
pub async fn check(tools: &Tools, root: &Path) -> Result<(Vec<Finding>, usize)> {
    let Some(AdministratorsChart { path, example }) = spec().preview.administrators_chart else {
        return Ok((Vec::new(), 0));
    };
    let call = async |args: &[&str]| {
        let helm = tools.command(Tool::Helm).await?.args(args).arg(root.join(path));
        let helm = helm.arg("--values").arg(root.join(example));
        helm.limit(LIMIT).run().await
    };
    let namespace = spec().preview.namespace;
    let lint = ["lint", "--strict", "--quiet", "--namespace", namespace];
    let template = ["template", namespace, "--namespace", namespace];
    let (linted, rendered) = tokio::join!(call(&lint), call(&template));
    let refused = |rule, error: Error| match error {
        Error::Command(failure) => {
            let place = Place { file: example.to_owned(), line: None };
            Ok(vec![Finding::at(rule, place, failure.tail.trim().to_owned())])
        }
        other => Err(other),
    };
    let text = match rendered {
        Ok(output) => output.stdout,
        Err(error) => return Ok((refused(helm_refusal::RENDER, error.into())?, 0)),
    };
    let rendered = Rendered::parse(&text, (namespace, namespace), false);
    let mut findings = linted.map_or_else(|error| refused(helm_refusal::LINT, error.into()), |_| Ok(Vec::new()))?;
    findings.extend(rendered.broken.iter().cloned().chain(types::check(&rendered)));
    let rules = policy::RULES.iter().filter(|rule| !NOT_FOR_IT.contains(&rule.name));
    findings.extend(rules.flat_map(|rule| rule.check(&rendered)));
    Ok((findings, rendered.objects.len()))
}
