-- 001_journal.sql - the journal, first version; docs/SQL.md explains its use
--
-- Table and column names are a public API. What a script gets wrong is refused
-- by triggers and not by CHECK, for two reasons: INSERT OR IGNORE swallows a
-- failed CHECK, NOT NULL and UNIQUE without a word, but not RAISE(ABORT); and
-- a trigger can say in plain words what was wrong. The triggers' WHEN is all
-- that runs for a good row; which rule was broken is looked up only then.
--
-- No function here is one of ours: any program with SQLite 3.24 and JSON can
-- write. Each statement that creates something begins at the start of a line,
-- and what the file holds is compared with this text at each open.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value
) WITHOUT ROWID;

-- The one order of everything: ids are drawn from this table's sequence, for
-- messages by inserting and for sessions by raising the sequence itself.
CREATE TABLE messages (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    topic     TEXT NOT NULL,
    event     TEXT NOT NULL,
    payload   TEXT NOT NULL,               -- JSON, or a BLOB when kind is 1
    kind      INTEGER NOT NULL DEFAULT 0,
    at        INTEGER NOT NULL             -- milliseconds since 1970
              DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    publisher TEXT,
    key       TEXT,
    skip      TEXT                         -- session or client not to deliver to
);

-- The rowid is in it already: "topic = ? AND id > ?" needs nothing else.
CREATE INDEX messages_topic ON messages (topic);
CREATE UNIQUE INDEX messages_once ON messages (publisher, key)
    WHERE key IS NOT NULL;

-- Highest id that was deleted, per topic; topic '' stands for all topics.
CREATE TABLE trimmed (
    topic   TEXT NOT NULL PRIMARY KEY,
    through INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX trimmed_through ON trimmed (through);

-- Lengths are counted in bytes, hence the casts: length() of a text counts
-- characters and stops at a NUL. char(1, 45, 31, 127) is the range "\x01-\x1f"
-- and \x7f of a GLOB class.
CREATE TRIGGER messages_refuse BEFORE INSERT ON messages
WHEN NOT coalesce(
    typeof(new.topic) = 'text'
    AND length(CAST(new.topic AS BLOB)) BETWEEN 1 AND 200
    AND instr(CAST(new.topic AS BLOB), x'00') = 0
    AND new.topic NOT GLOB '*[' || char(1, 45, 31, 127) || ']*'
    AND typeof(new.event) = 'text'
    AND length(CAST(new.event AS BLOB)) BETWEEN 1 AND 200
    AND instr(CAST(new.event AS BLOB), x'00') = 0
    AND new.event NOT GLOB '*[' || char(1, 45, 31, 127) || ']*'
    AND new.event NOT GLOB 'phx_*'
    AND new.event NOT GLOB 'chan_reply_*'
    AND (new.event <> 'disconnect' OR new.topic GLOB 'user_socket:?*')
    AND CASE new.kind
        WHEN 0 THEN typeof(new.payload) = 'text'
            AND instr(CAST(new.payload AS BLOB), x'00') = 0
            AND json_valid(new.payload)
        WHEN 1 THEN typeof(new.payload) = 'blob'
        ELSE 0 END
    AND length(CAST(new.payload AS BLOB))
        <= (SELECT value FROM meta WHERE name = 'max_payload')
    AND typeof(new.at) = 'integer'
    AND (new.key IS NULL
         OR typeof(new.key) = 'text'
            AND length(CAST(new.key AS BLOB)) BETWEEN 1 AND 128
            AND new.publisher IS NOT NULL)
    AND (new.publisher IS NULL
         OR typeof(new.publisher) = 'text'
            AND length(CAST(new.publisher AS BLOB)) BETWEEN 1 AND 255)
    AND (new.skip IS NULL
         OR typeof(new.skip) = 'text'
            AND length(CAST(new.skip AS BLOB)) BETWEEN 1 AND 128),
    0)
BEGIN
    SELECT CASE
        WHEN new.topic IS NULL OR typeof(new.topic) <> 'text'
            OR length(CAST(new.topic AS BLOB)) = 0
            THEN RAISE(ABORT, 'topic: a text is needed')
        WHEN length(CAST(new.topic AS BLOB)) > 200
            THEN RAISE(ABORT, 'topic: longer than 200 bytes')
        WHEN instr(CAST(new.topic AS BLOB), x'00') > 0
            OR new.topic GLOB '*[' || char(1, 45, 31, 127) || ']*'
            THEN RAISE(ABORT, 'topic: control characters are not allowed')
        WHEN new.event IS NULL OR typeof(new.event) <> 'text'
            OR length(CAST(new.event AS BLOB)) = 0
            THEN RAISE(ABORT, 'event: a text is needed')
        WHEN length(CAST(new.event AS BLOB)) > 200
            THEN RAISE(ABORT, 'event: longer than 200 bytes')
        WHEN instr(CAST(new.event AS BLOB), x'00') > 0
            OR new.event GLOB '*[' || char(1, 45, 31, 127) || ']*'
            THEN RAISE(ABORT, 'event: control characters are not allowed')
        WHEN new.event GLOB 'phx_*' OR new.event GLOB 'chan_reply_*'
            THEN RAISE(ABORT, 'event: phx_* and chan_reply_* belong to the protocol')
        WHEN new.event = 'disconnect' AND new.topic NOT GLOB 'user_socket:?*'
            THEN RAISE(ABORT, 'event: disconnect is for topics user_socket:<id>')
        WHEN new.kind IS NULL OR new.kind NOT IN (0, 1)
            THEN RAISE(ABORT, 'kind: 0 (JSON text) or 1 (bytes)')
        WHEN new.payload IS NULL
            THEN RAISE(ABORT, 'payload: must not be NULL; {} is an empty one')
        WHEN length(CAST(new.payload AS BLOB))
            > (SELECT value FROM meta WHERE name = 'max_payload')
            THEN RAISE(ABORT, 'payload: longer than max_payload of holdfast.conf')
        WHEN new.kind = 0 AND typeof(new.payload) <> 'text'
            THEN RAISE(ABORT, 'payload: JSON must be bound as text, not as BLOB')
        WHEN new.kind = 0 AND (instr(CAST(new.payload AS BLOB), x'00') > 0
                               OR NOT json_valid(new.payload))
            THEN RAISE(ABORT, 'payload: not valid JSON')
        WHEN new.kind = 1 AND typeof(new.payload) <> 'blob'
            THEN RAISE(ABORT, 'payload: a BLOB is needed when kind is 1')
        WHEN typeof(new.at) <> 'integer'
            THEN RAISE(ABORT, 'at: milliseconds since 1970, or leave it out')
        WHEN new.key IS NOT NULL AND new.publisher IS NULL
            THEN RAISE(ABORT, 'key: needs a publisher, within which it is unique')
        WHEN typeof(new.key) NOT IN ('null', 'text')
            OR length(CAST(new.key AS BLOB)) NOT BETWEEN 1 AND 128
            THEN RAISE(ABORT, 'key: a text of 1 to 128 bytes')
        WHEN typeof(new.publisher) NOT IN ('null', 'text')
            OR length(CAST(new.publisher AS BLOB)) NOT BETWEEN 1 AND 255
            THEN RAISE(ABORT, 'publisher: a text of 1 to 255 bytes')
        ELSE RAISE(ABORT, 'skip: a text of 1 to 128 bytes')
    END;
END;

-- The same key again has no effect; with other contents it is an error. Also
-- for INSERT OR REPLACE, which would delete the first row past all triggers.
CREATE TRIGGER messages_repeat BEFORE INSERT ON messages
WHEN new.key IS NOT NULL AND EXISTS (SELECT 1 FROM messages
    WHERE publisher = new.publisher AND key = new.key)
BEGIN
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM messages
            WHERE publisher = new.publisher AND key = new.key
            AND topic = new.topic AND event = new.event
            AND kind = new.kind AND payload = new.payload)
            THEN RAISE(IGNORE)
        ELSE RAISE(ABORT, 'key: used before by this publisher for another message')
    END;
