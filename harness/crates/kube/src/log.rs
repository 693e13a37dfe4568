//! Container logs, followed as they are written.

use std::time::Duration;

use futures::stream::{StreamExt, TryStreamExt, select_all};
use futures::{AsyncBufReadExt, Stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, Client};

use super::{CALL, within};
use crate::{Error, Result};

/// How many seconds back a log is read: what is awaited was caused just before.
const SINCE_SECS: i64 = 120;

/// Follows one container's log in each of these pods until each text was written by one of them; returns all lines until
/// then. Begins 120 s back.
///
/// # Errors
/// The API's error when a log cannot be read; [`harness_base::Error::Deadline`] after `limit`, with the texts that were not
/// written.
pub async fn holding(
    client: &Client,
    namespace: &str,
    (pods, container): (&[String], &str),
    texts: &[String],
    limit: Duration,
) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        since_seconds: Some(SINCE_SECS),
        ..LogParams::default()
    };
    let mut logs = Vec::new();
    for pod in pods {
        let what = format!("follow the log of {container} in the pod {pod} of the namespace {namespace}");
        let log = within(&what, CALL, async { api.log_stream(pod, &params).await.map_err(Error::kube(&what)) }).await?;
        logs.push(log.lines().map_err(move |error| Error::io(what.as_str())(error)).boxed());
    }
    // A pod that ends while others write on ends its own stream alone.
    let mut written = String::new();
    let outcome = tokio::time::timeout(limit, until(select_all(logs), texts, &mut written)).await;
    let missing = missing(&written, texts);
    match outcome {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) if missing.is_empty() => Ok(written),
        Ok(Ok(())) | Err(_) => Err(harness_base::Error::Deadline {
            awaited: format!("{} in the logs of {}", missing.join(", "), pods.join(", ")),
            after: limit,
            last: format!("{} lines were written without", written.lines().count()),
        }
        .into()),
    }
}

async fn until(lines: impl Stream<Item = Result<String>>, texts: &[String], written: &mut String) -> Result<()> {
    let mut lines = std::pin::pin!(lines);
    while let Some(line) = lines.next().await {
        written.push_str(&line?);
        written.push('\n');
        if missing(written, texts).is_empty() {
            break;
        }
    }
    Ok(())
}

fn missing(written: &str, texts: &[String]) -> Vec<String> {
    texts.iter().filter(|text| !written.contains(text.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn read(lines: &[&str], texts: &[&str]) -> (String, Vec<String>) {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let lines: Vec<Result<String>> = lines.iter().map(|line| Ok((*line).to_owned())).collect();
        let mut written = String::new();
        until(stream::iter(lines), &texts, &mut written).await.unwrap();
        let missing = missing(&written, &texts);
        (written, missing)
    }

    #[tokio::test]
    async fn reads_until_the_last_text_and_no_further() {
        let (written, missing) = read(&["a", "one", "b", "two", "c"], &["two", "one"]).await;
        assert_eq!((written.as_str(), missing.len()), ("a\none\nb\ntwo\n", 0));
    }

    #[tokio::test]
    async fn says_what_was_not_written() {
        let (_, missing) = read(&["a", "one"], &["two", "one"]).await;
        assert_eq!(missing, ["two"]);
    }
}
