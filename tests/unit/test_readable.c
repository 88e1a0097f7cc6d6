#include "schema/readable.h"

#include "schema_fixture.h"

#include <string.h>

/* Ids that a reading gave, as "1 4 ". */
static char seen[1024];

static int note(void *ctx, const struct hf_row *row)
{
    size_t len = strlen(seen);

    (void)ctx;
    (void)snprintf(seen + len, sizeof(seen) - len, "%llu ",
                   (unsigned long long)row->id);
    return 0;
}

static void read_after(struct hf_journal *journal, uint64_t after,
                       uint64_t want_last)
{
    uint64_t last = 0;
    bool more;

    seen[0] = '\0';
    assert_int_equal(hf_journal_read(journal, after, 1000, 1u << 30, note, NULL,
                                     &last, &more),
                     0);
    assert_int_equal(last, want_last);
    assert_false(more);
}

static struct hf_row row_of(const char *topic, const char *event,
                            const char *payload)
{
    return (struct hf_row){.id = 1,
                           .topic = hf_str_of(topic),
                           .event = hf_str_of(event),
                           .payload = hf_str_of(payload)};
}

static void good_rows_are_readable(void **state)
{
    static const char *const payloads[] = {
        "{}", "1", "\"\xc3\xa9\"", " [1, 2] ", "\"\\ud83d\\ude00\"", "1e999",
    };
    struct hf_row row;
    size_t n;

    (void)state;
    for (n = 0; n < sizeof(payloads) / sizeof(*payloads); n++) {
        row = row_of("t", "e", payloads[n]);
        assert_null(hf_row_unreadable(&row));
    }
    row.kind = HF_KIND_BINARY;
    row.payload = HF_STR("\xff\x00\xfe");
    assert_null(hf_row_unreadable(&row));
    row.payload = HF_STR("");
    assert_null(hf_row_unreadable(&row));
}

static void says(struct hf_row row, const char *words)
{
    const char *reason = hf_row_unreadable(&row);

    assert_non_null(reason);
    if (!strstr(reason, words))
        fail_msg("'%s' does not say '%s'", reason, words);
}

static void each_bad_row_has_its_reason(void **state)
{
    char long_name[202];
    struct hf_row row;

    (void)state;
    memset(long_name, 'x', 201);
    long_name[201] = '\0';
    says(row_of("", "e", "{}"), "topic");
    says(row_of("\xff", "e", "{}"), "topic");
    says(row_of("a\nb", "e", "{}"), "topic");
    says(row_of("a\x7f", "e", "{}"), "topic");
    says(row_of(long_name, "e", "{}"), "topic");
    says(row_of("t", "", "{}"), "event");
    says(row_of("t", "\xc0\xaf", "{}"), "event");
    says(row_of("t", long_name, "{}"), "event");
    says(row_of("t", "phx_close", "{}"), "protocol");
    says(row_of("t", "chan_reply_1", "{}"), "protocol");
    says(row_of("t", "e", ""), "not JSON");
    says(row_of("t", "e", "{"), "not JSON");
    says(row_of("t", "e", "{} {}"), "not JSON");
    says(row_of("t", "e", "\"\\ud800\""), "surrogate");
    says(row_of("t", "e", "\"\xff\""), "not UTF-8");
    row = row_of("t", "e", "{}");
    row.payload = HF_STR("{}\0,");
    says(row, "not JSON");
    row.payload = HF_STR("{}");
    row.kind = (enum hf_kind)2;
    says(row, "kind");
    row.kind = HF_KIND_BINARY;
    row.payload.len = HF_PAYLOAD_LIMIT + 1; /* judged by its length alone */
    says(row, "16 MiB");
}

/* The rows that a plain INSERT gets into the table. */
static void what_sqlite_lets_in_is_passed_over(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
               " ('a', 'b', '1'), ('a', 'b', CAST(x'22ff22' AS TEXT)),"
               " (CAST(x'61ff' AS TEXT), 'b', '3'), ('a', 'b', '4'),"
               " ('a', CAST(x'c0af' AS TEXT), '5'),"
               " ('a', 'b', '\"\\ud800\"'),"
               " ('a', 'b', printf('%.*c', 129, '[') ||"
               " printf('%.*c', 129, ']')),"
               " ('a', 'b', printf('%.*c', 128, '[') ||"
               " printf('%.*c', 128, ']'))");
    read_after(r, 0, 8);
    assert_string_equal(seen, "1 4 8 ");
    assert_int_equal(hf_journal_unreadable(r), 5);
    hf_journal_close(r);
}

