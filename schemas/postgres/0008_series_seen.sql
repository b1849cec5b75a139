-- When a series was last needed, so that one that nothing is left of can go.

ALTER TABLE metrics.series ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN metrics.series.seen_at IS
    'When samples were last known to come, within eight days: it is not written more often.';
CREATE INDEX ON metrics.series (seen_at);
