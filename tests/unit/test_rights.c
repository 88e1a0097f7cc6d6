#include "channel/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "channel/limits.h"

/* A journal of its own, and two connections to it, for each test. */
static char scratch[64];
static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_journal *reader, *writer;
static struct hf_rights *rights;

static void remove_tree(const char *path)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static int open_journal(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct hf_why why = {0};
    bool existed;

    (void)state;
    (void)snprintf(scratch, sizeof(scratch), "%.30s/holdfast-test.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(scratch));
    hf_settings_default(&settings);
    if (hf_dir_init(scratch, NULL, &existed, &why) ||
        hf_dir_open(&dir, scratch, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &reader, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &writer, &why))
        fail_msg("%s", why.text);
    assert_int_equal(hf_rights_new(&rights), 0);
    return 0;
}

static int close_journal(void **state)
{
    (void)state;
    hf_rights_free(rights);
    hf_journal_close(reader);
    hf_journal_close(writer);
    hf_dir_close(&dir);
    remove_tree(scratch);
    return 0;
}

static void set(const char *pattern, unsigned bits, bool echo)
{
    const struct hf_policy policy = {hf_str_of(pattern), bits, echo, 0};

    assert_int_equal(hf_journal_begin(writer), 0);
    assert_int_equal(hf_policy_set(writer, &policy), 0);
    assert_int_equal(hf_journal_commit(writer), 0);
}

static bool refresh(void)
{
    bool changed = false;

    assert_int_equal(hf_rights_refresh(rights, reader, &changed), 0);
    return changed;
}

static unsigned rights_of(const char *topic)
{
    return hf_rights_of(rights, NULL, hf_str_of(topic)).rights;
}

static bool known(const char *topic)
{
    return hf_rights_of(rights, NULL, hf_str_of(topic)).known;
}

static void without_policies_nothing_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(rights_of("room:1"), 0); /* before the first refresh too */
    (void)refresh();
    assert_int_equal(rights_of("room:1"), 0);
    assert_false(known("room:1"));
}

