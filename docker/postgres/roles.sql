-- The roles of a flashsale database, none of which may do more than it has to:
--
--   flashsale_owner   owns the schema, and migrates it: flashsale migrate up
--   flashsale_server  adds rows and moves the watermark; changes no schema, deletes nothing
--   flashsale_reader  reads, for people and Grafana. It sees codes that are not processed yet, and whoever
--                     has such a code can spend it
--
-- Run by a superuser, connected to the database. That must be flashsale's own, unless DB_SCHEMA names a schema other
-- than public: then nothing outside of that schema is touched, and others may live beside it. Nothing is done twice, so it may
-- be run at any time, also on a database that a superuser has migrated: it then gives what the migrations made to
-- the owner. Passwords come from the environment, or from variables of psql with the names below; running it
-- again changes them.
--
--   DB_OWNER_PASSWORD=… DB_PASSWORD=… DB_READER_PASSWORD=… psql --dbname flashsale --file docker/postgres/roles.sql

\set ON_ERROR_STOP on
\set QUIET on
\getenv owner_password DB_OWNER_PASSWORD
\getenv server_password DB_PASSWORD
\getenv reader_password DB_READER_PASSWORD
-- The user that the server logs in as, where it has another name: a member of flashsale_server.
\set server flashsale_server
\getenv server DB_USER

\set schema public
\getenv schema DB_SCHEMA
-- Where the views of the former service are.
SELECT CASE :'schema' WHEN 'public' THEN 'seed' ELSE :'schema' || '_seed' END AS seed_schema,
       :'schema' = 'public' AS is_whole_database,
       -- For the blocks below, in which variables of psql are not known.
       set_config('flashsale.schema', :'schema', false) AS told \gset

SELECT :{?owner_password} AND :{?server_password} AND :{?reader_password} AS is_complete \gset
\if :is_complete
\else
DO $$ BEGIN
    RAISE EXCEPTION 'passwords are missing: DB_OWNER_PASSWORD, DB_PASSWORD and DB_READER_PASSWORD must be set';
END $$;
\endif
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :'server' AND rolsuper) AS is_superuser \gset
\if :is_superuser
DO $$ BEGIN
    RAISE EXCEPTION 'DB_USER is a superuser: the server needs a user that may do less';
END $$;
\endif

-- All that the migrations make, with the partitions that are made for new sales.
CREATE TEMP VIEW ours AS
SELECT oid, relowner AS owner, oid::regclass::text AS name, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p', 'v')
  AND (relname IN ('migrations', 'watermark', 'sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                   'checkout_items', 'expired_checkouts', 'refused_attempts', 'purchases', 'purchase_results',
                   'releases', 'sale_changes', 'payments', 'stock_changes', 'cancellations', 'item_sales', 'user_purchases', 'violations')
       OR relname ~ '^(items|checkouts|checkout_items|expired_checkouts|refused_attempts|purchases|purchase_results|releases|payments)_[0-9]+$')
UNION ALL
SELECT oid, relowner, oid::regclass::text, 'VIEW'
FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:'seed_schema')) AND relkind = 'v'
UNION ALL
SELECT oid, proowner, oid::regprocedure::text, 'FUNCTION'
FROM pg_proc
WHERE pronamespace = to_regnamespace(quote_ident(:'schema'))
  AND proname IN ('reset_projection', 'ensure_partitions', 'abandon_sale');

-- Below, PUBLIC loses its way into the database, or into the schema. Where others have something in it by then,
-- that is theirs.
DO $$
DECLARE
    schema text := current_setting('flashsale.schema');
    place  text := CASE schema WHEN 'public' THEN 'database' ELSE 'schema' END;
    others text;
