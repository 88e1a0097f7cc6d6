#include "base/conf.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sys.h"

static char dir[] = "test-conf-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/a.conf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

/* Notes what it is given as "section.name=value;", and refuses values that
 * start with "bad". */
static int note(void *ctx, const char *section, const char *name,
                const char *value, struct hf_why *why)
{
    char *seen = ctx;
    size_t len = strlen(seen);

    if (strncmp(value, "bad", 3) == 0)
        return hf_explain(why, HF_EINVAL, "%s cannot be %s", name, value);
    if (strcmp(value, "silent") == 0)
        return HF_ELIMIT;
    (void)snprintf(seen + len, 1000 - len, "%s.%s=%s;", section, name, value);
    return 0;
}

static int read_bytes(struct hf_str bytes, char seen[1000], struct hf_why *why)
{
    assert_int_equal(hf_file_replace(AT_FDCWD, path, 0600, bytes, false), 0);
    seen[0] = '\0';
    why->text[0] = '\0';
    return hf_conf_read(path, note, seen, why);
}

static void assert_reads(const char *text, const char *expected)
{
    struct hf_why why;
    char seen[1000];

    assert_int_equal(read_bytes(hf_str_of(text), seen, &why), 0);
    assert_string_equal(seen, expected);
    assert_string_equal(why.text, "");
}

static void assert_refuses(struct hf_str text, int err, const char *place)
{
    struct hf_why why;
    char seen[1000], expected[600];

    assert_int_equal(read_bytes(text, seen, &why), err);
    (void)snprintf(expected, sizeof(expected), "%s:%s", path, place);
    assert_string_equal(why.text, expected);
}

static void settings_come_in_order_with_their_section(void **state)
{
    (void)state;
    assert_reads("a = 1\n[one]\nb=two words\n\n[two]\nc =\t3\nc = 4\n",
                 ".a=1;one.b=two words;two.c=3;two.c=4;");
    assert_reads("", "");
    assert_reads("[one]\nlast = without line end",
                 "one.last=without line end;");
    assert_reads("[one]\r\na = 1\r\n", "one.a=1;");
    assert_reads("a =\n", ".a=;");
}

static void comments_are_passed_over(void **state)
{
    (void)state;
    assert_reads("; one\n# two\n  ; three\na = 1 ; four\nb = x;y\n",
                 ".a=1;.b=x;y;");
}

static void an_indented_line_is_a_line_like_others(void **state)
{
    (void)state;
    assert_reads("a = 1\n    b = 2\n\tc = 3\n", ".a=1;.b=2;.c=3;");
}

static void a_wrong_value_is_reported_with_its_line(void **state)
{
    (void)state;
    assert_refuses(HF_STR("[one]\n\n; x\na = bad thing\nb = bad\n"), HF_EINVAL,
                   "4: a cannot be bad thing");
}

static void nothing_is_delivered_after_an_error(void **state)
{
    struct hf_why why;
    char seen[1000];

    (void)state;
    assert_int_equal(read_bytes(HF_STR("a = 1\nb = bad\nc = 3\n"), seen, &why),
                     HF_EINVAL);
    assert_string_equal(seen, ".a=1;");
}

static void an_error_without_words_gets_the_standard_ones(void **state)
{
    (void)state;
    assert_refuses(HF_STR("a = silent\n"), HF_ELIMIT, "1: a limit is reached");
}

static void a_line_that_is_no_setting_is_reported(void **state)
{
    (void)state;
    assert_refuses(HF_STR("a = 1\njust words\nb = 2\n"), HF_EINVAL,
                   "2: neither [section] nor name = value");
    assert_refuses(HF_STR("[open\n"), HF_EINVAL,
                   "1: neither [section] nor name = value");
}

static void of_two_errors_the_first_one_is_reported(void **state)
{
    (void)state;
    assert_refuses(HF_STR("words\na = bad\n"), HF_EINVAL,
                   "1: neither [section] nor name = value");
    assert_refuses(HF_STR("a = bad\nwords\n"), HF_EINVAL, "1: a cannot be bad");
}

static void lines_inih_would_misread_are_refused(void **state)
{
    char line[300];

    (void)state;
    assert_refuses(HF_STR("a = 1\nb = 2\0 = 3\n"), HF_EINVAL, "2: a NUL byte");
    memset(line, 'x', sizeof(line));
    memcpy(line, "a = ", 4);
    line[199] = '\n';
    assert_refuses(hf_str(line, 200), HF_EINVAL,
                   "1: longer than 198 characters");
}

