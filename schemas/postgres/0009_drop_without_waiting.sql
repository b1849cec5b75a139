-- Whoever waits to drop a partition holds up all writers of its table: so a table that somebody
-- reads is left alone soon, and the next call drops it.
CREATE OR REPLACE FUNCTION tributary.drop_partitions(parent text, before timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
DECLARE
    kind record := tributary.partition_form(parent);
    child regclass;
    dropped integer := 0;
BEGIN
    FOR child IN
        SELECT c.oid FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
        AND to_timestamp(right(c.relname, length(kind.form)), kind.form)
            + ('1 ' || kind.unit)::interval <= before
        ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %s', child);
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
