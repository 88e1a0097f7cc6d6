-- 003_channels.sql - from version 2 to 3: what channels keep beside messages
--
-- Runs in one transaction, as described in 002_retention.sql.

-- Long-poll sessions, which may now be somebody's. Written by our processes
-- only. Those of before go on. push_due and join_due: when as many as ever may
-- be pushed and joined again, in microseconds since 1970.
  CREATE TEMP TABLE former AS SELECT id, at FROM sessions;
DROP TABLE sessions;
CREATE TABLE sessions (
    id      TEXT NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,              -- milliseconds since 1970
    user    TEXT NOT NULL DEFAULT '',      -- '' = nobody known
    claims  TEXT,                          -- topics of its token; NULL = none
    expires INTEGER,                       -- its token, milliseconds since 1970
    born    INTEGER,                       -- disconnect rows above end it
    params  TEXT,                          -- of its connect, for hooks
    push_due INTEGER NOT NULL DEFAULT 0,
    join_due INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO sessions (id, at) SELECT id, at FROM former;
  DROP TABLE temp.former;

-- The newest `disconnect` row of each user, who is named by its topic, for two
-- days: twice as long as a poll token may live, whatever becomes of the row
-- itself by retention. `at` is the time of the insert, not the row's. Each new
-- one takes some old ones away, so that it needs nobody to look after it.
CREATE TABLE disconnects (
    topic TEXT NOT NULL PRIMARY KEY,    -- user_socket:<user>
    id    INTEGER NOT NULL,
    at    INTEGER NOT NULL              -- milliseconds since 1970
) WITHOUT ROWID;
CREATE INDEX disconnects_at ON disconnects (at);

CREATE TRIGGER messages_disconnect AFTER INSERT ON messages
WHEN new.event = 'disconnect'
BEGIN
    DELETE FROM disconnects WHERE topic IN (SELECT topic FROM disconnects
        WHERE at < CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
                   - 172800000
        ORDER BY at LIMIT 10);
    INSERT INTO disconnects (topic, id, at) VALUES (new.topic, new.id,
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
        ON CONFLICT (topic) DO UPDATE SET id = excluded.id, at = excluded.at;
END;

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

-- A topic's messages per second may be bounded. Policies of before have no
-- bound.
  CREATE TEMP TABLE former AS SELECT pattern, rights, echo FROM policies;
DROP TRIGGER policies_insert_refuse;
DROP TRIGGER policies_update_refuse;
DROP TRIGGER policies_inserted;
DROP TRIGGER policies_deleted;
DROP TABLE policies;
CREATE TABLE policies (
    pattern TEXT NOT NULL PRIMARY KEY,
    rights  TEXT NOT NULL,              -- comma list of join, publish, presence
    echo    INTEGER NOT NULL DEFAULT 1, -- a pusher gets its own message too
    rate    INTEGER NOT NULL DEFAULT 0  -- messages per second; 0 = any number
) WITHOUT ROWID;

CREATE TRIGGER policies_insert_refuse BEFORE INSERT ON policies
WHEN NOT coalesce(
    length(CAST(new.pattern AS BLOB)) BETWEEN 1 AND 200
    AND instr(CAST(new.pattern AS BLOB), x'00') = 0
    AND new.pattern NOT GLOB '*[' || char(1, 45, 31, 127) || ']*'
    AND instr(new.pattern, '*') IN (0, length(new.pattern))
    AND new.rights <> ''
    AND replace(replace(replace(',' || replace(new.rights, ',', ',,') || ',',
        ',join,', ''), ',publish,', ''), ',presence,', '') = ''
    AND new.echo IN (0, 1)
    AND typeof(new.rate) = 'integer' AND new.rate BETWEEN 0 AND 1000,
    0)
BEGIN
    SELECT CASE
        WHEN coalesce(length(CAST(new.pattern AS BLOB)), 0) NOT BETWEEN 1 AND 200
            THEN RAISE(ABORT, 'pattern: 1 to 200 bytes')
        WHEN instr(CAST(new.pattern AS BLOB), x'00') > 0
            OR new.pattern GLOB '*[' || char(1, 45, 31, 127) || ']*'
            THEN RAISE(ABORT, 'pattern: control characters are not allowed')
        WHEN instr(new.pattern, '*') NOT IN (0, length(new.pattern))
            THEN RAISE(ABORT, 'pattern: one * is allowed, at the end')
        WHEN new.echo IS NULL OR new.echo NOT IN (0, 1)
            THEN RAISE(ABORT, 'echo: 0 or 1')
        WHEN new.rate IS NULL OR typeof(new.rate) <> 'integer'
            OR new.rate NOT BETWEEN 0 AND 1000
            THEN RAISE(ABORT, 'rate: messages per second, 1 to 1000, or 0 for any number')
        ELSE RAISE(ABORT, 'rights: a list of join, publish, presence with commas and no blanks')
    END;
END;

INSERT INTO policies (pattern, rights, echo)
    SELECT pattern, rights, echo FROM former;
  DROP TABLE temp.former;

CREATE TRIGGER policies_update_refuse BEFORE UPDATE ON policies
BEGIN
    SELECT RAISE(ABORT, 'policies: use INSERT OR REPLACE, not UPDATE');
END;

CREATE TRIGGER policies_inserted AFTER INSERT ON policies
BEGIN
    UPDATE meta SET value = value + 1 WHERE name = 'rights_rev';
END;

CREATE TRIGGER policies_deleted AFTER DELETE ON policies
BEGIN
    UPDATE meta SET value = value + 1 WHERE name = 'rights_rev';
END;

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

-- What an application answered to a push with a key (kept_answers.h); written by
-- our processes only.
CREATE TABLE hook_answers (
    publisher TEXT NOT NULL,
    key       TEXT NOT NULL,
    digest    TEXT NOT NULL,               -- of topic, event and payload
    answer    TEXT NOT NULL,               -- its reply, in JSON
    at        INTEGER NOT NULL,            -- milliseconds since 1970
    PRIMARY KEY (publisher, key)
) WITHOUT ROWID;
CREATE INDEX hook_answers_at ON hook_answers (at);

PRAGMA user_version = 3;