static void the_most_specific_pattern_counts(void **state)
{
    (void)state;
    set("*", HF_RIGHT_PRESENCE, true);
    set("room:*", HF_RIGHT_JOIN, true);
    set("room:big:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, false);
    set("room:big:1", HF_RIGHT_PUBLISH, true);
    assert_true(refresh());

    assert_int_equal(rights_of("else"), HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of("room"), HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of("room:"), HF_RIGHT_JOIN);
    assert_int_equal(rights_of("room:big"), HF_RIGHT_JOIN);
    assert_int_equal(rights_of("room:big:2"), HF_RIGHT_JOIN | HF_RIGHT_PUBLISH);
    assert_int_equal(rights_of("room:big:1"), HF_RIGHT_PUBLISH);
    assert_int_equal(rights_of("room:big:11"),
                     HF_RIGHT_JOIN | HF_RIGHT_PUBLISH);
    assert_false(hf_rights_of(rights, NULL, HF_STR("room:big:2")).echo);
    assert_true(hf_rights_of(rights, NULL, HF_STR("room:big:1")).echo);
}

static void a_topic_that_looks_like_a_pattern_is_a_topic(void **state)
{
    (void)state;
    set("room:*", HF_RIGHT_JOIN, true);
    set("room:x", HF_RIGHT_PUBLISH, true);
    (void)refresh();
    assert_int_equal(rights_of("room:*"), HF_RIGHT_JOIN);
    assert_int_equal(rights_of("room:**"), HF_RIGHT_JOIN);
    assert_int_equal(rights_of("*"), 0);
}

static void patterns_as_long_as_a_topic_are_found(void **state)
{
    char pattern[HF_TOPIC_MAX + 1] = {0};

    (void)state;
    memset(pattern, 'a', HF_TOPIC_MAX);
    set(pattern, HF_RIGHT_PUBLISH, true);
    pattern[HF_TOPIC_MAX - 1] = '*';
    set(pattern, HF_RIGHT_JOIN, true);
    (void)refresh();

    pattern[HF_TOPIC_MAX - 1] = 'a';
    assert_int_equal(rights_of(pattern), HF_RIGHT_PUBLISH);
    pattern[HF_TOPIC_MAX - 1] = 'b';
    assert_int_equal(rights_of(pattern), HF_RIGHT_JOIN);
    pattern[HF_TOPIC_MAX - 1] = '\0'; /* the prefix itself */
    assert_int_equal(rights_of(pattern), HF_RIGHT_JOIN);
    pattern[HF_TOPIC_MAX - 2] = '\0';
    assert_int_equal(rights_of(pattern), 0);
}

static void a_topic_that_some_pattern_matches_is_known(void **state)
{
    (void)state;
    set("room:*", HF_RIGHT_PUBLISH, true);
    (void)refresh();
    assert_true(known("room:1")); /* an error may say "unauthorized" */
    assert_false(known("hall:1"));
}

static void reserved_and_illegal_topics_have_no_rights(void **state)
{
    (void)state;
    set("*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH | HF_RIGHT_PRESENCE, true);
    (void)refresh();
    assert_int_not_equal(rights_of("room:1"), 0);
    assert_int_equal(rights_of("phoenix"), 0);
    assert_int_equal(rights_of("user_socket:7"), 0);
    assert_int_equal(rights_of("holdfast:x"), 0);
    assert_int_equal(rights_of(""), 0);
    assert_int_equal(rights_of("a\nb"), 0);
    assert_int_equal(rights_of("\xff"), 0);
    assert_false(known("phoenix"));
}

static void a_change_is_read_and_a_look_without_one_is_not(void **state)
{
    (void)state;
    set("room:*", HF_RIGHT_JOIN, true);
    assert_true(refresh());
    assert_false(refresh());

    set("room:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, false);
    assert_int_equal(rights_of("room:1"), HF_RIGHT_JOIN); /* not looked yet */
    assert_true(refresh());
    assert_int_equal(rights_of("room:1"), HF_RIGHT_JOIN | HF_RIGHT_PUBLISH);

    set("room:*", 0, true); /* removes it */
    assert_true(refresh());
    assert_false(known("room:1"));
    assert_false(refresh());
    assert_int_equal(hf_rights_refresh(rights, reader, NULL), 0);
}

static void a_snapshot_sees_the_rights_of_its_moment(void **state)
{
    (void)state;
    set("room:*", HF_RIGHT_JOIN, true);
    (void)refresh();
    assert_int_equal(hf_journal_snapshot(reader), 0);
    assert_false(refresh());
    set("room:*", HF_RIGHT_PUBLISH, true);
    assert_false(refresh());
    hf_journal_snapshot_end(reader);
    assert_true(refresh());
    assert_int_equal(rights_of("room:1"), HF_RIGHT_PUBLISH);
}

static void many_patterns_are_kept_apart(void **state)
{
    char topic[32];
    int i;

    (void)state;
    assert_int_equal(hf_journal_begin(writer), 0);
    for (i = 0; i < 2000; i++) {
        struct hf_policy policy = {.echo = true};

        (void)snprintf(topic, sizeof(topic), "t%d%s", i, i % 2 ? ":*" : "");
        policy.pattern = hf_str_of(topic);
        policy.rights = i % 3 ? HF_RIGHT_JOIN : HF_RIGHT_PUBLISH;
        assert_int_equal(hf_policy_set(writer, &policy), 0);
    }
    assert_int_equal(hf_journal_commit(writer), 0);
    (void)refresh();
    for (i = 0; i < 2000; i++) {
        (void)snprintf(topic, sizeof(topic), "t%d%s", i, i % 2 ? ":x" : "");
        assert_int_equal(rights_of(topic),
                         i % 3 ? HF_RIGHT_JOIN : HF_RIGHT_PUBLISH);
    }
    assert_int_equal(rights_of("t0:x"), 0);
    assert_int_equal(rights_of("t2000"), 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_journal, close_journal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_policies_nothing_is_allowed),
        TEST(the_most_specific_pattern_counts),
        TEST(a_topic_that_looks_like_a_pattern_is_a_topic),
        TEST(patterns_as_long_as_a_topic_are_found),
        TEST(a_topic_that_some_pattern_matches_is_known),
        TEST(reserved_and_illegal_topics_have_no_rights),
        TEST(a_change_is_read_and_a_look_without_one_is_not),
        TEST(a_snapshot_sees_the_rights_of_its_moment),
        TEST(many_patterns_are_kept_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
