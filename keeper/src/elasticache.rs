//! A preview's user of ElastiCache, which takes no `ACL SETUSER`: AWS' own API makes users, and a user group lets them in.
//! (Amazon ElastiCache API Reference, 2015-02-02: CreateUser, ModifyUser, ModifyUserGroup, DeleteUser.)

use std::collections::BTreeSet;
use std::time::Duration;

use harness::error::{Error, Result};
use harness::preview::stores::ElastiCache;
use serde::Deserialize;

use crate::aws::Aws;
use crate::redis;

/// How often the group is looked at while it is being changed: AWS tells nobody.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Groups {
    #[serde(rename = "DescribeUserGroupsResult")]
    result: GroupsResult,
}

#[derive(Deserialize)]
struct GroupsResult {
    #[serde(rename = "UserGroups")]
    groups: Members<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "UserIds")]
    users: Members<String>,
}

#[derive(Deserialize)]
struct Users {
    #[serde(rename = "DescribeUsersResult")]
    result: UsersResult,
}

#[derive(Deserialize)]
struct UsersResult {
    #[serde(rename = "Users")]
    users: Members<User>,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(rename = "UserId")]
    id: String,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(rename = "member", default = "Vec::new")]
    members: Vec<T>,
}

/// Makes a user of this name, or brings it to this password, and has the group let it in.
///
/// # Errors
/// [`Error::Store`] when AWS is not reached, or refuses.
pub(crate) async fn make(aws: &Aws, cache: &ElastiCache, name: &str, password: &str) -> Result<()> {
    let access = redis::access(name);
    let rights = [("UserId", name), ("AccessString", access.as_str()), ("Passwords.member.1", password)];
    let new = [&rights[..], &[("UserName", name), ("Engine", &cache.engine)]].concat();
    let is_there = aws.elasticache("CreateUser", &new).await?.good_or("CreateUser", "UserAlreadyExists")?;
    if is_there {
        aws.elasticache("ModifyUser", &rights).await?.good("ModifyUser")?;
    }
    if active(aws, cache).await?.contains(name) {
        return Ok(());
    }
    let added = [("UserGroupId", cache.user_group.as_str()), ("UserIdsToAdd.member.1", name)];
    aws.elasticache("ModifyUserGroup", &added).await?.good("ModifyUserGroup")?;
    // Until then it is not let in.
    active(aws, cache).await.map(drop)
}

/// Removes a user, from its group too; fine when there is none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(aws: &Aws, name: &str) -> Result<()> {
    aws.elasticache("DeleteUser", &[("UserId", name)]).await?.good_or("DeleteUser", "UserNotFound").map(drop)
}

/// The users whose names begin so.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(aws: &Aws, prefix: &str) -> Result<BTreeSet<String>> {
    let (mut names, mut marker) = (BTreeSet::new(), None::<String>);
    loop {
        let more: Vec<_> = marker.as_deref().map(|marker| ("Marker", marker)).into_iter().collect();
        let text = aws.elasticache("DescribeUsers", &more).await?.good("DescribeUsers")?;
        let found: Users = quick_xml::de::from_str(&text).map_err(Error::malformed("the list of users"))?;
        names.extend(found.result.users.members.into_iter().map(|user| user.id).filter(|id| id.starts_with(prefix)));
        marker = found.result.marker;
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// The group's users, once nobody is changing it; the caller has a deadline.
async fn active(aws: &Aws, cache: &ElastiCache) -> Result<BTreeSet<String>> {
    loop {
        let asked = [("UserGroupId", cache.user_group.as_str())];
        let text = aws.elasticache("DescribeUserGroups", &asked).await?.good("DescribeUserGroups")?;
        let found: Groups = quick_xml::de::from_str(&text).map_err(Error::malformed("the user group"))?;
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
