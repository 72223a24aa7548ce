DO $$
DECLARE
    views text := CASE current_schema() WHEN 'public' THEN 'seed' ELSE current_schema() || '_seed' END;
    name  text;
BEGIN
    FOREACH name IN ARRAY ARRAY['migrations', 'purchases', 'checkout_attempts', 'items', 'sales'] LOOP
        EXECUTE format('DROP VIEW IF EXISTS %I.%I', views, name);
    END LOOP;
    -- Empty, it may stay, where this user could not make it again.
    IF to_regnamespace(quote_ident(views)) IS NOT NULL
       AND (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = views)
       AND has_database_privilege(current_database(), 'CREATE')
       AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(views))) THEN
        EXECUTE format('DROP SCHEMA %I', views);
    END IF;
END $$;
