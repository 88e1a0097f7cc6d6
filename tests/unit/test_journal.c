#include "schema/journal.h"

#include "schema_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/crypto.h"
#include "base/sys.h"
#include "schema/bell.h"
#include "schema/failed.h"
#include "schema/journal_impl.h"
#include "schema/sessions.h"

#define LEAP (UINT64_C(1) << 20)

/* Every sync of SQLite goes through here. */
static unsigned syncs;
static bool syncs_fail;
int fdatasync(int fd);
int fsync(int fd);

int fdatasync(int fd)
{
    syncs++;
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fdatasync(fd);
}

/* Rows that a reading gave, as "id:topic/event=payload " and so on. */
static char seen[4096];
static int stop_at; /* refuse the row with this id */

static int note(void *ctx, const struct hf_row *row)
{
    size_t len = strlen(seen);

    (void)ctx;
    if (stop_at > 0 && row->id == (uint64_t)stop_at)
        return HF_ELIMIT;
    (void)snprintf(seen + len, sizeof(seen) - len, "%llu:%.*s/%.*s=%.*s ",
                   (unsigned long long)row->id, HF_STR_ARG(row->topic),
                   HF_STR_ARG(row->event), HF_STR_ARG(row->payload));
    return 0;
}

static void read_all(struct hf_journal *journal, uint64_t after)
{
    uint64_t last;
    bool more;

    seen[0] = '\0';
    assert_int_equal(hf_journal_read(journal, after, 1000, 1 << 20, note, NULL,
                                     &last, &more),
                     0);
}

/* --- publishing and reading ---------------------------------------------- */

static void rows_come_back_in_order_and_verbatim(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);

    (void)state;
    assert_int_equal(publish(w, "a", "{ \"n\": 1.0e400 , \"n\": \"\\u0041\" }"),
                     1);
    assert_int_equal(publish(w, "b", "[]"), 2);
    assert_int_equal(head_of(r), 2);
    read_all(r, 0);
    assert_string_equal(seen, "1:a/say={ \"n\": 1.0e400 , \"n\": \"\\u0041\" } "
                              "2:b/say=[] ");
    read_all(r, 1);
    assert_string_equal(seen, "2:b/say=[] ");
    hf_journal_close(r);
    hf_journal_close(w);
}

static void binary_and_skip_and_time_come_back(void **state)
{
    static const char bytes[] = {0, 1, (char)0xff};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("b"),
                                 .payload = hf_str(bytes, 3),
                                 .kind = HF_KIND_BINARY,
                                 .skip = HF_STR("me")};
    uint64_t id;
    bool repeated;

    (void)state;
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    assert_int_equal(foreign_number("SELECT kind = 1 AND payload = x'0001ff'"
                                    " AND skip = 'me' AND key IS NULL"
                                    " AND publisher IS NULL FROM messages"),
                     1);
    assert_true(llabs(foreign_number("SELECT at FROM messages") -
                      hf_wall_ms()) < 10000);
    hf_journal_close(w);
}

static void a_reading_is_bounded_by_rows_and_bytes(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t last = 0;
    bool more = false;

    (void)state;
    publish(w, "a", "11111");
    publish(w, "a", "22222");
    publish(w, "a", "33333");
    seen[0] = '\0';
    assert_int_equal(hf_journal_read(w, 0, 2, 1000, note, NULL, &last, &more),
                     0);
    assert_int_equal(last, 2);
    assert_true(more);
    assert_int_equal(hf_journal_read(w, 0, 10, 6, note, NULL, &last, &more), 0);
    assert_int_equal(last, 2);
    assert_true(more);
    assert_int_equal(hf_journal_read(w, 0, 10, 1, note, NULL, &last, &more), 0);
    assert_int_equal(last, 1); /* at least one */
    assert_int_equal(hf_journal_read(w, 2, 10, 1000, note, NULL, &last, &more),
                     0);
    assert_int_equal(last, 3);
    assert_false(more);
    assert_int_equal(hf_journal_read(w, 3, 10, 1000, note, NULL, &last, &more),
                     0);
    assert_int_equal(last, 3);
    assert_false(more);
    hf_journal_close(w);
}

static void one_topic_is_read_within_bounds(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t last = 0;
    bool more = true;

    (void)state;
    publish(w, "a", "1");
    publish(w, "b", "2");
    publish(w, "a", "3");
    publish(w, "a", "4");
    seen[0] = '\0';
    assert_int_equal(hf_journal_read_topic(w, HF_STR("a"), 1, 3, 10, 1000, note,
                                           NULL, &last, &more),
                     0);
    assert_string_equal(seen, "3:a/say=3 ");
    assert_int_equal(last, 3);
    assert_false(more);
    seen[0] = '\0';
    assert_int_equal(hf_journal_read_topics(w, 1, 2, note, NULL, &last, &more),
                     0);
    assert_string_equal(seen, "2:b/= 3:a/= ");
    assert_true(more);
    hf_journal_close(w);
}

static void a_callback_may_stop_the_reading(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t last = 99;
    bool more = false;

    (void)state;
    publish(w, "a", "1");
    publish(w, "a", "2");
    stop_at = 2;
    seen[0] = '\0';
    assert_int_equal(hf_journal_read(w, 0, 10, 1000, note, NULL, &last, &more),
                     HF_ELIMIT);
    stop_at = 0;
    assert_int_equal(last, 1);
    assert_true(more);
    publish(w, "a", "3"); /* no snapshot was left open */
    hf_journal_close(w);
}

static void what_nobody_can_read_is_passed_over(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    uint64_t last = 0;
    bool more;

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
               " ('a', 'b', '1'), ('a', 'b', CAST(x'22ff22' AS TEXT)),"
               " (CAST(x'ff' AS TEXT), 'b', '3'), ('a', 'b', '4'),"
               " ('a', CAST(x'c0af' AS TEXT), '5')");
    seen[0] = '\0';
    assert_int_equal(hf_journal_read(r, 0, 10, 1000, note, NULL, &last, &more),
                     0);
    assert_string_equal(seen, "1:a/b=1 4:a/b=4 ");
    assert_int_equal(last, 5);
    hf_journal_close(r);
}

