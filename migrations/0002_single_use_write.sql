-- The one write that a single-use grant allows, claimed before it is sent. Open while `settled_at` is empty; a settled
-- row only says that the connection once made its write, its state says what that means now.
CREATE TABLE single_use_write (
  environment_id  integer NOT NULL,
  connection_id   bigint NOT NULL,
  claim           uuid NOT NULL,
  claimed_at      timestamptz NOT NULL DEFAULT now(),
  settled_at      timestamptz,
  PRIMARY KEY (environment_id, connection_id),
  FOREIGN KEY (environment_id, connection_id) REFERENCES connection (environment_id, id) ON DELETE CASCADE
);
