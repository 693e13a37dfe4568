//! A preview's database and role, on a server with verified TLS. The database belongs to the administrator, so that it can always
//! be removed; the role may do anything within it, and nothing to it.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::preview::stores::Server;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// The database that an administrator connects to: every server has it.
const MAINTENANCE: &str = "postgres";
/// The connection limit of a role: more than the api and its migrations open, and fewer than would starve another preview.
const CONNECTIONS: u32 = 40;
/// The deadline for a terminated session to end.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Makes a database and a role of one name, or sets the role's password.
///
/// # Errors
/// [`Error::Store`] when the server is not reached, or refuses.
pub(crate) async fn make(server: &Server, admin: &str, name: &str, password: &str) -> Result<()> {
    let client = connect(server, admin, MAINTENANCE).await?;
    // Hashed here: the server may log statements.
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    if rows(&client, "SELECT FROM pg_roles WHERE rolname = $1", &[&name]).await?.is_empty() {
        run(&client, &format!("CREATE ROLE \"{name}\"")).await?;
    }
    let limits = format!("LOGIN CONNECTION LIMIT {CONNECTIONS}");
    run(&client, &format!("ALTER ROLE \"{name}\" WITH {limits} PASSWORD '{verifier}'")).await?;
    // To end a role's sessions and remove what it owns, an administrator who is no superuser has to be a member of it.
    run(&client, &format!("GRANT \"{name}\" TO CURRENT_USER")).await?;
    if rows(&client, "SELECT FROM pg_database WHERE datname = $1", &[&name]).await?.is_empty() {
        // Not from template1, in which a role may be connected, which fails every copy, or have left objects.
        run(&client, &format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).await?;
    }
    // By default every role may connect to every database.
    run(&client, &format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC")).await?;
    run(&client, &format!("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE \"{name}\" TO \"{name}\"")).await?;
    let within = connect(server, admin, name).await?;
    run(&within, &format!("GRANT USAGE, CREATE ON SCHEMA public TO \"{name}\"")).await
}

/// Removes database and role, and all that the role has anywhere on the server; no error when there is neither.
///
/// A role may leave in each database that it can connect to: sessions, prepared transactions, objects (also large ones) and
/// rights. Those in its own database are removed with it. Those in another may be locked; then they and the role, which cannot
/// sign in any more, are left to the next sweep.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(server: &Server, admin: &str, name: &str) -> Result<()> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let role = rows(&client, "SELECT oid FROM pg_roles WHERE rolname = $1", &[&name]).await?;
    let role: Option<u32> = role.first().map(|row| row.get(0));
    if role.is_some() {
        // NOLOGIN first, so that the role makes nothing any more.
        run(&client, &format!("ALTER ROLE \"{name}\" NOLOGIN")).await?;
        run(&client, &format!("GRANT \"{name}\" TO CURRENT_USER")).await?;
        end_sessions(&client, name).await?;
    }
    if !rows(&client, "SELECT FROM pg_database WHERE datname = $1", &[&name]).await?.is_empty() {
        roll_back_prepared(&connect(server, admin, name).await?, name).await?;
        run(&client, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await?;
    }
    let Some(role) = role else { return Ok(()) };
    if let Err(error) = remove_role(server, admin, &client, name, role).await {
        tracing::warn!("the role {name} signs in no more, and is left to the next sweep: {}", error.report());
    }
    Ok(())
}

async fn remove_role(server: &Server, admin: &str, client: &Client, name: &str, role: u32) -> Result<()> {
    for database in left_in(client, name, role).await? {
        let within = connect(server, admin, &database).await?;
        roll_back_prepared(&within, name).await?;
        unlink_large_objects(&within, role).await?;
        run(&within, &format!("DROP OWNED BY \"{name}\" CASCADE")).await?;
    }
    // Its rights to objects of the whole server.
    run(client, &format!("DROP OWNED BY \"{name}\" CASCADE")).await?;
    run(client, &format!("DROP ROLE IF EXISTS \"{name}\"")).await
}

/// Claims a cluster's names for its identity, unless they are claimed; returns whether they are its own. The claim is the comment
/// of a role without rights.
///
/// # Errors
/// As [`make`].
pub(crate) async fn claim(server: &Server, admin: &str, owner: &str, identity: &str) -> Result<bool> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    if let Some(found) = rows(&client, query, &[&owner]).await?.first() {
        return Ok(found.get::<_, Option<&str>>(0) == Some(identity));
    }
    run(&client, &format!("BEGIN; CREATE ROLE \"{owner}\"; COMMENT ON ROLE \"{owner}\" IS '{identity}'; COMMIT"))
        .await?;
    Ok(true)
}