static void a_snapshot_sees_one_state(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_snapshot(r), 0);
    publish(w, "a", "2");
    assert_int_equal(head_of(r), 1);
    read_all(r, 0);
    assert_string_equal(seen, "1:a/say=1 ");
    hf_journal_snapshot_end(r);
    assert_int_equal(head_of(r), 2);
    hf_journal_close(r);
    hf_journal_close(w);
}

/* --- transactions -------------------------------------------------------- */

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {
        .topic = HF_STR("a"), .event = HF_STR("b"), .payload = HF_STR("1")};
    uint64_t id, epoch = hf_journal_epoch(w);
    bool repeated;

    (void)state;
    publish(w, "a", "0");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    assert_int_equal(head_of(w), 3); /* our own counts, while it lasts */
    hf_journal_rollback(w);
    assert_int_equal(head_of(w), 1);
    assert_int_equal(publish(w, "a", "2"), 2);
    assert_true(hf_journal_epoch(w) == epoch); /* not taken for lowered */
    hf_journal_close(w);
}

static void a_part_is_undone_alone(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {
        .topic = HF_STR("a"), .event = HF_STR("b"), .payload = HF_STR("1")};
    uint64_t id, epoch = hf_journal_epoch(w);
    bool repeated;

    (void)state;
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_part_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_part_keep(w), 0);
    assert_int_equal(hf_journal_part_begin(w), 0);
    message.payload = HF_STR("2");
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    hf_journal_part_undo(w);
    assert_int_equal(hf_journal_part_begin(w), 0);
    message.payload = HF_STR("3");
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_part_keep(w), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    read_all(w, 0);
    assert_string_equal(seen, "1:a/b=1 2:a/b=3 ");
    assert_int_equal(head_of(w), 2);
    assert_true(hf_journal_epoch(w) == epoch);
    hf_journal_close(w);
}

static void drawn_ids_and_messages_share_one_sequence(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {
        .topic = HF_STR("a"), .event = HF_STR("b"), .payload = HF_STR("1")};
    uint64_t id;
    bool repeated;

    (void)state;
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(id, 2);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    assert_int_equal(id, 3);
    assert_int_equal(hf_journal_commit(w), 0);
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', '2')");
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"), 4);
    hf_journal_close(w);
}

static void waiting_for_the_write_lock_is_bounded(void **state)
{
    struct hf_journal *w, *other;
    int64_t before_ms;

    (void)state;
    f.settings.busy_ms = 150;
    w = open_journal(HF_JOURNAL_WRITE);
    other = open_journal(HF_JOURNAL_WRITE);

    foreign_ok("BEGIN IMMEDIATE");
    before_ms = hf_boot_ms();
    assert_int_equal(hf_journal_begin(w), HF_EBUSY);
    assert_in_range(hf_boot_ms() - before_ms, 140, 900);
    foreign_ok("ROLLBACK");
    assert_int_equal(hf_journal_holder(&f.dir), 0); /* the queue was left */

    assert_int_equal(hf_journal_begin(other), 0);
    assert_int_equal(hf_journal_holder(&f.dir), getpid());
    before_ms = hf_boot_ms();
    assert_int_equal(hf_journal_begin(w), HF_EBUSY);
    assert_in_range(hf_boot_ms() - before_ms, 140, 1500);
    assert_int_equal(hf_journal_commit(other), 0);
    assert_int_equal(hf_journal_holder(&f.dir), 0);

    publish(w, "a", "1");
    hf_journal_close(other);
    hf_journal_close(w);
}

static void full_durability_syncs_before_commit_returns(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {
        .topic = HF_STR("a"), .event = HF_STR("b"), .payload = HF_STR("1")};
    uint64_t id;
    bool repeated;

    (void)state;
    publish(w, "a", "0");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    syncs = 0;
    assert_int_equal(hf_journal_commit(w), 0);
    assert_true(syncs > 0);
    hf_journal_close(w);
}

static void normal_durability_does_not_sync_each_commit(void **state)
{
    struct hf_journal *w;

    (void)state;
    f.settings.durability = HF_DURABILITY_NORMAL;
    w = open_journal(HF_JOURNAL_WRITE);
    publish(w, "a", "0");
    syncs = 0;
    publish(w, "a", "1");
    assert_int_equal(syncs, 0);
    hf_journal_close(w);
}

static void a_failed_sync_is_no_commit(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {
        .topic = HF_STR("a"), .event = HF_STR("b"), .payload = HF_STR("1")};
    uint64_t id;
    bool repeated;
    int err;

    (void)state;
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    syncs_fail = true;
    err = hf_journal_commit(w);
    syncs_fail = false; /* before anything can end this test */
    assert_int_equal(err, HF_EFAILED);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 0);
    assert_true(hf_failed(&f.dir));
    assert_int_equal(hf_journal_begin(w), HF_EFAILED);
    assert_int_equal(hf_journal_holder(&f.dir), 0);
    hf_journal_close(w);
}

static void after_sqlite_gave_up_no_part_is_kept(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    assert_int_equal(hf_journal_part_begin(w), HF_ESTORE); /* no transaction */
    assert_int_equal(hf_journal_commit(w), HF_ESTORE);
    hf_journal_close(w);
}

/* --- keys ---------------------------------------------------------------- */

static int append_keyed(struct hf_journal *w, const char *publisher,
                        const char *key, const char *payload, uint64_t *id,
                        bool *repeated)
{
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("b"),
                                 .payload = hf_str_of(payload),
                                 .publisher = hf_str_of(publisher),
                                 .key = hf_str_of(key)};
    int err;

    assert_int_equal(hf_journal_begin(w), 0);
    err = hf_journal_append(w, &message, id, repeated);
    if (err)
        hf_journal_rollback(w);
    else
        assert_int_equal(hf_journal_commit(w), 0);
    return err;
}

