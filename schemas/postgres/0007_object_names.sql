-- What counters came to, beside the names of the objects.

-- Types come at any time, and who has met a new one may perhaps only write rows: so this runs as
-- its owner, and can do nothing else. It makes the views anew if there are other types with a name
-- than they show. A reader who holds a view is not waited for: false, the next call does it.
CREATE FUNCTION tributary.name_objects() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = 0 AS $$
DECLARE
    selects text;
    wanted text;
    shown text;
    made text[];
BEGIN
    -- Under this lock tables and views of types are changed.
    PERFORM pg_advisory_xact_lock(8390884927324906092);
    SET LOCAL lock_timeout = '100ms';
    SELECT string_agg(format('SELECT source, %L::text COLLATE "C" AS type, native_id, '
            'name::text AS name FROM inventory.%I', v.name, v.name), ' UNION ALL ' ORDER BY v.name),
        string_agg(v.columns, ' ' ORDER BY v.id)
    INTO selects, wanted FROM (
        SELECT c.oid AS id, c.relname AS name,
            string_agg(c.oid || '.' || a.attnum, ' ' ORDER BY a.attnum) AS columns
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'inventory'::regnamespace AND c.relkind = 'v'
        AND a.attname IN ('source', 'native_id', 'name') AND has_table_privilege(c.oid, 'SELECT')
        AND to_regclass(format('inventory_all.%I', c.relname)) IS NOT NULL
        GROUP BY c.oid HAVING count(*) = 3
    ) AS v;
    SELECT string_agg(d.refobjid || '.' || d.refobjsubid, ' ' ORDER BY d.refobjid, d.refobjsubid)
    INTO shown FROM pg_rewrite AS r JOIN pg_depend AS d ON d.objid = r.oid
    WHERE r.ev_class = to_regclass('metrics.object_name') AND d.classid = 'pg_rewrite'::regclass
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0;
    IF shown IS NOT DISTINCT FROM wanted AND to_regclass('metrics.object_name') IS NOT NULL
        AND to_regclass('metrics.hourly_named') IS NOT NULL
        AND to_regclass('metrics.daily_named') IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE 'CREATE OR REPLACE VIEW metrics.object_name AS ' || coalesce(selects,
        'SELECT ''''::text COLLATE "C" AS source, ''''::text COLLATE "C" AS type, '
        '''''::text COLLATE "C" AS native_id, ''''::text AS name WHERE false');
    COMMENT ON VIEW metrics.object_name IS
        'How the living objects of all types are called; made anew when types come.';
    FOREACH made SLICE 1 IN ARRAY ARRAY[['hourly', 'hour'], ['daily', 'day']] LOOP
        EXECUTE format('CREATE OR REPLACE VIEW metrics.%1$s_named AS SELECT m.source, m.type, '
            'm.native_id, m.name, m.unit, m.%2$s, m.count, m.average, m.min, m.max, m.sum, m.last, '
            'n.name AS object_name FROM metrics.%1$s AS m LEFT JOIN metrics.object_name AS n '
            'ON (n.source, n.type, n.native_id) = (m.source, m.type, m.native_id)',
            made[1], made[2]);
        EXECUTE format('COMMENT ON VIEW metrics.%1$s_named IS ''As metrics.%1$s, and how the '
            'object is called; null: it has no name, or is gone.''', made[1]);
    END LOOP;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

REVOKE ALL ON FUNCTION tributary.name_objects FROM PUBLIC;
SELECT tributary.name_objects();
