-- Removes what postgres-up.sql made, and is content when there is nothing:
--   psql -v name=jetscale-pr-123 -f postgres-down.sql
\set ON_ERROR_STOP on
SELECT :'name' ~ '^jetscale-pr-[1-9][0-9]*$' AS ours \gset
\if :ours
DROP DATABASE IF EXISTS :"name" WITH (FORCE);
DROP ROLE IF EXISTS :"name";
\else
SELECT CAST('the name is not one of a preview' AS integer);
\endif
