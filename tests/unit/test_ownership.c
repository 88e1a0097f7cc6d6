#include "channel/ownership.h"

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

#include "base/clock.h"
#include "base/crypto.h"

#define NOBODY 65534

/* A folder of a site, with a key for each test. */
static struct {
    char folder[64];
    char key[HF_OWNERSHIP_KEY + 1];
    char name[HF_OWNERSHIP_NAME];
    struct hf_dir dir; /* the same folder, as if it were the journal's */
    struct hf_why why;
} t;

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    memset(&t, 0, sizeof(t));
    (void)snprintf(t.folder, sizeof(t.folder), "%.30s/holdfast-test.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(t.folder));
    assert_int_equal(hf_ownership_make(t.key), 0);
    hf_ownership_name(hf_str_of(t.key), t.name);
    t.dir.fd = open(t.folder, O_RDONLY | O_DIRECTORY);
    t.dir.file_mode = 0600;
    assert_true(t.dir.fd >= 0);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    hf_clock_shift(0, 0);
    assert_int_equal(close(t.dir.fd), 0);
    (void)snprintf(command, sizeof(command), "rm -rf %s", t.folder);
    return system(command);
}

static void upload(const char *name)
{
    int fd = openat(t.dir.fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int proven(void)
{
    t.why = (struct hf_why){""};
    return hf_ownership_proven(t.folder, hf_str_of(t.key), &t.why);
}

static void expect_refused(int err, const char *words)
{
    assert_int_equal(proven(), err);
    if (!strstr(t.why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", t.why.text, words);
    assert_null(strstr(t.why.text, t.folder));
}

static void a_file_named_by_the_hash_of_the_key_is_a_proof(void **state)
{
    unsigned char hash[HF_SHA256_LEN];
    char expected[64];
    int len = snprintf(expected, sizeof(expected), "holdfast-");
    size_t i;

    (void)state;
    hf_sha256(hf_str_of(t.key), hash);
    for (i = 0; i < 16; i++)
        len += snprintf(expected + len, 3, "%02x", hash[i]);
    (void)snprintf(expected + len, 5, ".txt");
    assert_string_equal(t.name, expected);

    expect_refused(HF_ENOTFOUND, "not there yet");
    upload(t.name);
    assert_int_equal(proven(), 0);
    hf_ownership_tidy(t.folder, hf_str_of(t.key));
    expect_refused(HF_ENOTFOUND, "not there yet");
}

static void keys_differ_and_have_one_form(void **state)
{
    char other[HF_OWNERSHIP_KEY + 1];

    (void)state;
    assert_int_equal(hf_ownership_make(other), 0);
    assert_string_not_equal(t.key, other);
    assert_true(hf_ownership_is_key(hf_str_of(other)));
    assert_false(hf_ownership_is_key(HF_STR("")));
    assert_false(hf_ownership_is_key(hf_str(other, HF_OWNERSHIP_KEY - 1)));
    other[3] = '/';
    assert_false(hf_ownership_is_key(hf_str_of(other)));
}

static void a_name_without_its_key_is_no_proof(void **state)
{
    char hex[HF_OWNERSHIP_KEY + 1];

    (void)state;
    upload(t.name); /* seen in a listing of the directory */
    (void)snprintf(hex, sizeof(hex), "%.43s", t.name);
    memcpy(t.key, hex, sizeof(hex));
    expect_refused(HF_EMALFORMED, "not complete");
    assert_int_equal(hf_ownership_make(t.key), 0);
    expect_refused(HF_ENOTFOUND, "not there yet");
}

static void an_old_file_is_no_proof(void **state)
{
    (void)state;
    upload(t.name);
    hf_clock_shift(0, INT64_C(3590) * 1000);
    assert_int_equal(proven(), 0);
    hf_clock_shift(0, INT64_C(3601) * 1000);
    expect_refused(HF_EEXPIRED, "more than an hour ago");
    hf_clock_shift(0, INT64_C(-3610) * 1000); /* from the future */
    expect_refused(HF_EEXPIRED, "more than an hour ago");
}

/* Its date may be set by whoever uploads it; by that it would be years old. */
static void the_date_that_an_upload_keeps_does_not_count(void **state)
{
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    (void)state;
    upload(t.name);
    assert_int_equal(utimensat(t.dir.fd, t.name, long_ago, 0), 0);
    assert_int_equal(proven(), 0);
}

static void a_link_is_no_proof(void **state)
{
    (void)state;
    upload("page.html");
    assert_int_equal(symlinkat("page.html", t.dir.fd, t.name), 0);
    expect_refused(HF_EDENIED, "link");
    assert_int_equal(unlinkat(t.dir.fd, t.name, 0), 0);
    assert_int_equal(linkat(t.dir.fd, "page.html", t.dir.fd, t.name, 0), 0);
    expect_refused(HF_EDENIED, "link");
    assert_int_equal(unlinkat(t.dir.fd, t.name, 0), 0);
    assert_int_equal(mkdirat(t.dir.fd, t.name, 0755), 0);
    expect_refused(HF_EDENIED, "folder");
}

static void somebody_elses_file_is_no_proof(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    upload(t.name);
    assert_int_equal(fchownat(t.dir.fd, t.name, NOBODY, NOBODY, 0), 0);
    expect_refused(HF_EDENIED, "account number 65534");
}

static void nor_is_one_in_somebody_elses_folder(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    upload(t.name);
    assert_int_equal(fchown(t.dir.fd, NOBODY, NOBODY), 0);
    expect_refused(HF_EDENIED, "suEXEC");
}

/* There they could give another file of ours this name. */
static void nor_is_one_where_others_may_rename_files(void **state)
{
    (void)state;
    upload(t.name);
    assert_int_equal(fchmod(t.dir.fd, 0775), 0);
    expect_refused(HF_EDENIED, "755");
    assert_int_equal(fchmod(t.dir.fd, 01777), 0);
    expect_refused(HF_EDENIED, "755");
    assert_int_equal(fchmod(t.dir.fd, 0755), 0);
    assert_int_equal(proven(), 0);
}

static bool kept(void)
{
    return hf_ownership_kept(&t.dir, hf_str_of(t.key));
}

static void a_kept_key_is_known_for_an_hour(void **state)
{
    struct stat st;

    (void)state;
    assert_false(kept());
    assert_int_equal(hf_ownership_keep(&t.dir, hf_str_of(t.key)), 0);
    assert_true(kept());
    assert_int_equal(fstatat(t.dir.fd, HF_FILE_OWNER, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    hf_clock_shift(0, INT64_C(3590) * 1000);
    assert_true(kept());
    hf_clock_shift(0, INT64_C(3601) * 1000);
    assert_false(kept());
    hf_clock_shift(0, INT64_C(-10) * 1000); /* set back: not for longer */
    assert_false(kept());
}

static void only_the_last_one_is_kept_and_not_as_it_is(void **state)
{
    char first[HF_OWNERSHIP_KEY + 1];
    char text[256];
    int fd;
    ssize_t len;

    (void)state;
    memcpy(first, t.key, sizeof(first));
    assert_int_equal(hf_ownership_keep(&t.dir, hf_str_of(first)), 0);
    assert_int_equal(hf_ownership_make(t.key), 0);
    assert_false(kept());
    assert_int_equal(hf_ownership_keep(&t.dir, hf_str_of(t.key)), 0);
    assert_true(kept());
    assert_false(hf_ownership_kept(&t.dir, hf_str_of(first)));

    fd = openat(t.dir.fd, HF_FILE_OWNER, O_RDONLY);
    assert_true(fd >= 0);
    len = read(fd, text, sizeof(text) - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_int_equal(close(fd), 0);
    assert_null(strstr(text, t.key));
}

static void a_broken_record_keeps_nothing(void **state)
{
    static const char *const broken[] = {
        "", "\n", "9999999999",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000 x"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        int fd =
            openat(t.dir.fd, HF_FILE_OWNER, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_true(write(fd, broken[i], strlen(broken[i])) >= 0);
        assert_int_equal(close(fd), 0);
        assert_false(kept());
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_named_by_the_hash_of_the_key_is_a_proof),
        TEST(keys_differ_and_have_one_form),
        TEST(a_name_without_its_key_is_no_proof),
        TEST(an_old_file_is_no_proof),
        TEST(the_date_that_an_upload_keeps_does_not_count),
        TEST(a_link_is_no_proof),
        TEST(somebody_elses_file_is_no_proof),
        TEST(nor_is_one_in_somebody_elses_folder),
        TEST(nor_is_one_where_others_may_rename_files),
        TEST(a_kept_key_is_known_for_an_hour),
        TEST(only_the_last_one_is_kept_and_not_as_it_is),
        TEST(a_broken_record_keeps_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
