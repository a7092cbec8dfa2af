-- Whether this database is the one that the nodes left, or a copy made of it: a backup, a dump, a data folder. One row.
-- No environment: it is about the database as a whole.
CREATE TABLE recovery (
  is_only             boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  -- Of the installation, the same in every copy.
  installation        uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Where the row lives: changes with every restore of a dump. Empty until a node has seen it.
  server              text,
  timeline            integer,
  -- Rises while nodes run. Nodes keep it beside the database as well: a lower one here means an older copy.
  mark                bigint NOT NULL DEFAULT 0,
  -- Marks are compared within one such time only.
  accepted_at         timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  -- Set: no node refreshes, sends or sweeps.
  quarantined_at      timestamptz,
  quarantine_reason   text CHECK ((quarantine_reason IS NULL) = (quarantined_at IS NULL))
);
INSERT INTO recovery DEFAULT VALUES;
