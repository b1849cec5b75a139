-- Whoever has waited for another to make a partition looks at the catalogue's rows: `to_regclass`
-- answers from a cache that does not know yet what the other session has made.
CREATE OR REPLACE FUNCTION tributary.make_partitions(parent text, moments timestamptz[])
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    kind record := tributary.partition_form(parent);
    beginning timestamptz;
    child text;
    made integer := 0;
BEGIN
    FOR beginning IN
        SELECT DISTINCT date_trunc(kind.unit, moment)
        FROM unnest(moments) AS i(moment) ORDER BY 1
    LOOP
        child := parent || '_' || to_char(beginning, kind.form);
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(8390880602192683884);
        CONTINUE WHEN EXISTS (SELECT FROM pg_inherits
            WHERE inhparent = parent::regclass AND inhrelid::regclass::text = child);
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', child, parent);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
            parent, child, beginning, beginning + ('1 ' || kind.unit)::interval);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
