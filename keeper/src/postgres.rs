//! A preview's database and role, on a server with verified TLS.

use harness::error::{Error, Result};
use harness::http;
use harness::preview::stores::Server;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The database that an administrator is connected to: every server has it.
const MAINTENANCE: &str = "postgres";
/// More than the api and its migrations open; fewer than would starve another preview.
const CONNECTIONS: u32 = 40;

/// Makes a database and its role of one name, or brings the role's password to this one.
///
/// # Errors
/// [`Error::Store`] when the server is not reached, or refuses.
pub(crate) async fn make(server: &Server, admin: &str, name: &str, password: &str) -> Result<()> {
    let client = connect(server, admin).await?;
    // Hashed here: the server may log statements.
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    if !exists(&client, "SELECT FROM pg_roles WHERE rolname = $1", name).await? {
        run(&client, &format!("CREATE ROLE \"{name}\"")).await?;
    }
    let limits = format!("LOGIN CONNECTION LIMIT {CONNECTIONS}");
    run(&client, &format!("ALTER ROLE \"{name}\" WITH {limits} PASSWORD '{verifier}'")).await?;
    // Who gives a database away must be a member of the role that gets it, unless a superuser.
    run(&client, &format!("GRANT \"{name}\" TO CURRENT_USER")).await?;
    if !exists(&client, "SELECT FROM pg_database WHERE datname = $1", name).await? {
        run(&client, &format!("CREATE DATABASE \"{name}\" OWNER \"{name}\"")).await?;
    }
    // By default every role may connect to every database.
    run(&client, &format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC")).await
}

/// Removes both, also while somebody is connected; fine when there is neither.
///
/// # Errors
/// As [`make`].
pub(crate) async fn remove(server: &Server, admin: &str, name: &str) -> Result<()> {
    let client = connect(server, admin).await?;
    run(&client, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await?;
    run(&client, &format!("DROP ROLE IF EXISTS \"{name}\"")).await
}

async fn connect(server: &Server, password: &str) -> Result<Client> {
    let tls = http::trusting(server.ca.as_deref().map(str::as_bytes))?;
    let mut config = Config::new();
    config.host(&server.host).port(server.port).user(&server.user).password(password).dbname(MAINTENANCE);
    config.ssl_mode(SslMode::Require).application_name("preview-stores");
    let what = || format!("connect to Postgres at {}:{} as {}", server.host, server.port, server.user);
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(Error::store(what()))?;
    // Ends with the client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("the connection to Postgres ended: {error}");
        }
    });
    Ok(client)
}

async fn exists(client: &Client, query: &str, name: &str) -> Result<bool> {
    let row = client.query_opt(query, &[&name]).await.map_err(Error::store(query))?;
    Ok(row.is_some())
}

async fn run(client: &Client, statement: &str) -> Result<()> {
    let what = statement.split(" PASSWORD ").next().unwrap_or_default();
    client.batch_execute(statement).await.map_err(|error| {
        let said = error.as_db_error().map(|error| error.message().to_owned());
        Error::store(what)(said.unwrap_or_else(|| error.to_string()))
    })
}