static void a_repeated_key_gives_the_first_id(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    bool repeated = true;
    uint64_t id = 0;

    (void)state;
    assert_int_equal(append_keyed(w, "me", "k", "1", &id, &repeated), 0);
    assert_int_equal(id, 1);
    assert_false(repeated);
    publish(w, "a", "0");
    assert_int_equal(append_keyed(w, "me", "k", "1", &id, &repeated), 0);
    assert_int_equal(id, 1);
    assert_true(repeated);
    assert_int_equal(append_keyed(w, "me", "k", "2", &id, &repeated),
                     HF_ECONFLICT);
    assert_int_equal(append_keyed(w, "you", "k", "2", &id, &repeated), 0);
    assert_int_equal(id, 3);
    assert_int_equal(append_keyed(w, "", "k", "2", &id, &repeated), HF_EINVAL);
    assert_string_equal(hf_journal_refusal(w),
                        "key: needs a publisher, within which it is unique");
    hf_journal_close(w);
}

static int append_after(struct hf_journal *w, const char *publisher,
                        const char *key, const char *after, uint64_t *id)
{
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("b"),
                                 .payload = HF_STR("1"),
                                 .publisher = hf_str_of(publisher),
                                 .key = hf_str_of(key),
                                 .after = hf_str_of(after)};
    bool repeated;
    int err;

    assert_int_equal(hf_journal_begin(w), 0);
    err = hf_journal_append(w, &message, id, &repeated);
    assert_int_equal(hf_journal_commit(w), 0); /* a refusal adds nothing */
    return err;
}

static void a_message_comes_behind_the_one_it_names_or_not_at_all(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t id = 0;

    (void)state;
    assert_int_equal(append_after(w, "me", "k2", "k1", &id), HF_EAGAIN);
    assert_int_equal(append_after(w, "me", "k1", "", &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(append_after(w, "you", "k2", "k1", &id), HF_EAGAIN);
    assert_int_equal(append_after(w, "me", "k2", "k1", &id), 0);
    assert_int_equal(id, 2);
    /* a repeat is there already, whatever it names */
    assert_int_equal(append_after(w, "me", "k1", "k9", &id), 0);
    assert_int_equal(id, 1);
    hf_journal_close(w);
}

static void a_script_may_repeat_a_key_in_any_way(void **state)
{
    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('a', 'b', '1', 'me', 'k')");
    foreign_ok(
        "INSERT INTO messages (topic, event, payload, publisher, key)"
        " VALUES ('a', 'b', '1', 'me', 'k'), ('a', 'b', '2', 'me', 'l')");
    foreign_ok("INSERT OR IGNORE INTO messages"
               " (topic, event, payload, publisher, key)"
               " VALUES ('a', 'b', '1', 'me', 'k')");
    foreign_ok("INSERT OR REPLACE INTO messages"
               " (topic, event, payload, publisher, key)"
               " VALUES ('a', 'b', '1', 'me', 'k')");
    foreign_ok(
        "INSERT INTO messages (topic, event, payload, publisher, key)"
        " VALUES ('a', 'b', '1', 'me', 'k')"
        " ON CONFLICT (publisher, key) WHERE key IS NOT NULL DO NOTHING");
    assert_string_equal(
        foreign_run("INSERT OR REPLACE INTO messages"
                    " (topic, event, payload, publisher, key)"
                    " VALUES ('a', 'b', '2', 'me', 'k')"),
        "key: used before by this publisher for another message");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 2);
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"), 2);
}

/* --- what is refused ----------------------------------------------------- */

static void refused(const char *values, const char *words)
{
    static const char *const verbs[] = {"INSERT", "INSERT OR IGNORE",
                                        "INSERT OR REPLACE", "INSERT OR FAIL"};
    char sql[1024];
    size_t i;

    for (i = 0; i < 4; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "%s INTO messages (topic, event,"
                       " payload, kind, publisher, key, skip, at) VALUES (%s)",
                       verbs[i], values);
        if (strcmp(foreign_run(sql), words) != 0)
            fail_msg("%s\nsays: %s\nnot:  %s", sql, foreign_run(sql), words);
    }
}