END;

-- An id is the next one and is never given twice. After the insert, because
-- before it the id is not defined. While a statement runs the sequence still
-- has the value from before it, so the first row must be its successor and
-- each further one the successor of a row.
CREATE TRIGGER messages_place AFTER INSERT ON messages
WHEN NOT coalesce(
    (SELECT new.id = seq + 1 OR new.id > seq
            AND EXISTS (SELECT 1 FROM messages WHERE id = new.id - 1)
     FROM sqlite_sequence WHERE name = 'messages')
    AND new.id > coalesce((SELECT max(through) FROM trimmed), 0)
    AND new.id > coalesce((SELECT max(id) FROM frames), 0),
    0)
BEGIN
    SELECT CASE
        WHEN NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'messages')
            THEN RAISE(ABORT, 'id: the row of messages in sqlite_sequence is missing; Holdfast puts it back when it is opened')
        WHEN new.id > (SELECT seq FROM sqlite_sequence WHERE name = 'messages')
            AND (new.id <= (SELECT max(through) FROM trimmed)
                 OR new.id <= (SELECT max(id) FROM frames))
            THEN RAISE(ABORT, 'id: sqlite_sequence was lowered and this id was given before; Holdfast repairs it when it is opened')
        ELSE RAISE(ABORT, 'id: given by the journal; leave it out')
    END;
END;

CREATE TRIGGER messages_frozen BEFORE UPDATE ON messages
BEGIN
    SELECT RAISE(ABORT, 'messages: rows are never changed; insert another one');
END;

CREATE TRIGGER messages_deleted AFTER DELETE ON messages
BEGIN
    INSERT INTO trimmed (topic, through) VALUES (old.topic, old.id)
        ON CONFLICT (topic) DO UPDATE SET through = excluded.through
        WHERE excluded.through > through;
END;

-- What anonymous visitors may do. pattern: a topic, or a prefix and one '*'.
CREATE TABLE policies (
    pattern TEXT NOT NULL PRIMARY KEY,
    rights  TEXT NOT NULL,              -- comma list of join, publish, presence
    echo    INTEGER NOT NULL DEFAULT 1  -- a pusher gets its own message too
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
    AND new.echo IN (0, 1),
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
        ELSE RAISE(ABORT, 'rights: a list of join, publish, presence with commas and no blanks')
    END;
END;

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

-- Long-poll sessions; written by our processes only. `joined`, `ended` and
-- frames.id are ids of the one order.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL                 -- milliseconds since 1970
) WITHOUT ROWID;

CREATE TABLE memberships (
    session  TEXT NOT NULL,
    joined   INTEGER NOT NULL,
    topic    TEXT NOT NULL,
    join_ref TEXT NOT NULL,             -- the JSON value as the client wrote it
    since    INTEGER,                   -- NULL: joined without a cursor
    ended    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, joined)
) WITHOUT ROWID;

CREATE TABLE frames (
    id      INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    text    TEXT NOT NULL
);
CREATE INDEX frames_session ON frames (session);

INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', 0);
INSERT INTO meta (name, value) VALUES
    ('epoch', ''), ('boot', ''), ('rights_rev', 1), ('max_payload', 65536);

PRAGMA application_id = 0x48464a31;
PRAGMA user_version = 1;
