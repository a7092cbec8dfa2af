-- How often the syncs of an integration run and whether they start by themselves: what a new connection needs to know.
-- Follows the deployed functions; a disabled one has no row.
CREATE TABLE sync_plan (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  function_id     bigint NOT NULL,
  integration_id  integer NOT NULL,
  period_ms       bigint NOT NULL CHECK (period_ms >= 1000),
  auto_start      boolean NOT NULL,
  PRIMARY KEY (environment_id, function_id),
  FOREIGN KEY (environment_id, integration_id) REFERENCES integration (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX sync_plan_integration ON sync_plan (environment_id, integration_id);

-- One sync of one connection, in one variant, with its schedule. Slots are phase_at + n periods; `due_at` is the next
-- one, and empty while nothing is to run.
CREATE TABLE sync (
  environment_id      integer NOT NULL,
  id                  bigint GENERATED ALWAYS AS IDENTITY,
  uuid                uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  function_id         bigint NOT NULL,
  connection_id       bigint NOT NULL,
  variant             text NOT NULL DEFAULT 'base' CHECK (length(variant) BETWEEN 1 AND 255),
  state               text NOT NULL CHECK (state IN ('started', 'paused')),
  period_ms           bigint NOT NULL CHECK (period_ms >= 1000),
  -- Set for this connection alone.
  period_is_own       boolean NOT NULL DEFAULT false,
  phase_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at              timestamptz,
  -- The next run begins with an empty cache.
  empty_first         boolean NOT NULL DEFAULT false,
  -- Start of the last run that succeeded; empty before the first and after a reset.
  last_success_at     timestamptz,
  last_finished_at    timestamptz,
  last_outcome        text CHECK (last_outcome IN ('succeeded', 'failed', 'cancelled')),
  last_duration_ms    bigint,
  last_counts         jsonb,
  created_at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, connection_id, function_id, variant),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE,
  CHECK (state = 'started' OR due_at IS NULL)
);
CREATE INDEX sync_due ON sync (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX sync_function ON sync (environment_id, function_id);

-- From which run on a listing is complete: rows not saved since then are gone at the provider.
CREATE TABLE sync_deletion_mark (
  environment_id  integer NOT NULL,
  sync_id         bigint NOT NULL,
  model           text NOT NULL,
  generation      bigint NOT NULL,
  PRIMARY KEY (environment_id, sync_id, model),
  FOREIGN KEY (environment_id, sync_id) REFERENCES sync (environment_id, id) ON DELETE CASCADE
);

-- However a connection comes to be, its syncs come with it, in the same transaction.
CREATE FUNCTION hawser_add_syncs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sync (environment_id, function_id, connection_id, state, period_ms, due_at)
  SELECT NEW.environment_id, p.function_id, NEW.id,
         CASE WHEN p.auto_start THEN 'started' ELSE 'paused' END, p.period_ms,
         CASE WHEN p.auto_start THEN clock_timestamp() END
  FROM sync_plan p WHERE p.environment_id = NEW.environment_id AND p.integration_id = NEW.integration_id;
  RETURN NULL;
END $$;
CREATE TRIGGER connection_adds_syncs AFTER INSERT ON connection FOR EACH ROW EXECUTE FUNCTION hawser_add_syncs();

-- A deleted connection runs nothing any more; one that works again runs at once.
CREATE FUNCTION hawser_follow_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.deleted_at IS NOT NULL THEN
    UPDATE sync SET state = 'paused', due_at = NULL
    WHERE environment_id = NEW.environment_id AND connection_id = NEW.id AND state = 'started';
  ELSIF NEW.state = 'active' AND OLD.state <> 'active' THEN
    UPDATE sync SET due_at = clock_timestamp()
    WHERE environment_id = NEW.environment_id AND connection_id = NEW.id AND state = 'started';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER connection_moves_syncs AFTER UPDATE OF state, deleted_at ON connection
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)
  EXECUTE FUNCTION hawser_follow_connection();