static void what_a_script_gets_wrong_is_named(void **state)
{
    (void)state;
#define REST ", 0, NULL, NULL, NULL, 1"
    refused("NULL, 'b', '1'" REST, "topic: a text is needed");
    refused("'', 'b', '1'" REST, "topic: a text is needed");
    refused("x'41', 'b', '1'" REST, "topic: a text is needed");
    refused("printf('%201d', 1), 'b', '1'" REST,
            "topic: longer than 200 bytes");
    refused("printf('%.*c', 101, 'é'), 'b', '1'" REST,
            "topic: longer than 200 bytes");
    refused("'a' || char(10), 'b', '1'" REST,
            "topic: control characters are not allowed");
    refused("'a' || char(127), 'b', '1'" REST,
            "topic: control characters are not allowed");
    refused("'a' || char(0) || 'b', 'b', '1'" REST,
            "topic: control characters are not allowed");
    refused("'a', NULL, '1'" REST, "event: a text is needed");
    refused("'a', printf('%201d', 1), '1'" REST,
            "event: longer than 200 bytes");
    refused("'a', char(9), '1'" REST,
            "event: control characters are not allowed");
    refused("'a', 'phx_reply', '1'" REST,
            "event: phx_* and chan_reply_* belong to the protocol");
    refused("'a', 'chan_reply_1', '1'" REST,
            "event: phx_* and chan_reply_* belong to the protocol");
    refused("'a', 'disconnect', '1'" REST,
            "event: disconnect is for topics user_socket:<id>");
    refused("'user_socket:', 'disconnect', '1'" REST,
            "event: disconnect is for topics user_socket:<id>");
    refused("'a', 'b', NULL" REST,
            "payload: must not be NULL; {} is an empty one");
    refused("'a', 'b', '{\"a\":'" REST, "payload: not valid JSON");
    refused("'a', 'b', ''" REST, "payload: not valid JSON");
    refused("'a', 'b', 'hello'" REST, "payload: not valid JSON");
    refused("'a', 'b', '1' || char(0)" REST, "payload: not valid JSON");
    refused("'a', 'b', x'7b7d'" REST,
            "payload: JSON must be bound as text, not as BLOB");
    refused("'a', 'b', printf('%65537d', 1)" REST,
            "payload: longer than max_payload of holdfast.conf");
    refused("'a', 'b', '1', 1, NULL, NULL, NULL, 1",
            "payload: a BLOB is needed when kind is 1");
    refused("'a', 'b', zeroblob(65537), 1, NULL, NULL, NULL, 1",
            "payload: longer than max_payload of holdfast.conf");
    refused("'a', 'b', '1', 2, NULL, NULL, NULL, 1",
            "kind: 0 (JSON text) or 1 (bytes)");
    refused("'a', 'b', '1', NULL, NULL, NULL, NULL, 1",
            "kind: 0 (JSON text) or 1 (bytes)");
    refused("'a', 'b', '1', 0, NULL, 'k', NULL, 1",
            "key: needs a publisher, within which it is unique");
    refused("'a', 'b', '1', 0, 'p', '', NULL, 1",
            "key: a text of 1 to 128 bytes");
    refused("'a', 'b', '1', 0, 'p', printf('%129d', 1), NULL, 1",
            "key: a text of 1 to 128 bytes");
    refused("'a', 'b', '1', 0, printf('%256d', 1), 'k', NULL, 1",
            "publisher: a text of 1 to 255 bytes");
    refused("'a', 'b', '1', 0, NULL, NULL, '', 1",
            "skip: a text of 1 to 128 bytes");
    refused("'a', 'b', '1', 0, NULL, NULL, NULL, 'today'",
            "at: milliseconds since 1970, or leave it out");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 0);
    assert_int_equal(foreign_number("SELECT seq FROM sqlite_sequence"), 0);
}

static void what_is_just_allowed_is_taken(void **state)
{
    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
               " (printf('%200d', 1), printf('%200d', 1), '1'),"
               " ('user_socket:1', 'disconnect', '{}'),"
               " ('a', 'presence_diff', '{}'), ('a', 'b', 42),"
               " ('a', 'b', printf('%65536d', 1)), ('é', '*[]?', '\"é\"')");
    foreign_ok("INSERT INTO messages (topic, event, payload, kind)"
               " VALUES ('a', 'b', x'', 1), ('a', 'b', x'00ff', 1)");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 8);
}

static void our_own_publishes_meet_the_same_rules(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("phx_join"),
                                 .payload = HF_STR("1")};
    static char big[65537];
    uint64_t id;
    bool repeated;

    (void)state;
    memset(big, '1', sizeof(big));
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), HF_EINVAL);
    assert_string_equal(hf_journal_refusal(w),
                        "event: phx_* and chan_reply_* belong to the protocol");
    message.event = HF_STR("b");
    message.payload = HF_STR("\"\xff\"");
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), HF_EINVAL);
    assert_string_equal(hf_journal_refusal(w), "payload: not valid JSON");
    message.payload = hf_str(big, sizeof(big));
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), HF_ELIMIT);
    message.payload = hf_str(big, sizeof(big) - 1);
    assert_int_equal(hf_journal_append(w, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    hf_journal_close(w);
}

static void max_payload_of_the_settings_is_the_scripts_limit_too(void **state)
{
    (void)state;
    f.settings.max_payload = 100;
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', printf('%100d', 1))");
    assert_string_equal(
        foreign_run("INSERT INTO messages (topic, event, payload)"
                    " VALUES ('a', 'b', printf('%101d', 1))"),
        "payload: longer than max_payload of holdfast.conf");
}

static void rows_are_never_changed(void **state)
{
    static const char words[] =
        "messages: rows are never changed; insert another one"
        " (only a payload may be emptied: {}, or x'' when kind is 1)";

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('a', 'b', '1', 'me', 'k')");
    assert_string_equal(foreign_run("UPDATE messages SET payload = '2'"),
                        words);
    assert_string_equal(foreign_run("UPDATE OR REPLACE messages SET id = 7"),
                        words);
    assert_string_equal(
        foreign_run("INSERT INTO messages (id, topic, event, payload)"
                    " VALUES (1, 'a', 'b', '2')"
                    " ON CONFLICT (id) DO UPDATE SET payload = '2'"),
        "id: given by the journal; leave it out");
    assert_string_equal(
        foreign_run("INSERT INTO messages (topic, event, payload, publisher,"
                    " key) SELECT topic, event, payload, publisher, 'l'"
                    " FROM messages WHERE true ON CONFLICT (publisher, key)"
                    " WHERE key IS NOT NULL DO UPDATE SET payload = '2'"),
        "");
    assert_string_equal(foreign_run("UPDATE messages SET key = 'm'"), words);
}

/* --- ids are never given twice ------------------------------------------- */

#define INSERT_ONE                                                             \
    "INSERT INTO messages (topic, event, payload) VALUES ('a', 'b', '1')"

static void explicit_ids_are_refused(void **state)
{
    static const char *const ids[] = {
        "-1", "0", "1", "2", "3", "5", "1000000", "9223372036854775807",
    };
    static const char *const verbs[] = {"INSERT", "INSERT OR REPLACE",
                                        "REPLACE"};
    char sql[256];
    size_t i, v;

    (void)state;
    foreign_ok(INSERT_ONE);
    foreign_ok(INSERT_ONE);
    foreign_ok(INSERT_ONE);
    foreign_ok("DELETE FROM messages WHERE id = 2");
    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        for (v = 0; v < 3; v++) {
            (void)snprintf(sql, sizeof(sql),
                           "%s INTO messages (id, topic, event, payload)"
                           " VALUES (%s, 'a', 'b', '2')",
                           verbs[v], ids[i]);
            if (foreign_run(sql)[0] == '\0')
                fail_msg("taken: %s", sql);
        }
    }
    assert_int_equal(
        foreign_number("SELECT count(*) FROM messages WHERE payload = '1'"), 2);
    assert_string_equal(
        foreign_run("INSERT INTO messages (id, topic, event, payload)"
                    " VALUES (4, 'a', 'b', '1'), (6, 'a', 'b', '1')"),
        "id: given by the journal; leave it out");
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', '1'), ('a', 'b', '1'), ('a', 'b', '1')");
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"), 6);
}