BEGIN
    IF (SELECT nspowner FROM pg_namespace WHERE nspname = schema) = to_regrole('flashsale_owner') THEN
        RETURN;
    END IF;
    SELECT string_agg(name, ', ') INTO others
    FROM (SELECT name
          FROM (SELECT oid, relnamespace AS namespace, oid::regclass::text AS name
                FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
                UNION ALL
                SELECT oid, pronamespace, oid::regprocedure::text FROM pg_proc) AS made
          JOIN pg_namespace ON pg_namespace.oid = namespace
          WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
            AND (schema = 'public' OR nspname = schema)
            AND made.oid NOT IN (SELECT oid FROM ours)
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = made.oid AND deptype = 'e')
          ORDER BY name LIMIT 5) AS first_ones;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'others use this %, too (%): give flashsale one of its own', place, others;
    END IF;
END $$;

-- No password gets into a log of statements, and none is kept in a form that can be used elsewhere.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I', wanted)
FROM unnest(ARRAY['flashsale_owner', 'flashsale_server', 'flashsale_reader', :'server']) WITH ORDINALITY AS it(wanted, place)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
GROUP BY wanted ORDER BY min(place) \gexec
SELECT format('GRANT flashsale_server TO %I', :'server') WHERE :'server' <> 'flashsale_server' \gexec
ALTER ROLE flashsale_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE :"server" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'server_password';
ALTER ROLE flashsale_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'reader_password';
-- Whoever looks may not use up what the server needs.
ALTER ROLE flashsale_reader CONNECTION LIMIT 20;
ALTER ROLE flashsale_reader SET default_transaction_read_only = on;
ALTER ROLE flashsale_reader SET statement_timeout = '60s';

\if :is_whole_database
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
\endif
GRANT CONNECT ON DATABASE :"DBNAME" TO flashsale_owner, flashsale_server, flashsale_reader;
SELECT format('CREATE SCHEMA %I', wanted) FROM unnest(ARRAY[:'schema', :'seed_schema']) AS wanted
WHERE to_regnamespace(quote_ident(wanted)) IS NULL \gexec
ALTER SCHEMA :"schema" OWNER TO flashsale_owner;
ALTER SCHEMA :"seed_schema" OWNER TO flashsale_owner;
REVOKE ALL ON SCHEMA :"schema", :"seed_schema" FROM PUBLIC;
GRANT USAGE ON SCHEMA :"schema", :"seed_schema" TO flashsale_server, flashsale_reader;

-- What a superuser has migrated goes to the owner.
SELECT format('ALTER %s %s OWNER TO flashsale_owner', kind, name)
FROM ours WHERE owner <> 'flashsale_owner'::regrole ORDER BY kind, name \gexec

-- Who may do what is said by the migration, which gives the rights where the roles are there before it. Where
-- it came first they are given now.
SELECT set_config('search_path', quote_ident(:'schema') || ', pg_temp', false) AS search_path \gset
SELECT to_regprocedure('abandon_sale(integer)') IS NOT NULL AS is_migrated \gset
\if :is_migrated
\ir ../../migrations/006_roles.up.sql
\endif
-- Before those that make its views anew.
SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:'seed_schema')) AND relname = 'sales')
    AS has_seed_views \gset
\if :has_seed_views
\ir ../../migrations/007_seed_views.up.sql
\endif
SELECT to_regclass('releases') IS NOT NULL AS has_releases, to_regclass('sale_changes') IS NOT NULL AS has_sale_changes,
       to_regclass('payments') IS NOT NULL AS has_payments,
       to_regclass('stock_changes') IS NOT NULL AS has_stock_changes,
       to_regclass('cancellations') IS NOT NULL AS has_cancellations \gset
\if :has_releases
\ir ../../migrations/010_releases.up.sql
\endif
\if :has_sale_changes
\ir ../../migrations/011_sale_changes.up.sql
\endif
\if :has_payments
\ir ../../migrations/012_payments.up.sql
\endif
\if :has_stock_changes
\ir ../../migrations/013_stock_changes.up.sql
\endif
\if :has_cancellations
\ir ../../migrations/014_cancellations.up.sql
\endif
