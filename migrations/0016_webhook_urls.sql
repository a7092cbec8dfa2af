-- Webhook URLs of connections that were rotated; without a row it is the first one. The secret part follows from the
-- generation by a key, so nothing here lets anybody send.
CREATE TABLE webhook_url (
  environment_id  integer NOT NULL,
  connection_id   bigint NOT NULL,
  generation      integer NOT NULL,
  -- Until then the URL before it is good as well.
  previous_until  timestamptz NOT NULL,
  PRIMARY KEY (environment_id, connection_id),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