static void the_longest_line_is_read_whole(void **state)
{
    char line[200], expected[300];

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "a = ", 4);
    line[198] = '\n';
    line[199] = '\0';
    (void)snprintf(expected, sizeof(expected), ".a=%.194s;", line + 4);
    assert_reads(line, expected);
}

static void a_missing_file_is_told_from_a_wrong_one(void **state)
{
    struct hf_why why;
    char seen[1000];
    static char huge[65537];

    (void)state;
    (void)unlink(path);
    assert_int_equal(hf_conf_read(path, note, seen, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "no such file"));
    assert_int_equal(hf_conf_read(dir, note, seen, &why), HF_EIO);
    assert_non_null(strstr(why.text, "s a directory"));
    assert_int_equal(hf_conf_read(dir, note, seen, NULL), HF_EIO);

    memset(huge, '\n', sizeof(huge));
    assert_int_equal(read_bytes(hf_str(huge, 65536), seen, &why), 0);
    assert_int_equal(read_bytes(hf_str(huge, 65537), seen, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "larger than 65536 bytes"));
}

static void booleans_have_four_spellings_each(void **state)
{
    static const char *const yes[] = {"yes", "on", "true", "1", "Yes", "ON"};
    static const char *const no[] = {"no", "off", "false", "0", "No", "FALSE"};
    static const char *const neither[] = {"", "y", "yes ", "2", "01", "nope"};
    bool b;
    size_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        b = false;
        assert_true(hf_conf_bool(yes[i], &b) && b);
        assert_true(hf_conf_bool(no[i], &b) && !b);
        assert_false(hf_conf_bool(neither[i], &b));
    }
}

static void sizes_count_in_powers_of_1024(void **state)
{
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 k",
                                      "k",
                                      "1kb",
                                      "1.5k",
                                      "0x1",
                                      "1t",
                                      "9223372036854775808",
                                      "9007199254740992k",
                                      "1k "};
    long long n = 99;
    size_t i;

    (void)state;
    assert_true(hf_conf_size("0", &n) && n == 0);
    assert_true(hf_conf_size("100", &n) && n == 100);
    assert_true(hf_conf_size("64k", &n) && n == 65536);
    assert_true(hf_conf_size("64K", &n) && n == 65536);
    assert_true(hf_conf_size("8M", &n) && n == 8388608);
    assert_true(hf_conf_size("1G", &n) && n == 1073741824);
    assert_true(hf_conf_size("9223372036854775807", &n) && n == LLONG_MAX);
    n = 99;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (hf_conf_size(bad[i], &n))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_true(n == 99);
}

static void durations_need_a_unit(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "10",
                                      "10 s",
                                      "-1s",
                                      "s",
                                      "1S",
                                      "1min",
                                      "1.5s",
                                      "1sm",
                                      "1e3s",
                                      "106751991168d",
                                      "99999999999999999999s"};
    long long n = 99;
    size_t i;

    (void)state;
    assert_true(hf_conf_duration_ms("250ms", &n) && n == 250);
    assert_true(hf_conf_duration_ms("0s", &n) && n == 0);
    assert_true(hf_conf_duration_ms("10s", &n) && n == 10000);
    assert_true(hf_conf_duration_ms("5m", &n) && n == 300000);
    assert_true(hf_conf_duration_ms("24h", &n) && n == 86400000);
    assert_true(hf_conf_duration_ms("2d", &n) && n == 172800000);
    n = 99;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (hf_conf_duration_ms(bad[i], &n))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_true(n == 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_in_order_with_their_section),
        cmocka_unit_test(comments_are_passed_over),
        cmocka_unit_test(an_indented_line_is_a_line_like_others),
        cmocka_unit_test(a_wrong_value_is_reported_with_its_line),
        cmocka_unit_test(nothing_is_delivered_after_an_error),
        cmocka_unit_test(an_error_without_words_gets_the_standard_ones),
        cmocka_unit_test(a_line_that_is_no_setting_is_reported),
        cmocka_unit_test(of_two_errors_the_first_one_is_reported),
        cmocka_unit_test(lines_inih_would_misread_are_refused),
        cmocka_unit_test(the_longest_line_is_read_whole),
        cmocka_unit_test(a_missing_file_is_told_from_a_wrong_one),
        cmocka_unit_test(booleans_have_four_spellings_each),
        cmocka_unit_test(sizes_count_in_powers_of_1024),
        cmocka_unit_test(durations_need_a_unit),
    };

    return cmocka_run_group_tests_name("conf", tests, make_dir, remove_dir);
}
