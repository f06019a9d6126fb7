-- Expand: release 1 does not know the column, so it may be empty.
ALTER TABLE links ADD COLUMN target text;
