-- Renewed tokens come all the time, and each woke every parked event of its integration: with some thousands parked the
-- nodes did nothing else. An event that names a token just renewed is looked at again within seconds anyway, and who
-- connects changes the row of the connection, too.
DROP TRIGGER credential_wakes_parked ON credential;
CREATE OR REPLACE FUNCTION hawser_wake_parked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM inbound_event e WHERE e.environment_id = NEW.environment_id
               AND e.integration_id = NEW.integration_id AND e.state = 'parked' AND e.reason = 'no_match') THEN
    PERFORM pg_notify('hawser_inbound', NEW.environment_id || ':' || NEW.integration_id);
  END IF;
  RETURN NULL;
END $$;
