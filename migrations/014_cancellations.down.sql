-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
-- Views, function and index as they were.
DO $outer$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
BEGIN
    IF to_regclass(format('%I.sales', views)) IS NOT NULL AND to_regclass('sale_changes') IS NOT NULL THEN
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.sales AS
            SELECT s.id, s.started_at, coalesce(c.ended_at, s.ended_at) AS ended_at,
                   -- Units, as the interface counts them.
                   CASE WHEN s.generated_seed IS NULL
                        THEN (SELECT coalesce(sum(p.stock), 0) FROM pools p WHERE p.sale_id = s.id)
                        ELSE s.item_count END::bigint AS total_items,
                   (SELECT coalesce(sum(r.quantity), 0) FROM purchase_results r
                    WHERE r.sale_id = s.id AND r.sold)::bigint AS items_sold,
                   s.closed_at IS NULL AND now() >= s.started_at AND now() < coalesce(c.ended_at, s.ended_at) AS active,
                   s.created_at
            FROM sales s
            LEFT JOIN (SELECT sale_id, max(ended_at) AS ended_at FROM sale_changes GROUP BY sale_id) c ON c.sale_id = s.id
        $view$, views);
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.items AS
            SELECT i.id, i.sale_id, i.name, i.image_url,
                   CASE WHEN s.generated_seed IS NULL
                        THEN EXISTS (SELECT FROM pools p WHERE p.sale_id = i.sale_id AND p.item_index = i.item_index
                                     AND p.sold = p.stock)
                        ELSE EXISTS (SELECT FROM purchase_results r
                                     WHERE r.sale_id = i.sale_id AND r.item_index = i.item_index
                                       AND r.sold AND r.is_single) END AS sold,
                   i.added_at AS created_at
            FROM items i JOIN sales s ON s.id = i.sale_id
        $view$, views);
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.purchases AS
            SELECT c.user_id, i.id AS item_id, p.sale_id,
                   'CHK-' || p.sale_id || '-' || replace(p.secret::text, '-', '') AS code,
                   r.quantity, p.purchased_at, p.purchased_at AS created_at
            FROM purchases p
            JOIN purchase_results r ON r.sale_id = p.sale_id AND r.secret = p.secret AND r.sold
            JOIN checkouts c ON c.sale_id = p.sale_id AND c.secret = p.secret
            JOIN items i ON i.sale_id = r.sale_id AND i.item_index = r.item_index
        $view$, views);
    END IF;
    IF to_regclass('violations') IS NOT NULL AND to_regclass('stock_changes') IS NOT NULL THEN
        CREATE OR REPLACE VIEW item_sales AS
        SELECT i.sale_id, i.item_index, i.id, i.name, (i.stock + coalesce(c.units, 0))::bigint AS stock,
               coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS sold,
               (i.stock + coalesce(c.units, 0))::bigint - coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS remaining
        FROM items i
        LEFT JOIN (SELECT sale_id, item_index, sum(units) AS units FROM stock_changes GROUP BY sale_id, item_index) c
             ON c.sale_id = i.sale_id AND c.item_index = i.item_index
        LEFT JOIN purchase_results r ON r.sale_id = i.sale_id AND r.item_index = i.item_index
        GROUP BY i.sale_id, i.item_index, i.id, i.name, i.stock, c.units;
        CREATE OR REPLACE VIEW user_purchases AS
        SELECT c.sale_id, c.user_id, sum(r.quantity)::bigint AS bought
        FROM purchase_results r
        JOIN checkouts c ON c.sale_id = r.sale_id AND c.secret = r.secret
        WHERE r.sold
        GROUP BY c.sale_id, c.user_id;
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
        JOIN checkouts c ON c.sale_id = e.sale_id AND c.secret = e.secret
        WHERE p.payment_ref IS NULL OR p.lsn < e.lsn;
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
                                     'payments', 'stock_changes'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;
    END IF;
    IF to_regclass('purchase_results') IS NOT NULL THEN
        ALTER TABLE purchase_results DROP COLUMN IF EXISTS cancelled;
        CREATE UNIQUE INDEX IF NOT EXISTS sold_once ON purchase_results (sale_id, item_index) WHERE sold AND is_single;
    END IF;
END $outer$;
DROP TABLE IF EXISTS cancellations;
