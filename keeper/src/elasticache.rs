//! A preview's user of ElastiCache, which does not allow `ACL SETUSER`: AWS's API makes users, and a user group gives them access
//! (Amazon ElastiCache API Reference, 2015-02-02: CreateUser, ModifyUser, ModifyUserGroup, DeleteUser).

use std::collections::BTreeSet;
use std::time::Duration;

use harness::preview::stores::ElastiCache;
use serde::Deserialize;

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::redis;

/// The time between two checks of a user or group that is being changed: AWS sends no event.
const AGAIN: Duration = Duration::from_secs(2);
const GONE: &str = "UserNotFound";

#[derive(Deserialize)]
struct Groups {
    #[serde(rename = "DescribeUserGroupsResult")]
    result: GroupsResult,
}

#[derive(Deserialize)]
struct GroupsResult {
    #[serde(rename = "UserGroups")]
    groups: UserMembers<UserGroup>,
}

#[derive(Deserialize)]
struct UserGroup {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "UserIds")]
    users: UserMembers<String>,
}

#[derive(Deserialize)]
struct Users {
    #[serde(rename = "DescribeUsersResult")]
    result: UsersResult,
}

#[derive(Deserialize)]
struct UsersResult {
    #[serde(rename = "Users")]
    users: UserMembers<CacheUser>,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

#[derive(Deserialize)]
struct CacheUser {
    #[serde(rename = "UserId")]
    id: String,
    #[serde(rename = "Status")]
    status: String,
}

#[derive(Deserialize)]
struct UserMembers<T> {
    #[serde(rename = "member", default = "Vec::new")]
    members: Vec<T>,
}

/// Makes a user, or sets its password and access, and adds it to the group. Polls AWS; the caller sets a deadline.
///
/// # Errors
/// [`Error::Store`] when AWS is not reached, or refuses.
pub(crate) async fn make(aws: &Aws, cache: &ElastiCache, name: &str, password: &str) -> Result<()> {
    let access = redis::access(name);
    let rights = [("UserId", name), ("AccessString", access.as_str()), ("Passwords.member.1", password)];
    // A group or user that is being changed refuses another change.
    let members = active(aws, cache).await?;
    if settled(aws, name).await? {
        aws.elasticache("ModifyUser", &rights).await?.good("ModifyUser")?;
    } else {
        let new = [&rights[..], &[("UserName", name), ("Engine", &cache.engine)]].concat();
        aws.elasticache("CreateUser", &new).await?.good("CreateUser")?;
    }
    settled(aws, name).await?;
    if !members.contains(name) {
        let added = [("UserGroupId", cache.user_group.as_str()), ("UserIdsToAdd.member.1", name)];
        aws.elasticache("ModifyUserGroup", &added).await?.good("ModifyUserGroup")?;
    }
    // Until the group is active, the user has no access.
    active(aws, cache).await.map(drop)
}

/// Removes a user, from its group too, and waits until it is gone: until then no user of its name can be made. No error when
/// there is none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(aws: &Aws, cache: &ElastiCache, name: &str) -> Result<()> {
    active(aws, cache).await?;
    if !settled(aws, name).await? {
        return Ok(());
    }
    aws.elasticache("DeleteUser", &[("UserId", name)]).await?.good_or("DeleteUser", GONE)?;
    while settled(aws, name).await? {
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

/// The IDs of users with a prefix, except those that are being deleted.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(aws: &Aws, prefix: &str) -> Result<BTreeSet<String>> {
    let (mut names, mut marker) = (BTreeSet::new(), None::<String>);
    loop {
        let more: Vec<_> = marker.as_deref().map(|marker| ("Marker", marker)).into_iter().collect();
        let text = aws.elasticache("DescribeUsers", &more).await?.good("DescribeUsers")?;
        let found: Users = quick_xml::de::from_str(&text).map_err(harness::Error::malformed("the list of users"))?;
        let stay = found.result.users.members.into_iter().filter(|user| user.status != "deleting");
        names.extend(stay.map(|user| user.id).filter(|id| id.starts_with(prefix)));
        marker = found.result.marker;
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// Waits until a user is not being changed, and returns whether it exists; the caller sets a deadline.
async fn settled(aws: &Aws, name: &str) -> Result<bool> {
    loop {
        let answer = aws.elasticache("DescribeUsers", &[("UserId", name)]).await?;
        if answer.is_refused_as(GONE) {
            return Ok(false);
        }
        let found: Users = quick_xml::de::from_str(&answer.good("DescribeUsers")?)
            .map_err(harness::Error::malformed("the list of users"))?;
        match found.result.users.members.first() {
            None => return Ok(false),
            Some(user) if user.status == "active" => return Ok(true),
            Some(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Waits until the group is not being changed, and returns its users; the caller sets a deadline.
async fn active(aws: &Aws, cache: &ElastiCache) -> Result<BTreeSet<String>> {
    loop {
        let asked = [("UserGroupId", cache.user_group.as_str())];
        let text = aws.elasticache("DescribeUserGroups", &asked).await?.good("DescribeUserGroups")?;
        let found: Groups = quick_xml::de::from_str(&text).map_err(harness::Error::malformed("the user group"))?;
        let group = found.result.groups.members.into_iter().next();
        let group =
            group.ok_or_else(|| Error::store("DescribeUserGroups")(format!("there is no {}", cache.user_group)))?;
        if group.status == "active" {
            return Ok(group.users.members.into_iter().collect());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_answers_is_read() {
        let text = "<DescribeUserGroupsResponse><DescribeUserGroupsResult><UserGroups><member><Status>modifying</Status>\
                    <UserIds><member>default</member><member>a</member></UserIds></member></UserGroups>\
                    </DescribeUserGroupsResult></DescribeUserGroupsResponse>";
        let groups: Groups = quick_xml::de::from_str(text).unwrap();
        let group = &groups.result.groups.members[0];
        assert_eq!((group.status.as_str(), group.users.members.len()), ("modifying", 2));
        let text = "<DescribeUsersResponse><DescribeUsersResult><Users/><Marker>m</Marker></DescribeUsersResult>\
                    </DescribeUsersResponse>";
        let users: Users = quick_xml::de::from_str(text).unwrap();
        assert_eq!((users.result.users.members.len(), users.result.marker.as_deref()), (0, Some("m")));
    }
}
