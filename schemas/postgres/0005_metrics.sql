-- Samples of counters, in partitions by day (UTC), and what they come to by hour and day.

CREATE SCHEMA metrics;
COMMENT ON SCHEMA metrics IS 'What the sources'' counters showed.';

CREATE TABLE metrics.series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    native_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    UNIQUE (source, type, native_id, name, unit)
);
COMMENT ON TABLE metrics.series IS 'Every counter of every object.';

CREATE TABLE metrics.sample (
    series bigint NOT NULL,
    at timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
COMMENT ON TABLE metrics.sample IS 'What a counter showed at a moment; a gap has no row.';

CREATE TABLE metrics.rollup_hour (
    series bigint NOT NULL,
    at timestamptz NOT NULL,
    count bigint NOT NULL,
    sum double precision NOT NULL,
    min double precision NOT NULL,
    max double precision NOT NULL,
    last double precision NOT NULL,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
COMMENT ON TABLE metrics.rollup_hour IS 'A counter''s samples of the hour that begins at a moment.';

CREATE TABLE metrics.rollup_day (LIKE metrics.rollup_hour, PRIMARY KEY (series, at))
    PARTITION BY RANGE (at);
COMMENT ON TABLE metrics.rollup_day IS 'A counter''s samples of the day (UTC) that begins there.';

-- No key and no index: whoever adds rows waits for nobody, and rows that are not committed yet
-- stay for the next pass, which then sees the samples that they came with.
CREATE TABLE metrics.dirty_hour (series bigint NOT NULL, at timestamptz NOT NULL);
COMMENT ON TABLE metrics.dirty_hour IS 'Hours that got samples since they were rolled up.';
CREATE TABLE metrics.dirty_day (LIKE metrics.dirty_hour);
COMMENT ON TABLE metrics.dirty_day IS 'Days of which hours were rolled up since.';

CREATE VIEW metrics.hourly AS
    SELECT s.source, s.type, s.native_id, s.name, s.unit, r.at AS hour, r.count, r.sum / r.count
        AS average, r.min, r.max, r.sum, r.last
    FROM metrics.rollup_hour AS r JOIN metrics.series AS s ON s.id = r.series;
COMMENT ON VIEW metrics.hourly IS 'What each counter came to by hour.';

CREATE VIEW metrics.daily AS
    SELECT s.source, s.type, s.native_id, s.name, s.unit, r.at AS day, r.count, r.sum / r.count
        AS average, r.min, r.max, r.sum, r.last
    FROM metrics.rollup_day AS r JOIN metrics.series AS s ON s.id = r.series;
COMMENT ON VIEW metrics.daily IS 'What each counter came to by day (UTC).';
