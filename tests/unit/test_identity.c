#include "channel/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/jwt.h"
#include "channel/keys.h"
#include "schema/policies.h"

#define NOW_MS INT64_C(1300000000000)

static unsigned rights_at(const char *topics, const char *topic, int64_t now_ms)
{
    struct hf_identity *identity;
    unsigned rights;

    assert_int_equal(
        hf_identity_new(HF_STR("a"), hf_str_of(topics), NOW_MS, &identity), 0);
    rights = hf_identity_rights(identity, hf_str_of(topic), now_ms);
    hf_identity_unref(identity);
    return rights;
}

static unsigned rights_of(const char *topics, const char *topic)
{
    return rights_at(topics, topic, NOW_MS - 1);
}

/* --- rights -------------------------------------------------------------- */

static void patterns_that_match_add_up(void **state)
{
    static const char topics[] =
        "{\"*\":[\"presence\"],\"room:*\":[\"join\"],\"room:1\":[\"publish\"],"
        "\"ro\\u006fm:2\":[\"join\",\"publish\",\"presence\"]}";

    (void)state;
    assert_int_equal(rights_of(topics, "room:1"),
                     HF_RIGHT_JOIN | HF_RIGHT_PUBLISH | HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of(topics, "room:11"),
                     HF_RIGHT_JOIN | HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of(topics, "room:2"),
                     HF_RIGHT_JOIN | HF_RIGHT_PUBLISH | HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of(topics, "roo"), HF_RIGHT_PRESENCE);
    assert_int_equal(rights_of("", "room:1"), 0);
    assert_int_equal(rights_of("{}", "room:1"), 0);
}

static void what_means_nothing_gives_nothing(void **state)
{
    (void)state;
    assert_int_equal(rights_of("{\"a\":[\"write\",7,null,\"join\"]}", "a"),
                     HF_RIGHT_JOIN);
    assert_int_equal(rights_of("{\"a*b\":[\"join\"],\"\":[\"join\"],"
                               "\"\\u0000\":[\"join\"]}",
                               "a*b"),
                     0);
    assert_int_equal(hf_identity_rights(NULL, HF_STR("a"), 0), 0);
}

static void rights_end_with_the_token(void **state)
{
    (void)state;
    assert_int_equal(rights_at("{\"a\":[\"join\"]}", "a", NOW_MS - 1),
                     HF_RIGHT_JOIN);
    assert_int_equal(rights_at("{\"a\":[\"join\"]}", "a", NOW_MS), 0);
}

static void topics_must_be_patterns_with_lists(void **state)
{
    static const char *const bad[] = {"[]",
                                      "null",
                                      "\"a\"",
                                      "{\"a\":\"join\"}",
                                      "{\"a\":[\"join\"],\"b\":{}}",
                                      "{"};
    struct hf_identity *identity;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(
            hf_identity_new(HF_STR(""), hf_str_of(bad[i]), 0, &identity),
            HF_EINVAL);
}

static void a_user_has_up_to_128_bytes_without_control_characters(void **state)
{
    char name[HF_USER_MAX + 1], room[HF_USER_TOPIC_MAX];
    struct hf_identity *identity;

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_int_equal(
        hf_identity_new(hf_str(name, HF_USER_MAX), HF_STR(""), 0, &identity),
        0);
    assert_int_equal(hf_user_topic(identity->user, room).len,
                     HF_USER_TOPIC_MAX);
    hf_identity_unref(identity);
    assert_int_equal(hf_identity_new(hf_str(name, HF_USER_MAX + 1), HF_STR(""),
                                     0, &identity),
                     HF_EINVAL);
    assert_int_equal(hf_identity_new(HF_STR("a\nb"), HF_STR(""), 0, &identity),
                     HF_EINVAL);
    assert_int_equal(hf_user_topic(HF_STR(""), room).len, 0);
    assert_true(hf_str_eq(hf_user_topic(HF_STR("bob"), room),
                          HF_STR("user_socket:bob")));
}

/* --- keys.json ----------------------------------------------------------- */

static struct hf_dir dir;
static char scratch[64];

