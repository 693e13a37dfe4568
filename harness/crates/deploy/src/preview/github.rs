//! The state of a pull request, by GitHub's API.

use harness_http::{HttpOptions, Reader};
use harness_settings::settings::{GITHUB_REPOSITORY, GITHUB_TOKEN, Settings};
use serde_json::Value;

use super::PullRequest;
use crate::error::{Error, Result};

/// The label by which a pull request gets a preview.
pub const LABEL: &str = "preview";

/// The state of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullState {
    /// Open, with the label `LABEL`.
    Open,
    /// Open, without the label.
    Unlabelled,
    /// Closed or merged, by GitHub's word.
    Closed,
    /// Not known, with the reason; never taken for closed.
    Unknown(String),
}

/// GitHub's API, for one repository.
#[derive(Debug, Clone)]
pub struct GitHub {
    reader: Reader,
    path: String,
}

impl GitHub {
    /// A client for the repository and token of the settings; sends nothing yet.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the repository or the token is not set; [`harness_base::Error::Malformed`] when
    /// the API's address does not parse.
    pub fn of(settings: &Settings) -> Result<Self> {
        let missing = |name: &str| {
            Error::refused(
                format!("{name} is not set, so GitHub cannot be asked which pull requests are closed"),
                format!("set {name}; without it: sweep --expired-only, or down without --unless-open"),
            )
        };
        let repository = settings.github_repository.as_deref().ok_or_else(|| missing(GITHUB_REPOSITORY))?;
        let token = settings.github_token.as_ref().ok_or_else(|| missing(GITHUB_TOKEN))?;
        let plain = |part: &str| {
            !part.is_empty() && part.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign))
        };
        if !repository.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name)) {
            let what = format!("{GITHUB_REPOSITORY}={repository} is no repository");
            return Err(Error::refused(what, "set it to owner/name"));
        }
        let mut options = HttpOptions::new(&settings.github_api);
        if let Some(path) = &settings.ca_bundle.get()? {
            let bundle = std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
            options.ca_bundle = Some(bundle);
        }
        let reader = Reader::with(options)?.bearer(&token.0)?.with_header("accept", "application/vnd.github+json")?;
        // An enterprise's API lies below a path of its host.
        let base = reqwest::Url::parse(&settings.github_api).map_err(Error::malformed("GITHUB_API_URL"))?;
        let path = format!("{}/repos/{repository}/pulls", base.path().trim_end_matches('/'));
        Ok(Self { reader, path })
    }

    /// [`GitHub::of`] where the settings name both; else `None`, as for a deploy by hand.
    ///
    /// # Errors
    /// As [`GitHub::of`].
    pub fn if_named(settings: &Settings) -> Result<Option<Self>> {
        let named = settings.github_repository.is_some() && settings.github_token.is_some();
        named.then(|| Self::of(settings)).transpose()
    }

    /// The state of a pull request; [`PullState::Unknown`] when GitHub does not answer.
    pub async fn state(&self, of: PullRequest) -> PullState {
        match self.reader.get(&format!("{}/{of}", self.path)).await {
            Ok(reply) => read(of, reply.status, &reply.body),
            Err(error) => PullState::Unknown(error.report().lines().next().unwrap_or_default().to_owned()),
        }
    }
}

/// Reads GitHub's answer. Only status 200 about this very number counts: a token without access gets a 404 too.
fn read(of: PullRequest, status: u16, body: &[u8]) -> PullState {
    if status != 200 {
        return PullState::Unknown(format!("GitHub answered {status}"));
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if answer["number"].as_u64().map(|number| number.to_string()) != Some(of.to_string()) {
        return PullState::Unknown("GitHub's answer is not about it".to_owned());
    }
    match answer["state"].as_str() {
        Some("open") => match answer["labels"].as_array() {
            Some(labels) if labels.iter().any(|label| label["name"] == LABEL) => PullState::Open,
            Some(_) => PullState::Unlabelled,
            None => PullState::Unknown("GitHub's answer names no labels".to_owned()),
        },
        Some("closed") => PullState::Closed,
        other => PullState::Unknown(format!("GitHub says that its state is {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::open(
        200,
        r#"{"number": 7, "state": "open", "labels": [{"name": "x"}, {"name": "preview"}]}"#,
        Some(PullState::Open)
    )]
    #[case::another_label(
        200,
        r#"{"number": 7, "state": "open", "labels": [{"name": "previews"}]}"#,
        Some(PullState::Unlabelled)
    )]
    #[case::no_labels(200, r#"{"number": 7, "state": "open"}"#, None)]
    #[case::closed(200, r#"{"number": 7, "state": "closed"}"#, Some(PullState::Closed))]
    #[case::not_found(404, r#"{"message": "Not Found"}"#, None)]
    #[case::not_found_that_says_closed(404, r#"{"number": 7, "state": "closed"}"#, None)]
    #[case::forbidden(403, "{}", None)]
    #[case::down(502, "<html>", None)]
    #[case::page(200, "<html>", None)]
    #[case::another(200, r#"{"number": 8, "state": "closed"}"#, None)]
    #[case::word(200, r#"{"number": 7, "state": "CLOSED"}"#, None)]
    #[case::empty(200, "", None)]
    fn only_a_whole_answer_counts(#[case] status: u16, #[case] body: &str, #[case] state: Option<PullState>) {
        let said = read(PullRequest::parse("7").unwrap(), status, body.as_bytes());
        match state {
            Some(state) => assert_eq!(said, state),
            None => assert!(matches!(said, PullState::Unknown(_)), "{said:?}"),
        }
    }

    #[rstest]
    #[case::no_token(&[("GITHUB_REPOSITORY", "a/b")], "GITHUB_TOKEN")]
    #[case::no_repository(&[("GITHUB_TOKEN", "hunter2")], "GITHUB_REPOSITORY")]
    #[case::path(&[("GITHUB_TOKEN", "hunter2"), ("GITHUB_REPOSITORY", "a/b/../c")], "owner/name")]
    fn half_a_place_is_refused(#[case] pairs: &[(&str, &str)], #[case] says: &str) {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let error = GitHub::of(&Settings::parse(&variables)).unwrap_err().report();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
}
