-- Events become deliveries. What was written before is not sent: nobody asked for it when it happened.
ALTER TABLE event
  -- The name under which the app gets it, at every endpoint and every try: `webhook-id`.
  ADD COLUMN uuid uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Before the deliveries are made: the payload of kinds that hold a provider's data. After: the exact bytes sent.
  ADD COLUMN sealed bytea,
  -- Headers of a provider that go along, already renamed.
  ADD COLUMN provider_headers jsonb,
  -- Rises per connection in the order of sending; empty where nobody is told.
  ADD COLUMN sequence bigint,
  ADD COLUMN is_handled boolean NOT NULL DEFAULT true,
  -- Why no delivery could be made of it.
  ADD COLUMN parked_reason text;
ALTER TABLE event ALTER COLUMN is_handled SET DEFAULT false;
CREATE INDEX event_new ON event (environment_id, id) WHERE NOT is_handled;
CREATE INDEX event_created ON event (created_at);

-- Last sequence number of a connection; 0 stands for events without one.
CREATE TABLE event_sequence (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  connection_id   bigint NOT NULL,
  last            bigint NOT NULL,
  PRIMARY KEY (environment_id, connection_id)
);

-- What an environment wants to be told (wire contract D.1).
CREATE TABLE outbound_settings (
  environment_id              integer PRIMARY KEY REFERENCES environment ON DELETE CASCADE,
  on_auth_creation            boolean NOT NULL,
  on_auth_refresh_error       boolean NOT NULL,
  on_sync_completion_always   boolean NOT NULL,
  on_sync_error               boolean NOT NULL,
  on_async_action_completion  boolean NOT NULL
);

-- A URL of the app that gets events, and how it fares.
CREATE TABLE endpoint (
  environment_id          integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id                      uuid NOT NULL DEFAULT gen_random_uuid(),
  role                    text NOT NULL CHECK (role IN ('primary', 'secondary', 'additional', 'override')),
  url                     text NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
  description             text,
  -- Kinds of events it gets. Empty: every kind but the feed of records.
  kinds                   text[],
  secret_sealed           bytea NOT NULL,
  previous_secret_sealed  bytea,
  previous_until          timestamptz,
  state                   text NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'disabled')),
  disabled_reason         text CHECK (disabled_reason IN ('gone', 'failing', 'by_hand')),
  disabled_at             timestamptz,
  -- First of the failures since the last success.
  failing_since           timestamptz,
  failures                integer NOT NULL DEFAULT 0,
  -- The circuit: set means open until then, and one try at a time afterwards.
  open_until              timestamptz,
  created_at              timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment_id, id),
  CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL))
);
CREATE UNIQUE INDEX endpoint_role ON endpoint (environment_id, role) WHERE role IN ('primary', 'secondary');
CREATE UNIQUE INDEX endpoint_override ON endpoint (environment_id, url) WHERE role = 'override';

-- One event to one endpoint. Taken up: `next_attempt_at` is the end of the lease, so that a dead node's come back.
CREATE TABLE delivery (
  environment_id   integer NOT NULL,
  id               bigint GENERATED ALWAYS AS IDENTITY,
  event_id         bigint NOT NULL,
  endpoint_id      uuid NOT NULL,
  state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'parked')),
  -- Place in the schedule: tries that count.
  step             smallint NOT NULL DEFAULT 0,
  -- Tries ever.
  attempts         integer NOT NULL DEFAULT 0,
  -- Times taken up without a word since the last outcome: it may be what kills nodes.
  lost             smallint NOT NULL DEFAULT 0,
  next_attempt_at  timestamptz,
  lease_owner      text,
  lease_epoch      bigint NOT NULL DEFAULT 0,
  last_status      integer,
  last_error       text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  finished_at      timestamptz,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, event_id, endpoint_id),
  FOREIGN KEY (environment_id, event_id) REFERENCES event (environment_id, id) ON DELETE CASCADE,
  FOREIGN KEY (environment_id, endpoint_id) REFERENCES endpoint (environment_id, id) ON DELETE CASCADE,
  CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX delivery_due ON delivery (environment_id, endpoint_id, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX delivery_endpoint ON delivery (environment_id, endpoint_id, id DESC);
CREATE INDEX delivery_failed ON delivery (environment_id, id DESC) WHERE state IN ('failed', 'parked');

-- One try. The epoch is that of the lease: a result that is written twice is there once.
CREATE TABLE delivery_attempt (
  environment_id  integer NOT NULL,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  delivery_id     bigint NOT NULL,
  epoch           bigint NOT NULL,
  at              timestamptz NOT NULL,
  duration_ms     integer NOT NULL,
  status          integer,
  error           text,
  -- First 4 KB of the answer.
  answer_sealed   bytea,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, delivery_id, epoch),
  FOREIGN KEY (environment_id, delivery_id) REFERENCES delivery (environment_id, id) ON DELETE CASCADE
);

-- During a rotation of the key that signs for an environment: the one before.
CREATE TABLE previous_signing_key (
  environment_id  integer NOT NULL REFERENCES environment ON DELETE CASCADE,
  id              uuid NOT NULL,
  key_sealed      bytea NOT NULL,
  until           timestamptz NOT NULL,
  PRIMARY KEY (environment_id, id)
);
