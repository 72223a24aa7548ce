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
