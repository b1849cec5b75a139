-- Tables that were made before rows had a digest: a row is written once more when its next whole
-- record comes.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'inventory_all' LOOP
        EXECUTE format('ALTER TABLE inventory_all.%I '
            'ADD COLUMN IF NOT EXISTS base_xid xid DEFAULT pg_current_xact_id()::xid, '
            'ADD COLUMN IF NOT EXISTS base_digest bigint', name);
    END LOOP;
END $$;
