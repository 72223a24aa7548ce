-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $outer$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
    -- The constraint as it was.
    IF to_regclass('refused_attempts') IS NOT NULL THEN
        ALTER TABLE refused_attempts DROP CONSTRAINT IF EXISTS refused_attempts_reason_check;
        ALTER TABLE refused_attempts ADD CONSTRAINT refused_attempts_reason_check CHECK (reason IN (
            'item_not_found', 'quantity_not_allowed', 'sale_not_active', 'user_limit_exceeded',
            'item_already_in_checkout', 'item_sold_out', 'item_held', 'idempotency_key_reused', 'sale_paused',
            'payment_under_way')) NOT VALID;
    END IF;
END $outer$;
ALTER TABLE IF EXISTS items DROP COLUMN IF EXISTS max_per_user;
ALTER TABLE IF EXISTS abandoned_items DROP COLUMN IF EXISTS max_per_user;
