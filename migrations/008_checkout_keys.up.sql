-- The idempotency key of a checkout, and what was answered to it besides the code. NULL where none was sent;
-- held_until is NULL, too, in a sale without holds.
ALTER TABLE checkout_items
    ADD COLUMN IF NOT EXISTS idempotency_key text,
    ADD COLUMN IF NOT EXISTS items_count     integer,
    ADD COLUMN IF NOT EXISTS sale_ends_at    timestamptz,
    ADD COLUMN IF NOT EXISTS held_until      timestamptz;

-- One reason more. What is there fits, and need not be read for it.
ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
    'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
    'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused')) NOT VALID;
