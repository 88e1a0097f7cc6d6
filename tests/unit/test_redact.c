#include "schema/redact.h"

#include "schema_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

#define SECRET "the quick brown fox 4711"

static uint64_t publish_keyed(struct hf_journal *journal, const char *payload,
                              int expect, bool *out_repeated)
{
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("say"),
                                 .payload = hf_str_of(payload),
                                 .publisher = HF_STR("me"),
                                 .key = HF_STR("k")};
    uint64_t id = 0;

    *out_repeated = false;
    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(hf_journal_append(journal, &message, &id, out_repeated),
                     expect);
    assert_int_equal(hf_journal_commit(journal), 0);
    return id;
}

static struct hf_redaction redact(struct hf_journal *journal, uint64_t id)
{
    struct hf_redaction redaction;

    assert_int_equal(hf_journal_redact(journal, id, &redaction), 0);
    return redaction;
}

/* --- the bytes ------------------------------------------------------------ */

static bool file_has(const char *name, const char *text)
{
    int fd = openat(f.dir.fd, name, O_RDONLY);
    struct stat st;
    bool found;
    char *all;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    all = malloc((size_t)st.st_size + 1);
    assert_non_null(all);
    assert_int_equal(read(fd, all, (size_t)st.st_size), st.st_size);
    found = memmem(all, (size_t)st.st_size, text, strlen(text)) != NULL;
    free(all);
    assert_int_equal(close(fd), 0);
    return found;
}

/* In whatever file of the directory. */
static bool directory_has(const char *text)
{
    DIR *list = opendir(f.path);
    const struct dirent *entry;
    bool found = false;

    assert_non_null(list);
    while ((entry = readdir(list)) != NULL)
        if (entry->d_type == DT_REG)
            found |= file_has(entry->d_name, text);
    assert_int_equal(closedir(list), 0);
    return found;
}

/* --- tests --------------------------------------------------------------- */

static void the_payload_goes_and_the_rest_stays(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_redaction redaction;

    (void)state;
    publish(w, "a", "1");
    publish(w, "b", "\"" SECRET "\"");
    publish(w, "a", "3");
    redaction = redact(w, 2);
    assert_false(redaction.already);
    assert_true(redaction.erased);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages WHERE id = 2"
                                    " AND topic = 'b' AND event = 'say'"
                                    " AND payload = '{}' AND kind = 0"),
                     1);
    assert_int_equal(foreign_number("SELECT id FROM redacted"), 2);
    assert_int_equal(foreign_number("SELECT abs(at - (SELECT at FROM messages"
                                    " WHERE id = 2)) < 10000 FROM redacted"),
                     1);
    redaction = redact(w, 2);
    assert_true(redaction.already);
    assert_true(redaction.erased);
    assert_int_equal(foreign_number("SELECT count(*) FROM redacted"), 1);
    hf_journal_close(w);
}

static void an_unknown_message_is_not_found(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_redaction redaction;

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_redact(w, 2, &redaction), HF_ENOTFOUND);
    assert_int_equal(hf_journal_redact(w, 0, &redaction), HF_ENOTFOUND);
    assert_int_equal(hf_journal_redact(w, UINT64_MAX, &redaction),
                     HF_ENOTFOUND);
    assert_int_equal(publish(w, "a", "2"), 2); /* nothing is left open */
    hf_journal_close(w);
}

