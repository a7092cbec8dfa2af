-- When the present grant was given: a disconnect at the provider that happened before was one of an earlier grant.
ALTER TABLE credential ADD COLUMN authorized_at timestamptz;
-- Not known of older rows. Later than the truth ends nothing that lives.
UPDATE credential SET authorized_at = refreshed_at;
ALTER TABLE credential ALTER COLUMN authorized_at SET NOT NULL, ALTER COLUMN authorized_at SET DEFAULT clock_timestamp();
