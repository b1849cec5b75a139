-- Which log a position belongs to, when sources were heard, and what is missing or waits.

ALTER TABLE tributary.position
    ADD COLUMN cluster_id text,
    ADD COLUMN last_timestamp_ms bigint,
    ADD COLUMN last_key_hash bigint,
    ADD COLUMN skipped_from bigint;
COMMENT ON COLUMN tributary.position.last_timestamp_ms IS
    'Of the last applied record, as last_key_hash is: read again at the start.';
COMMENT ON COLUMN tributary.position.skipped_from IS
    'The first offset skipped because its type had no table; null: none.';

CREATE TABLE tributary.source (
    source text COLLATE "C" PRIMARY KEY,
    seen_at timestamptz NOT NULL
);
COMMENT ON TABLE tributary.source IS 'When each source was last heard of.';

CREATE TABLE tributary.gap (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tributary.gap IS
    'Offsets that were never applied: a refresh of all sources makes them good. No to_offset: '
    'unknown.';

CREATE TABLE tributary.waiting (
    type text COLLATE "C" PRIMARY KEY,
    reason text NOT NULL,
    hint text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tributary.waiting IS
    'Types whose records wait because their table is not ready, and what a person can do.';
