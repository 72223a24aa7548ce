-- What stays would be taken for whole: nothing of the journal is kept, and the watermark says so.
DO $$ BEGIN
    IF to_regprocedure('reset_projection()') IS NOT NULL THEN
        PERFORM reset_projection();
    END IF;
END $$;
ALTER TABLE IF EXISTS sale_changes DROP CONSTRAINT IF EXISTS sale_changes_change_check;
ALTER TABLE IF EXISTS sale_changes ADD CONSTRAINT sale_changes_change_check
    CHECK (change IN ('paused', 'resumed', 'extended')) NOT VALID;
