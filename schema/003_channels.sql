-- 003_channels.sql - from version 2 to 3: what channels keep beside messages
--
-- Runs in one transaction, as described in 002_retention.sql.

-- Long-poll sessions, which may now be somebody's. Written by our processes
-- only. Those of before go on.
  CREATE TEMP TABLE former AS SELECT id, at FROM sessions;
DROP TABLE sessions;
CREATE TABLE sessions (
    id     TEXT NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,               -- milliseconds since 1970
    user   TEXT NOT NULL DEFAULT '',       -- '' = an anonymous visitor
    claims TEXT                            -- of the verified token; NULL = none
) WITHOUT ROWID;
INSERT INTO sessions (id, at) SELECT id, at FROM former;
  DROP TABLE temp.former;

PRAGMA user_version = 3;
