-- The group roles, and what each may do. Running it again changes nothing.

DO $$
DECLARE
    role text;
    statement text;
BEGIN
    FOREACH role IN ARRAY ARRAY['tributary_owner', 'tributary_persister', 'tributary_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- Another database of the server was prepared at the same moment.
            END;
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'tributary_owner', 'MEMBER') THEN
        EXECUTE format('GRANT tributary_owner TO %I', current_user);
    END IF;
    GRANT USAGE, CREATE ON SCHEMA inventory, inventory_all, tributary, events, metrics
        TO tributary_owner;
    FOR statement IN
        SELECT format('ALTER %s %I.%I OWNER TO tributary_owner',
            CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, n.nspname, c.relname)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('inventory', 'inventory_all', 'tributary', 'events', 'metrics')
        AND c.relkind IN ('r', 'p', 'v') AND c.relowner <> 'tributary_owner'::regrole
        UNION ALL
        SELECT format('ALTER FUNCTION %s OWNER TO tributary_owner', p.oid::regprocedure)
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = 'tributary' AND p.proowner <> 'tributary_owner'::regrole
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;

-- Whoever is an owner may migrate.
GRANT SELECT, INSERT, UPDATE ON public._sqlx_migrations TO tributary_owner;

GRANT USAGE ON SCHEMA inventory, inventory_all, tributary, events, metrics TO tributary_persister;
GRANT SELECT ON ALL TABLES IN SCHEMA inventory TO tributary_persister;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA inventory_all, tributary
    TO tributary_persister;
-- Of partitioned tables: who asks through them needs no right to a partition.
GRANT SELECT, INSERT, UPDATE, DELETE ON events.event_all, events.storm, events.storm_member,
    metrics.series, metrics.sample, metrics.rollup_hour, metrics.rollup_day, metrics.dirty_hour, metrics.dirty_day
    TO tributary_persister;
GRANT EXECUTE ON FUNCTION tributary.make_partitions, tributary.drop_partitions,
    tributary.name_objects TO tributary_persister;
GRANT USAGE ON SCHEMA inventory, events, metrics TO tributary_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA inventory TO tributary_reader;
GRANT SELECT ON events.event, metrics.series, metrics.sample, metrics.hourly, metrics.daily,
    metrics.object_name, metrics.hourly_named, metrics.daily_named TO tributary_reader;

-- The same for tables to come, made by this account or in the owner's name. In the owner's name the
-- views of all types are read, too.
ALTER DEFAULT PRIVILEGES IN SCHEMA inventory
    GRANT SELECT ON TABLES TO tributary_reader, tributary_persister, tributary_owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA inventory_all, tributary
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tributary_persister;
ALTER DEFAULT PRIVILEGES FOR ROLE tributary_owner IN SCHEMA inventory
    GRANT SELECT ON TABLES TO tributary_reader, tributary_persister;
ALTER DEFAULT PRIVILEGES FOR ROLE tributary_owner IN SCHEMA inventory_all, tributary
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tributary_persister;
