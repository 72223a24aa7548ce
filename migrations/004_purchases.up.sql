-- A checkout that was processed; the primary key makes it once.
CREATE TABLE IF NOT EXISTS purchases (
    sale_id         integer NOT NULL,
    secret          uuid NOT NULL,
    purchased_at    timestamptz NOT NULL,
    idempotency_key text,
    lsn             bigint NOT NULL,
    PRIMARY KEY (sale_id, secret)
) PARTITION BY RANGE (sale_id);

-- What became of each of its lines.
CREATE TABLE IF NOT EXISTS purchase_results (
    sale_id    integer NOT NULL,
    secret     uuid NOT NULL,
    -- The place in the checkout, from 0.
    line       smallint NOT NULL CHECK (line >= 0),
    item_index integer NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    -- All of it was sold to this buyer; otherwise none was.
    sold       boolean NOT NULL,
    -- There is one of this item (a generated catalogue).
    is_single  boolean NOT NULL,
    PRIMARY KEY (sale_id, secret, line),
    CHECK (NOT is_single OR quantity = 1)
) PARTITION BY RANGE (sale_id);
-- What exists once is sold once.
CREATE UNIQUE INDEX IF NOT EXISTS sold_once ON purchase_results (sale_id, item_index)
    WHERE sold AND is_single;
-- Finds the buyers of a pooled item.
CREATE INDEX IF NOT EXISTS purchase_results_of_pool ON purchase_results (sale_id, item_index)
    WHERE sold AND NOT is_single;
