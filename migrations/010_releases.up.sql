-- What buyers gave back of an open checkout. checkout_items keeps what was put into it.
CREATE TABLE IF NOT EXISTS releases (
    sale_id     integer NOT NULL,
    secret      uuid NOT NULL,
    -- NULL: all that was in it, and with that the checkout was over.
    item_index  integer,
    quantity    integer CHECK (quantity > 0),
    released_at timestamptz NOT NULL,
    lsn         bigint NOT NULL,
    PRIMARY KEY (sale_id, secret, lsn),
    CHECK ((item_index IS NULL) = (quantity IS NULL))
) PARTITION BY RANGE (sale_id);

-- As before, with one table more.
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

DO $$
BEGIN
    -- In its owner's name, which a new body takes from it.
    EXECUTE format('ALTER FUNCTION ensure_partitions(integer) SECURITY DEFINER SET search_path = %s, pg_temp',
                   quote_ident(current_schema()));
    IF to_regrole('flashsale_server') IS NOT NULL THEN
        GRANT SELECT, INSERT ON releases TO flashsale_server;
    END IF;
    IF to_regrole('flashsale_reader') IS NOT NULL THEN
        GRANT SELECT ON releases TO flashsale_reader;
    END IF;
END $$;
