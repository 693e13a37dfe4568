//! The configuration of the engine's client (config.json): where the account at a registry is found.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// The file's name in the configuration's folder.
pub(super) const FILE: &str = "config.json";
/// Base64 with optional padding: Docker's own tools write it, others do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);
/// The name that a helper gives with an identity token (docker-credential-helpers).
const TOKEN: &str = "<token>";
/// Why identity tokens are refused: a cluster's pull secret holds a name and a password.
const IDENTITY_TOKEN: &str = "an identity token cannot be handed to a cluster";

/// The place of an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CredentialSource {
    /// In the file: name and password.
    Account(String, String),
    /// With the credential helper `docker-credential-…` of this name.
    Helper(String),
    /// Not named by the file.
    Nowhere,
}

/// The part of the file that is about accounts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl ClientConfig {
    /// Parses the file's text.
    ///
    /// # Errors
    /// A message that it does not parse, without its content.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        serde_json::from_str(text).map_err(|_| "it is not the JSON of a client's configuration")
    }

    /// The place of the account at a server: the helper for this server, else the file, else the helper for all.
    ///
    /// # Errors
    /// The reason why the account or helper cannot be used.
    pub fn source(&self, server: &str) -> Result<CredentialSource, &'static str> {
        if let Some(helper) = of(&self.cred_helpers, server).filter(|helper| !helper.is_empty()) {
            return helper_of(helper);
        }
        // `docker login` with a helper leaves an empty entry.
        match of(&self.auths, server).map_or(Ok(None), Auth::account)? {
            Some((name, password)) => Ok(CredentialSource::Account(name, password)),
            None if self.creds_store.is_empty() => Ok(CredentialSource::Nowhere),
            None => helper_of(&self.creds_store),
        }
    }
}

/// A copy of the client's configuration folder without the helper for one registry, with links to all else in the user's folder;
/// removed when dropped. For a registry without accounts: the client calls a helper all the same, and fails if that is broken.
/// `None` where the client calls none.
///
/// # Errors
/// [`harness_base::Error::Io`] when it cannot be made.
pub(super) fn without_helper(folder: &Path, registry: &str, beside: &Path) -> crate::Result<Option<tempfile::TempDir>> {
    // A file that cannot be read is left to the client.
    let Ok(text) = std::fs::read_to_string(folder.join(FILE)) else { return Ok(None) };
    let source = ClientConfig::parse(&text).and_then(|config| config.source(registry));
    let (Ok(CredentialSource::Helper(_)), Ok(mut config)) = (source, serde_json::from_str::<serde_json::Value>(&text))
    else {
        return Ok(None);
    };
    // An empty helper name stands for the file itself.
    config["credHelpers"][registry] = "".into();
    let say = || crate::Error::io("copy the configuration of the engine's client");
    // Readable by its owner only: there may be accounts in the file.
    let copy = tempfile::TempDir::new_in(beside).map_err(say())?;
    for entry in std::fs::read_dir(folder).map_err(say())?.flatten().filter(|entry| entry.file_name() != FILE) {
        let target = std::path::absolute(entry.path()).map_err(say())?;
        std::os::unix::fs::symlink(target, copy.path().join(entry.file_name())).map_err(say())?;
    }
    std::fs::write(copy.path().join(FILE), config.to_string()).map_err(say())?;
    Ok(Some(copy))
}

/// The entry for a server: under its own key, else under another key of the same host.
fn of<'a, T>(kept: &'a BTreeMap<String, T>, server: &str) -> Option<&'a T> {
    let by_host = || kept.iter().find(|(key, _)| host(key) == host(server)).map(|(_, found)| found);
    kept.get(server).or_else(by_host)
}

impl Auth {
    fn account(&self) -> Result<Option<(String, String)>, &'static str> {
        if !self.identitytoken.is_empty() {
            return Err(IDENTITY_TOKEN);
        }
        if self.auth.is_empty() {
            let is_whole = !self.username.is_empty() && !self.password.is_empty();
            return Ok(is_whole.then(|| (self.username.clone(), self.password.clone())));
        }
        let text = BASE64.decode(&self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let account = text.as_deref().and_then(|text| text.split_once(':'));
        let (name, password) = account.ok_or("its `auth` is not a name and a password in base64")?;
        Ok(Some((name.to_owned(), password.to_owned())))
    }
}

/// The helper of a name, which becomes part of a program's name and must not be a path.
fn helper_of(name: &str) -> Result<CredentialSource, &'static str> {
    if name.contains('/') {
        return Err("the name of its credential helper is a path");
    }
    Ok(CredentialSource::Helper(name.to_owned()))
}

/// The host of a key, which may be a URL, as older clients wrote it; Docker Hub's several names count as one.
fn host(key: &str) -> &str {
    let after_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let host = after_scheme.map_or(key, |rest| rest.split('/').next().unwrap_or_default());
    match host {
        "registry-1.docker.io" | "docker.io" => "index.docker.io",
        other => other,
    }
}

/// The output of a helper's command `get` (docker-credential-helpers).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HelperAnswer {
    username: String,
    secret: String,
}

