-- Which version of a type waits: the one whose table must become ready.

ALTER TABLE tributary.waiting ADD COLUMN schema_id integer;
COMMENT ON COLUMN tributary.waiting.schema_id IS
    'Of the records that wait, in tributary.schema.';
