//! A preview's part of a bucket: a prefix, and an IAM role that may touch nothing else, by the templates in policies/.

use std::collections::BTreeSet;

use harness::preview::PullRequest;
use harness::preview::stores::{S3, api_account};
use harness::spec::spec;
use http::Method;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::{Error, Result};

const TRUST: &str = include_str!("../policies/role-trust.json");
const OBJECTS: &str = include_str!("../policies/s3-policy.json");
/// The name of the role's one policy.
const POLICY: &str = "objects";
const GONE: &str = "NoSuchEntity";

#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "Contents", default)]
    contents: Vec<StoredObject>,
    #[serde(rename = "CommonPrefixes", default)]
    prefixes: Vec<Prefix>,
    #[serde(rename = "NextContinuationToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct StoredObject {
    #[serde(rename = "Key")]
    key: String,
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(rename = "Error", default)]
    errors: Vec<Kept>,
}

#[derive(Deserialize)]
struct Kept {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Code")]
    code: String,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(rename = "Prefix")]
    prefix: String,
}

#[derive(Deserialize)]
struct Roles {
    #[serde(rename = "ListRolesResult")]
    result: RolesResult,
}

#[derive(Deserialize)]
struct RolesResult {
    #[serde(rename = "Roles")]
    roles: Members,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

#[derive(Deserialize, Default)]
struct Members {
    #[serde(rename = "member", default)]
    members: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    #[serde(rename = "RoleName")]
    name: String,
}

/// Makes the IAM role of a pull request's preview, or updates its policies.
///
/// # Errors
/// [`Error::Store`] when AWS is not reached, or refuses.
pub(crate) async fn make(aws: &Aws, s3: &S3, name: &str, of: PullRequest) -> Result<()> {
    let (trust, objects) = (filled(TRUST, s3, name, of), filled(OBJECTS, s3, name, of));
    let role = [
        ("RoleName", name),
        ("Path", spec().preview.role_path),
        ("AssumeRolePolicyDocument", &trust),
        ("PermissionsBoundary", &s3.permissions_boundary),
    ];
    aws.iam("CreateRole", &role).await?.good_or("CreateRole", "EntityAlreadyExists")?;
    let document = [("RoleName", name), ("PolicyDocument", &trust)];
    aws.iam("UpdateAssumeRolePolicy", &document).await?.good("UpdateAssumeRolePolicy")?;
    let policy = [("RoleName", name), ("PolicyName", POLICY), ("PolicyDocument", &objects)];
    aws.iam("PutRolePolicy", &policy).await?.good("PutRolePolicy").map(drop)
}

/// Removes the role, and then the objects below the prefix; absent ones are no error. On cancel the rest remains: call it again.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(aws: &Aws, s3: &S3, name: &str) -> Result<()> {
    let role = ("RoleName", name);
    // The role goes first, so that the preview writes no more objects.
    aws.iam("DeleteRolePolicy", &[role, ("PolicyName", POLICY)]).await?.good_or("DeleteRolePolicy", GONE)?;
    aws.iam("DeleteRole", &[role]).await?.good_or("DeleteRole", GONE)?;
    loop {
        let found = objects(aws, s3, &format!("{name}/"), "").await?;
        if found.contents.is_empty() {
            return Ok(());
        }
        let keys = found.contents.iter().map(|found| decoded(&found.key)).collect::<Result<Vec<_>>>()?;
        // XML cannot carry some control characters, and a path in a URL no parts `.` and `..`: each key is deleted by the request
        // that can carry it. A key with both goes by XML.
        let (by_address, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| fits_no_xml(key) && !leads(key));
        for key in by_address {
            let rest = format!("/{}", encoded(&key).replace("%2F", "/"));
            aws.s3(Method::DELETE, &s3.bucket, &rest, String::new()).await?.good("delete an object")?;
        }
        if keys.is_empty() {
            continue;
        }
        let answer = aws.s3(Method::POST, &s3.bucket, "?delete=", deletion(&keys)).await?.good("delete objects")?;
        let answer: Deleted =
            quick_xml::de::from_str(&answer).map_err(harness::Error::malformed("what was deleted"))?;
        if let Some(kept) = answer.errors.first() {
            return Err(Error::store("delete objects")(format!("{}: {}", kept.key, kept.code)));
        }
    }
}

/// The body of a request DeleteObjects for these keys. Each character that XML, or its reader, may interpret is written as a
/// character reference.
fn deletion(keys: &[String]) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_.~/ ".contains(sign);
    let sign = |sign: char| if plain(sign) { sign.to_string() } else { format!("&#{};", u32::from(sign)) };
    let key = |key: &String| format!("<Object><Key>{}</Key></Object>", key.chars().map(sign).collect::<String>());
    let objects: String = keys.iter().map(key).collect();
    format!("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>{objects}</Delete>")
}

/// Whether a key has a character that XML 1.0 cannot have, not even as a character reference (its section 2.2, Char).
fn fits_no_xml(key: &str) -> bool {
    key.chars().any(|sign| (sign < ' ' && !"\t\n\r".contains(sign)) || matches!(sign, '\u{fffe}' | '\u{ffff}'))
}

/// Whether a key has a part `.` or `..`, which a URL's path would resolve to another key.
fn leads(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "." | ".."))
}

/// Decodes a key of a list, which is percent-encoded (`encoding-type=url`), since XML cannot carry some characters.
fn decoded(key: &str) -> Result<String> {
    // In the list a plus is a space, as in a form.
    let text = key.replace('+', " ");
    let decoded =
        percent_encoding::percent_decode_str(&text).decode_utf8().map_err(harness::Error::malformed("a key"))?;
    Ok(decoded.into_owned())
}