/* A program that drops a trigger can write anything. */
static void what_was_written_past_the_triggers_is_passed_over(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    char put_back[8192];
    sqlite3_stmt *stmt;

    (void)state;
    assert_int_equal(sqlite3_prepare_v2(foreign(),
                                        "SELECT sql FROM sqlite_schema"
                                        " WHERE name = 'messages_refuse'",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    (void)snprintf(put_back, sizeof(put_back), "%s",
                   (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    foreign_ok("DROP TRIGGER messages_refuse");
    foreign_ok("INSERT INTO messages (topic, event, payload, kind) VALUES"
               " ('a', 'b', '1', 0), ('a', 'phx_close', '{}', 0),"
               " ('', 'b', '{}', 0), (printf('%.*c', 201, 'x'), 'b', '{}', 0),"
               " ('a' || char(0), 'b', '{}', 0), ('a', 'b', '', 0),"
               " ('a', 'b', 'hello', 0), ('a', 'b', x'7b00', 0),"
               " ('a', 'b', '{}', 7), ('a', 'b', '{}', 'x'),"
               " ('a', 'b', zeroblob(16777217), 1), ('a', 'b', '12', 0)");
    foreign_ok(put_back);
    read_after(r, 0, 12);
    /* 'x' as a kind is read as the number 0 */
    assert_string_equal(seen, "1 10 12 ");
    assert_int_equal(hf_journal_unreadable(r), 9);
    hf_journal_close(r);
}

/* --- what the log says ----------------------------------------------------- */

static char log_path[128];
static int former_stderr;

static void log_to_file(void)
{
    FILE *file;

    (void)snprintf(log_path, sizeof(log_path), "%s/log", f.path);
    file = fopen(log_path, "we");
    assert_non_null(file);
    former_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    (void)fclose(file);
    hf_log_open("test", HF_LOG_WARN, false);
}

static void read_log(char *text, size_t size)
{
    FILE *file;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    assert_true(dup2(former_stderr, STDERR_FILENO) >= 0);
    (void)close(former_stderr);
    file = fopen(log_path, "re");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static void each_is_named_once_in_the_log(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    char text[4096];
    const char *second;

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
               " ('a', 'b', '\"\\udfff\"'), ('room:1', 'b', CAST(x'22ff22' AS "
               "TEXT)), ('a', 'b', '3')");
    log_to_file();
    read_after(r, 0, 3);
    read_after(r, 0, 3);
    read_after(r, 1, 3);
    read_log(text, sizeof(text));
    assert_non_null(strstr(text, "event=message_unreadable"));
    assert_non_null(strstr(text, "id=1 topic=a reason=\"its payload is not "
                                 "JSON, or has half a surrogate pair\""));
    second = strstr(text, "id=2 topic=room:1 reason=\"its payload is not "
                          "UTF-8\" so_far=2");
    assert_non_null(second);
    second = strchr(second, '\n');
    assert_non_null(second);
    assert_string_equal(second, "\n"); /* two lines, not six */
    assert_int_equal(hf_journal_unreadable(r), 2);
    hf_journal_close(r);
}

/* Whoever is to be woken by a row is not looked for in its payload. */
static void looking_for_topics_reports_nothing(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    uint64_t last = 0;
    bool more;

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
               " ('a', 'b', '\"\\udfff\"'), ('a', 'b', '2')");
    seen[0] = '\0';
    assert_int_equal(hf_journal_read_topics(r, 0, 10, note, NULL, &last, &more),
                     0);
    assert_string_equal(seen, "1 2 ");
    assert_int_equal(last, 2);
    assert_int_equal(hf_journal_unreadable(r), 0);
    hf_journal_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rows_are_readable),
        cmocka_unit_test(each_bad_row_has_its_reason),
        FIXTURE_TEST(what_sqlite_lets_in_is_passed_over),
        FIXTURE_TEST(what_was_written_past_the_triggers_is_passed_over),
        FIXTURE_TEST(each_is_named_once_in_the_log),
        FIXTURE_TEST(looking_for_topics_reports_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
