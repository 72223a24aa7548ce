DROP INDEX IF EXISTS checkouts_of_sale;
DO $$ BEGIN
    IF to_regclass('checkouts') IS NOT NULL THEN
        CREATE INDEX IF NOT EXISTS checkouts_of_user ON checkouts (sale_id, user_id);
    END IF;
END $$;
