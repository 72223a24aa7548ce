-- Every table below is filled by COPY and never changed, but for a sale's end and the counters of
-- pooled stock. Every row names the journal's record that it comes from (lsn). Times are the moments of
-- the decisions, to the microsecond.

CREATE TABLE IF NOT EXISTS sales (
    id                 integer PRIMARY KEY CHECK (id > 0),
    started_at         timestamptz NOT NULL,
    ended_at           timestamptz NOT NULL,
    max_items_per_user integer NOT NULL CHECK (max_items_per_user > 0),
    -- 0: a checkout reserves nothing.
    hold_seconds       integer NOT NULL CHECK (hold_seconds >= 0),
    item_count         integer NOT NULL CHECK (item_count > 0),
    -- Of a generated catalogue: what names and pictures were drawn from (64 bits, read as signed).
    -- NULL: the items were listed one by one.
    generated_seed     bigint,
    created_at         timestamptz NOT NULL,
    lsn                bigint NOT NULL UNIQUE,
    -- When it was closed, by its end or before it.
    closed_at          timestamptz,
    closed_lsn         bigint UNIQUE,
    CHECK (ended_at > started_at),
    CHECK ((closed_at IS NULL) = (closed_lsn IS NULL))
);
CREATE INDEX IF NOT EXISTS open_sales ON sales (id) WHERE closed_at IS NULL;

-- Items are announced before the record that makes the sale exist, so there is no reference to sales.
CREATE TABLE IF NOT EXISTS items (
    sale_id    integer NOT NULL,
    -- The place in the sale's catalogue, from 0.
    item_index integer NOT NULL CHECK (item_index >= 0),
    id         text NOT NULL,
    name       text NOT NULL,
    image_url  text NOT NULL,
    stock      bigint NOT NULL CHECK (stock > 0),
    lsn        bigint NOT NULL,
    -- When it was announced.
    added_at   timestamptz NOT NULL,
    PRIMARY KEY (sale_id, item_index)
) PARTITION BY RANGE (sale_id);
CREATE UNIQUE INDEX IF NOT EXISTS items_id ON items (sale_id, id);

-- What was announced for a sale that then never came to be; its number went to the next one.
CREATE TABLE IF NOT EXISTS abandoned_items (LIKE items);

-- Units sold of the items of listed catalogues, of which there may be many of a kind. (An item of a
-- generated catalogue exists once; the unique index of purchase_results guards it.)
CREATE TABLE IF NOT EXISTS pools (
    sale_id    integer NOT NULL,
    item_index integer NOT NULL,
    stock      bigint NOT NULL CHECK (stock > 0),
    sold       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sale_id, item_index),
    CONSTRAINT never_oversold CHECK (sold BETWEEN 0 AND stock)
) WITH (fillfactor = 50);

-- The tables that grow with every sale have a partition for each thousand sales (six weeks of a sale
-- an hour), so that old ones can be detached and dropped at once. A partition is made first and attached
-- then: that does not wait for those who read the table, nor make others wait behind it.
CREATE OR REPLACE FUNCTION ensure_partitions(sale integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first     integer := sale / 1000 * 1000;
    parent    text;
    partition text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['items', 'checkouts', 'checkout_items', 'expired_checkouts',
                                  'purchases', 'purchase_results', 'refused_attempts'] LOOP
        partition := parent || '_' || first;
        IF to_regclass(quote_ident(partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                           'INCLUDING INDEXES)', partition, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                           parent, partition, first, first::bigint + 1000);
        END IF;
    END LOOP;
END $$;
