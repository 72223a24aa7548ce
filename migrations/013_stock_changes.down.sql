-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
-- View, function and constraint as they were.
DO $outer$
BEGIN
    IF to_regclass('item_sales') IS NOT NULL AND to_regclass('purchase_results') IS NOT NULL THEN
        CREATE OR REPLACE VIEW item_sales AS
        SELECT i.sale_id, i.item_index, i.id, i.name, i.stock,
               coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS sold,
               i.stock - coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS remaining
        FROM items i
        LEFT JOIN purchase_results r ON r.sale_id = i.sale_id AND r.item_index = i.item_index
        GROUP BY i.sale_id, i.item_index, i.id, i.name, i.stock;
    END IF;
    IF to_regclass('pools') IS NOT NULL THEN
        ALTER TABLE pools DROP CONSTRAINT IF EXISTS pools_stock_check;
        ALTER TABLE pools ADD CONSTRAINT pools_stock_check CHECK (stock > 0);
        IF to_regrole('flashsale_server') IS NOT NULL THEN
            REVOKE UPDATE (stock) ON pools FROM flashsale_server;
        END IF;
    END IF;
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results', 'releases', 'sale_changes',
                                     'payments'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;
    END IF;
END $outer$;
DROP TABLE IF EXISTS stock_changes;
