//! A preview's user of a shared Redis, with the commands that the backend uses, on keys with one prefix.

use std::collections::BTreeSet;

use harness::preview::stores::Server;
use redis::aio::MultiplexedConnection;
use redis::{
    Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates, cmd,
};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The ACL rules of a preview's user, as a template.
const ACCESS: &str = include_str!("../policies/redis-access.txt");
/// The COUNT of one SCAN step, in keys.
const AT_ONCE: usize = 1000;

/// Makes a user that is limited to the keys `<name>:*`, or sets its password.
///
/// # Errors
/// [`Error::Store`] when the server is not reached, or refuses.
pub(crate) async fn make(server: &Server, admin: &str, name: &str, password: &str) -> Result<()> {
    let mut connection = connect(server, admin).await?;
    let digest = format!("#{}", hex::encode(Sha256::digest(password)));
    let access = access(name);
    let mut command = cmd("ACL");
    command.arg("SETUSER").arg(name).arg("reset").arg(digest).arg(access.split_whitespace().collect::<Vec<_>>());
    ask::<()>(&mut connection, &command, "ACL SETUSER").await
}

/// The ACL rules of a user of this name.
pub(crate) fn access(name: &str) -> String {
    ACCESS.trim_end().replace("${NAME}", name)
}

/// Removes a user, which ends its connections; no error when there is none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove_user(server: &Server, admin: &str, name: &str) -> Result<()> {
    let mut connection = connect(server, admin).await?;
    ask(&mut connection, cmd("ACL").arg("DELUSER").arg(name), "ACL DELUSER").await
}

/// Removes the keys `<name>:*`, after their user was removed; no error when there are none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove_keys(server: &Server, admin: &str, name: &str) -> Result<()> {
    let mut connection = connect(server, admin).await?;
    let mut cursor = 0;
    loop {
        let (next, keys) = scan(&mut connection, cursor, &format!("{name}:*")).await?;
        if !keys.is_empty() {
            ask::<()>(&mut connection, cmd("UNLINK").arg(&keys), "UNLINK").await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// Claims a cluster's names for its identity, unless they are claimed; returns whether they are its own. The claim is a key.
///
/// # Errors
/// As [`make`].
pub(crate) async fn claim(server: &Server, admin: &str, owner: &str, identity: &str) -> Result<bool> {
    let mut connection = connect(server, admin).await?;
    ask::<()>(&mut connection, cmd("SET").arg(owner).arg(identity).arg("NX"), "SET").await?;
    let found: Option<String> = ask(&mut connection, cmd("GET").arg(owner), "GET").await?;
    Ok(found.as_deref() == Some(identity))
}

/// The names of users with a prefix.
///
/// # Errors
/// As [`make`].
pub(crate) async fn users(server: &Server, admin: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let mut connection = connect(server, admin).await?;
    let users: Vec<String> = ask(&mut connection, cmd("ACL").arg("USERS"), "ACL USERS").await?;
    Ok(users.into_iter().filter(|name| name.starts_with(prefix)).collect())
}

/// The names before the first colon of all keys with a prefix.
///
/// # Errors
/// As [`make`].
pub(crate) async fn keys(server: &Server, admin: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let mut connection = connect(server, admin).await?;
    let mut names = BTreeSet::new();
    let mut cursor = 0;
    loop {
        let (next, keys) = scan(&mut connection, cursor, &format!("{prefix}*")).await?;
        let texts = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        names.extend(texts.filter_map(|key| Some(key.split_once(':')?.0.to_owned())));
        if next == 0 {
            return Ok(names);
        }
        cursor = next;
    }
}

async fn scan(connection: &mut MultiplexedConnection, cursor: u64, pattern: &str) -> Result<(u64, Vec<Vec<u8>>)> {
    ask(connection, cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(AT_ONCE), "SCAN").await
}

async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &Cmd, what: &str) -> Result<T> {
    command.query_async(connection).await.map_err(Error::store(format!("{what} at Redis")))
}

async fn connect(server: &Server, password: &str) -> Result<MultiplexedConnection> {
    harness::http::install_tls();
    let what = format!("connect to Redis at {}:{} as {}", server.host, server.port, server.user);
    let certificates =
        TlsCertificates { client_tls: None, root_cert: server.ca.as_ref().map(|ca| ca.clone().into_bytes()) };
    let account = RedisConnectionInfo::default().set_username(&server.user).set_password(password);
    let info = address(server).into_connection_info().map_err(Error::store(&what))?.set_redis_settings(account);
    let client = Client::build_with_tls(info, certificates).map_err(Error::store(&what))?;
    client.get_multiplexed_async_connection().await.map_err(Error::store(&what))
}

fn address(server: &Server) -> ConnectionAddr {
    ConnectionAddr::TcpTls { host: server.host.clone(), port: server.port, insecure: false, tls_params: None }
}
