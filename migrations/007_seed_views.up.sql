-- The tables of the former service, as views for clients that read the database. They are in a schema of their own:
-- seed, or <schema>_seed where the tables are not in public, so that two servers do not share it.
DO $$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
    reader text;
BEGIN
    -- CREATE SCHEMA IF NOT EXISTS would ask for the right also where nothing is to be done.
    IF to_regnamespace(quote_ident(views)) IS NULL THEN
        IF NOT has_database_privilege(current_database(), 'CREATE') THEN
            RAISE EXCEPTION 'the schema % is missing, and % may not make it: run docker/postgres/roles.sql again, or CREATE SCHEMA % AUTHORIZATION %',
                views, current_user, quote_ident(views), quote_ident(current_user);
        END IF;
        EXECUTE format('CREATE SCHEMA %I', views);
    END IF;

    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.sales AS
        SELECT s.id, s.started_at, s.ended_at,
               -- Units, as the interface counts them.
               CASE WHEN s.generated_seed IS NULL
                    THEN (SELECT coalesce(sum(p.stock), 0) FROM pools p WHERE p.sale_id = s.id)
                    ELSE s.item_count END::bigint AS total_items,
               (SELECT coalesce(sum(r.quantity), 0) FROM purchase_results r
                WHERE r.sale_id = s.id AND r.sold)::bigint AS items_sold,
               s.closed_at IS NULL AND now() >= s.started_at AND now() < s.ended_at AS active,
               s.created_at
        FROM sales s
    $view$, views);

    -- sold: nothing is left of it.
    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.items AS
        SELECT i.id, i.sale_id, i.name, i.image_url,
               CASE WHEN s.generated_seed IS NULL
                    THEN EXISTS (SELECT FROM pools p WHERE p.sale_id = i.sale_id AND p.item_index = i.item_index
                                 AND p.sold = p.stock)
                    ELSE EXISTS (SELECT FROM purchase_results r
                                 WHERE r.sale_id = i.sale_id AND r.item_index = i.item_index
                                   AND r.sold AND r.is_single) END AS sold,
               i.added_at AS created_at
        FROM items i JOIN sales s ON s.id = i.sale_id
    $view$, views);

    -- One for each item that was put into a checkout. used: the code was processed.
    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.checkout_attempts AS
        SELECT l.lsn AS id, c.user_id, i.id AS item_id, l.sale_id,
               'CHK-' || l.sale_id || '-' || replace(l.secret::text, '-', '') AS code,
               l.quantity, l.added_at AS created_at,
               EXISTS (SELECT FROM purchases p WHERE p.sale_id = l.sale_id AND p.secret = l.secret) AS used
        FROM checkout_items l
        JOIN checkouts c ON c.sale_id = l.sale_id AND c.secret = l.secret
        JOIN items i ON i.sale_id = l.sale_id AND i.item_index = l.item_index
    $view$, views);

    -- One for each item that was sold.
    EXECUTE format($view$
        CREATE OR REPLACE VIEW %I.purchases AS
        SELECT c.user_id, i.id AS item_id, p.sale_id,
               'CHK-' || p.sale_id || '-' || replace(p.secret::text, '-', '') AS code,
               r.quantity, p.purchased_at, p.purchased_at AS created_at
        FROM purchases p
        JOIN purchase_results r ON r.sale_id = p.sale_id AND r.secret = p.secret AND r.sold
        JOIN checkouts c ON c.sale_id = p.sale_id AND c.secret = p.secret
        JOIN items i ON i.sale_id = r.sale_id AND i.item_index = r.item_index
    $view$, views);

    -- Without a record of it, as where a container ran the files, there is no such table.
    IF to_regclass('migrations') IS NOT NULL THEN
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.migrations AS SELECT id, name, applied_at FROM migrations
        $view$, views);
    END IF;

    FOREACH reader IN ARRAY ARRAY['flashsale_server', 'flashsale_reader'] LOOP
        IF to_regrole(reader) IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', views, reader);
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', views, reader);
        END IF;
    END LOOP;
END $$;
