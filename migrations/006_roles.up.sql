-- Lets a server work that owns nothing: one that may add rows and move the watermark, and no more. The roles
-- are made by docker/postgres/roles.sql; where they are not, whoever migrates goes on as before.

-- Sets aside the items that were announced for a sale which then never came to be.
CREATE OR REPLACE FUNCTION abandon_sale(sale integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sales WHERE id = sale) THEN
        -- The code of a key that is there twice, because that is what the insert behind this would meet: the
        -- sale is in the database, and so before its own record.
        RAISE EXCEPTION 'sale % is there: its items stay', sale USING ERRCODE = 'unique_violation';
    END IF;
    WITH gone AS (DELETE FROM items WHERE sale_id = sale RETURNING *)
    INSERT INTO abandoned_items SELECT * FROM gone;
    DELETE FROM pools WHERE sale_id = sale;
END $$;

DO $$
DECLARE
    here       text := quote_ident(current_schema());
    definer    text;
    has_server boolean := to_regrole('flashsale_server') IS NOT NULL;
    has_reader boolean := to_regrole('flashsale_reader') IS NOT NULL;
BEGIN
    -- These two take more than a server may, so they are done in their owner's name, among its tables only.
    FOREACH definer IN ARRAY ARRAY['ensure_partitions(integer)', 'abandon_sale(integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s, pg_temp', definer, here);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', definer);
        IF has_server THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO flashsale_server', definer);
        END IF;
    END LOOP;
    IF has_server THEN
        GRANT SELECT ON migrations, watermark, sales, items, abandoned_items, pools, checkouts, checkout_items,
                        expired_checkouts, refused_attempts, purchases, purchase_results, item_sales,
                        user_purchases, violations TO flashsale_server;
        GRANT INSERT ON sales, items, pools, checkouts, checkout_items, expired_checkouts, purchases,
                        purchase_results, refused_attempts TO flashsale_server;
        GRANT UPDATE (lsn, fingerprint, applied_at) ON watermark TO flashsale_server;
        GRANT UPDATE (closed_lsn, closed_at) ON sales TO flashsale_server;
        GRANT UPDATE (sold) ON pools TO flashsale_server;
    END IF;
    IF has_reader THEN
        GRANT SELECT ON migrations, watermark, sales, items, abandoned_items, pools, checkouts, checkout_items,
                        expired_checkouts, refused_attempts, purchases, purchase_results, item_sales,
                        user_purchases, violations TO flashsale_reader;
    END IF;
END $$;
