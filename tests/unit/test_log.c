#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

/* What was written to standard error by the last captured call. */
static char text[3 * PIPE_BUF];
static size_t text_len;

static int real_stderr, reader;

/* Each capture is a second of its own: the bound on lines of one event is the
 * matter of one test, not of the others. */
static int64_t boot_shift, wall_shift;

static void begin_capture(void)
{
    int ends[2];

    hf_clock_shift(boot_shift += 1000, wall_shift);

    assert_int_equal(pipe(ends), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    hf_close(&ends[1]);
    reader = ends[0];
}

static void end_capture(void)
{
    ssize_t got;

    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    hf_close(&real_stderr);
    text_len = 0;
    while ((got = read(reader, text + text_len, sizeof(text) - 1 - text_len)) >
           0)
        text_len += (size_t)got;
    text[text_len] = '\0';
    hf_close(&reader);
}

#define CAPTURE(call)                                                          \
    do {                                                                       \
        begin_capture();                                                       \
        call;                                                                  \
        end_capture();                                                         \
    } while (0)

/* The line without what stands before the fields. */
static const char *fields(void)
{
    const char *pid = strstr(text, " pid=");
    const char *first;

    assert_non_null(pid);
    first = strchr(pid + 1, ' ');
    return first ? first + 1 : "";
}

static int set_up(void **state)
{
    (void)state;
    hf_log_open(NULL, HF_LOG_INFO, false);
    return 0;
}

static void a_line_says_when_how_bad_what_and_who(void **state)
{
    char expected[200];

    (void)state;
    hf_log_open("gateway", HF_LOG_INFO, false);
    CAPTURE(HF_LOG(HF_LOG_WARN, "journal_busy", hf_field_i("waited_ms", -250),
                   hf_field("hint", "another program holds the lock")));
    (void)snprintf(expected, sizeof(expected),
                   " level=warn event=journal_busy pid=%d program=gateway "
                   "waited_ms=-250 hint=\"another program holds the lock\"\n",
                   (int)getpid());
    assert_memory_equal(text, "ts=", 3);
    assert_int_equal(text[13], 'T');
    assert_int_equal(text[22], '.');
    assert_int_equal(text[26], 'Z');
    assert_string_equal(text + 27, expected);
}

static void the_time_is_that_of_the_wall_clock(void **state)
{
    (void)state;
    /* A date whose parts all differ. */
    wall_shift = 1714529045980 - hf_wall_ms();
    CAPTURE(HF_LOG(HF_LOG_INFO, "x", hf_field_i("n", 1)));
    wall_shift = 0;
    assert_memory_equal(text, "ts=2024-05-01T02:04:0", 21);
}

static void below_the_level_nothing_is_written(void **state)
{
    (void)state;
    CAPTURE(HF_LOG(HF_LOG_DEBUG, "x", hf_field_i("n", 1)));
    assert_string_equal(text, "");
    hf_log_open(NULL, HF_LOG_ERROR, false);
    CAPTURE(HF_LOG(HF_LOG_WARN, "x", hf_field_i("n", 1)));
    assert_string_equal(text, "");
    CAPTURE(HF_LOG(HF_LOG_ERROR, "x", hf_field_i("n", 1)));
    assert_non_null(strstr(text, "level=error event=x "));
    hf_log_open(NULL, HF_LOG_DEBUG, false);
    CAPTURE(HF_LOG(HF_LOG_DEBUG, "x", hf_field_i("n", 1)));
    assert_non_null(strstr(text, "level=debug event=x "));
}

static void an_event_may_come_without_fields(void **state)
{
    (void)state;
    CAPTURE(hf_log(HF_LOG_INFO, "ready", NULL, 0));
    assert_non_null(strstr(text, "event=ready pid="));
    assert_int_equal(text[text_len - 1], '\n');
}

static void assert_value(struct hf_str value, const char *written)
{
    char expected[200];

    CAPTURE(HF_LOG(HF_LOG_INFO, "x", hf_field_s("v", value)));
    (void)snprintf(expected, sizeof(expected), "v=%s\n", written);
    assert_string_equal(fields(), expected);
}

static void values_are_quoted_where_needed(void **state)
{
    (void)state;
    assert_value(HF_STR("plain-1.2:/@"), "plain-1.2:/@");
    assert_value(HF_STR("two words"), "\"two words\"");
    assert_value(HF_STR("a=b"), "\"a=b\"");
    assert_value(HF_STR("say \"x\""), "\"say \\\"x\\\"\"");
    assert_value(HF_STR("back\\slash"), "\"back\\\\slash\"");
    assert_value(HF_STR(""), "\"\"");
    assert_value(hf_str(NULL, 0), "\"\"");
    assert_value(HF_STR("\xc3\xa4"), "\"\xc3\xa4\"");
}

static void no_text_at_all_is_a_dash(void **state)
{
    (void)state;
    CAPTURE(HF_LOG(HF_LOG_INFO, "x", hf_field("v", NULL)));
    assert_string_equal(fields(), "v=-\n");
}

static void control_bytes_are_escaped(void **state)
{
    (void)state;
    assert_value(HF_STR("a\nlevel=error"), "\"a\\nlevel=error\"");
    assert_value(HF_STR("\r\t\0\x1b[31m\x7f"), "\"\\r\\t\\x00\\x1b[31m\\x7f\"");
    /* U+009B starts a terminal's commands as ESC [ does; U+00A0 does not. */
    assert_value(HF_STR("\xc2\x9b"
                        "31m"),
                 "\"\\xc2\\x9b31m\"");
    assert_value(HF_STR("\xc2\xa0"), "\"\xc2\xa0\"");
}

static void bytes_that_are_no_text_are_escaped(void **state)
{
    (void)state;
    assert_value(HF_STR("\xc3\xa4\xff"), "\"\\xc3\\xa4\\xff\"");
    assert_value(HF_STR("\xc2"), "\"\\xc2\"");
}

static void a_long_value_is_cut_at_1000_bytes(void **state)
{
    char value[1001];
    char expected[1200];

    (void)state;
    memset(value, 'a', sizeof(value));
    CAPTURE(HF_LOG(HF_LOG_INFO, "x", hf_field_s("v", hf_str(value, 1000))));
    (void)snprintf(expected, sizeof(expected), "v=%.1000s\n", value);
    assert_string_equal(fields(), expected);

    CAPTURE(HF_LOG(HF_LOG_INFO, "x", hf_field_s("v", hf_str(value, 1001))));
    (void)snprintf(expected, sizeof(expected), "v=\"%.1000s...\"\n", value);
    assert_string_equal(fields(), expected);
}

static void a_cut_does_not_divide_a_character(void **state)
{
    char value[1100];
    char expected[1200];

    (void)state;
    memset(value, 'a', sizeof(value));
    memcpy(value + 997, "\xf0\x9f\x98\x80", 4); /* ends behind the cut */
    CAPTURE(HF_LOG(HF_LOG_INFO, "x",
                   hf_field_s("v", hf_str(value, sizeof(value)))));
    (void)snprintf(expected, sizeof(expected), "v=\"%.997s...\"\n", value);
    assert_string_equal(fields(), expected);
}

static void a_line_is_never_longer_than_a_pipe_keeps_whole(void **state)
{
    struct hf_field many[2000];
    size_t i;

    (void)state;
    for (i = 0; i < 2000; i++)
        many[i] = hf_field("v", "x");
    CAPTURE(hf_log(HF_LOG_INFO, "x", many, 2000));
    assert_true(text_len <= PIPE_BUF);
    assert_true(text_len > PIPE_BUF - 4);
    /* Fields are left out whole, and the line says so. */
    assert_string_equal(text + text_len - 17, " v=x v=x cut=yes\n");
    assert_int_equal(strcspn(text, "\n"), text_len - 1);
}

static void after_a_field_that_does_not_fit_there_is_none(void **state)
{
    struct hf_field many[10];
    char value[1000];
    size_t i;

    (void)state;
    memset(value, '\n', sizeof(value)); /* twice as long when written */
    for (i = 0; i < 9; i++)
        many[i] = hf_field_s("v", hf_str(value, 900));
    many[9] = hf_field("last", "x");
    CAPTURE(hf_log(HF_LOG_INFO, "x", many, 10));
    assert_int_equal(strlen(fields()), 2 * (1800 + 5) + 8);
    assert_string_equal(text + text_len - 12, "\\n\" cut=yes\n");
    assert_null(strstr(text, "last="));
}

static void logging_leaves_errno_alone(void **state)
{
    (void)state;
    errno = ENOSPC;
    begin_capture();
    HF_LOG(HF_LOG_INFO, "x", hf_field_i("n", 1));
    assert_int_equal(errno, ENOSPC);
    (void)close(STDERR_FILENO);
    errno = ENOSPC;
    HF_LOG(HF_LOG_INFO, "x", hf_field_i("n", 1)); /* and does not fail */
    assert_int_equal(errno, ENOSPC);
    end_capture();
}

static size_t lines_written(void)
{
    size_t n, lines = 0;

    for (n = 0; n < text_len; n++)
        lines += text[n] == '\n';
    return lines;
}

static void a_flood_of_one_event_is_bounded_and_told(void **state)
{
    unsigned n;

    (void)state;
    begin_capture();
    for (n = 0; n < 3 * HF_LOG_PER_SECOND; n++)
        HF_LOG(HF_LOG_INFO, "flood", hf_field_i("n", n));
    HF_LOG(HF_LOG_INFO, "other", hf_field_i("n", 1)); /* not its fault */
    end_capture();
    /* a second may have begun in between, which allows as many again */
    assert_in_range(lines_written(), HF_LOG_PER_SECOND + 1,
                    2 * HF_LOG_PER_SECOND + 1);
    begin_capture();
    HF_LOG(HF_LOG_INFO, "flood", hf_field_i("n", n));
    end_capture();
    assert_int_equal(lines_written(), 1);
    assert_non_null(strstr(text, "left_out="));
    begin_capture();
    HF_LOG(HF_LOG_INFO, "flood", hf_field_i("n", n));
    end_capture();
    assert_null(strstr(text, "left_out="));
}

/* A second's worth at most, with the clock shifted by `ms`. */
static unsigned written_at(int64_t ms, enum hf_log_level level)
{
    unsigned n;

    boot_shift = ms - 1000; /* to which it adds as much */
    begin_capture();
    for (n = 0; n < HF_LOG_PER_SECOND; n++)
        HF_LOG(level, "lasting", hf_field_i("n", n));
    end_capture();
    return (unsigned)lines_written();
}

static void an_event_that_lasts_is_bounded_per_minute(void **state)
{
    unsigned all = 0, debug = 0, second;
    int64_t begin_ms;

    (void)state;
    /* from the beginning of a minute on, so that none ends in between */
    hf_clock_shift(0, wall_shift);
    begin_ms = (boot_shift / 60000 + 2) * 60000 - hf_boot_ms() % 60000;
    hf_log_open("test", HF_LOG_DEBUG, false);
    for (second = 0; second < 50; second++)
        all += written_at(begin_ms + second * 1000, HF_LOG_WARN);
    assert_int_equal(all, HF_LOG_PER_MINUTE);
    for (second = 50; second < 52; second++)
        debug += written_at(begin_ms + second * 1000, HF_LOG_DEBUG);
    assert_int_equal(debug, 2 * HF_LOG_PER_SECOND);
    assert_int_equal(written_at(begin_ms + 55000, HF_LOG_WARN), 0);
    assert_int_equal(written_at(begin_ms + 60000, HF_LOG_WARN),
                     HF_LOG_PER_SECOND);
    assert_non_null(strstr(text, "left_out="));
}

static void a_log_for_syslog_does_not_go_to_stderr(void **state)
{
    (void)state;
    hf_log_open("test", HF_LOG_INFO, true);
    CAPTURE(HF_LOG(HF_LOG_DEBUG, "x", hf_field_i("n", 1));
            HF_LOG(HF_LOG_INFO, "x", hf_field_i("n", 1)));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_says_when_how_bad_what_and_who, set_up),
        cmocka_unit_test_setup(the_time_is_that_of_the_wall_clock, set_up),
        cmocka_unit_test_setup(below_the_level_nothing_is_written, set_up),
        cmocka_unit_test_setup(an_event_may_come_without_fields, set_up),
        cmocka_unit_test_setup(values_are_quoted_where_needed, set_up),
        cmocka_unit_test_setup(no_text_at_all_is_a_dash, set_up),
        cmocka_unit_test_setup(control_bytes_are_escaped, set_up),
        cmocka_unit_test_setup(bytes_that_are_no_text_are_escaped, set_up),
        cmocka_unit_test_setup(a_long_value_is_cut_at_1000_bytes, set_up),
        cmocka_unit_test_setup(a_cut_does_not_divide_a_character, set_up),
        cmocka_unit_test_setup(a_line_is_never_longer_than_a_pipe_keeps_whole,
                               set_up),
        cmocka_unit_test_setup(after_a_field_that_does_not_fit_there_is_none,
                               set_up),
        cmocka_unit_test_setup(logging_leaves_errno_alone, set_up),
        cmocka_unit_test_setup(a_flood_of_one_event_is_bounded_and_told,
                               set_up),
        cmocka_unit_test_setup(an_event_that_lasts_is_bounded_per_minute,
                               set_up),
        cmocka_unit_test_setup(a_log_for_syslog_does_not_go_to_stderr, set_up),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
