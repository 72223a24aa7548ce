-- Units of an item that one user may buy; NULL where only the limit of its sale holds. In both tables, because rows go from the one
-- to the other.
ALTER TABLE items ADD COLUMN IF NOT EXISTS max_per_user integer;
ALTER TABLE abandoned_items ADD COLUMN IF NOT EXISTS max_per_user integer;

-- One reason more. What is there fits, and need not be read for it.
ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
    'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
    'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused', 'sale_paused',
    'payment_under_way', 'item_limit_exceeded')) NOT VALID;