static int set_up(void **state)
{
    struct hf_why why;
    bool existed;

    (void)state;
    (void)snprintf(scratch, sizeof(scratch), "/tmp/holdfast-test.XXXXXX");
    assert_non_null(mkdtemp(scratch));
    if (hf_dir_init(scratch, NULL, &existed, &why) ||
        hf_dir_open(&dir, scratch, &why))
        fail_msg("%s", why.text);
    return 0;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    hf_dir_close(&dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

static void write_keys(const char *text)
{
    char path[100];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/keys.json", scratch);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void keys_are_read_again_when_they_change(void **state)
{
    struct hf_keys *keys;
    struct hf_why why;
    char made[HF_JWK_ID_MAX];
    size_t len;

    (void)state;
    assert_int_equal(hf_keys_open(&dir, &keys, &why), 0);
    assert_int_equal(hf_keys_now(keys)->count, 1);
    len = hf_keys_now(keys)->keys[0].id_len;
    memcpy(made, hf_keys_now(keys)->keys[0].id, len);
    write_keys("{broken");
    assert_int_equal(hf_keys_now(keys)->count, 1); /* the last good ones */
    assert_non_null(hf_jwks_find(hf_keys_now(keys), hf_str(made, len)));
    write_keys("{\"keys\":[]}");
    assert_int_equal(hf_keys_now(keys)->count, 0);
    write_keys("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKO"
               "bwVMkoqQ-EstJQLr_T\"}]}");
    assert_int_equal(hf_keys_now(keys)->count, 1);
    assert_int_equal(unlinkat(dir.fd, HF_FILE_KEYS, 0), 0);
    assert_int_equal(hf_keys_now(keys)->count, 0); /* nobody is let in */
    hf_keys_close(keys);
}

static void bad_keys_are_refused_at_the_start(void **state)
{
    struct hf_keys *keys;
    struct hf_why why;

    (void)state;
    write_keys(
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"c2hvcnQ\"}]}");
    assert_int_equal(hf_keys_open(&dir, &keys, &why), HF_EMALFORMED);
    assert_non_null(
        strstr(why.text, "keys.json: key 1 (kid \"a\"): its secret"));
    write_keys("{\"keys\":[]}");
    assert_int_equal(fchmodat(dir.fd, HF_FILE_KEYS, 0640, 0), 0);
    assert_int_equal(hf_keys_open(&dir, &keys, &why), HF_EDENIED);
    assert_non_null(strstr(why.text, "mode 640"));
    assert_int_equal(unlinkat(dir.fd, HF_FILE_KEYS, 0), 0);
    assert_int_equal(hf_keys_open(&dir, &keys, &why), 0);
    hf_keys_close(keys);
}

static void keys_may_be_read_when_they_are_asked_for(void **state)
{
    struct hf_keys *keys;

    (void)state;
    write_keys("{broken");
    assert_int_equal(hf_keys_open_later(&dir, &keys), 0);
    assert_int_equal(hf_keys_now(keys)->count, 0); /* nobody is let in */
    hf_keys_close(keys);
    write_keys("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKO"
               "bwVMkoqQ-EstJQLr_T\"}]}");
    assert_int_equal(hf_keys_open_later(&dir, &keys), 0);
    assert_int_equal(hf_keys_now(keys)->count, 1);
    hf_keys_close(keys);
    assert_int_equal(unlinkat(dir.fd, HF_FILE_KEYS, 0), 0);
    assert_int_equal(hf_keys_open_later(&dir, &keys), 0);
    assert_int_equal(hf_keys_now(keys)->count, 0);
    hf_keys_close(keys);
}

static void a_token_that_is_no_identity_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"exp\":1300000001,\"sub\":\"\"}",
        "{\"exp\":1300000001,\"sub\":7}",
        "{\"exp\":1300000001,\"sub\":\"a\\u0000\"}",
        "{\"exp\":1300000001,\"topics\":[]}",
        "{\"exp\":1300000001,\"topics\":null}",
    };
    struct hf_identity *identity;
    struct hf_keys *keys;
    struct hf_buf token;
    const char *why;
    size_t i;

    (void)state;
    assert_int_equal(hf_keys_open(&dir, &keys, NULL), 0);
    hf_buf_init(&token, 8192);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hf_buf_reset(&token);
        assert_int_equal(
            hf_jwt_make(&hf_keys_now(keys)->keys[0], hf_str_of(bad[i]), &token),
            0);
        assert_int_equal(hf_identity_of_token(hf_keys_now(keys),
                                              hf_buf_str(&token), NOW_MS,
                                              &identity, &why),
                         HF_EDENIED);
        assert_non_null(strstr(why, i < 3 ? "sub" : "topics"));
    }
    hf_buf_reset(&token);
    assert_int_equal(hf_jwt_make(&hf_keys_now(keys)->keys[0],
                                 HF_STR("{\"exp\":1300000001}"), &token),
                     0);
    assert_int_equal(hf_identity_of_token(hf_keys_now(keys), hf_buf_str(&token),
                                          NOW_MS, &identity, &why),
                     0);
    assert_int_equal(identity->user.len, 0);
    assert_int_equal(identity->expires_ms, NOW_MS + 1000);
    hf_identity_unref(identity);
    assert_int_equal(hf_identity_of_token(hf_keys_now(keys), hf_buf_str(&token),
                                          NOW_MS + 1000, &identity, &why),
                     HF_EEXPIRED);
    hf_buf_release(&token);
    hf_keys_close(keys);
}

#define KEYS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_that_match_add_up),
        cmocka_unit_test(what_means_nothing_gives_nothing),
        cmocka_unit_test(rights_end_with_the_token),
        cmocka_unit_test(topics_must_be_patterns_with_lists),
        cmocka_unit_test(a_user_has_up_to_128_bytes_without_control_characters),
        KEYS_TEST(keys_are_read_again_when_they_change),
        KEYS_TEST(bad_keys_are_refused_at_the_start),
        KEYS_TEST(keys_may_be_read_when_they_are_asked_for),
        KEYS_TEST(a_token_that_is_no_identity_is_refused),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
