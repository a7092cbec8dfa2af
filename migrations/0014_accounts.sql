-- Several connections may use one grant (account_policy = share): the credential stays in the row of one of them, and the
-- others point at it. That row outlives its own connection as a tombstone until the last of them has left, so that lease,
-- generation and journal of the refresh protocol never move.
ALTER TABLE connection ADD COLUMN grant_of bigint;
ALTER TABLE connection ADD CONSTRAINT connection_grant_of
  FOREIGN KEY (environment_id, grant_of) REFERENCES connection (environment_id, id);
CREATE INDEX connection_grant_users ON connection (environment_id, grant_of) WHERE grant_of IS NOT NULL;
DROP TRIGGER connection_changed ON connection;
CREATE TRIGGER connection_changed
  AFTER UPDATE OF state, state_reason, connection_config, metadata, deleted_at, integration_id, grant_of OR DELETE
  ON connection FOR EACH ROW EXECUTE FUNCTION hawser_notify_changed('id');

-- Accounts that are asked about every hour.
CREATE INDEX connection_not_ready ON connection (environment_id, id) WHERE state = 'not_ready' AND deleted_at IS NULL;

-- A provider that tells of a disconnect tells of ours too. Until it has, or a day has passed, keyed hashes of the tokens
-- tell the echo from a disconnect of the customer.
ALTER TABLE disconnect_task ADD COLUMN echo_hashes bytea[];
ALTER TABLE disconnect_task ADD COLUMN echoed_at timestamptz;
CREATE INDEX disconnect_task_echo ON disconnect_task USING gin (echo_hashes) WHERE echo_hashes IS NOT NULL;
CREATE INDEX disconnect_task_echo_end ON disconnect_task (finished_at) WHERE echo_hashes IS NOT NULL;
