-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
-- View, function and constraint as they were.
DO $outer$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
BEGIN
    IF to_regclass(format('%I.sales', views)) IS NOT NULL AND to_regclass('sales') IS NOT NULL THEN
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.sales AS
            SELECT s.id, s.started_at, s.ended_at,
                   -- Units, as the interface counts them.
                   CASE WHEN s.generated_seed IS NULL
                        THEN (SELECT coalesce(sum(p.stock), 0) FROM pools p WHERE p.sale_id = s.id)
                        ELSE s.item_count END::bigint AS total_items,
                   (SELECT coalesce(sum(r.quantity), 0) FROM purchase_results r
                    WHERE r.sale_id = s.id AND r.sold)::bigint AS items_sold,
                   s.closed_at IS NULL AND now() >= s.started_at AND now() < s.ended_at AS active,
                   s.created_at
            FROM sales s
        $view$, views);
    END IF;
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results', 'releases'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;
    END IF;
    IF to_regclass('refused_attempts') IS NOT NULL THEN
        ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
        ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
        'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
            'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused')) NOT VALID;
    END IF;
END $outer$;
DROP TABLE IF EXISTS sale_changes;
