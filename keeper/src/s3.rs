//! A preview's part of a bucket: a prefix, and the role that may touch nothing else, by policies in deploy/aws.

use harness::error::{Error, Result};
use harness::preview::PullRequest;
use harness::preview::stores::{S3, api_account};
use http::Method;
use serde::Deserialize;

use crate::aws::Aws;

const TRUST: &str = include_str!("../../deploy/aws/role-trust.json");
const OBJECTS: &str = include_str!("../../deploy/aws/s3-policy.json");
/// The name of the role's one policy.
const POLICY: &str = "objects";
const GONE: &str = "NoSuchEntity";

#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "Contents", default)]
    contents: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "Key")]
    key: String,
}

/// Makes the preview's role, or brings its policies to these.
///
/// # Errors
/// [`Error::Store`] when AWS is not reached, or refuses.
pub(crate) async fn make(aws: &Aws, s3: &S3, of: PullRequest) -> Result<()> {
    let (name, path) = s3.role(of);
    let (trust, objects) = (filled(TRUST, s3, of), filled(OBJECTS, s3, of));
    let mut role = vec![("RoleName", name.as_str()), ("Path", path), ("AssumeRolePolicyDocument", &trust)];
    role.extend(s3.permissions_boundary.as_deref().map(|boundary| ("PermissionsBoundary", boundary)));
    aws.iam("CreateRole", &role).await?.good_or("CreateRole", "EntityAlreadyExists")?;
    let document = [("RoleName", name.as_str()), ("PolicyDocument", &trust)];
    aws.iam("UpdateAssumeRolePolicy", &document).await?.good("UpdateAssumeRolePolicy")?;
    let policy = [("RoleName", name.as_str()), ("PolicyName", POLICY), ("PolicyDocument", &objects)];
    aws.iam("PutRolePolicy", &policy).await?.good("PutRolePolicy").map(drop)
}

/// Removes the role, and then the objects below the prefix; fine when there are none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(aws: &Aws, s3: &S3, of: PullRequest) -> Result<()> {
    let (name, _) = s3.role(of);
    let role = ("RoleName", name.as_str());
    // First, so that nothing is written any more.
    aws.iam("DeleteRolePolicy", &[role, ("PolicyName", POLICY)]).await?.good_or("DeleteRolePolicy", GONE)?;
    aws.iam("DeleteRole", &[role]).await?.good_or("DeleteRole", GONE)?;
    loop {
        let query = format!("list-type=2&max-keys=1000&prefix={}", encoded(&s3.prefix(of), true));
        let text = aws.s3(Method::GET, &s3.bucket, "", &query).await?.good("list the objects of a preview")?;
        let found: Listing = quick_xml::de::from_str(&text).map_err(Error::malformed("the list of a bucket"))?;
        if found.contents.is_empty() {
            return Ok(());
        }
        for Object { key } in found.contents {
            let path = format!("/{}", encoded(&key, false));
            aws.s3(Method::DELETE, &s3.bucket, &path, "").await?.good("delete an object")?;
        }
    }
}

fn filled(template: &str, s3: &S3, of: PullRequest) -> String {
    let account = api_account();
    let name = of.namespace();
    let values = [
        ("ACCOUNT", s3.account.as_str()),
        ("ISSUER", &s3.issuer),
        ("BUCKET", &s3.bucket),
        ("NAME", &name),
        ("SERVICE_ACCOUNT", &account),
    ];
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// Percent-encoded as AWS signs it; in a query a slash is, too.
fn encoded(text: &str, in_query: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (byte == b'/' && !in_query);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_a_policy_is_filled() {
        let text = r#"{"bucket": "previews", "region": "eu-central-1", "account": "123456789012",
            "issuer": "oidc.example/id/1", "peers": []}"#;
        let (s3, of) = (serde_json::from_str(text).unwrap(), PullRequest::parse("7").unwrap());
        let (trust, objects) = (filled(TRUST, &s3, of), filled(OBJECTS, &s3, of));
        assert!(!trust.contains('$') && !objects.contains('$'));
        assert!(trust.contains("\"oidc.example/id/1:sub\": \"system:serviceaccount:jetscale-pr-7:jetscale-backend\""));
        assert!(objects.contains("arn:aws:s3:::previews/jetscale-pr-7/*"));
    }

    #[test]
    fn a_key_is_encoded_as_it_is_signed() {
        assert_eq!(encoded("a b/é+~", false), "a%20b/%C3%A9%2B~");
        assert_eq!(encoded("jetscale-pr-7/", true), "jetscale-pr-7%2F");
    }

    #[test]
    fn an_empty_list_is_one() {
        let found: Listing =
            quick_xml::de::from_str("<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>").unwrap();
        assert!(found.contents.is_empty());
    }
}
