-- What was granted goes with the tables. The functions are again done in the name of whoever calls them.
DO $$
BEGIN
    IF to_regprocedure('ensure_partitions(integer)') IS NOT NULL THEN
        ALTER FUNCTION ensure_partitions(integer) SECURITY INVOKER RESET ALL;
        GRANT EXECUTE ON FUNCTION ensure_partitions(integer) TO PUBLIC;
    END IF;
END $$;
DROP FUNCTION IF EXISTS abandon_sale(integer);
