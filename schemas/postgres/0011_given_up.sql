-- A version of a type that waits may have been a mistake that no table shall ever follow.

ALTER TABLE tributary.schema ADD COLUMN given_up boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tributary.schema.given_up IS
    'Set by a person: records with this id that wait for a table become dead letters instead.';
