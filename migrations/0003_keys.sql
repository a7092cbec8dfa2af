-- Which key-encryption keys each running node can use, and when it last read the data keys. A rotation reads it: it
-- must neither lock a node out nor retire a data key that a node still seals with. No environment: it is about processes.
CREATE TABLE node_keyring (
  node_id       uuid PRIMARY KEY,
  kek_ids       text[] NOT NULL,
  keys_read_at  timestamptz NOT NULL,
  seen_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Sealing a value anew under another data key does not change the value: no cache has to drop it.
CREATE OR REPLACE FUNCTION hawser_notify_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record;
  row_id text;
BEGIN
  IF current_setting('hawser.resealing', true) = 'on' THEN RETURN NULL; END IF;
  IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
  row_id := to_jsonb(changed) ->> TG_ARGV[0];
  PERFORM pg_notify('hawser_changed', TG_TABLE_NAME || ':' || changed.environment_id || ':' || row_id);
  RETURN NULL;
END $$;
