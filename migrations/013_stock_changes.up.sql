-- What was changed of the stock of items while their sales went on. items keeps what each began with; pools has what there is now.
CREATE TABLE IF NOT EXISTS stock_changes (
    lsn        bigint PRIMARY KEY,
    sale_id    integer NOT NULL,
    item_index integer NOT NULL CHECK (item_index >= 0),
    -- Units that were added, or taken out where it is negative.
    units      bigint NOT NULL CHECK (units <> 0),
    -- The shop's own, which has one of them.
    reference  text NOT NULL CHECK (reference <> ''),
    changed_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS stock_changes_once ON stock_changes (sale_id, reference);

-- All units of an item may be taken out.
ALTER TABLE pools DROP CONSTRAINT IF EXISTS pools_stock_check;
ALTER TABLE pools ADD CONSTRAINT pools_stock_check CHECK (stock >= 0);

-- As before, with one table more.
CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results', 'releases', 'sale_changes',
                                     'payments', 'stock_changes'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;

-- What each item has sold, of the stock that it has now. remaining does not count reservations.
CREATE OR REPLACE VIEW item_sales AS
SELECT i.sale_id, i.item_index, i.id, i.name, (i.stock + coalesce(c.units, 0))::bigint AS stock,
       coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS sold,
       (i.stock + coalesce(c.units, 0))::bigint - coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS remaining
FROM items i
LEFT JOIN (SELECT sale_id, item_index, sum(units) AS units FROM stock_changes GROUP BY sale_id, item_index) c
     ON c.sale_id = i.sale_id AND c.item_index = i.item_index
LEFT JOIN purchase_results r ON r.sale_id = i.sale_id AND r.item_index = i.item_index
GROUP BY i.sale_id, i.item_index, i.id, i.name, i.stock, c.units;

DO $$
BEGIN
    IF to_regrole('flashsale_server') IS NOT NULL THEN
        GRANT SELECT, INSERT ON stock_changes TO flashsale_server;
        GRANT UPDATE (stock) ON pools TO flashsale_server;
    END IF;
    IF to_regrole('flashsale_reader') IS NOT NULL THEN
        GRANT SELECT ON stock_changes TO flashsale_reader;
    END IF;
END $$;
