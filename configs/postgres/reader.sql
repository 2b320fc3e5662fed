-- A read-only role for Grafana, as anyone who sees a dashboard can run any query. Run it with psql as the tables' owner,
-- with READER_PASSWORD in the environment; running it again changes the password.
\set ON_ERROR_STOP on
\getenv password READER_PASSWORD
SELECT current_schema() AS schema \gset
SELECT 'CREATE ROLE mdp_reader' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mdp_reader') \gexec
ALTER ROLE mdp_reader LOGIN CONNECTION LIMIT 10 PASSWORD :'password';
ALTER ROLE mdp_reader SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA :"schema" TO mdp_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO mdp_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO mdp_reader;
