-- Every key leads with the environment id and every foreign key carries it: isolation by construction.
-- Columns named *_sealed hold AES-256-GCM ciphertext bound to environment, table, row, column and key id.

CREATE TABLE environment (
  id                          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  uuid                        uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  name                        text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9_-]{1,255}$'),
  is_production               boolean NOT NULL DEFAULT false,
  callback_url                text,
  webhook_signing_key_sealed  bytea,
  created_at                  timestamptz NOT NULL DEFAULT now()
);

-- Data keys, wrapped by the key-encryption key `kek_id`. `seal` keys encrypt; the `lookup` key makes keyed hashes.
CREATE TABLE data_key (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              text NOT NULL,
  purpose         text NOT NULL CHECK (purpose IN ('seal', 'lookup')),
  kek_id          text NOT NULL,
  wrapped         bytea NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  retired_at      timestamptz,
  PRIMARY KEY (environment_id, id)
);

CREATE TABLE api_key (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              uuid NOT NULL DEFAULT gen_random_uuid(),
  display_name    text NOT NULL,
  secret_hash     bytea NOT NULL UNIQUE,
  scopes          text[] NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  last_used_at    timestamptz,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, display_name)
);

CREATE TABLE integration (
  environment_id      integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                  integer GENERATED ALWAYS AS IDENTITY,
  unique_key          text NOT NULL CHECK (length(unique_key) BETWEEN 1 AND 255),
  provider            text NOT NULL,
  display_name        text,
  credentials_sealed  bytea,
  integration_config  jsonb NOT NULL DEFAULT '{}',
  custom              jsonb NOT NULL DEFAULT '{}',
  forward_webhooks    boolean NOT NULL DEFAULT true,
  emulated            boolean NOT NULL DEFAULT false,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  deleted_at          timestamptz,
  PRIMARY KEY (environment_id, id)
);
CREATE UNIQUE INDEX integration_unique_key ON integration (environment_id, unique_key) WHERE deleted_at IS NULL;

CREATE TABLE end_user (
  environment_id             integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                         text NOT NULL CHECK (length(id) BETWEEN 1 AND 255),
  email                      text,
  display_name               text,
  tags                       jsonb NOT NULL DEFAULT '{}',
  organization_id            text,
  organization_display_name  text,
  created_at                 timestamptz NOT NULL DEFAULT now(),
  updated_at                 timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, id)
);

CREATE TABLE connection (
  environment_id        integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                    bigint GENERATED ALWAYS AS IDENTITY,
  integration_id        integer NOT NULL,
  connection_id         text NOT NULL CHECK (length(connection_id) BETWEEN 1 AND 255),
  state                 text NOT NULL CHECK (state IN ('pending', 'active', 'expiring', 'needs_reauth', 'not_ready',
                          'disconnecting', 'disconnected', 'revoked_by_provider', 'spent')),
  state_reason          text,
  state_since           timestamptz NOT NULL DEFAULT now(),
  connection_config     jsonb NOT NULL DEFAULT '{}',
  metadata              jsonb,
  tags                  jsonb NOT NULL DEFAULT '{}',
  end_user_id           text,
  account_id            text,
  webhook_url_override  text,
  last_good_call_at     timestamptz,
  last_fetched_at       timestamptz,
  created_at            timestamptz NOT NULL DEFAULT now(),
  updated_at            timestamptz NOT NULL DEFAULT now(),
  deleted_at            timestamptz,
  PRIMARY KEY (environment_id, id),
  FOREIGN KEY (environment_id, integration_id) REFERENCES integration (environment_id, id),
  FOREIGN KEY (environment_id, end_user_id) REFERENCES end_user (environment_id, id)
);
CREATE UNIQUE INDEX connection_unique_id
  ON connection (environment_id, integration_id, connection_id) WHERE deleted_at IS NULL;
