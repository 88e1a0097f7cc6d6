-- 003_channels.sql - from version 2 to 3: what channels keep beside messages
--
-- Runs in one transaction, as described in 002_retention.sql.

-- Long-poll sessions, which may now be somebody's. Written by our processes
-- only. Those of before go on.
  CREATE TEMP TABLE former AS SELECT id, at FROM sessions;
DROP TABLE sessions;
CREATE TABLE sessions (
    id      TEXT NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,              -- milliseconds since 1970
    user    TEXT NOT NULL DEFAULT '',      -- '' = nobody known
    claims  TEXT,                          -- topics of its token; NULL = none
    expires INTEGER,                       -- its token, milliseconds since 1970
    born    INTEGER                        -- disconnect rows above end it
) WITHOUT ROWID;
INSERT INTO sessions (id, at) SELECT id, at FROM former;
  DROP TABLE temp.former;

-- What a join asked of the past, and what its client is. Those of before go on.
  CREATE TEMP TABLE former AS SELECT session, joined, topic, join_ref, since,
                                     ended FROM memberships;
DROP TABLE memberships;
CREATE TABLE memberships (
    session  TEXT NOT NULL,
    joined   INTEGER NOT NULL,
    topic    TEXT NOT NULL,
    join_ref TEXT NOT NULL,             -- the JSON value as the client wrote it
    since    INTEGER,                   -- NULL: joined without a cursor
    replay   INTEGER,                   -- NULL: none; broadcasts after it follow
    vsn      INTEGER NOT NULL DEFAULT 2, -- major version of its serializer
    presence TEXT,                      -- key it is present by; NULL: it is
                                        -- neither shown to others nor they to it
    ended    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, joined)
) WITHOUT ROWID;
INSERT INTO memberships (session, joined, topic, join_ref, since, ended)
    SELECT session, joined, topic, join_ref, since, ended FROM former;
  DROP TABLE temp.former;

-- Who is present (presences.h); written by our processes only. `change` is 0 in
-- all that is committed. owner, session, lease: names that mean nothing outside.
CREATE TABLE presences (
    topic   TEXT NOT NULL CHECK (length(CAST(topic AS BLOB)) BETWEEN 1 AND 200),
    key     TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 128),
    ref     TEXT NOT NULL,                 -- phx_ref
    prev    TEXT,                          -- phx_ref_prev
    meta    TEXT NOT NULL                  -- a JSON object, as it was written
            CHECK (length(CAST(meta AS BLOB)) <= 2048),
    owner   TEXT NOT NULL,
    session TEXT NOT NULL,                 -- the connection that holds it now
    member  INTEGER NOT NULL,              -- and which membership of it
    lease   TEXT NOT NULL,                 -- gone when this is not renewed
    since   INTEGER NOT NULL,              -- id drawn when it was tracked so
    change  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, key, ref)
) WITHOUT ROWID;
CREATE INDEX presences_session ON presences (session);
CREATE INDEX presences_lease ON presences (lease);
CREATE INDEX presences_change ON presences (topic) WHERE change <> 0;

PRAGMA user_version = 3;
