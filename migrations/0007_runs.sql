-- One execution of the app's own code: the record of it, and the queue of those to come. States are in
-- src/features/runs/model.ts. The function is named, not referenced: history outlives what was deployed.
CREATE TABLE run (
  environment_id    integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                bigint GENERATED ALWAYS AS IDENTITY,
  -- Made by the node before the row is: what is sealed is bound to it.
  uuid              uuid NOT NULL,
  kind              text NOT NULL CHECK (kind IN ('sync', 'action', 'on-event', 'webhook')),
  trigger           text NOT NULL,
  state             text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  function_id       bigint NOT NULL,
  function_name     text NOT NULL,
  version           text NOT NULL,
  integration_id    integer NOT NULL,
  -- Empty only while a connection is being validated that is not there yet.
  connection_id     bigint,
  sync_id           bigint,
  -- At most one run of a lane runs at a time. Empty: runs at once, never queued.
  lane              text,
  slot_at           timestamptz,
  run_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Not worth starting after that.
  start_by          timestamptz,
  attempts          integer NOT NULL DEFAULT 0,
  attempts_max      integer NOT NULL DEFAULT 1,
  -- Tries that ended because their node did.
  lost              integer NOT NULL DEFAULT 0,
  lease_owner       text,
  lease_epoch       bigint NOT NULL DEFAULT 0,
  lease_until       timestamptz,
  cancel_requested  boolean NOT NULL DEFAULT false,
  input_sealed      bytea,
  -- The output, or the details of the error.
  output_sealed     bytea,
  -- Code and message only.
  error             jsonb,
  counts            jsonb NOT NULL DEFAULT '{}',
  -- Keyed hashes of `Idempotency-Key` and of what was asked with it; wiped after a day.
  idempotency_hash  bytea,
  request_hash      bytea,
  queued_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at        timestamptz,
  finished_at       timestamptz,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, uuid),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
-- The heads of all lanes are found by hops in this index; ended runs are in none of these.
CREATE INDEX run_queued ON run (environment_id, lane, run_at, id) WHERE state = 'queued';
CREATE UNIQUE INDEX run_lane ON run (environment_id, lane) WHERE state = 'running';
CREATE INDEX run_leased ON run (lease_until) WHERE state = 'running';
CREATE INDEX run_start_by ON run (start_by) WHERE state = 'queued';
CREATE UNIQUE INDEX run_slot ON run (environment_id, sync_id, slot_at) WHERE slot_at IS NOT NULL;
CREATE UNIQUE INDEX run_idempotency ON run (environment_id, idempotency_hash) WHERE idempotency_hash IS NOT NULL;
CREATE INDEX run_idempotency_old ON run (queued_at) WHERE idempotency_hash IS NOT NULL;
CREATE INDEX run_connection ON run (environment_id, connection_id, id DESC);
CREATE INDEX run_sync ON run (environment_id, sync_id, id DESC) WHERE sync_id IS NOT NULL;
CREATE INDEX run_finished ON run (finished_at) WHERE finished_at IS NOT NULL;

-- What scripts said, with secrets taken out.
CREATE TABLE run_log (
  environment_id  integer NOT NULL,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  run_id          bigint NOT NULL,
  at              timestamptz NOT NULL,
  level           text NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
  message         text NOT NULL,
  payload         jsonb,
  PRIMARY KEY (environment_id, id),
  FOREIGN KEY (environment_id, run_id) REFERENCES run (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX run_log_run ON run_log (environment_id, run_id, id);

-- Where a function stopped, per connection and named copy.
CREATE TABLE checkpoint (
  environment_id  integer NOT NULL,
  connection_id   bigint NOT NULL,
  kind            text NOT NULL,
  name            text NOT NULL,
  variant         text NOT NULL,
  version         bigint NOT NULL DEFAULT 1,
  data            jsonb NOT NULL,
  updated_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, connection_id, kind, name, variant),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);

-- Locks that scripts take among themselves; gone with their run.
CREATE TABLE script_lock (
  environment_id  integer NOT NULL,
  key             text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  run_id          bigint NOT NULL,
  expires_at      timestamptz NOT NULL,
  PRIMARY KEY (environment_id, key),
  FOREIGN KEY (environment_id, run_id) REFERENCES run (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX script_lock_run ON script_lock (environment_id, run_id);

-- Values that the app gives to its functions.
CREATE TABLE environment_variable (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              uuid NOT NULL,
  name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
  value_sealed    bytea NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, name)
);
CREATE TRIGGER environment_variable_changed AFTER INSERT OR UPDATE OF value_sealed OR DELETE ON environment_variable
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('name');
