-- What was changed of sales while they went on: they were paused and resumed, or had their end put off. sales keeps the terms that
-- each was created with.
CREATE TABLE IF NOT EXISTS sale_changes (
    lsn        bigint PRIMARY KEY,
    sale_id    integer NOT NULL,
    change     text NOT NULL CHECK (change IN ('paused', 'resumed', 'extended')),
    -- The new end of the sale.
    ended_at   timestamptz,
    changed_at timestamptz NOT NULL,
    CHECK ((change = 'extended') = (ended_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS sale_changes_of_sale ON sale_changes (sale_id);

-- As before, with one table more.
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

-- One reason more. What is there fits, and need not be read for it.
ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
    'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
    'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused', 'sale_paused')) NOT VALID;

DO $$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
BEGIN
    -- As before, but for the end of a sale.
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

    IF to_regrole('flashsale_server') IS NOT NULL THEN
        GRANT SELECT, INSERT ON sale_changes TO flashsale_server;
    END IF;
    IF to_regrole('flashsale_reader') IS NOT NULL THEN
        GRANT SELECT ON sale_changes TO flashsale_reader;
    END IF;
END $$;
