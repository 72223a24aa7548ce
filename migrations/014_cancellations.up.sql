-- What shops have cancelled of purchases. purchases and purchase_results keep what was sold at first.
CREATE TABLE IF NOT EXISTS cancellations (
    lsn          bigint NOT NULL,
    -- The place in the cancellation, from 0.
    line         smallint NOT NULL CHECK (line >= 0),
    sale_id      integer NOT NULL,
    secret       uuid NOT NULL,
    -- The shop's own, of which a purchase has one.
    reference    text NOT NULL CHECK (reference <> ''),
    item_index   integer NOT NULL,
    quantity     integer NOT NULL CHECK (quantity > 0),
    -- The units could be had again; otherwise they left the stock.
    restock      boolean NOT NULL,
    cancelled_at timestamptz NOT NULL,
    PRIMARY KEY (lsn, line)
);
CREATE UNIQUE INDEX IF NOT EXISTS cancelled_once ON cancellations (sale_id, secret, reference, line);
CREATE INDEX IF NOT EXISTS cancellations_of_item ON cancellations (sale_id, item_index);

-- Whether what exists once was cancelled: then it may be sold to somebody else.
ALTER TABLE purchase_results ADD COLUMN IF NOT EXISTS cancelled boolean NOT NULL DEFAULT false;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_indexes WHERE schemaname = current_schema() AND indexname = 'sold_once'
                   AND indexdef LIKE '%cancelled%') THEN
        DROP INDEX IF EXISTS sold_once;
        CREATE UNIQUE INDEX sold_once ON purchase_results (sale_id, item_index) WHERE sold AND is_single AND NOT cancelled;
    END IF;
END $$;

-- As before, with one table more.
CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results', 'releases', 'sale_changes',
                                     'payments', 'stock_changes', 'cancellations'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;

-- What each item has sold and was not cancelled, of the stock that it has now. remaining does not count reservations.
CREATE OR REPLACE VIEW item_sales AS
SELECT i.sale_id, i.item_index, i.id, i.name,
       (i.stock + coalesce(c.units, 0) - coalesce(x.gone, 0))::bigint AS stock,
       (coalesce(r.sold, 0) - coalesce(x.units, 0))::bigint AS sold,
       (i.stock + coalesce(c.units, 0) - coalesce(x.gone, 0) - coalesce(r.sold, 0) + coalesce(x.units, 0))::bigint AS remaining
FROM items i
LEFT JOIN (SELECT sale_id, item_index, sum(units) AS units FROM stock_changes GROUP BY sale_id, item_index) c
     ON c.sale_id = i.sale_id AND c.item_index = i.item_index
LEFT JOIN (SELECT sale_id, item_index, sum(quantity) AS units, sum(quantity) FILTER (WHERE NOT restock) AS gone
           FROM cancellations GROUP BY sale_id, item_index) x
     ON x.sale_id = i.sale_id AND x.item_index = i.item_index
LEFT JOIN (SELECT sale_id, item_index, sum(quantity) AS sold FROM purchase_results WHERE sold
           GROUP BY sale_id, item_index) r
     ON r.sale_id = i.sale_id AND r.item_index = i.item_index;

-- What each user has bought, without what was cancelled.
CREATE OR REPLACE VIEW user_purchases AS
SELECT c.sale_id, c.user_id, (sum(r.quantity) - coalesce(sum(x.units), 0))::bigint AS bought
FROM purchase_results r
JOIN checkouts c ON c.sale_id = r.sale_id AND c.secret = r.secret
LEFT JOIN (SELECT sale_id, secret, item_index, sum(quantity) AS units FROM cancellations
           GROUP BY sale_id, secret, item_index) x
     ON x.sale_id = r.sale_id AND x.secret = r.secret AND x.item_index = r.item_index
WHERE r.sold
GROUP BY c.sale_id, c.user_id;

-- As before, and that no more is cancelled than was sold.
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
WHERE p.payment_ref IS NULL OR p.lsn < e.lsn
UNION ALL
SELECT x.sale_id, 'cancellation at record ' || x.lsn || ': more of item ' || x.item_index || ' than was sold'
FROM (SELECT sale_id, secret, item_index, max(lsn) AS lsn, sum(quantity) AS units FROM cancellations
      GROUP BY sale_id, secret, item_index) x
WHERE x.units > (SELECT coalesce(sum(r.quantity), 0) FROM purchase_results r
                 WHERE r.sale_id = x.sale_id AND r.secret = x.secret AND r.item_index = x.item_index AND r.sold);

DO $$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
BEGIN
    -- As before, without what was cancelled.
    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.sales AS
        SELECT s.id, s.started_at, coalesce(c.ended_at, s.ended_at) AS ended_at,
               -- Units, as the interface counts them.
               CASE WHEN s.generated_seed IS NULL
                    THEN (SELECT coalesce(sum(p.stock), 0) FROM pools p WHERE p.sale_id = s.id)
                    ELSE s.item_count - (SELECT coalesce(sum(x.quantity), 0) FROM cancellations x
                                         WHERE x.sale_id = s.id AND NOT x.restock) END::bigint AS total_items,
               ((SELECT coalesce(sum(r.quantity), 0) FROM purchase_results r WHERE r.sale_id = s.id AND r.sold)
                - (SELECT coalesce(sum(x.quantity), 0) FROM cancellations x WHERE x.sale_id = s.id))::bigint AS items_sold,
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
                                   AND r.sold AND r.is_single
                                   AND NOT EXISTS (SELECT FROM cancellations x
                                                   WHERE x.sale_id = r.sale_id AND x.secret = r.secret
                                                     AND x.item_index = r.item_index AND x.restock)) END AS sold,
               i.added_at AS created_at
        FROM items i JOIN sales s ON s.id = i.sale_id
    $view$, views);
    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.purchases AS
        SELECT c.user_id, i.id AS item_id, p.sale_id,
               'CHK-' || p.sale_id || '-' || replace(p.secret::text, '-', '') AS code,
               (r.quantity - coalesce(x.units, 0))::integer AS quantity, p.purchased_at, p.purchased_at AS created_at
        FROM purchases p
        JOIN purchase_results r ON r.sale_id = p.sale_id AND r.secret = p.secret AND r.sold
        JOIN checkouts c ON c.sale_id = p.sale_id AND c.secret = p.secret
        JOIN items i ON i.sale_id = r.sale_id AND i.item_index = r.item_index
        LEFT JOIN (SELECT sale_id, secret, item_index, sum(quantity) AS units FROM cancellations
                   GROUP BY sale_id, secret, item_index) x
             ON x.sale_id = r.sale_id AND x.secret = r.secret AND x.item_index = r.item_index
        WHERE r.quantity > coalesce(x.units, 0)
    $view$, views);

    IF to_regrole('flashsale_server') IS NOT NULL THEN
        GRANT SELECT, INSERT ON cancellations TO flashsale_server;
        GRANT UPDATE (cancelled) ON purchase_results TO flashsale_server;
    END IF;
    IF to_regrole('flashsale_reader') IS NOT NULL THEN
        GRANT SELECT ON cancellations TO flashsale_reader;
    END IF;
END $$;