static void a_deleted_id_is_not_given_again(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t through = 0;

    (void)state;
    publish(w, "a", "1");
    publish(w, "b", "2");
    publish(w, "b", "3");
    foreign_ok("DELETE FROM messages WHERE id = 3");
    assert_int_equal(publish(w, "a", "4"), 4);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("b"), &through), 0);
    assert_int_equal(through, 3);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("a"), &through), 0);
    assert_int_equal(through, 0);
    foreign_ok("DELETE FROM messages");
    assert_int_equal(hf_journal_trimmed(w, HF_STR("a"), &through), 0);
    assert_int_equal(through, 4);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("b"), &through), 0);
    assert_int_equal(through, 3); /* the older row did not lower it */
    assert_int_equal(publish(w, "a", "5"), 5);
    hf_journal_close(w);
}

static void the_watermark_counts_for_every_topic(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t through = 0;

    (void)state;
    publish(w, "a", "1");
    foreign_ok("INSERT INTO trimmed (topic, through) VALUES ('', 1)");
    assert_int_equal(hf_journal_trimmed(w, HF_STR("never"), &through), 0);
    assert_int_equal(through, 1);
    hf_journal_close(w);
}

static void without_its_sequence_nothing_is_inserted(void **state)
{
    struct hf_journal *w, *r;
    uint64_t epoch;

    (void)state;
    foreign_ok(INSERT_ONE);
    foreign_ok(INSERT_ONE);
    foreign_ok("DELETE FROM messages; DELETE FROM sqlite_sequence");
    assert_string_equal(foreign_run(INSERT_ONE),
                        "id: the row of messages in sqlite_sequence is "
                        "missing; Holdfast puts it back when it is opened");
    w = open_journal(HF_JOURNAL_WRITE);
    epoch = hf_journal_epoch(w);
    foreign_ok(INSERT_ONE);
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"),
                     2 + LEAP + 1);

    /* While it is open: by its reader at the next look ... */
    r = open_journal(HF_JOURNAL_READ);
    assert_true(hf_journal_epoch(r) == epoch);
    foreign_ok("DELETE FROM sqlite_sequence");
    assert_int_equal(head_of(r), 2 + LEAP + 1 + LEAP);
    /* ... in a snapshot ... */
    foreign_ok("DELETE FROM sqlite_sequence");
    assert_int_equal(hf_journal_snapshot(r), 0);
    assert_int_equal(head_of(r), 3 + 3 * LEAP);
    hf_journal_snapshot_end(r);
    /* ... or by its writer at the next begin. */
    foreign_ok("DELETE FROM sqlite_sequence");
    assert_int_equal(publish(w, "a", "1"), 3 + 4 * LEAP + 1);
    assert_true(hf_journal_epoch(w) == epoch);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void the_sequence_is_put_back_above_ids_of_sessions(void **state)
{
    static const struct hf_membership membership = {.topic = HF_STR_INIT("a"),
                                                    .join_ref =
                                                        HF_STR_INIT("\"1\""),
                                                    .joined = 70,
                                                    .ended = 80};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 60, HF_STR("text")), 0);
    assert_int_equal(hf_membership_add(w, HF_STR("s"), &membership), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    hf_journal_close(w);
    assert_int_equal(unlink(path_of(HF_FILE_HEAD)), 0);
    foreign_ok("DELETE FROM sqlite_sequence");
    w = open_journal(HF_JOURNAL_WRITE);
    assert_int_equal(head_of(w), 80 + LEAP);
    hf_journal_close(w);
}

static void a_script_cannot_insert_below_what_was_given(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    static const char words[] =
        "id: sqlite_sequence was lowered and this id was given before; "
        "Holdfast repairs it when it is opened";

    (void)state;
    publish(w, "a", "1");
    publish(w, "a", "2");
    hf_journal_close(w);
    foreign_ok("DELETE FROM messages; UPDATE sqlite_sequence SET seq = 0");
    assert_string_equal(foreign_run(INSERT_ONE), words);
    foreign_ok("DELETE FROM trimmed; INSERT INTO trimmed VALUES ('', 1)");
    assert_string_equal(foreign_run(INSERT_ONE), words);
    foreign_ok("DELETE FROM trimmed;"
               "INSERT INTO frames (id, session, text) VALUES (1, 's', 't')");
    assert_string_equal(foreign_run(INSERT_ONE), words);
}

static void a_lowered_sequence_is_a_new_epoch(void **state)
{
    static const struct hf_membership membership = {.topic = HF_STR_INIT("a"),
                                                    .join_ref =
                                                        HF_STR_INIT("\"1\""),
                                                    .joined = 2};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    uint64_t id, epoch = hf_journal_epoch(w);

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(hf_membership_add(w, HF_STR("s"), &membership), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), id, HF_STR("t")), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    foreign_ok(INSERT_ONE);
    foreign_ok("DELETE FROM messages WHERE id = 1");
    assert_int_equal(head_of(r), 3);
    foreign_ok("UPDATE sqlite_sequence SET seq = 1");

    assert_int_equal(head_of(r), 3); /* the message is still there */
    assert_true(hf_journal_epoch(r) != epoch);
    assert_int_equal(foreign_number("SELECT (SELECT count(*) FROM sessions)"
                                    " + (SELECT count(*) FROM memberships)"
                                    " + (SELECT count(*) FROM frames)"
                                    " + (SELECT count(*) FROM trimmed)"),
                     0);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
    /* Others adopt it when they look, and make no further one. */
    assert_int_equal(publish(w, "a", "3"), 4);
    assert_true(hf_journal_epoch(w) == hf_journal_epoch(r));
    hf_journal_close(r);
    hf_journal_close(w);
}