/// The names of databases and roles with a prefix.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(server: &Server, admin: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, $1) \
                 UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, $1)";
    Ok(rows(&client, query, &[&prefix]).await?.iter().map(|row| row.get(0)).collect())
}

/// The statements that an administrator should run so that previews' roles can connect only to their own databases: by default
/// every role may connect to every database, and leave objects there. The keeper does not change other databases.
///
/// # Errors
/// As [`make`].
pub(crate) async fn open_to_all(server: &Server, admin: &str) -> Result<Vec<String>> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let query = "SELECT datname FROM pg_database \
                 WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT') ORDER BY datname";
    let revoke = |row: &Row| {
        let database = quoted(row.get(0));
        let user = quoted(&server.user);
        // The keeper's own administrator connects by the same default, so it is granted explicitly.
        format!(
            "GRANT CONNECT ON DATABASE {database} TO {user}; REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;"
        )
    };
    Ok(rows(&client, query, &[]).await?.iter().map(revoke).collect())
}

async fn end_sessions(client: &Client, name: &str) -> Result<()> {
    let limit = i64::try_from(ENDED_WITHIN.as_millis()).unwrap_or(i64::MAX);
    let query = "SELECT pid, pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE usename = $1";
    for row in rows(client, query, &[&name, &limit]).await? {
        if !row.get::<_, bool>(1) {
            let (pid, what) = (row.get::<_, i32>(0), format!("end the sessions of {name}"));
            return Err(Error::store(what)(format!("that of process {pid} goes on")));
        }
    }
    Ok(())
}

/// Removes a role's large objects, 500 at a time: all at once would take more locks than a server has.
async fn unlink_large_objects(client: &Client, role: u32) -> Result<()> {
    let query = "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = $1 LIMIT 500";
    while !rows(client, query, &[&role]).await?.is_empty() {}
    Ok(())
}

/// The databases in which a role has objects, rights, or prepared transactions.
async fn left_in(client: &Client, name: &str, role: u32) -> Result<Vec<String>> {
    let query = "SELECT datname FROM pg_database WHERE datallowconn AND ( \
                 oid IN (SELECT dbid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1) \
                 OR datname IN (SELECT database FROM pg_prepared_xacts WHERE owner = $2))";
    Ok(rows(client, query, &[&role, &name]).await?.iter().map(|row| row.get(0)).collect())
}

/// Rolls back a role's prepared transactions in the database of this connection, as that role: Postgres allows it only so.
async fn roll_back_prepared(client: &Client, name: &str) -> Result<()> {
    let query = "SELECT gid FROM pg_prepared_xacts WHERE owner = $1 AND database = current_database()";
    let prepared = rows(client, query, &[&name]).await?;
    if prepared.is_empty() {
        return Ok(());
    }
    run(client, &format!("SET ROLE \"{name}\"")).await?;
    for row in prepared {
        let gid: String = row.get(0);
        run(client, &format!("ROLLBACK PREPARED '{}'", gid.replace('\'', "''"))).await?;
    }
    run(client, "RESET ROLE").await
}

async fn connect(server: &Server, password: &str, database: &str) -> Result<Client> {
    let tls = harness_http::trusting(server.ca.as_deref().map(str::as_bytes))?;
    let mut config = Config::new();
    config.host(&server.host).port(server.port).user(&server.user).password(password).dbname(database);
    // Only pg_catalog is searched, so that no object in a database shadows one of the server's; and locks are waited for 5 s at
    // most.
    config.options("-c search_path=pg_catalog -c standard_conforming_strings=on -c lock_timeout=5s");
    config.ssl_mode(SslMode::Require).application_name("preview-stores");
    let what = || format!("connect to {database} of Postgres at {}:{} as {}", server.host, server.port, server.user);
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(Error::store(what()))?;
    // Ends with the client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("the connection to Postgres ended: {error}");
        }
    });
    Ok(client)
}

async fn rows(client: &Client, query: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
    client.query(query, values).await.map_err(said(query))
}

async fn run(client: &Client, statement: &str) -> Result<()> {
    client.batch_execute(statement).await.map_err(said(statement.split(" PASSWORD ").next().unwrap_or_default()))
}

fn said(what: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let what = what.to_owned();
    move |error| {
        let said = error.as_db_error().map(|error| error.message().to_owned());
        Error::store(what)(said.unwrap_or_else(|| error.to_string()))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
