-- When the next token request of a provider may start, whichever node makes it. No environment: a provider counts the
-- requests of all. Unlogged: after a crash of the server nothing of it is worth keeping.
CREATE UNLOGGED TABLE refresh_pace (
  lane           text PRIMARY KEY,
  next_start_at  timestamptz NOT NULL
);