static void an_epoch_that_another_process_began_is_adopted(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    uint64_t epoch = hf_journal_epoch(w);

    (void)state;
    publish(w, "a", "1");
    publish(w, "a", "2");
    assert_int_equal(head_of(r), 2);
    foreign_ok("DELETE FROM messages; UPDATE sqlite_sequence SET seq = 0");
    assert_int_equal(publish(w, "a", "3"), 1); /* that is a new 1 */
    assert_true(hf_journal_epoch(w) != epoch);
    assert_int_equal(head_of(r), 1);
    assert_true(hf_journal_epoch(r) == hf_journal_epoch(w));
    assert_int_equal(publish(w, "a", "4"), 2);
    assert_true(hf_journal_epoch(r) == hf_journal_epoch(w));
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_raised_sequence_does_not_end_the_journal(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(w);

    (void)state;
    publish(w, "a", "1");
    foreign_ok("UPDATE sqlite_sequence SET seq = 9223372036854775807");
    assert_string_equal(foreign_run(INSERT_ONE), "database or disk is full");
    assert_int_equal(publish(w, "a", "2"), 2);
    assert_true(hf_journal_epoch(w) != epoch);
    hf_journal_close(w);
}

static void an_older_file_put_in_place_is_a_new_epoch(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(w);
    char command[256];

    (void)state;
    publish(w, "a", "1");
    hf_journal_close(w);
    foreign_ok("PRAGMA wal_checkpoint(TRUNCATE)");
    foreign_close();
    (void)snprintf(command, sizeof(command),
                   "cd '%s' && cp journal.db old && rm -f journal.db-*",
                   f.path);
    assert_int_equal(system(command), 0);

    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(w) == epoch);
    publish(w, "a", "2");
    hf_journal_close(w);
    (void)snprintf(command, sizeof(command),
                   "cd '%s' && rm -f journal.db-* && cp old journal.db",
                   f.path);
    /* The head is written once a second only: this was the first commit. */
    assert_int_equal(system(command), 0);
    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(w) != epoch);
    assert_int_equal(head_of(w), 1);
    epoch = hf_journal_epoch(w);
    hf_journal_close(w);

    w = open_journal(HF_JOURNAL_WRITE); /* and that one stays */
    assert_true(hf_journal_epoch(w) == epoch);
    hf_journal_close(w);
}

static void write_head(const char *text)
{
    assert_int_equal(
        hf_file_replace(f.dir.fd, HF_FILE_HEAD, 0600, hf_str_of(text), false),
        0);
}

static void a_head_of_another_history_is_a_new_epoch(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(w);

    (void)state;
    hf_journal_close(w);
    write_head("0123456789abcdef 0\n");
    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(w) != epoch);
    hf_journal_close(w);
}

static void a_damaged_head_is_as_good_as_none(void **state)
{
    static const char *const heads[] = {"", "xyz", "0123456789abcdef 7", "\n",
                                        "0123456789abcdef -\n"};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(w);
    size_t i;

    (void)state;
    hf_journal_close(w);
    for (i = 0; i < 5; i++) {
        write_head(heads[i]);
        w = open_journal(HF_JOURNAL_WRITE);
        assert_true(hf_journal_epoch(w) == epoch);
        hf_journal_close(w);
    }
    assert_int_equal(unlink(path_of(HF_FILE_HEAD)), 0);
    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(w) == epoch);
    hf_journal_close(w);
}

/* No epoch, as in a backup put back, and none can be begun. */
static void what_keeps_a_history_from_beginning_is_named(void **state)
{
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};
    bool failed;

    (void)state;
    foreign_ok("UPDATE meta SET value = '' WHERE name = 'epoch'");
    foreign_close();
    assert_int_equal(unlink(path_of(HF_FILE_HEAD)), 0);
    assert_int_equal(mkdir(path_of(HF_FILE_HEAD), 0700), 0);
    for (failed = false;; failed = true) {
        assert_int_equal(hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ,
                                         &journal, &why),
                         HF_EIO);
        assert_non_null(strstr(why.text, hf_strerror(HF_EIO)));
        if (failed)
            break;
        assert_int_equal(hf_failed_raise(&f.dir, "testing"), 0);
    }
}

/* All of its messages may be what the power cut has taken. */
static void an_empty_journal_leaps_too_in_a_new_boot(void **state)
{
    struct hf_journal *w;

    (void)state;
    foreign_ok("UPDATE meta SET value = 'another' WHERE name = 'boot'");
    w = open_journal(HF_JOURNAL_WRITE);
    assert_int_equal(head_of(w), HF_HISTORY_LEAP);
    hf_journal_close(w);
}

static void a_new_journal_begins_with_id_1(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    assert_int_equal(publish(w, "a", "1"), 1);
    hf_journal_close(w);
}

static void a_new_boot_leaps_over_ids_that_may_be_lost(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(w);
    char head[64];

    (void)state;
    publish(w, "a", "1");
    hf_journal_close(w);
    foreign_ok("UPDATE meta SET value = 'another' WHERE name = 'boot'");
    /* As after a power cut: rows that were seen are gone, ids 2 to 5. */
    (void)snprintf(head, sizeof(head), "%016llx 5\n",
                   (unsigned long long)epoch);
    write_head(head);
    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(w) == epoch);
    assert_int_equal(head_of(w), 1 + LEAP);
    hf_journal_close(w);
    w = open_journal(HF_JOURNAL_WRITE); /* once per boot */
    assert_int_equal(head_of(w), 1 + LEAP);
    hf_journal_close(w);
}

