-- What Tributary itself remembers. Tables of entities are made from their schemas.

CREATE SCHEMA inventory;
COMMENT ON SCHEMA inventory IS 'One view per entity type: the living, whole objects.';
CREATE SCHEMA inventory_all;
COMMENT ON SCHEMA inventory_all IS 'The tables under the views, tombstones included.';
CREATE SCHEMA tributary;
COMMENT ON SCHEMA tributary IS 'Positions, extents, schemas: what the persisters remember.';

CREATE TABLE tributary.position (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    owner text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE tributary.position IS
    'The next offset to apply of each partition: moved in the transaction of the rows. '
    'Zero: nothing was applied yet.';

CREATE TABLE tributary.extent (
    source text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    to_id text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (source, type, from_id)
);
COMMENT ON TABLE tributary.extent IS
    'The newest extent version over each range of ids. An empty type stands for all types; '
    'no to_id for the end.';

CREATE TABLE tributary.schema (
    id integer PRIMARY KEY,
    subject text NOT NULL,
    fingerprint text NOT NULL,
    json text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tributary.schema IS
    'What each schema id stood for when it was first met: a registry that answers otherwise '
    'stops the readers.';
CREATE INDEX ON tributary.schema (subject);
