#include "schema/policies.h"

#include "schema_fixture.h"

static struct hf_journal *w;
static char seen[1024];

static int note(void *ctx, const struct hf_policy *policy)
{
    size_t len = strlen(seen);
    char rights[32];

    (void)ctx;
    hf_rights_format(policy->rights, rights);
    (void)snprintf(seen + len, sizeof(seen) - len, "%.*s %s%s;",
                   HF_STR_ARG(policy->pattern), rights,
                   policy->echo ? "" : " no echo");
    return 0;
}

static const char *policies(void)
{
    seen[0] = '\0';
    assert_int_equal(hf_policies_each(w, note, NULL), 0);
    return seen;
}

static int set(const char *pattern, unsigned rights, bool echo)
{
    struct hf_policy policy = {hf_str_of(pattern), rights, echo, 0};
    int err;

    assert_int_equal(hf_journal_begin(w), 0);
    err = hf_policy_set(w, &policy);
    if (err)
        hf_journal_rollback(w);
    else
        assert_int_equal(hf_journal_commit(w), 0);
    return err;
}

static uint64_t revision(void)
{
    uint64_t number = 0;

    assert_int_equal(hf_policies_revision(w, &number), 0);
    return number;
}

static void a_policy_is_set_replaced_and_removed(void **state)
{
    (void)state;
    assert_string_equal(policies(), "");
    assert_int_equal(set("room:*", HF_RIGHT_JOIN, true), 0);
    assert_int_equal(set("a", HF_RIGHT_JOIN | HF_RIGHT_PRESENCE, false), 0);
    assert_string_equal(policies(), "a join,presence no echo;room:* join;");
    assert_int_equal(set("a", HF_RIGHT_PUBLISH, true), 0);
    assert_string_equal(policies(), "a publish;room:* join;");
    assert_int_equal(set("room:*", 0, true), 0);
    assert_string_equal(policies(), "a publish;");
}

static void every_change_raises_the_revision(void **state)
{
    uint64_t before = revision();

    (void)state;
    assert_int_equal(set("a", HF_RIGHT_JOIN, true), 0);
    assert_true(revision() > before);
    before = revision();
    assert_int_equal(set("a", HF_RIGHT_PUBLISH, true), 0);
    assert_true(revision() > before);
    before = revision();
    assert_int_equal(set("a", 0, true), 0);
    assert_true(revision() > before);
    before = revision();
    foreign_ok("INSERT INTO policies (pattern, rights)"
               " VALUES ('b', 'publish,join')");
    assert_true(revision() > before);
    before = revision();
    foreign_ok("DELETE FROM policies");
    assert_true(revision() > before);
    before = revision();
    assert_string_equal(policies(), "");
    assert_int_equal(revision(), before);
}

static void refused(const char *values, const char *words)
{
    static const char *const verbs[] = {"INSERT", "INSERT OR IGNORE",
                                        "REPLACE"};
    char sql[512];
    size_t i;

    for (i = 0; i < 3; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "%s INTO policies (pattern, rights, echo) VALUES (%s)",
                       verbs[i], values);
        if (strcmp(foreign_run(sql), words) != 0)
            fail_msg("%s says: %s", sql, foreign_run(sql));
    }
}

static void what_a_script_gets_wrong_is_named(void **state)
{
    static const char rights[] =
        "rights: a list of join, publish, presence with commas and no blanks";

    (void)state;
    refused("'', 'join', 1", "pattern: 1 to 200 bytes");
    refused("NULL, 'join', 1", "pattern: 1 to 200 bytes");
    refused("printf('%201d', 1), 'join', 1", "pattern: 1 to 200 bytes");
    refused("'*a', 'join', 1", "pattern: one * is allowed, at the end");
    refused("'a**', 'join', 1", "pattern: one * is allowed, at the end");
    refused("'a' || char(10), 'join', 1",
            "pattern: control characters are not allowed");
    refused("'a' || char(0), 'join', 1",
            "pattern: control characters are not allowed");
    refused("'a', 'join', 2", "echo: 0 or 1");
    refused("'a', 'join', NULL", "echo: 0 or 1");
    refused("'a', '', 1", rights);
    refused("'a', NULL, 1", rights);
    refused("'a', 'read', 1", rights);
    refused("'a', 'join, publish', 1", rights);
    refused("'a', 'join,', 1", rights);
    refused("'a', ',join', 1", rights);
    refused("'a', 'prejoin,sence', 1", rights);
    refused("'a', 'joinpublish', 1", rights);
    assert_int_equal(foreign_number("SELECT count(*) FROM policies"), 0);
    foreign_ok("INSERT INTO policies (pattern, rights, echo) VALUES ('*', 'presence,publish,join', 0)");
    foreign_ok("INSERT INTO policies (pattern, rights, echo) VALUES ('é*', 'publish', 1)");
    assert_string_equal(foreign_run("UPDATE policies SET rights = 'x'"),
                        "policies: use INSERT OR REPLACE, not UPDATE");
    assert_string_equal(policies(),
                        "* join,publish,presence no echo;é* publish;");
}

static void our_own_mistakes_are_refused_too(void **state)
{
    (void)state;
    assert_int_equal(set("*x", HF_RIGHT_JOIN, true), HF_EINVAL);
    assert_string_equal(hf_journal_refusal(w),
                        "pattern: one * is allowed, at the end");
    assert_int_equal(set("x", HF_RIGHT_JOIN, true), 0);
}

static void rights_are_words(void **state)
{
    static const struct {
        const char *text;
        int err;
        unsigned rights;
    } cases[] = {
        {"join", 0, 1},
        {"publish", 0, 2},
        {"presence", 0, 4},
        {"presence,join", 0, 5},
        {"join,join", 0, 1},
        {"none", 0, 0},
        {"", HF_EINVAL, 0},
        {"join,", HF_EINVAL, 0},
        {",join", HF_EINVAL, 0},
        {"join,none", HF_EINVAL, 0},
        {"Join", HF_EINVAL, 0},
        {"joi", HF_EINVAL, 0},
        {"join publish", HF_EINVAL, 0},
    };
    char text[32];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned rights = 0;

        assert_int_equal(hf_rights_parse(hf_str_of(cases[i].text), &rights),
                         cases[i].err);
        assert_int_equal(rights, cases[i].rights);
    }
    hf_rights_format(7, text);
    assert_string_equal(text, "join,publish,presence");
    hf_rights_format(0, text);
    assert_string_equal(text, "none");
}

static int set_up(void **state)
{
    if (fixture_set_up(state))
        return -1;
    w = open_journal(HF_JOURNAL_WRITE);
    return 0;
}

static int tear_down(void **state)
{
    hf_journal_close(w);
    return fixture_tear_down(state);
}

#define POLICIES_TEST(name)                                                    \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POLICIES_TEST(a_policy_is_set_replaced_and_removed),
        POLICIES_TEST(every_change_raises_the_revision),
        POLICIES_TEST(what_a_script_gets_wrong_is_named),
        POLICIES_TEST(our_own_mistakes_are_refused_too),
        cmocka_unit_test(rights_are_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