static void the_head_is_kept_in_a_file(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    char text[64], wanted[64];
    size_t len = 0;

    (void)state;
    publish(w, "a", "1");
    publish(w, "a", "2"); /* within the same second: not written */
    assert_int_equal(hf_file_read(f.dir.fd, HF_FILE_HEAD, text, 63, &len), 0);
    text[len] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "%016llx 1\n",
                   (unsigned long long)hf_journal_epoch(w));
    assert_string_equal(text, wanted);
    hf_clock_shift(1000, 0);
    publish(w, "a", "3");
    hf_clock_shift(0, 0);
    assert_int_equal(hf_file_read(f.dir.fd, HF_FILE_HEAD, text, 63, &len), 0);
    text[len] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "%016llx 3\n",
                   (unsigned long long)hf_journal_epoch(w));
    assert_string_equal(text, wanted);
    hf_journal_close(w);
}

static void a_commit_says_what_was_rung(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_bell *bell = NULL;

    (void)state;
    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    hf_bell_set_rung(bell, 0);
    publish(w, "a", "1");
    assert_int_equal(hf_bell_rung_through(bell), 1);
    foreign_ok(INSERT_ONE);
    publish(w, "a", "3"); /* nobody has rung for 2 */
    assert_int_equal(hf_bell_rung_through(bell), 1);
    hf_bell_close(bell);
    hf_journal_close(w);
}

/* --- what is opened ------------------------------------------------------ */

