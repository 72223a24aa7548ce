-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
ALTER TABLE IF EXISTS refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
ALTER TABLE IF EXISTS refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
    'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
    'item_already_in_checkout', 'item_sold_out', 'item_held'));
ALTER TABLE IF EXISTS checkout_items
    DROP COLUMN IF EXISTS idempotency_key,
    DROP COLUMN IF EXISTS items_count,
    DROP COLUMN IF EXISTS sale_ends_at,
    DROP COLUMN IF EXISTS held_until;
