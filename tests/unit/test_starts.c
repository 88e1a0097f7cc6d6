#include "schema/starts.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* How long nothing is started by itself from `now_ms` on. */
static int64_t pause_of(const struct hf_starts *starts, int64_t now_ms)
{
    assert_false(hf_starts_may(starts, starts->next_ms - 1));
    assert_true(hf_starts_may(starts, starts->next_ms));
    return starts->next_ms - now_ms;
}

/* --- the rules ------------------------------------------------------------ */

static void at_first_one_may_be_started(void **state)
{
    (void)state;
    assert_true(hf_starts_may(&(struct hf_starts){0}, 0));
}

static void what_dies_again_and_again_is_started_ever_later(void **state)
{
    static const int64_t seconds[] = {10,  20,   40,   80,   160, 320,
                                      640, 1280, 2560, 3600, 3600};
    struct hf_starts starts = {0};
    int64_t now_ms = 5;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        hf_starts_begin(&starts, now_ms);
        assert_int_equal(pause_of(&starts, now_ms), seconds[i] * SECOND);
        now_ms = starts.next_ms;
    }
}

static void what_nobody_comes_to_is_started_ever_later(void **state)
{
    static const int64_t minutes[] = {10,  20,  40,   80,   160,
                                      320, 640, 1280, 1440, 1440};
    struct hf_starts starts = {0};
    int64_t now_ms = 5;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        hf_starts_begin(&starts, now_ms);
        assert_int_equal(pause_of(&starts, now_ms), 10 * SECOND);
        now_ms += 10 * MINUTE;
        hf_starts_in_vain(&starts, now_ms);
        assert_int_equal(pause_of(&starts, now_ms), minutes[i] * MINUTE);
        now_ms = starts.next_ms;
    }
}

static void one_that_was_of_use_has_all_forgotten(void **state)
{
    struct hf_starts starts = {0};
    int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        hf_starts_begin(&starts, 0);
        hf_starts_in_vain(&starts, 0);
    }
    hf_starts_begin(&starts, 0);
    hf_starts_proven(&starts);
    assert_true(hf_starts_may(&starts, 0));
    hf_starts_begin(&starts, 0);
    assert_int_equal(pause_of(&starts, 0), 10 * SECOND);
    hf_starts_in_vain(&starts, 0);
    assert_int_equal(pause_of(&starts, 0), 10 * MINUTE);
}

/* Nothing overflows, whatever happens for years. */
static void pauses_have_an_end(void **state)
{
    struct hf_starts starts = {0};
    int i;

    (void)state;
    for (i = 0; i < 100000; i++)
        hf_starts_begin(&starts, 0);
    assert_int_equal(pause_of(&starts, 0), HOUR);
    for (i = 0; i < 100000; i++)
        hf_starts_in_vain(&starts, 0);
    assert_int_equal(pause_of(&starts, 0), 24 * HOUR);
}

static void what_was_stopped_by_hand_is_left_alone(void **state)
{
    struct hf_starts starts = {.stopped = true};

    (void)state;
    assert_false(hf_starts_may(&starts, 365 * 24 * HOUR));
}

/* --- the file ------------------------------------------------------------- */

static void write_down(const struct hf_starts *starts)
{
    struct hf_starts before;
    int lock;

    assert_int_equal(hf_starts_lock(&f.dir, 0, &lock, &before), 0);
    assert_int_equal(hf_starts_write(lock, starts), 0);
    hf_starts_unlock(&lock);
}

static struct hf_starts known(void)
{
    struct hf_starts starts = {.deaths = 77};

    hf_starts_read(&f.dir, &starts);
    return starts;
}

static void nothing_is_known_before_the_first_start(void **state)
{
    struct hf_starts none = {0}, starts = known();

    (void)state;
    assert_memory_equal(&starts, &none, sizeof(none));
}

static void what_is_written_is_read(void **state)
{
    const struct hf_starts first = {INT64_MAX, 1000, 1000, true};
    const struct hf_starts second = {5, 1, 0, false};
    struct stat st;

    (void)state;
    write_down(&first);
    assert_int_equal(known().next_ms, first.next_ms);
    assert_int_equal(known().deaths, first.deaths);
    assert_int_equal(known().vain, first.vain);
    assert_true(known().stopped);
    write_down(&second); /* shorter: nothing of the first is left */
    assert_int_equal(known().next_ms, 5);
    assert_int_equal(known().deaths, 1);
    assert_false(known().stopped);
    assert_int_equal(stat(path_of(HF_FILE_STARTS), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void only_one_at_a_time_starts(void **state)
{
    struct hf_starts starts;
    int first, second = -1;

    (void)state;
    assert_int_equal(hf_starts_lock(&f.dir, 0, &first, &starts), 0);
    assert_int_equal(hf_starts_lock(&f.dir, 0, &second, &starts), HF_EBUSY);
    assert_int_equal(hf_starts_lock(&f.dir, 50, &second, &starts), HF_EBUSY);
    hf_starts_unlock(&first);
    assert_int_equal(hf_starts_lock(&f.dir, 50, &second, &starts), 0);
    hf_starts_unlock(&second);
}

static void put(const char *text)
{
    FILE *file = fopen(path_of(HF_FILE_STARTS), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void after_a_boot_only_a_stop_by_hand_counts(void **state)
{
    (void)state;
    put("00000000-0000-0000-0000-000000000000 999999999 7 7 1\n");
    assert_true(known().stopped);
    assert_int_equal(known().next_ms, 0);
    assert_int_equal(known().deaths, 0);
    put("00000000-0000-0000-0000-000000000000 999999999 7 7 0\n");
    assert_true(hf_starts_may(&(struct hf_starts){0}, 0));
    assert_false(known().stopped);
}

static void what_makes_no_sense_is_nothing(void **state)
{
    static const char *const texts[] = {"",        "\n",          "x",
                                        "x 1 2 3", "1 2 3 4 5 6", "x y z 1 1"};
    char longest[4096];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(texts[i]);
        assert_int_equal(known().deaths, 0);
        assert_false(known().stopped);
    }
    memset(longest, '9', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    put(longest);
    assert_int_equal(known().deaths, 0);
    write_down(&(struct hf_starts){1, 1, 1, false});
    assert_int_equal(known().deaths, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_first_one_may_be_started),
        cmocka_unit_test(what_dies_again_and_again_is_started_ever_later),
        cmocka_unit_test(what_nobody_comes_to_is_started_ever_later),
        cmocka_unit_test(one_that_was_of_use_has_all_forgotten),
        cmocka_unit_test(pauses_have_an_end),
        cmocka_unit_test(what_was_stopped_by_hand_is_left_alone),
        FIXTURE_TEST(nothing_is_known_before_the_first_start),
        FIXTURE_TEST(what_is_written_is_read),
        FIXTURE_TEST(only_one_at_a_time_starts),
        FIXTURE_TEST(after_a_boot_only_a_stop_by_hand_counts),
        FIXTURE_TEST(what_makes_no_sense_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
