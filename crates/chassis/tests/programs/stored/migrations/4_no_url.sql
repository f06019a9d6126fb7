-- Contract: no release that runs reads or writes it.
ALTER TABLE links DROP COLUMN url;
