-- One row for each code that was given out. A code is CHK-<sale_id>-<secret as 32 hexadecimal digits>.
CREATE TABLE IF NOT EXISTS checkouts (
    sale_id    integer NOT NULL,
    secret     uuid NOT NULL,
    user_id    text NOT NULL,
    opened_at  timestamptz NOT NULL,
    -- Until when its items are reserved; NULL in a sale without holds.
    hold_until timestamptz,
    lsn        bigint NOT NULL,
    PRIMARY KEY (sale_id, secret)
) PARTITION BY RANGE (sale_id);
CREATE INDEX IF NOT EXISTS checkouts_of_user ON checkouts (sale_id, user_id);

-- What was put into it, in the order of lsn.
CREATE TABLE IF NOT EXISTS checkout_items (
    sale_id    integer NOT NULL,
    secret     uuid NOT NULL,
    item_index integer NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    added_at   timestamptz NOT NULL,
    lsn        bigint NOT NULL,
    PRIMARY KEY (sale_id, secret, lsn)
) PARTITION BY RANGE (sale_id);

-- Checkouts whose hold ran out.
CREATE TABLE IF NOT EXISTS expired_checkouts (
    sale_id    integer NOT NULL,
    secret     uuid NOT NULL,
    expired_at timestamptz NOT NULL,
    lsn        bigint NOT NULL,
    PRIMARY KEY (sale_id, secret)
) PARTITION BY RANGE (sale_id);

-- Attempts that were refused, where journal.refused_attempts asks for them.
CREATE TABLE IF NOT EXISTS refused_attempts (
    -- 0: the item was of no sale.
    sale_id      integer NOT NULL,
    user_id      text NOT NULL,
    -- As the client named it.
    item_id      text NOT NULL,
    reason       text NOT NULL CHECK (reason IN (
        'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
        'item_already_in_checkout', 'item_sold_out', 'item_held')),
    attempted_at timestamptz NOT NULL,
    lsn          bigint NOT NULL,
    PRIMARY KEY (sale_id, lsn)
) PARTITION BY RANGE (sale_id);
