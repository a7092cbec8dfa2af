-- Objects synced from providers. Writers of one model of one connection stand in line at its `record_model` row, so that
-- positions become visible in the order in which they were given: a reader behind a cursor never misses one.

CREATE TABLE record_model (
  environment_id     integer NOT NULL,
  id                 bigint GENERATED ALWAYS AS IDENTITY,
  connection_id      bigint NOT NULL,
  -- With `::variant` where it is not `base`.
  model              text NOT NULL CHECK (length(model) BETWEEN 1 AND 511),
  -- The last one given; strictly rising. A position is the time of a modification in microseconds since 1970.
  position           bigint NOT NULL DEFAULT 0,
  -- Payloads of rows at or before it were pruned, as far as they were old enough.
  pruned_position    bigint NOT NULL DEFAULT 0,
  living             bigint NOT NULL DEFAULT 0,
  -- Of sealed payloads, deleted rows included.
  bytes              bigint NOT NULL DEFAULT 0,
  sync_id            bigint,
  -- Last write, of unchanged records too.
  written_at         timestamptz NOT NULL DEFAULT now(),
  strategy           text CHECK (strategy IN ('override', 'ignore_if_modified_after')),
  strategy_run       bigint,
  strategy_position  bigint,
  -- A generation that would delete too much waits here for a person.
  held_at            timestamptz,
  held_total         bigint,
  held_missing       bigint,
  -- The next detection may delete as much as it wants.
  confirmed_at       timestamptz,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, connection_id, model),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id)
) WITH (fillfactor = 50);
CREATE INDEX record_model_sync ON record_model (environment_id, sync_id) WHERE sync_id IS NOT NULL;
CREATE INDEX record_model_held ON record_model (environment_id) WHERE held_at IS NOT NULL;

-- No foreign key to record_model: its check would cost a fifth of every insert, and rows of a model go before the model
-- does, under its lock.
CREATE TABLE record (
  environment_id   integer NOT NULL,
  generation       bigint NOT NULL,
  model_id         bigint NOT NULL,
  -- UUID v5 of place and external id: known before the insert.
  id               uuid NOT NULL,
  -- Keyed hash of the JSON text, its first 16 bytes.
  data_hash        uuid NOT NULL,
  position         bigint NOT NULL,
  -- Equal to `position` until the first change.
  first_position   bigint NOT NULL,
  -- The run that changed it last; `generation` is the last that saw it.
  changed_by       bigint NOT NULL,
  -- Size of the JSON text.
  bytes            integer NOT NULL,
  deleted          boolean NOT NULL DEFAULT false,
  pruned_at        timestamptz,
  external_id      text NOT NULL,
  -- NULL: pruned.
  sealed           bytea,
  PRIMARY KEY (environment_id, id)
) WITH (
  -- An unchanged record gets a new generation only: with room on the page no index has to know.
  fillfactor = 50,
  -- Every run touches as many rows as there are; the default would vacuum only after a fifth of a large table.
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_insert_scale_factor = 0.2
);
-- Ciphertext does not compress.
ALTER TABLE record ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX record_feed ON record (environment_id, model_id, position);