static int64_t pragma(struct hf_journal *journal, const char *name)
{
    char sql[64];
    sqlite3_stmt *stmt;
    int64_t value;

    (void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);
    assert_int_equal(sqlite3_prepare_v2(hf_journal_db(journal)->handle, sql, -1,
                                        &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static void a_connection_trusts_nobody(void **state)
{
    static const int on[] = {SQLITE_DBCONFIG_DEFENSIVE,
                             SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    sqlite3 *handle = hf_journal_db(w)->handle;
    int i, value = -1;

    (void)state;
    for (i = 0; i < 2; i++) {
        (void)sqlite3_db_config(handle, on[i], -1, &value);
        assert_int_equal(value, 1);
    }
    assert_int_equal(pragma(w, "trusted_schema"), 0);
    assert_int_equal(pragma(w, "synchronous"), 2);
    assert_int_equal(pragma(w, "wal_autocheckpoint"), 0); /* ours: guard.c */
    assert_int_equal(pragma(w, "journal_size_limit"), 8 << 20);
    value = -1;
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL,
                               &value);
    assert_int_equal(value, 1);
    hf_journal_close(w);
}

static void not_opened(const char *words)
{
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};
    int err =
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ, &journal, &why);

    if (!err)
        fail_msg("opened, and should say \"%s\"", words);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static void foreign_schema_objects_are_refused(void **state)
{
    static const struct {
        const char *make, *name, *drop;
    } objects[] = {
        {"CREATE TABLE notes (x)", "table \"notes\"", "DROP TABLE notes"},
        {"CREATE VIEW v AS SELECT 1", "view \"v\"", "DROP VIEW v"},
        {"CREATE INDEX i ON messages (at)", "index \"i\"", "DROP INDEX i"},
        {"CREATE TRIGGER t AFTER INSERT ON messages BEGIN SELECT 1; END",
         "trigger \"t\"", "DROP TRIGGER t"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        foreign_ok(objects[i].make);
        not_opened(objects[i].name);
        foreign_ok(objects[i].drop);
        hf_journal_close(open_journal(HF_JOURNAL_READ));
    }
    foreign_ok("ANALYZE"); /* sqlite_stat1 is SQLite's own */
    hf_journal_close(open_journal(HF_JOURNAL_READ));
}

static void a_missing_guard_is_noticed(void **state)
{
    (void)state;
    foreign_ok("DROP TRIGGER messages_place");
    not_opened("missing");
    foreign_ok("CREATE TRIGGER messages_place AFTER INSERT ON messages"
               " BEGIN SELECT 1; END");
    not_opened("trigger \"messages_place\"");
}

static void only_a_journal_of_this_version_is_opened(void **state)
{
    (void)state;
    foreign_ok("PRAGMA user_version = 4");
    not_opened("install a newer Holdfast");
    foreign_ok("PRAGMA user_version = 3; PRAGMA application_id = 7");
    not_opened("is not a Holdfast journal");
    foreign_close();
    assert_int_equal(truncate(path_of(HF_FILE_JOURNAL), 0), 0);
    not_opened("is not a Holdfast journal");
    assert_int_equal(truncate(path_of(HF_FILE_JOURNAL), 100), 0);
    (void)unlink(path_of(HF_FILE_JOURNAL "-wal"));
    not_opened(HF_FILE_JOURNAL);
    assert_int_equal(unlink(path_of(HF_FILE_JOURNAL)), 0);
    not_opened("unable to open");
    assert_int_equal(access(path_of(HF_FILE_JOURNAL), F_OK), -1);
}

static void another_journal_mode_is_set_back(void **state)
{
    (void)state;
    foreign_ok("PRAGMA journal_mode = DELETE");
    foreign_close();
    hf_journal_close(open_journal(HF_JOURNAL_READ));
    assert_int_equal(foreign_number("SELECT journal_mode = 'wal'"
                                    " FROM pragma_journal_mode"),
                     1);
}

static void a_wal_removed_below_us_is_an_error(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    bool changed;

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_stranded(&f.dir), 0);
    assert_int_equal(unlink(path_of(HF_FILE_JOURNAL "-wal")), 0);
    assert_int_equal(hf_journal_begin(w), HF_EREPLACED);
    assert_int_equal(hf_journal_changed(w, &changed), HF_EREPLACED);
    assert_int_equal(hf_journal_snapshot(w), HF_EREPLACED);
    assert_int_equal(hf_journal_stranded(&f.dir), getpid());
    hf_journal_close(w);
}

static void *replace_then_leave_the_queue(void *arg)
{
    char command[256];
    int *queue = arg;

    (void)usleep(100000); /* for the writer to queue */
    (void)snprintf(command, sizeof(command),
                   "cd '%s' && cp journal.db x && mv x journal.db", f.path);
    if (system(command) == 0)
        hf_close(queue);
    return NULL;
}

static void a_journal_replaced_while_we_queue_is_an_error_too(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    pthread_t thread;
    int queue;

    (void)state;
    publish(w, "a", "1");
    queue = hf_dir_open_file(&f.dir, HF_FILE_WRITERS);
    assert_int_equal(hf_lock_try(queue, 0, 1), 0);
    assert_int_equal(
        pthread_create(&thread, NULL, replace_then_leave_the_queue, &queue), 0);
    assert_int_equal(hf_journal_begin(w), HF_EREPLACED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(queue, -1);
    assert_int_equal(hf_journal_holder(&f.dir), 0);
    hf_journal_close(w);
}

static void a_journal_replaced_below_us_is_an_error(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    char command[256];

    (void)state;
    publish(w, "a", "1");
    (void)snprintf(command, sizeof(command),
                   "cd '%s' && cp journal.db x && mv x journal.db", f.path);
    assert_int_equal(system(command), 0);
    assert_int_equal(hf_journal_begin(w), HF_EREPLACED);
    hf_journal_close(w);
}

static void
a_script_that_was_first_and_closes_last_does_not_disturb_us(void **state)
{
    struct hf_journal *w;

    (void)state;
    foreign_ok(INSERT_ONE);
    w = open_journal(HF_JOURNAL_WRITE);
    publish(w, "a", "2");
    foreign_close();
    publish(w, "a", "3");
    hf_journal_close(w);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(rows_come_back_in_order_and_verbatim),
        FIXTURE_TEST(binary_and_skip_and_time_come_back),
        FIXTURE_TEST(a_reading_is_bounded_by_rows_and_bytes),
        FIXTURE_TEST(one_topic_is_read_within_bounds),
        FIXTURE_TEST(a_callback_may_stop_the_reading),
        FIXTURE_TEST(what_nobody_can_read_is_passed_over),
        FIXTURE_TEST(a_snapshot_sees_one_state),
        FIXTURE_TEST(a_rolled_back_transaction_leaves_nothing),
        FIXTURE_TEST(a_part_is_undone_alone),
        FIXTURE_TEST(drawn_ids_and_messages_share_one_sequence),
        FIXTURE_TEST(waiting_for_the_write_lock_is_bounded),
        FIXTURE_TEST(full_durability_syncs_before_commit_returns),
        FIXTURE_TEST(normal_durability_does_not_sync_each_commit),
        FIXTURE_TEST(a_failed_sync_is_no_commit),
        FIXTURE_TEST(after_sqlite_gave_up_no_part_is_kept),
        FIXTURE_TEST(a_repeated_key_gives_the_first_id),
        FIXTURE_TEST(a_message_comes_behind_the_one_it_names_or_not_at_all),
        FIXTURE_TEST(a_script_may_repeat_a_key_in_any_way),
        FIXTURE_TEST(what_a_script_gets_wrong_is_named),
        FIXTURE_TEST(what_is_just_allowed_is_taken),
        FIXTURE_TEST(our_own_publishes_meet_the_same_rules),
        FIXTURE_TEST(max_payload_of_the_settings_is_the_scripts_limit_too),
        FIXTURE_TEST(rows_are_never_changed),
        FIXTURE_TEST(explicit_ids_are_refused),
        FIXTURE_TEST(a_deleted_id_is_not_given_again),
        FIXTURE_TEST(the_watermark_counts_for_every_topic),
        FIXTURE_TEST(without_its_sequence_nothing_is_inserted),
        FIXTURE_TEST(the_sequence_is_put_back_above_ids_of_sessions),
        FIXTURE_TEST(a_script_cannot_insert_below_what_was_given),
        FIXTURE_TEST(a_lowered_sequence_is_a_new_epoch),
        FIXTURE_TEST(an_epoch_that_another_process_began_is_adopted),
        FIXTURE_TEST(a_raised_sequence_does_not_end_the_journal),
        FIXTURE_TEST(an_older_file_put_in_place_is_a_new_epoch),
        FIXTURE_TEST(a_head_of_another_history_is_a_new_epoch),
        FIXTURE_TEST(a_damaged_head_is_as_good_as_none),
        FIXTURE_TEST(what_keeps_a_history_from_beginning_is_named),
        FIXTURE_TEST(a_new_boot_leaps_over_ids_that_may_be_lost),
        FIXTURE_TEST(an_empty_journal_leaps_too_in_a_new_boot),
        FIXTURE_TEST(a_new_journal_begins_with_id_1),
        FIXTURE_TEST(the_head_is_kept_in_a_file),
        FIXTURE_TEST(a_commit_says_what_was_rung),
        FIXTURE_TEST(a_connection_trusts_nobody),
        FIXTURE_TEST(foreign_schema_objects_are_refused),
        FIXTURE_TEST(a_missing_guard_is_noticed),
        FIXTURE_TEST(only_a_journal_of_this_version_is_opened),
        FIXTURE_TEST(another_journal_mode_is_set_back),
        FIXTURE_TEST(a_wal_removed_below_us_is_an_error),
        FIXTURE_TEST(a_journal_replaced_below_us_is_an_error),
        FIXTURE_TEST(a_journal_replaced_while_we_queue_is_an_error_too),
        FIXTURE_TEST(
            a_script_that_was_first_and_closes_last_does_not_disturb_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