static void no_file_keeps_the_bytes(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    char *big = malloc(60000);
    int i;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', 60000);
    big[0] = '"';
    memcpy(big + 30000, SECRET, strlen(SECRET));
    memcpy(big + 59998, "\"", 2);
    for (i = 0; i < 50; i++)
        publish(w, "a", "\"neighbour\"");
    publish(w, "a", "\"" SECRET "\"");
    publish(w, "a", big); /* on pages of its own */
    for (i = 0; i < 50; i++)
        publish(w, "a", "\"neighbour\"");
    assert_int_equal(head_of(r), 102);
    assert_true(directory_has(SECRET));
    assert_true(redact(w, 51).erased);
    assert_true(directory_has(SECRET));
    assert_true(redact(w, 52).erased);
    assert_false(directory_has(SECRET));
    assert_true(directory_has("neighbour")); /* it does look */
    free(big);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_reader_of_the_old_state_is_told_of(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_redaction redaction;

    (void)state;
    f.settings.busy_ms = 100;
    publish(w, "a", "\"" SECRET "\"");
    foreign_ok("BEGIN");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
    redaction = redact(w, 1);
    assert_false(redaction.already);
    assert_true(redaction.taken);
    assert_false(redaction.erased);
    assert_true(directory_has(SECRET));
    foreign_ok("COMMIT");
    redaction = redact(w, 1);
    assert_true(redaction.already);
    assert_true(redaction.erased);
    assert_false(directory_has(SECRET));
    hf_journal_close(w);
}

struct redacting {
    struct hf_journal *journal;
    struct hf_redaction redaction;
    int err;
};

static void *redact_first(void *arg)
{
    struct redacting *mine = arg;

    mine->err = hf_journal_redact(mine->journal, 1, &mine->redaction);
    return NULL;
}

static void others_publish_while_it_waits_for_a_reader(void **state)
{
    struct redacting mine = {.journal = open_journal(HF_JOURNAL_WRITE)};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int64_t slowest_ms = 0;
    pthread_t thread;
    int i;

    (void)state;
    f.settings.busy_ms = 10000;
    publish(w, "a", "\"" SECRET "\"");
    foreign_ok("BEGIN");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
    assert_int_equal(pthread_create(&thread, NULL, redact_first, &mine), 0);
    for (i = 0; i < 10; i++) {
        int64_t began_ms = hf_boot_ms();

        publish(w, "a", "1");
        if (hf_boot_ms() - began_ms > slowest_ms)
            slowest_ms = hf_boot_ms() - began_ms;
        (void)usleep(50000);
    }
    foreign_ok("COMMIT");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(mine.err, 0);
    assert_true(mine.redaction.taken);
    assert_true(mine.redaction.erased);
    assert_false(directory_has(SECRET));
    assert_in_range(slowest_ms, 0, 2000);
    hf_journal_close(w);
    hf_journal_close(mine.journal);
}

static void a_script_can_do_it_by_sql(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(w, "a", "\"text\"");
    foreign_ok("INSERT INTO messages (topic, event, payload, kind)"
               " VALUES ('a', 'e', x'0102', 1)");
    foreign_ok("UPDATE messages SET payload = '{}' WHERE id = 1");
    foreign_ok("UPDATE messages SET payload = x'' WHERE id = 2");
    assert_int_equal(foreign_number("SELECT count(*) FROM redacted"), 2);
    assert_int_equal(foreign_number("SELECT value FROM meta"
                                    " WHERE name = 'redacted_rev'"),
                     2);
    hf_journal_close(w);
}

static void nothing_else_can_be_changed(void **state)
{
    static const char *const changes[] = {
        "payload = ' {}'",
        "payload = x'7b7d'",
        "payload = NULL",
        "payload = '{}', id = id + 10",
        "payload = '{}', rowid = 5",
        "payload = '{}', topic = 'b'",
        "payload = '{}', topic = CAST(topic AS BLOB)",
        "payload = '{}', event = 'c'",
        "payload = '{}', event = NULL",
        "payload = '{}', at = at + 1",
        "payload = '{}', kind = 1",
        "payload = x'', kind = 1",
        "payload = '{}', kind = 7",
        "payload = '{}', publisher = NULL, key = NULL",
        "payload = '{}', key = 'other'",
        "payload = '{}', skip = 'x'",
        "topic = topic",
    };
    char sql[200];
    size_t i;

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('a', 'b', '1', 'me', 'k')");
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "UPDATE OR REPLACE messages SET %s",
                       changes[i]);
        if (strncmp(foreign_run(sql), "messages: rows are never changed", 32) !=
            0)
            fail_msg("%s", sql);
        (void)snprintf(sql, sizeof(sql), "UPDATE OR IGNORE messages SET %s",
                       changes[i]);
        assert_string_not_equal(foreign_run(sql), "");
    }
    foreign_ok("UPDATE messages SET payload = '{}'");
    foreign_ok("INSERT INTO messages (topic, event, payload, kind)"
               " VALUES ('a', 'e', x'0102', 1)");
    assert_string_not_equal(
        foreign_run("UPDATE messages SET payload = '{}' WHERE id = 2"), "");
    assert_string_not_equal(
        foreign_run("UPDATE messages SET payload = '' WHERE id = 2"), "");
}

static void a_repeat_stays_a_repeat_whatever_its_payload(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    bool repeated;

    (void)state;
    publish_keyed(w, "\"" SECRET "\"", 0, &repeated);
    assert_false(repeated);
    publish_keyed(w, "\"other\"", HF_ECONFLICT, &repeated);
    redact(w, 1);
    assert_int_equal(publish_keyed(w, "\"" SECRET "\"", 0, &repeated), 1);
    assert_true(repeated);
    assert_int_equal(publish_keyed(w, "\"other\"", 0, &repeated), 1);
    assert_true(repeated);

    foreign_ok("INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('a', 'say', '\"" SECRET "\"', 'me', 'k')");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
    assert_string_equal(
        foreign_run("INSERT INTO messages (topic, event, payload, publisher,"
                    " key) VALUES ('b', 'say', '{}', 'me', 'k')"),
        "key: used before by this publisher for another message");
    assert_int_equal(foreign_number("SELECT payload = '{}' FROM messages"), 1);
    hf_journal_close(w);
}

static void the_note_goes_with_the_message(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(w, "a", "1");
    publish(w, "a", "2");
    redact(w, 1);
    redact(w, 2);
    foreign_ok("DELETE FROM messages WHERE id = 1");
    assert_int_equal(foreign_number("SELECT count(*) FROM redacted"), 1);
    assert_int_equal(foreign_number("SELECT id FROM redacted"), 2);
    hf_journal_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_payload_goes_and_the_rest_stays),
        FIXTURE_TEST(an_unknown_message_is_not_found),
        FIXTURE_TEST(no_file_keeps_the_bytes),
        FIXTURE_TEST(a_reader_of_the_old_state_is_told_of),
        FIXTURE_TEST(others_publish_while_it_waits_for_a_reader),
        FIXTURE_TEST(a_script_can_do_it_by_sql),
        FIXTURE_TEST(nothing_else_can_be_changed),
        FIXTURE_TEST(a_repeat_stays_a_repeat_whatever_its_payload),
        FIXTURE_TEST(the_note_goes_with_the_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
