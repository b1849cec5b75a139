-- What happened at the sources, in partitions by day (UTC), and how partitions come and go.

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'What happened at the sources.';

CREATE TABLE events.event_all (
    source text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    type text COLLATE "C" NOT NULL,
    severity text NOT NULL,
    subject_type text COLLATE "C",
    subject_id text COLLATE "C",
    message text NOT NULL,
    details jsonb NOT NULL,
    related jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
COMMENT ON TABLE events.event_all IS
    'Every event once. related is an array of {type, native_id}.';
CREATE INDEX ON events.event_all (source, subject_type, subject_id, occurred_at);

CREATE TABLE events.storm (
    source text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    subject_type text COLLATE "C" NOT NULL,
    subject_id text COLLATE "C" NOT NULL,
    minute timestamptz NOT NULL,
    severity text NOT NULL,
    message text NOT NULL,
    count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (source, type, subject_type, subject_id, minute)
) PARTITION BY RANGE (minute);
COMMENT ON TABLE events.storm IS
    'How many more events of a type and subject a minute had than are kept. An empty subject: none.';

CREATE TABLE events.storm_member (
    source text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (source, event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
COMMENT ON TABLE events.storm_member IS 'Which events are only counted, so that none is twice.';

CREATE VIEW events.event AS
    SELECT source, event_id, occurred_at, type, severity, subject_type, subject_id, message,
        details, related, recorded_at, 1::bigint AS count, occurred_at AS last_at
    FROM events.event_all
    UNION ALL
    SELECT source, NULL, first_at, type, severity, nullif(subject_type, ''),
        nullif(subject_id, ''), message, '{}'::jsonb, '[]'::jsonb, NULL, count, last_at
    FROM events.storm;
COMMENT ON VIEW events.event IS
    'What happened. The subject is the object whose native_id is subject_id in the view '
    'inventory.SUBJECT_TYPE; no subject: the source as a whole. A row without event_id stands for '
    'as many events as its count, from occurred_at to last_at, with the message of the last.';

-- The partitions of a table by time: a day's or a month's, and how their names end.
CREATE FUNCTION tributary.partition_form(parent text, OUT unit text, OUT form text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE
        WHEN parent IN ('events.event_all', 'events.storm', 'events.storm_member',
            'metrics.sample') THEN
            unit := 'day'; form := 'YYYYMMDD';
        WHEN parent IN ('metrics.rollup_hour', 'metrics.rollup_day') THEN
            unit := 'month'; form := 'YYYYMM';
        ELSE RAISE EXCEPTION '% has no partitions by time', parent;
    END CASE;
END $$;

-- Who may only write rows needs partitions, too, so these two run as their owner, and can do
-- nothing else. A partition is made beside the table and attached: that waits for nobody.
CREATE FUNCTION tributary.make_partitions(parent text, moments timestamptz[]) RETURNS integer
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
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', child, parent);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
            parent, child, beginning, beginning + ('1 ' || kind.unit)::interval);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drops the partitions that end before a moment.
CREATE FUNCTION tributary.drop_partitions(parent text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
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
        EXECUTE format('DROP TABLE %s', child);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

REVOKE ALL ON FUNCTION tributary.make_partitions, tributary.drop_partitions FROM PUBLIC;
