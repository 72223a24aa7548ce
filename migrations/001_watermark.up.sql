-- How far this database has followed the journal. One row, moved in the same transaction as the rows
-- that it speaks of, from the value that the writer expects: a second writer finds another value.
CREATE TABLE IF NOT EXISTS watermark (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    lsn         bigint NOT NULL CHECK (lsn >= 0),
    -- What the record at that number is (32 bits): the number alone could be another journal's.
    fingerprint bigint NOT NULL CHECK (fingerprint BETWEEN 0 AND 4294967295),
    applied_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO watermark (lsn, fingerprint) VALUES (0, 0) ON CONFLICT DO NOTHING;

-- Empties the database of everything that came from the journal, as far as it is there, and says so in the
-- watermark: a server that follows its journal into it then begins again at the first record. Whoever
-- drops one of the tables calls this first, because what a table has lost is never written to it again
-- while the watermark says that it is there. The watermark comes first, as with the writer, who then waits.
CREATE OR REPLACE FUNCTION reset_projection() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    projected text;
BEGIN
    UPDATE watermark SET lsn = 0, fingerprint = 0, applied_at = now();
    FOREACH projected IN ARRAY ARRAY['sales', 'items', 'abandoned_items', 'pools', 'checkouts',
                                     'checkout_items', 'expired_checkouts', 'refused_attempts',
                                     'purchases', 'purchase_results'] LOOP
        IF to_regclass(projected) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %I', projected);
        END IF;
    END LOOP;
END $$;
