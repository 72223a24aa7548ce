-- The roles of a flashsale database, none of which may do more than it has to:
--
--   flashsale_owner   owns the schema, and migrates it: flashsale migrate up
--   flashsale_server  adds rows and moves the watermark; changes no schema, deletes nothing
--   flashsale_reader  reads, for people and Grafana. It sees codes that are not processed yet, and whoever
--                     has such a code can spend it
--
-- Run by a superuser, connected to the database, which must be flashsale's own. Nothing is done twice, so it may
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
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
  AND (relname IN ('migrations', 'watermark', 'sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                   'checkout_items', 'expired_checkouts', 'refused_attempts', 'purchases', 'purchase_results',
                   'item_sales', 'user_purchases', 'violations')
       OR relname ~ '^(items|checkouts|checkout_items|expired_checkouts|refused_attempts|purchases|purchase_results)_[0-9]+$')
UNION ALL
SELECT oid, proowner, oid::regprocedure::text, 'FUNCTION'
FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
  AND proname IN ('reset_projection', 'ensure_partitions', 'abandon_sale');

-- Below, PUBLIC loses its way into the database. Where others have something in it by then, that is theirs.
DO $$
DECLARE
    others text;
BEGIN
    IF (SELECT nspowner FROM pg_namespace WHERE nspname = 'public') = to_regrole('flashsale_owner') THEN
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
            AND made.oid NOT IN (SELECT oid FROM ours)
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = made.oid AND deptype = 'e')
          ORDER BY name LIMIT 5) AS first_ones;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'others use this database, too (%): give flashsale one of its own', others;
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

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO flashsale_owner, flashsale_server, flashsale_reader;
ALTER SCHEMA public OWNER TO flashsale_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO flashsale_server, flashsale_reader;

-- What a superuser has migrated goes to the owner.
SELECT format('ALTER %s %s OWNER TO flashsale_owner', kind, name)
FROM ours WHERE owner <> 'flashsale_owner'::regrole ORDER BY kind, name \gexec

-- Who may do what is said by the migration, which gives the rights where the roles are there before it. Where
-- it came first they are given now.
SELECT to_regprocedure('public.abandon_sale(integer)') IS NOT NULL AS is_migrated \gset
\if :is_migrated
\ir ../../migrations/006_roles.up.sql
\endif
