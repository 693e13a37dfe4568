//! A preview's user of a shared Redis, who may do what the backend does, below one prefix.

use std::collections::BTreeSet;

use harness::error::{Error, Result};
use harness::preview::stores::Server;
use redis::aio::MultiplexedConnection;
use redis::{
    Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates, cmd,
};
use sha2::{Digest, Sha256};

/// What a preview's user may do.
const ACCESS: &str = include_str!("../../deploy/aws/redis-access.txt");
/// How many keys are looked at in one step.
const AT_ONCE: usize = 1000;

/// Makes a user of this name, limited to the keys `<name>:*`, or brings it to this password.
///
/// # Errors
/// [`Error::Store`] when the server is not reached, or refuses.
pub(crate) async fn make(server: &Server, admin: &str, name: &str, password: &str) -> Result<()> {
    let mut connection = connect(server, admin).await?;
    let digest = format!("#{}", hex::encode(Sha256::digest(password)));
    let access = ACCESS.replace("${NAME}", name);
    let mut command = cmd("ACL");
    command.arg("SETUSER").arg(name).arg("reset").arg(digest).arg(access.split_whitespace().collect::<Vec<_>>());
    ask::<()>(&mut connection, &command, "ACL SETUSER").await
}

/// Removes the user, and then its keys; fine when there are none.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(server: &Server, admin: &str, name: &str) -> Result<()> {
    let mut connection = connect(server, admin).await?;
    // First, so that nothing is written any more: its connections end with it.
    ask::<()>(&mut connection, cmd("ACL").arg("DELUSER").arg(name), "ACL DELUSER").await?;
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

/// The names of users, and of keys before their colon, that begin so.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(server: &Server, admin: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let mut connection = connect(server, admin).await?;
    let users: Vec<String> = ask(&mut connection, cmd("ACL").arg("USERS"), "ACL USERS").await?;
    let mut names: BTreeSet<String> = users.into_iter().filter(|name| name.starts_with(prefix)).collect();
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
