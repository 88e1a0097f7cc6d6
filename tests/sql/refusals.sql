-- refusals.sql - what provokes each refusal of docs/SQL.md, read by refusals.sh
--
--   ! WORDS      the statements that follow are refused with these words
--   + STATEMENT  is run before each of them, in the same transaction
--   STATEMENT    one a line; one that begins with INSERT INTO is also tried
--                with OR IGNORE, OR REPLACE, OR FAIL and ON CONFLICT DO NOTHING,
--                an UPDATE with OR IGNORE and OR REPLACE
--
-- All of it is rolled back.

! topic: a text is needed
INSERT INTO messages (topic, event, payload) VALUES (NULL, 'e', '{}')
INSERT INTO messages (event, payload) VALUES ('e', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('', 'e', '{}')
INSERT INTO messages (topic, event, payload) VALUES (x'6162', 'e', '{}')

! topic: longer than 200 bytes
INSERT INTO messages (topic, event, payload) VALUES (printf('%.*c', 201, 'x'), 'e', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('é' || printf('%.*c', 199, 'x'), 'e', '{}')

! topic: control characters are not allowed
INSERT INTO messages (topic, event, payload) VALUES ('a' || char(10) || 'b', 'e', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('a' || char(127), 'e', '{}')
INSERT INTO messages (topic, event, payload) VALUES (CAST(x'610062' AS TEXT), 'e', '{}')

! event: a text is needed
INSERT INTO messages (topic, event, payload) VALUES ('t', NULL, '{}')
INSERT INTO messages (topic, payload) VALUES ('t', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('t', '', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('t', x'6162', '{}')

! event: longer than 200 bytes
INSERT INTO messages (topic, event, payload) VALUES ('t', printf('%.*c', 201, 'x'), '{}')

! event: control characters are not allowed
INSERT INTO messages (topic, event, payload) VALUES ('t', 'a' || char(9), '{}')
INSERT INTO messages (topic, event, payload) VALUES ('t', CAST(x'610062' AS TEXT), '{}')

! event: phx_* and chan_reply_* belong to the protocol
INSERT INTO messages (topic, event, payload) VALUES ('t', 'phx_reply', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('t', 'phx_', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('t', 'chan_reply_1', '{}')

! event: disconnect is for topics user_socket:<id>
INSERT INTO messages (topic, event, payload) VALUES ('room:lobby', 'disconnect', '{}')
INSERT INTO messages (topic, event, payload) VALUES ('user_socket:', 'disconnect', '{}')

! payload: must not be NULL; {} is an empty one
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', NULL)
INSERT INTO messages (topic, event) VALUES ('t', 'e')

! payload: not valid JSON
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', 'hello')
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', '')
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', '{"a":')
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', CAST(x'7b7d00' AS TEXT))

! payload: JSON must be bound as text, not as BLOB
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', x'7b7d')

! payload: longer than max_payload of holdfast.conf
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', '"' || printf('%.*c', 65535, 'x') || '"')
INSERT INTO messages (topic, event, payload, kind) VALUES ('t', 'e', zeroblob(65537), 1)

! payload: a BLOB is needed when kind is 1
INSERT INTO messages (topic, event, payload, kind) VALUES ('t', 'e', '{}', 1)

! kind: 0 (JSON text) or 1 (bytes)
INSERT INTO messages (topic, event, payload, kind) VALUES ('t', 'e', '{}', 2)
INSERT INTO messages (topic, event, payload, kind) VALUES ('t', 'e', '{}', NULL)
INSERT INTO messages (topic, event, payload, kind) VALUES ('t', 'e', '{}', 'json')

! at: milliseconds since 1970, or leave it out
INSERT INTO messages (topic, event, payload, at) VALUES ('t', 'e', '{}', 'now')
INSERT INTO messages (topic, event, payload, at) VALUES ('t', 'e', '{}', 1.5)
INSERT INTO messages (topic, event, payload, at) VALUES ('t', 'e', '{}', NULL)

! key: a text of 1 to 128 bytes
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'e', '{}', 'p', '')
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'e', '{}', 'p', x'61')
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'e', '{}', 'p', printf('%.*c', 129, 'x'))

! key: needs a publisher, within which it is unique
INSERT INTO messages (topic, event, payload, key) VALUES ('t', 'e', '{}', 'k')

! key: used before by this publisher for another message
+ INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'e', '{}', 'p', 'k')
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('other', 'e', '{}', 'p', 'k')
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'other', '{}', 'p', 'k')
INSERT INTO messages (topic, event, payload, publisher, key) VALUES ('t', 'e', '{ }', 'p', 'k')

! publisher: a text of 1 to 255 bytes
INSERT INTO messages (topic, event, payload, publisher) VALUES ('t', 'e', '{}', '')
INSERT INTO messages (topic, event, payload, publisher) VALUES ('t', 'e', '{}', x'61')
INSERT INTO messages (topic, event, payload, publisher) VALUES ('t', 'e', '{}', printf('%.*c', 256, 'x'))

! skip: a text of 1 to 128 bytes
INSERT INTO messages (topic, event, payload, skip) VALUES ('t', 'e', '{}', '')
INSERT INTO messages (topic, event, payload, skip) VALUES ('t', 'e', '{}', x'61')
INSERT INTO messages (topic, event, payload, skip) VALUES ('t', 'e', '{}', printf('%.*c', 129, 'x'))

! id: given by the journal; leave it out
INSERT INTO messages (id, topic, event, payload) VALUES (1, 't', 'e', '{}')
INSERT INTO messages (id, topic, event, payload) VALUES (0, 't', 'e', '{}')
INSERT INTO messages (id, topic, event, payload) VALUES (-7, 't', 'e', '{}')
INSERT INTO messages (id, topic, event, payload) VALUES (9223372036854775807, 't', 'e', '{}')
INSERT INTO messages (id, topic, event, payload) SELECT seq + 2, 't', 'e', '{}' FROM sqlite_sequence WHERE name = 'messages'

! id: sqlite_sequence was lowered and this id was given before; Holdfast repairs it when it is opened
+ DELETE FROM messages
+ UPDATE sqlite_sequence SET seq = 0 WHERE name = 'messages'
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', '{}')

! id: the row of messages in sqlite_sequence is missing; Holdfast puts it back when it is opened
+ DELETE FROM sqlite_sequence
INSERT INTO messages (topic, event, payload) VALUES ('t', 'e', '{}')

! messages: rows are never changed; insert another one (only a payload may be emptied: {}, or x'' when kind is 1)
UPDATE messages SET payload = '{"changed": true}'
UPDATE messages SET topic = 'elsewhere'
UPDATE messages SET id = id + 1000
UPDATE messages SET payload = '{}', event = 'other'
UPDATE messages SET payload = x'', kind = 1
UPDATE messages SET payload = NULL

! pattern: 1 to 200 bytes
INSERT INTO policies (pattern, rights) VALUES ('', 'join')
INSERT INTO policies (pattern, rights) VALUES (NULL, 'join')
INSERT INTO policies (rights) VALUES ('join')
INSERT INTO policies (pattern, rights) VALUES (printf('%.*c', 201, 'x'), 'join')

! pattern: control characters are not allowed
INSERT INTO policies (pattern, rights) VALUES ('a' || char(10), 'join')
INSERT INTO policies (pattern, rights) VALUES (CAST(x'610062' AS TEXT), 'join')

! pattern: one * is allowed, at the end
INSERT INTO policies (pattern, rights) VALUES ('room:*:a', 'join')
INSERT INTO policies (pattern, rights) VALUES ('**', 'join')

! rights: a list of join, publish, presence with commas and no blanks
INSERT INTO policies (pattern, rights) VALUES ('p', 'join, publish')
INSERT INTO policies (pattern, rights) VALUES ('p', 'JOIN')
INSERT INTO policies (pattern, rights) VALUES ('p', '')
INSERT INTO policies (pattern, rights) VALUES ('p', NULL)
INSERT INTO policies (pattern) VALUES ('p')
INSERT INTO policies (pattern, rights) VALUES ('p', 'join,')

! echo: 0 or 1
INSERT INTO policies (pattern, rights, echo) VALUES ('p', 'join', 2)
INSERT INTO policies (pattern, rights, echo) VALUES ('p', 'join', NULL)

! rate: messages per second, 1 to 1000, or 0 for any number
INSERT INTO policies (pattern, rights, rate) VALUES ('p', 'join', -1)
INSERT INTO policies (pattern, rights, rate) VALUES ('p', 'join', 1001)
INSERT INTO policies (pattern, rights, rate) VALUES ('p', 'join', 1.5)
INSERT INTO policies (pattern, rights, rate) VALUES ('p', 'join', NULL)

! policies: use INSERT OR REPLACE, not UPDATE
UPDATE policies SET rights = 'join'
UPDATE policies SET pattern = 'q'
