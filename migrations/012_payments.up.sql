-- The terms of paying, which sales from before do not have.
ALTER TABLE sales
    ADD COLUMN IF NOT EXISTS payment_seconds integer NOT NULL DEFAULT 0 CHECK (payment_seconds >= 0),
    ADD COLUMN IF NOT EXISTS purchase_by     text NOT NULL DEFAULT 'buyer' CHECK (purchase_by IN ('buyer', 'shop'));

-- The shop's reference of the payment that it confirmed. NULL where the buyer purchased.
ALTER TABLE purchases ADD COLUMN IF NOT EXISTS payment_ref text;

-- Payments that were begun: one row for each line of the checkout.
CREATE TABLE IF NOT EXISTS payments (
    sale_id    integer NOT NULL,
    secret     uuid NOT NULL,
    -- The place in the checkout, from 0.
    line       smallint NOT NULL CHECK (line >= 0),
    item_index integer NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    -- All of it was reserved; otherwise none was.
    reserved   boolean NOT NULL,
    -- Until when, by the steady clock of the server; and as the buyer was told.
    hold_until timestamptz NOT NULL,
    held_until timestamptz NOT NULL,
    begun_at   timestamptz NOT NULL,
    lsn        bigint NOT NULL,
    PRIMARY KEY (sale_id, secret, line)
) PARTITION BY RANGE (sale_id);

-- As before, with one table more.
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

CREATE OR REPLACE FUNCTION ensure_partitions(sale integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first     integer := sale / 1000 * 1000;
    parent    text;
    partition text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['items', 'checkouts', 'checkout_items', 'expired_checkouts',
                                  'purchases', 'purchase_results', 'refused_attempts', 'releases',
                                  'payments'] LOOP
        partition := parent || '_' || first;
        IF to_regclass(quote_ident(partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                           'INCLUDING INDEXES)', partition, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                           parent, partition, first, first::bigint + 1000);
        END IF;
    END LOOP;
END $$;

-- As before, but that the shop may confirm a payment late, of a checkout that has expired.
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

-- One reason more. What is there fits, and need not be read for it.
ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
    'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
    'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused', 'sale_paused',
    'payment_under_way')) NOT VALID;

DO $$
BEGIN
    -- In its owner's name, which a new body takes from it.
    EXECUTE format('ALTER FUNCTION ensure_partitions(integer) SECURITY DEFINER SET search_path = %s, pg_temp',
                   quote_ident(current_schema()));
    IF to_regrole('flashsale_server') IS NOT NULL THEN
        GRANT SELECT, INSERT ON payments TO flashsale_server;
    END IF;
    IF to_regrole('flashsale_reader') IS NOT NULL THEN
        GRANT SELECT ON payments TO flashsale_reader;
    END IF;
END $$;
