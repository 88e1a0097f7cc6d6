/*
 * limits.h - every number of the protocol, with its unit and its reason
 *
 * What an operator may want to change is a setting (schema/settings.h); what
 * stands here is part of the protocol or bounds our own work.
 */
#ifndef HF_CHANNEL_LIMITS_H
#define HF_CHANNEL_LIMITS_H

/* Bytes of a topic or an event; the journal's CHECK says the same (D2). */
#define HF_TOPIC_MAX 200u
#define HF_EVENT_MAX 200u

/* Bytes of ref and join_ref as JSON text. Clients use short decimal strings; a
 * binary frame could carry at most 255. */
#define HF_REF_MAX 255u

/* Nested arrays and objects in a frame. SQLite's json_valid allows 2000 and
 * jansson 2048; no chat needs more than this and it fits one cache line. */
#define HF_JSON_DEPTH 64u

/* Bytes of the key of a push that may be repeated (D8); the journal says the
 * same. Of a visitor without a name it must not be guessed: 128 random bits in
 * base64 are 22 characters. */
#define HF_KEY_MAX       128u
#define HF_KEY_ANONYMOUS 22u

/* Bytes of a cursor in text form, see cursor.h (D7). */
#define HF_CURSOR_MAX 40u

/* Bytes of a poll token in text form, see token.h. Phoenix's have about 220. */
#define HF_TOKEN_MAX 256u

/* Older rows a join may ask for with `last`: a screenful of chat, many times. */
#define HF_LAST_MAX 1000

/* A replay as Supabase has it: rows unless it says how many, rows at most (both
 * as there), and what is looked through for them, newest first. */
#define HF_REPLAY_ROWS     10
#define HF_REPLAY_ROWS_MAX 25
#define HF_REPLAY_LOOK     1000u
#define HF_REPLAY_BYTES    (1024u * 1024u)

/* Encoded rows a topic's ring keeps for members that are a little behind, and
 * their bytes; whoever is further behind refills from the journal (D1). */
#define HF_RING_ROWS  256u
#define HF_RING_BYTES (256u * 1024u)

/* Payload bytes that the rings of all topics hold together: the quietest let go.
 * And how long one keeps rows that nobody added to, ms; up to twice that. */
#define HF_RINGS_BYTES   (32u * 1024u * 1024u)
#define HF_RING_QUIET_MS 10000

/* So many members make it worthwhile to read what one of them missed into the
 * ring, where the others find it; and so many rows at most, for a ring is to have
 * room for live ones too. */
#define HF_CROWD      4u
#define HF_CROWD_ROWS (HF_RING_ROWS / 2)

/* Encodings kept of one row, one for each distinct join_ref. Clients count refs
 * alike, so there are few; odd ones are encoded for each member anew. */
#define HF_ENCODINGS_MAX 16u

/* Rows a tail or a refill reads at once, and their payload bytes. */
#define HF_PAGE_ROWS  128u
#define HF_PAGE_BYTES (256u * 1024u)

/* In a flood the next page waits for the transport, at most so long, ms. */
#define HF_FLOOD_WAIT_MS 1000

/* Rows that refills may read in one turn of the loop, all members together. */
#define HF_REFILL_TURN 2048u

/* Replies and answers that wait for one client on a WebSocket, and their bytes,
 * for a reply may repeat a long topic: with so many it is not read from until
 * half of them are gone. What was read before, 64 KiB at most, is still answered;
 * with what that cannot be it is closed with 1008. */
#define HF_REPLIES_FULL       1024u
#define HF_REPLIES_FULL_BYTES (512u * 1024u)
#define HF_REPLIES_MAX        4096u
#define HF_REPLIES_BYTES      (1024u * 1024u)

/* Client frames that wait for an answer of the application or behind an
 * unfinished leave, per client (G8), and their bytes. */
#define HF_STALLED_MAX   256u
#define HF_STALLED_BYTES (1024u * 1024u)

/* Messages and bytes in one long-poll answer; a web server's buffer takes so
 * much without blocking (measured, gateway section 3). One larger message goes
 * alone. */
#define HF_ANSWER_MESSAGES 500u
#define HF_ANSWER_BYTES    (128u * 1024u)

/* Lines of one POST. Phoenix drops what is beyond 100 without a word; we take
 * all of a larger batch up to here, then refuse the whole. */
#define HF_POST_LINES 1000u

/* All hooks of one POST together, ms: clients wait 20 s for its answer. And how
 * long it waits for another POST of its session. */
#define HF_POST_HOOKS_MS 12000
#define HF_POST_WAIT_MS  15000

/* A poll that has joined nothing is held so long at most, ms (D14). */
#define HF_HOLD_UNJOINED_MS 2000

/* The longest hold for a client that is not ours, ms (D14). Its session lives for
 * so long after it was seen last; when it has joined nothing, for that long. */
#define HF_HOLD_STOCK_MS   10000
#define HF_STOCK_LIFE_MS   15000
#define HF_STOCK_COMING_MS 5000

/* And for ours, whatever is set: they take one of 40 s for lost. */
#define HF_HOLD_PACED_MS 35000

/* Who has sent something within this time is active, ms; it is noted so often
 * at most. */
#define HF_ACTIVE_MS      60000
#define HF_ACTIVE_NOTE_MS 10000

/* The longest pause a client is asked for, ms; and over how long those come back
 * that are all answered at once. */
#define HF_NEXT_MS_MAX 30000
#define HF_SCATTER_MS  1000

/* A row whose `at` is older, ms, when it is read was not given it by its insert,
 * so nothing is known of how long it took to get here. */
#define HF_WAKEUP_MAX_MS (3600 * 1000LL)

/* Two answers with status 204 to one session are at least so far apart, ms. */
#define HF_EMPTY_SPACING_MS 1000

/* Life of a poll token from its session's birth, ms: 24 h (D10). */
#define HF_TOKEN_LIFE_MS (24 * 3600 * 1000LL)

#endif