/// The names that begin with `prefix`: of IAM roles below the stack's path, and of the bucket's top folders.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(aws: &Aws, s3: &S3, prefix: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut marker = None;
    loop {
        let mut asked = vec![("PathPrefix", spec().preview.role_path)];
        asked.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let text = aws.iam("ListRoles", &asked).await?.good("ListRoles")?;
        let found: Roles = quick_xml::de::from_str(&text).map_err(harness::Error::malformed("the list of roles"))?;
        names.extend(found.result.roles.members.into_iter().map(|role| role.name));
        marker = found.result.marker;
        if marker.is_none() {
            break;
        }
    }
    names.retain(|name| name.starts_with(prefix));
    let mut more = String::new();
    loop {
        let found = objects(aws, s3, prefix, &format!("&delimiter=%2F{more}")).await?;
        for Prefix { prefix } in &found.prefixes {
            names.insert(decoded(prefix)?.trim_end_matches('/').to_owned());
        }
        match found.next {
            Some(next) => more = format!("&continuation-token={}", encoded(&next)),
            None => return Ok(names),
        }
    }
}

async fn objects(aws: &Aws, s3: &S3, prefix: &str, more: &str) -> Result<Listing> {
    let query = format!("?encoding-type=url&list-type=2&max-keys=1000&prefix={}{more}", encoded(prefix));
    let text = aws.s3(Method::GET, &s3.bucket, &query, String::new()).await?.good("list objects")?;
    Ok(quick_xml::de::from_str(&text).map_err(harness::Error::malformed("the list of a bucket"))?)
}

fn filled(template: &str, s3: &S3, name: &str, of: PullRequest) -> String {
    let account = api_account();
    let namespace = of.namespace();
    let values = [
        ("ACCOUNT", s3.account.as_str()),
        ("ISSUER", &s3.issuer),
        ("BUCKET", &s3.bucket),
        ("NAME", name),
        ("NAMESPACE", &namespace),
        ("SERVICE_ACCOUNT", &account),
    ];
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// A text percent-encoded for a query, as AWS signs it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_a_policy_is_filled() {
        harness::spec::of(&jetscale::STACK);
        let text = r#"{"bucket": "previews", "region": "eu-central-1", "account": "123456789012",
            "issuer": "oidc.example/id/1", "peers": [], "permissionsBoundary": "arn:aws:iam::123456789012:policy/previews"}"#;
        let (s3, of) = (serde_json::from_str(text).unwrap(), PullRequest::parse("7").unwrap());
        let name = "jetscale-eu-1-pr-7";
        let (trust, objects) = (filled(TRUST, &s3, name, of), filled(OBJECTS, &s3, name, of));
        assert!(!trust.contains('$') && !objects.contains('$'));
        assert!(trust.contains("\"oidc.example/id/1:sub\": \"system:serviceaccount:jetscale-pr-7:jetscale-backend\""));
        assert!(objects.contains("arn:aws:s3:::previews/jetscale-eu-1-pr-7/*"));
    }

    #[test]
    fn a_prefix_is_encoded_as_it_is_signed() {
        assert_eq!(encoded("jetscale-a-pr-7/é+~"), "jetscale-a-pr-7%2F%C3%A9%2B~");
    }

    #[test]
    fn a_key_goes_by_what_has_room_for_it() {
        let by_address = |key: &str| fits_no_xml(key) && !leads(key);
        for (key, wanted) in
            [("a/b", false), ("a/../b", false), ("a/\u{1}", true), ("a/./\u{1}", false), ("a\r..", false)]
        {
            assert_eq!(by_address(key), wanted, "{key:?}");
        }
    }

    #[test]
    fn a_key_is_what_it_was_and_no_path() {
        for (listed, key, written) in [
            ("a/../b", "a/../b", "a/../b"),
            ("a%2F.+x", "a/. x", "a/. x"),
            ("%00%0D%3C%2B%C3%A9", "\0\r<+é", "&#0;&#13;&#60;&#43;&#233;"),
        ] {
            assert_eq!(decoded(listed).unwrap(), key);
            assert!(deletion(&[key.to_owned()]).contains(&format!("<Key>{written}</Key>")), "{key:?}");
        }
    }

    #[test]
    fn an_empty_list_is_one() {
        let found: Listing =
            quick_xml::de::from_str("<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>").unwrap();
        assert!(found.contents.is_empty());
    }

    #[test]
    fn lists_are_read() {
        let text = "<ListBucketResult><CommonPrefixes><Prefix>jetscale-a-pr-1/</Prefix></CommonPrefixes>\
                    <CommonPrefixes><Prefix>jetscale-a-pr-2/</Prefix></CommonPrefixes>\
                    <NextContinuationToken>x/=</NextContinuationToken></ListBucketResult>";
        let found: Listing = quick_xml::de::from_str(text).unwrap();
        assert_eq!((found.prefixes[1].prefix.as_str(), found.next.as_deref()), ("jetscale-a-pr-2/", Some("x/=")));
        for (inside, names) in [("", vec![]), ("<member><RoleName>a</RoleName></member>", vec!["a"])] {
            let text = format!(
                "<ListRolesResponse><ListRolesResult><IsTruncated>false</IsTruncated><Roles>{inside}</Roles>\
                 </ListRolesResult></ListRolesResponse>"
            );
            let found: Roles = quick_xml::de::from_str(&text).unwrap();
            assert_eq!(found.result.roles.members.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), names);
        }
    }
}
