-- 002_retention.sql - from version 1 to 2: retention, and payloads taken away
--
-- Runs in one transaction; what an earlier file made and this one replaces is
-- dropped first. Each statement that creates or drops something begins at the
-- start of a line and names one thing: the last word on a name is what the file
-- must hold.

-- Messages whose payload was taken away (`holdfast redact`). The id and all
-- else of the message stay, so that readers count on as before.
CREATE TABLE redacted (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL                    -- milliseconds since 1970
       DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
);

-- Retention raises the row of topic '' first, the cut for all topics, and what
-- lies at or below it needs no row per topic: with a million topics these
-- would be a million rows that nobody ever reads.
DROP TRIGGER messages_deleted;
CREATE TRIGGER messages_deleted AFTER DELETE ON messages
WHEN old.id > coalesce((SELECT through FROM trimmed WHERE topic = ''), 0)
BEGIN
    INSERT INTO trimmed (topic, through) VALUES (old.topic, old.id)
        ON CONFLICT (topic) DO UPDATE SET through = excluded.through
        WHERE excluded.through > through;
END;

CREATE TRIGGER redacted_deleted AFTER DELETE ON messages
BEGIN
    DELETE FROM redacted WHERE id = old.id;
END;

-- The one change a row allows: its payload becomes {}, or x'' when kind is 1.
DROP TRIGGER messages_frozen;
CREATE TRIGGER messages_frozen BEFORE UPDATE ON messages
WHEN NOT coalesce(
    new.id = old.id
    AND new.topic = old.topic
    AND new.event = old.event
    AND new.kind = old.kind
    AND new.at = old.at
    AND new.publisher IS old.publisher
    AND new.key IS old.key
    AND new.skip IS old.skip
    AND CASE new.kind
        WHEN 0 THEN typeof(new.payload) = 'text' AND new.payload = '{}'
        WHEN 1 THEN typeof(new.payload) = 'blob' AND new.payload = x''
        ELSE 0 END,
    0)
BEGIN
    SELECT RAISE(ABORT, 'messages: rows are never changed; insert another one (only a payload may be emptied: {}, or x'''' when kind is 1)');
END;

-- Processes keep the newest messages of a topic in memory; the number tells
-- them to look again.
CREATE TRIGGER messages_redacted AFTER UPDATE ON messages
BEGIN
    INSERT INTO redacted (id) VALUES (new.id) ON CONFLICT (id) DO NOTHING;
    UPDATE meta SET value = value + 1 WHERE name = 'redacted_rev';
END;

-- As before; and when the first message's payload was taken away, no payload
-- can be told from it, so that a repeat stays a repeat.
DROP TRIGGER messages_repeat;
CREATE TRIGGER messages_repeat BEFORE INSERT ON messages
WHEN new.key IS NOT NULL AND EXISTS (SELECT 1 FROM messages
    WHERE publisher = new.publisher AND key = new.key)
BEGIN
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM messages AS first
            WHERE publisher = new.publisher AND key = new.key
            AND topic = new.topic AND event = new.event
            AND kind = new.kind
            AND (payload = new.payload
                 OR EXISTS (SELECT 1 FROM redacted WHERE id = first.id)))
            THEN RAISE(IGNORE)
        ELSE RAISE(ABORT, 'key: used before by this publisher for another message')
    END;
END;

-- An id that is there already: messages_place would say the same, but after the
-- insert, to which OR IGNORE and ON CONFLICT DO NOTHING do not come. Where the
-- id is left out it is -1 before the insert.
CREATE TRIGGER messages_taken BEFORE INSERT ON messages
WHEN new.id > 0 AND EXISTS (SELECT 1 FROM messages WHERE id = new.id)
BEGIN
    SELECT RAISE(ABORT, 'id: given by the journal; leave it out');
END;

INSERT INTO meta (name, value) VALUES ('redacted_rev', 0);

PRAGMA user_version = 2;
