-- The app's own code. Bundles are kept by their hash: versions that share one share its row.
CREATE TABLE function_code (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  hash            text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  js              text NOT NULL,
  ts              text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, hash)
);

CREATE TABLE function (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              integer GENERATED ALWAYS AS IDENTITY,
  uuid            uuid NOT NULL DEFAULT gen_random_uuid(),
  integration_id  integer NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('sync', 'action', 'on-event')),
  name            text NOT NULL CHECK (name ~ '^[a-zA-Z0-9_-]{1,255}$'),
  version         text NOT NULL,
  enabled         boolean NOT NULL DEFAULT true,
  source          text NOT NULL CHECK (source IN ('repo', 'catalog', 'standalone')),
  definition      jsonb NOT NULL,
  code_hash       text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  deployed_at     timestamptz NOT NULL DEFAULT now(),
  deleted_at      timestamptz,
  PRIMARY KEY (environment_id, id),
  FOREIGN KEY (environment_id, integration_id) REFERENCES integration (environment_id, id),
  FOREIGN KEY (environment_id, code_hash) REFERENCES function_code (environment_id, hash)
);
CREATE UNIQUE INDEX function_name ON function (environment_id, integration_id, kind, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX function_uuid ON function (environment_id, uuid);

-- What was deployed before, oldest first.
CREATE TABLE function_version (
  environment_id  integer NOT NULL,
  function_id     integer NOT NULL,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  version         text NOT NULL,
  definition      jsonb NOT NULL,
  code_hash       text NOT NULL,
  deployed_at     timestamptz NOT NULL,
  PRIMARY KEY (environment_id, function_id, id),
  FOREIGN KEY (environment_id, function_id) REFERENCES function (environment_id, id) ON DELETE CASCADE,
  FOREIGN KEY (environment_id, code_hash) REFERENCES function_code (environment_id, hash)
);

-- Dry runs and deployments asked for over the API. What a dry run returns may be a customer's data: sealed.
CREATE TABLE function_task (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              uuid NOT NULL DEFAULT gen_random_uuid(),
  kind            text NOT NULL CHECK (kind IN ('dryrun', 'deployment')),
  state           text NOT NULL CHECK (state IN ('waiting', 'running', 'success', 'failed')),
  integration_key text NOT NULL,
  function_type   text NOT NULL CHECK (function_type IN ('sync', 'action', 'on-event')),
  result_sealed   bytea,
  created_at      timestamptz NOT NULL DEFAULT now(),
  started_at      timestamptz,
  completed_at    timestamptz,
  PRIMARY KEY (environment_id, id)
);
CREATE INDEX function_task_oldest ON function_task (created_at);

CREATE TRIGGER function_changed AFTER INSERT OR UPDATE OR DELETE ON function
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('id');
