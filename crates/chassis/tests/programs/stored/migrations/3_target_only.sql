-- Expand again: release 2 writes both, release 3 writes the new one alone.
UPDATE links SET target = url WHERE target IS NULL;
ALTER TABLE links ALTER COLUMN url DROP NOT NULL;
