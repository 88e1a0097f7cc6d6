#include "schema/failed.h"

#include "schema_fixture.h"

#include <sys/stat.h>

static void a_raised_flag_stays_until_it_is_cleared(void **state)
{
    char text[HF_FAILED_TEXT] = "?";
    struct stat st;

    (void)state;
    assert_false(hf_failed(&f.dir));
    assert_int_equal(hf_failed_read(&f.dir, text), HF_ENOTFOUND);
    assert_string_equal(text, "");
    assert_int_equal(hf_failed_raise(&f.dir, "a sync failed"), 0);
    assert_true(hf_failed(&f.dir));
    assert_int_equal(hf_failed_read(&f.dir, text), 0);
    assert_non_null(strstr(text, "Z process "));
    assert_non_null(strstr(text, ": a sync failed"));
    assert_int_equal(stat(path_of(HF_FILE_FAILED), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(hf_failed_clear(&f.dir), 0);
    assert_false(hf_failed(&f.dir));
    assert_int_equal(hf_failed_clear(&f.dir), 0);
}

static void the_first_to_raise_it_says_why(void **state)
{
    char text[HF_FAILED_TEXT];

    (void)state;
    assert_int_equal(hf_failed_raise(&f.dir, "first"), 0);
    assert_int_equal(hf_failed_raise(&f.dir, "second"), 0);
    assert_int_equal(hf_failed_read(&f.dir, text), 0);
    assert_non_null(strstr(text, "first"));
}

static void an_unreadable_flag_is_a_flag(void **state)
{
    char text[HF_FAILED_TEXT], name[HF_FAILED_TEXT + 8];
    FILE *file = fopen(path_of(HF_FILE_FAILED), "w");

    (void)state;
    assert_non_null(file); /* somebody wrote a long one */
    memset(name, 'x', sizeof(name));
    assert_int_equal(fwrite(name, sizeof(name), 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_true(hf_failed(&f.dir));
    assert_int_equal(hf_failed_read(&f.dir, text), HF_EIO);
    assert_int_equal(hf_failed_clear(&f.dir), 0);
    assert_int_equal(symlink("nowhere", path_of(HF_FILE_FAILED)), 0);
    assert_true(hf_failed(&f.dir));
}

static void nothing_is_written_while_it_is_up(void **state)
{
    struct hf_journal *before = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *after;

    (void)state;
    publish(before, "a", "1");
    assert_int_equal(hf_failed_raise(&f.dir, "for the test"), 0);
    assert_int_equal(hf_journal_begin(before), HF_EFAILED);
    assert_int_equal(hf_journal_begin_upkeep(before), HF_EFAILED);
    after = open_journal(HF_JOURNAL_WRITE); /* as after a restart */
    assert_int_equal(hf_journal_begin(after), HF_EFAILED);
    assert_int_equal(head_of(after), 1); /* reading goes on */
    assert_int_equal(hf_journal_holder(&f.dir), 0);
    assert_int_equal(hf_failed_clear(&f.dir), 0);
    publish(before, "a", "2");
    publish(after, "a", "3");
    hf_journal_close(after);
    hf_journal_close(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_raised_flag_stays_until_it_is_cleared),
        FIXTURE_TEST(the_first_to_raise_it_says_why),
        FIXTURE_TEST(an_unreadable_flag_is_a_flag),
        FIXTURE_TEST(nothing_is_written_while_it_is_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
