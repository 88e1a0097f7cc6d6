#include "channel/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char scratch[64];
static struct hf_loop *loop;
static struct hf_process process;
static struct hf_why why;

static const char *in_scratch(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return path;
}

static int make_journal(void **state)
{
    const char *tmp = getenv("TMPDIR");
    bool existed;

    (void)state;
    (void)snprintf(scratch, sizeof(scratch), "%.30s/holdfast-test.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(scratch));
    if (hf_dir_init(scratch, NULL, &existed, &why))
        fail_msg("%s", why.text);
    assert_int_equal(hf_loop_new(&loop), 0);
    memset(&why, 0, sizeof(why));
    return 0;
}

static int remove_journal(void **state)
{
    char command[128];

    (void)state;
    hf_loop_free(loop);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

static size_t open_descriptors(void)
{
    DIR *listing = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(listing);
    while (readdir(listing))
        count++;
    (void)closedir(listing);
    return count;
}

static void all_is_open_and_all_is_closed_again(void **state)
{
    unsigned char secret[sizeof(process.secret)] = {0};
    size_t before = open_descriptors();
    int threaded;

    (void)state;
    for (threaded = 0; threaded < 2; threaded++) {
        if (hf_process_open(&process, loop, scratch, threaded, &why))
            fail_msg("%s", why.text);
        assert_ptr_equal(process.loop, loop);
        assert_non_null(process.journal);
        assert_non_null(process.writer);
        assert_non_null(process.live);
        assert_non_null(process.rights);
        assert_string_equal(process.settings.mount, "/socket");
        assert_memory_not_equal(&process.secret, secret, sizeof(secret));
        assert_string_equal(why.text, "");

        hf_process_close(&process);
        assert_memory_equal(&process.secret, secret, sizeof(secret));
        assert_int_equal(open_descriptors(), before);
    }
}

static void the_policies_are_in_force_from_the_start(void **state)
{
    const struct hf_policy policy = {HF_STR("demo:*"), HF_RIGHT_JOIN, true, 0};
    struct hf_journal *journal;

    (void)state;
    assert_int_equal(hf_process_open(&process, loop, scratch, false, &why), 0);
    assert_int_equal(hf_journal_open(&process.dir, &process.settings,
                                     HF_JOURNAL_WRITE, &journal, &why),
                     0);
    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(hf_policy_set(journal, &policy), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
    hf_process_close(&process);

    assert_int_equal(hf_process_open(&process, loop, scratch, false, &why), 0);
    assert_int_equal(hf_rights_of(process.rights, NULL, HF_STR("demo:1")).rights,
                     HF_RIGHT_JOIN);
    hf_process_close(&process);
}

static void closing_what_was_never_open_closes_nothing(void **state)
{
    static struct hf_process zeroed;
    size_t before = open_descriptors();

    (void)state;
    hf_process_close(&zeroed);
    hf_process_close(&zeroed);
    assert_int_equal(open_descriptors(), before);
}

/* Break one file of the directory, and see the words for it. */
static void refuses_with(const char *words)
{
    size_t before = open_descriptors();

    memset(&why, 0, sizeof(why));
    assert_int_not_equal(hf_process_open(&process, loop, scratch, true, &why),
                         0);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
    assert_int_equal(open_descriptors(), before);
    assert_null(process.journal);
    hf_process_close(&process); /* may be called, need not be */
}

static void put(const char *name, const char *contents, size_t len)
{
    FILE *file = fopen(in_scratch(name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(contents, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void a_missing_secret_is_named(void **state)
{
    (void)state;
    assert_int_equal(unlink(in_scratch(HF_FILE_SECRET)), 0);
    refuses_with("secret is missing; `holdfast init ");
}

static void a_secret_of_another_length_is_refused(void **state)
{
    static const char bytes[33] = {0};

    (void)state;
    put(HF_FILE_SECRET, bytes, 31);
    refuses_with("is not a key of 32 bytes");
    put(HF_FILE_SECRET, bytes, 33);
    refuses_with("is not a key of 32 bytes");
    put(HF_FILE_SECRET, bytes, 0);
    refuses_with("is not a key of 32 bytes");
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(in_scratch(HF_FILE_SECRET), 0644), 0);
    refuses_with("mode 644");
    assert_int_equal(chmod(in_scratch(HF_FILE_SECRET), 0600), 0);
    assert_int_equal(hf_process_open(&process, loop, scratch, false, &why), 0);
    hf_process_close(&process);
}

static void a_bad_setting_is_named(void **state)
{
    static const char text[] = "[http]\nmoutn = /socket\n";

    (void)state;
    put(HF_FILE_SETTINGS, text, sizeof(text) - 1);
    refuses_with("moutn");
}

static void a_damaged_journal_is_refused(void **state)
{
    static const char text[] = "this is no database, but long enough for one "
                               "to be looked into by those who know how";

    (void)state;
    put(HF_FILE_JOURNAL, text, sizeof(text) - 1);
    refuses_with(HF_FILE_JOURNAL);
}

static void a_missing_directory_is_named(void **state)
{
    (void)state;
    assert_int_not_equal(
        hf_process_open(&process, loop, in_scratch("nowhere"), true, &why), 0);
    assert_non_null(strstr(why.text, "nowhere"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_journal, remove_journal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_open_and_all_is_closed_again),
        TEST(the_policies_are_in_force_from_the_start),
        TEST(closing_what_was_never_open_closes_nothing),
        TEST(a_missing_secret_is_named),
        TEST(a_secret_of_another_length_is_refused),
        TEST(a_secret_that_others_can_read_is_refused),
        TEST(a_bad_setting_is_named),
        TEST(a_damaged_journal_is_refused),
        TEST(a_missing_directory_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