CREATE INDEX connection_by_id ON connection (environment_id, connection_id) WHERE deleted_at IS NULL;
CREATE INDEX connection_newest ON connection (environment_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX connection_end_user ON connection (environment_id, end_user_id) WHERE deleted_at IS NULL;
CREATE INDEX connection_account ON connection (environment_id, integration_id, account_id) WHERE deleted_at IS NULL;
CREATE INDEX connection_tags ON connection USING gin (tags jsonb_path_ops) WHERE deleted_at IS NULL;

-- The secret part of a connection, and the lease of the refresh protocol.
CREATE TABLE credential (
  environment_id     integer NOT NULL,
  connection_id      bigint NOT NULL,
  gen                bigint NOT NULL DEFAULT 1,
  sealed             bytea NOT NULL,
  refresh_sealed     bytea,
  access_hash        bytea,
  refresh_hash       bytea,
  scope              text,
  expires_at         timestamptz,
  refreshed_at       timestamptz NOT NULL DEFAULT now(),
  lease_owner        text,
  lease_epoch        bigint NOT NULL DEFAULT 0,
  lease_until        timestamptz,
  intent_at          timestamptz,
  intent_rt_hash     bytea,
  -- Epoch at which the present grant was stored: answers to refreshes of an earlier grant are never adopted.
  grant_epoch        bigint NOT NULL DEFAULT 0,
  outcome_unknown    integer NOT NULL DEFAULT 0,
  -- Days on which the provider refused; at most one a day.
  failures           integer NOT NULL DEFAULT 0,
  refused_on         date,
  last_failure_at    timestamptz,
  last_failure       text,
  next_attempt_at    timestamptz,
  -- When the sweep looks at it, if nobody uses it before: keeps the refresh token alive.
  sweep_at           timestamptz,
  PRIMARY KEY (environment_id, connection_id),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX credential_access_hash ON credential (environment_id, access_hash);
CREATE INDEX credential_intent ON credential (lease_until) WHERE intent_at IS NOT NULL;
CREATE INDEX credential_sweep ON credential (sweep_at) WHERE sweep_at IS NOT NULL;

-- The provider's answer to a refresh, kept before anybody looks at it.
CREATE TABLE refresh_journal (
  environment_id  integer NOT NULL,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  connection_id   bigint NOT NULL,
  epoch           bigint NOT NULL,
  rt_used_hash    bytea NOT NULL,
  reply_sealed    bytea NOT NULL,
  received_at     timestamptz NOT NULL DEFAULT now(),
  adopted_gen     bigint,
  -- Read and dealt with: adopted, or found to hold no token. Wiped a day later.
  closed_at       timestamptz,
  PRIMARY KEY (environment_id, id),
  -- One exchange per epoch: repeating an insert whose commit is unknown changes nothing.
  UNIQUE (environment_id, connection_id, epoch)
);
CREATE INDEX refresh_journal_open ON refresh_journal (received_at) WHERE closed_at IS NULL;
CREATE INDEX refresh_journal_closed ON refresh_journal (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE connect_session (
  environment_id        integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                    uuid NOT NULL DEFAULT gen_random_uuid(),
  token_hash            bytea NOT NULL UNIQUE,
  end_user              jsonb,
  organization          jsonb,
  tags                  jsonb NOT NULL DEFAULT '{}',
  allowed_integrations  text[],
  config_defaults       jsonb NOT NULL DEFAULT '{}',
  overrides             jsonb NOT NULL DEFAULT '{}',
  reconnect_id          bigint,
  webhook_url_override  text,
  created_at            timestamptz NOT NULL DEFAULT now(),
  expires_at            timestamptz NOT NULL,
  used_at               timestamptz,
  PRIMARY KEY (environment_id, id)
);
CREATE INDEX connect_session_expiry ON connect_session (expires_at);

-- One authorization in flight. Consumed by one atomic DELETE … RETURNING.
CREATE TABLE oauth_flow (
  environment_id      integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                  uuid NOT NULL DEFAULT gen_random_uuid(),
  state_hash          bytea NOT NULL UNIQUE,
  browser_hash        bytea NOT NULL,
  integration_id      integer NOT NULL,
  connection_id       text NOT NULL,
  reconnect_id        bigint,
  connect_session_id  uuid,
  sealed              bytea NOT NULL,
  redirect_uri        text NOT NULL,
  ws_client_id        text,
  created_at          timestamptz NOT NULL DEFAULT now(),
  expires_at          timestamptz NOT NULL,
  PRIMARY KEY (environment_id, id)
);
CREATE INDEX oauth_flow_browser ON oauth_flow (browser_hash);
CREATE INDEX oauth_flow_expiry ON oauth_flow (expires_at);
CREATE INDEX oauth_flow_session ON oauth_flow (environment_id, connect_session_id);

-- Letting go of an account at the provider; kept as the tombstone of the connection.
CREATE TABLE disconnect_task (
  environment_id   integer NOT NULL,
  connection_id    bigint NOT NULL,
  outcome          text NOT NULL CHECK (outcome IN ('pending', 'revoked', 'unsupported', 'failed')),
  detail           text,
  sealed           bytea,
  -- The app has had its event; a token that turned up late does not tell it again.
  told             boolean NOT NULL DEFAULT false,
  attempts         integer NOT NULL DEFAULT 0,
  next_attempt_at  timestamptz,
  give_up_at       timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  finished_at      timestamptz,
  PRIMARY KEY (environment_id, connection_id),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX disconnect_task_due ON disconnect_task (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- What the app will be told; written in the transaction that caused it.
CREATE TABLE event (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  type            text NOT NULL,
  connection_id   bigint,
  payload         jsonb NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, id)
);
CREATE INDEX event_connection ON event (environment_id, connection_id, id DESC);

-- What happened, for people: one line each, no secrets, written in batches.
CREATE TABLE activity (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  at              timestamptz NOT NULL,
  kind            text NOT NULL,
  ok              boolean NOT NULL,
  connection_id   bigint,
  integration     text,
  summary         text NOT NULL,
  detail          jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (environment_id, id)
);
CREATE INDEX activity_connection ON activity (environment_id, connection_id, id DESC);
CREATE INDEX activity_at ON activity (at);

-- Caches of every node drop what changed. The payload names table, environment and row.
CREATE FUNCTION hawser_notify_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record;
  row_id text;
BEGIN
  IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
  row_id := to_jsonb(changed) ->> TG_ARGV[0];
  PERFORM pg_notify('hawser_changed', TG_TABLE_NAME || ':' || changed.environment_id || ':' || row_id);
  RETURN NULL;
END $$;

CREATE TRIGGER api_key_changed AFTER UPDATE OF scopes, secret_hash OR DELETE ON api_key
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('id');
CREATE TRIGGER integration_changed AFTER UPDATE OR DELETE ON integration
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('id');
CREATE TRIGGER connection_changed
  AFTER UPDATE OF state, state_reason, connection_config, metadata, deleted_at, integration_id OR DELETE ON connection
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('id');
CREATE TRIGGER credential_changed AFTER INSERT OR UPDATE OF gen, sealed OR DELETE ON credential
  FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('connection_id');