impl HelperAnswer {
    /// Reads name and password from a helper's output.
    ///
    /// # Errors
    /// The reason why it cannot be used, without its content.
    pub fn read(text: &str) -> Result<(String, String), String> {
        let Self { username, secret } =
            serde_json::from_str(text).map_err(|_| "its helper's answer cannot be read".to_owned())?;
        if username == TOKEN { Err(IDENTITY_TOKEN.to_owned()) } else { Ok((username, secret)) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // carol:word
    const CONFIG: &str = r#"{
        "auths": {
            "file.example": {"auth": "Y2Fyb2w6d29yZA=="},
            "unpadded.example": {"auth": "Y2Fyb2w6d29yZA"},
            "https://old.example/v1/": {"auth": "Y2Fyb2w6d29yZA=="},
            "https://index.docker.io/v1/": {"username": "carol", "password": "word"},
            "own.example": {"auth": "Y2Fyb2w6d29yZA=="},
            "stored.example": {},
            "token.example": {"identitytoken": "t"},
            "broken.example": {"auth": "hunter2"}
        },
        "credHelpers": {"own.example": "ecr-login", "path.example": "../x", "empty.example": ""},
        "credsStore": "desktop"
    }"#;

    #[rstest]
    #[case::file("file.example", Ok(None))]
    #[case::unpadded("unpadded.example", Ok(None))]
    #[case::as_an_address("old.example", Ok(None))]
    #[case::hub("https://index.docker.io/v1/", Ok(None))]
    #[case::a_helper_of_its_own("own.example", Ok(Some("ecr-login")))]
    #[case::stored("stored.example", Ok(Some("desktop")))]
    #[case::unknown("other.example", Ok(Some("desktop")))]
    #[case::no_helper("empty.example", Ok(Some("desktop")))]
    #[case::path("path.example", Err("is a path"))]
    #[case::token("token.example", Err("identity token"))]
    #[case::broken("broken.example", Err("is not a name and a password"))]
    fn an_account_is_in_the_file_or_with_a_helper(#[case] server: &str, #[case] expected: Result<Option<&str>, &str>) {
        match (ClientConfig::parse(CONFIG).unwrap().source(server), expected) {
            (Ok(found), Ok(None)) => {
                assert_eq!(found, CredentialSource::Account("carol".to_owned(), "word".to_owned()))
            }
            (Ok(found), Ok(Some(helper))) => assert_eq!(found, CredentialSource::Helper(helper.to_owned())),
            (Err(why), Err(says)) => assert!(why.contains(says), "{why}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[rstest]
    #[case::as_docker_writes_it("https://index.docker.io/v1/")]
    #[case::as_references_have_it("docker.io")]
    #[case::as_people_write_it("index.docker.io")]
    fn a_helper_for_the_hub_is_one_by_each_of_its_names(#[case] key: &str) {
        let config = format!("{{\"credHelpers\": {{\"{key}\": \"desktop\"}}}}");
        let source = ClientConfig::parse(&config).unwrap().source("https://index.docker.io/v1/");
        assert_eq!(source, Ok(CredentialSource::Helper("desktop".to_owned())));
    }

    #[rstest]
    #[case::one_for_all(r#"{"credsStore": "desktop", "auths": {"a.example": {}}}"#, true)]
    #[case::one_of_its_own(r#"{"credHelpers": {"127.0.0.1:5000": "desktop", "a.example": "own"}}"#, true)]
    #[case::one_of_anothers(r#"{"credHelpers": {"a.example": "own"}}"#, false)]
    #[case::an_account_in_the_file(
        r#"{"credsStore": "desktop", "auths": {"127.0.0.1:5000": {"auth": "Y2Fyb2w6d29yZA=="}}}"#,
        false
    )]
    #[case::nothing("{}", false)]
    fn a_registrys_helper_is_left_out(#[case] config: &str, #[case] copies: bool) {
        let (folder, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join(FILE), config).unwrap();
        std::fs::create_dir(folder.path().join("contexts")).unwrap();
        let copy = without_helper(folder.path(), "127.0.0.1:5000", beside.path()).unwrap();
        assert_eq!(copy.is_some(), copies);
        let Some(copy) = copy else { return };
        assert!(copy.path().join("contexts").is_dir());
        let source = |server: &str, folder: &Path| {
            ClientConfig::parse(&std::fs::read_to_string(folder.join(FILE)).unwrap()).unwrap().source(server)
        };
        let copied: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(copy.path().join(FILE)).unwrap()).unwrap();
        assert_eq!(copied["credHelpers"]["127.0.0.1:5000"], "");
        assert_eq!(source("a.example", copy.path()), source("a.example", folder.path()));
    }

    #[test]
    fn without_a_helper_an_unknown_server_has_no_account() {
        assert_eq!(ClientConfig::parse("{}").unwrap().source("x"), Ok(CredentialSource::Nowhere));
        assert!(ClientConfig::parse("[hunter2]").is_err_and(|why| !why.contains("hunter2")));
    }
}
