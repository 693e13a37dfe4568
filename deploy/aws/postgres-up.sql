-- A database and a role for one preview; again: the role's password anew. Run by the server's
-- administrator (on RDS: the master user), with psql 15 or later:
--   PREVIEW_PASSWORD=… psql -v name=jetscale-pr-123 -f postgres-up.sql
\set ON_ERROR_STOP on
\getenv password PREVIEW_PASSWORD
SELECT :'name' ~ '^jetscale-pr-[1-9][0-9]*$' AS ours \gset
\if :ours
SELECT format('CREATE ROLE %I', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" WITH LOGIN CONNECTION LIMIT 40 PASSWORD :'password';
-- Whoever gives a database away must be a member of the role that gets it, unless a superuser.
GRANT :"name" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
-- By default every role may connect to every database.
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
\else
SELECT CAST('the name is not one of a preview' AS integer);
\endif
