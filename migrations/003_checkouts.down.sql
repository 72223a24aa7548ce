-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
DROP TABLE IF EXISTS refused_attempts;
DROP TABLE IF EXISTS expired_checkouts;
DROP TABLE IF EXISTS checkout_items;
DROP TABLE IF EXISTS checkouts;
