-- Writes of single-use grants that nobody has settled yet: few, and looked for again and again.
CREATE INDEX single_use_write_open ON single_use_write (claimed_at) WHERE settled_at IS NULL;
