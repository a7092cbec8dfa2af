-- Providers' webhooks as received: stored before they are acknowledged. States are in src/features/inbound/model.ts.
CREATE TABLE inbound_event (
  -- Bound to the environment by the integration: one check less on each insert.
  environment_id  integer NOT NULL,
  id              bigint GENERATED ALWAYS AS IDENTITY,
  -- Made by the node before the row is: what is sealed is bound to it.
  uuid            uuid NOT NULL,
  integration_id  integer NOT NULL,
  -- The URL named this connection.
  connection_id   bigint,
  -- Keyed hash of the provider's event id, or of the body where there is none.
  dedupe_hash     bytea NOT NULL,
  -- What proved it: a signature, a secret part of the URL, or nothing.
  trust           text NOT NULL CHECK (trust IN ('signature', 'url', 'none')),
  type            text,
  -- Only those the catalogue lists.
  headers         jsonb NOT NULL,
  body_kind       text NOT NULL CHECK (body_kind IN ('json', 'form', 'text')),
  body_bytes      integer NOT NULL,
  body_sealed     bytea NOT NULL,
  state           text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'routed', 'parked')),
  -- Why it is parked: nobody it is about is known, or it could not be handled.
  reason          text CHECK (reason IN ('no_match', 'poison')),
  -- Code of the last failure.
  error           text,
  -- Times taken up since it came, was replayed or was parked.
  attempts        integer NOT NULL DEFAULT 0,
  -- Looks for a connection that found none.
  looks           integer NOT NULL DEFAULT 0,
  -- Connections it was routed to.
  matched         integer NOT NULL DEFAULT 0,
  -- The app was told of it although no connection matched.
  is_told         boolean NOT NULL DEFAULT false,
  due_at          timestamptz DEFAULT clock_timestamp(),
  received_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  routed_at       timestamptz,
  PRIMARY KEY (environment_id, id),
  UNIQUE (environment_id, uuid),
  UNIQUE (environment_id, integration_id, dedupe_hash),
  FOREIGN KEY (environment_id, integration_id) REFERENCES integration (environment_id, id) ON DELETE CASCADE,
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX inbound_event_due ON inbound_event (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX inbound_event_parked ON inbound_event (environment_id, integration_id)
  WHERE state = 'parked' AND reason = 'no_match';
-- Rows come in this order and go in it.
CREATE INDEX inbound_event_received ON inbound_event USING brin (received_at);

-- Events name connections by what was learned on connect: tenant, shop, installation.
CREATE INDEX connection_by_config ON connection USING gin (connection_config jsonb_path_ops) WHERE deleted_at IS NULL;

-- A connection that comes or changes may be the one that parked events are about: nodes look again at once.
CREATE FUNCTION hawser_wake_parked() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wanted integer;
BEGIN
  IF TG_TABLE_NAME = 'credential' THEN
    SELECT c.integration_id INTO wanted FROM connection c
    WHERE c.environment_id = NEW.environment_id AND c.id = NEW.connection_id;
  ELSE
    wanted := NEW.integration_id;
  END IF;
  IF EXISTS (SELECT 1 FROM inbound_event e WHERE e.environment_id = NEW.environment_id AND e.integration_id = wanted
               AND e.state = 'parked' AND e.reason = 'no_match') THEN
    PERFORM pg_notify('hawser_inbound', NEW.environment_id || ':' || wanted);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER connection_wakes_parked AFTER INSERT OR UPDATE OF account_id, connection_config, metadata ON connection
  FOR EACH ROW EXECUTE FUNCTION hawser_wake_parked();
CREATE TRIGGER credential_wakes_parked AFTER INSERT OR UPDATE OF access_hash ON credential
  FOR EACH ROW EXECUTE FUNCTION hawser_wake_parked();
