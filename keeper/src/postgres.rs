//! A preview's database and role, on a server with verified TLS. Whatever was made in it, it goes: the database is the
//! administrator's, and the role may do anything within it and nothing to it.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::error::{Error, Result};
use harness::preview::stores::Server;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The database that an administrator is connected to: every server has it.
const MAINTENANCE: &str = "postgres";
/// More than the api and its migrations open; fewer than would starve another preview.
const CONNECTIONS: u32 = 40;
/// How long a session that was told to end may take.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Makes a database and a role of one name, or brings the role's password to this one.
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
    // Whoever ends a role's sessions and removes what it owns must be a member of it, unless a superuser.
    run(&client, &format!("GRANT \"{name}\" TO CURRENT_USER")).await?;
    if rows(&client, "SELECT FROM pg_database WHERE datname = $1", &[&name]).await?.is_empty() {
        // Not of template1: there a role may be connected, which ends every copy, or have left something.
        run(&client, &format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).await?;
    }
    // By default every role may connect to every database.
    run(&client, &format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC")).await?;
    run(&client, &format!("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE \"{name}\" TO \"{name}\"")).await?;
    let within = connect(server, admin, name).await?;
    run(&within, &format!("GRANT USAGE, CREATE ON SCHEMA public TO \"{name}\"")).await
}

/// Removes both, and all that the role has anywhere on the server; fine when there is neither.
///
/// What a role may leave where it can connect: sessions, prepared transactions, objects of its own (large objects among
/// them) and rights. What is in its database goes with that. What it has in another's may be locked by whoever is there: then
/// that and the role, which signs in no more, are left to the next sweep, and keep nobody.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(server: &Server, admin: &str, name: &str) -> Result<()> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let role = rows(&client, "SELECT oid FROM pg_roles WHERE rolname = $1", &[&name]).await?;
    let role: Option<u32> = role.first().map(|row| row.get(0));
    if role.is_some() {
        // First, so that nothing is made any more.
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
    // Its rights to what is the whole server's.
    run(client, &format!("DROP OWNED BY \"{name}\" CASCADE")).await?;
    run(client, &format!("DROP ROLE IF EXISTS \"{name}\"")).await
}

/// Whether the names of a cluster are those of the one with this identity; they are once nobody else's were. A role that may
/// do nothing says so in its comment.
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

/// The databases and the roles whose names begin so.
///
/// # Errors
/// As [`make`].
pub(crate) async fn list(server: &Server, admin: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let client = connect(server, admin, MAINTENANCE).await?;
    let query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, $1) \
                 UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, $1)";
    Ok(rows(&client, query, &[&prefix]).await?.iter().map(|row| row.get(0)).collect())
}

/// What an administrator has to run so that previews' roles get into no database but their own: by default every role may
/// connect to every database, and leave things there. It is not ours to change.
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
        // Ours is let in by the same default.
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

/// Some at a time: all at once they would take more locks than a server has.
async fn unlink_large_objects(client: &Client, role: u32) -> Result<()> {
    let query = "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = $1 LIMIT 500";
    while !rows(client, query, &[&role]).await?.is_empty() {}
    Ok(())
}

/// The databases where a role has something: objects, rights, or a transaction that is prepared.
async fn left_in(client: &Client, name: &str, role: u32) -> Result<Vec<String>> {
    let query = "SELECT datname FROM pg_database WHERE datallowconn AND ( \
                 oid IN (SELECT dbid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1) \
                 OR datname IN (SELECT database FROM pg_prepared_xacts WHERE owner = $2))";
    Ok(rows(client, query, &[&role, &name]).await?.iter().map(|row| row.get(0)).collect())
}

/// Rolls back the transactions that a role has prepared in the database of this connection: only there, and only as that
/// role, it can be done.
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
    // Nothing that somebody made in a database is taken for what the server has under that name; and an end to waiting for
    // whoever has a lock.
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
