-- live.sql - live.db: what is not history (live.h); private, made anew at will
--
-- Times are milliseconds since boot (CLOCK_BOOTTIME), so what another boot left
-- behind means nothing; `boot` tells.

CREATE TABLE boot (
    id TEXT NOT NULL
);

CREATE TABLE leases (
    session TEXT NOT NULL PRIMARY KEY,  -- or '@' and a lease of another kind
    seen_ms INTEGER NOT NULL,
    poll_no INTEGER NOT NULL DEFAULT 0, -- of the newest poll that was parked
    reply_n INTEGER NOT NULL DEFAULT 0, -- last number given in replies
    -- How often it may push and join until it has a row in the journal: as in
    -- its sessions, of the wall clock. A join alone can come before the first.
    push_due INTEGER NOT NULL DEFAULT 0,
    join_due INTEGER NOT NULL DEFAULT 0,
    -- What it counts as among those who hold requests open (live.h), when a poll
    -- of it was parked last, and when it sent something, to ten seconds.
    stock INTEGER NOT NULL DEFAULT 0,
    parked_ms INTEGER NOT NULL DEFAULT 0,
    parked_by INTEGER NOT NULL DEFAULT 0, -- by which connection to live.db
    active_ms INTEGER NOT NULL DEFAULT 0,
    -- Up to where it had shown, when it was parked last, that it has everything;
    -- for people (`holdfast explain`).
    shown INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX leases_seen ON leases (seen_ms);
CREATE INDEX leases_stock ON leases (seen_ms) WHERE stock > 0;

-- Replies that need no place in the journal (live.h). Their session has a lease.
CREATE TABLE replies (
    session TEXT NOT NULL,
    n       INTEGER NOT NULL,           -- from 1, per session
    text    TEXT NOT NULL,
    PRIMARY KEY (session, n)
) WITHOUT ROWID;

-- Whose a session is that has joined nothing yet (sessions.h); it has a lease.
CREATE TABLE owners (
    session TEXT NOT NULL PRIMARY KEY,
    user    TEXT NOT NULL,
    claims  TEXT NOT NULL,
    expires INTEGER NOT NULL,           -- wall clock, milliseconds since 1970
    born    INTEGER NOT NULL,
    params  TEXT NOT NULL               -- of its connect, for hooks
) WITHOUT ROWID;

-- When leases are looked at for presences next (leases.h). One row.
CREATE TABLE reaper (
    due_ms INTEGER NOT NULL
);

INSERT INTO boot (id) VALUES ('');
INSERT INTO reaper (due_ms) VALUES (0);

PRAGMA application_id = 0x48464c31;
PRAGMA user_version = 6;
