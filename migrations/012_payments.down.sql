-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
-- View, functions and constraint as they were.
DO $outer$ BEGIN
    IF to_regclass('violations') IS NOT NULL THEN
        CREATE OR REPLACE VIEW violations AS
        SELECT sale_id, 'item ' || id || ': sold ' || sold || ' of ' || stock AS what
        FROM item_sales WHERE sold > stock
        UNION ALL
        SELECT u.sale_id, 'user ' || u.user_id || ': bought ' || u.bought || ' of ' || s.max_items_per_user
        FROM user_purchases u JOIN sales s ON s.id = u.sale_id WHERE u.bought > s.max_items_per_user
        UNION ALL
        SELECT p.sale_id, 'purchase at record ' || p.lsn || ': its checkout is missing'
        FROM purchases p
        WHERE NOT EXISTS (SELECT FROM checkouts c WHERE c.sale_id = p.sale_id AND c.secret = p.secret)
        UNION ALL
        SELECT e.sale_id, 'checkout opened at record ' || c.lsn || ': both purchased and expired'
        FROM expired_checkouts e
        JOIN purchases p ON p.sale_id = e.sale_id AND p.secret = e.secret
        JOIN checkouts c ON c.sale_id = e.sale_id AND c.secret = e.secret;
    END IF;
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results', 'releases', 'sale_changes'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;
    END IF;
    IF to_regprocedure('ensure_partitions(integer)') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION ensure_partitions(sale integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first     integer := sale / 1000 * 1000;
    parent    text;
    partition text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['items', 'checkouts', 'checkout_items', 'expired_checkouts',
                                  'purchases', 'purchase_results', 'refused_attempts', 'releases'] LOOP
        partition := parent || '_' || first;
        IF to_regclass(quote_ident(partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                           'INCLUDING INDEXES)', partition, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                           parent, partition, first, first::bigint + 1000);
        END IF;
    END LOOP;
END $$;
        EXECUTE format('ALTER FUNCTION ensure_partitions(integer) SECURITY DEFINER SET search_path = %s, pg_temp',
                       quote_ident(current_schema()));
    END IF;
    IF to_regclass('refused_attempts') IS NOT NULL THEN
        ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
        ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
        'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
            'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused',
            'sale_paused')) NOT VALID;
    END IF;
END $outer$;
DROP TABLE IF EXISTS payments;
ALTER TABLE IF EXISTS purchases DROP COLUMN IF EXISTS payment_ref;
ALTER TABLE IF EXISTS sales DROP COLUMN IF EXISTS payment_seconds, DROP COLUMN IF EXISTS purchase_by;
