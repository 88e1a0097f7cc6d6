#include "schema/settings_change.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"

static const struct hf_settings_change hold_8 = {"gateway", "hold", "8s", "",
                                                 "x"};
static const struct hf_settings_change held_3 = {"gateway", "held_first", "3",
                                                 "", "x"};

static void becomes(const char *before,
                    const struct hf_settings_change *changes, size_t count,
                    const char *after)
{
    struct hf_buf out;

    hf_buf_init(&out, HF_SETTINGS_FILE_MAX);
    assert_int_equal(
        hf_settings_change_text(hf_str_of(before), changes, count, &out), 0);
    assert_int_equal(hf_buf_add_byte(&out, '\0'), 0);
    assert_string_equal(out.at, after);
    hf_buf_release(&out);
}

static void a_line_in_force_is_replaced(void **state)
{
    (void)state;
    becomes("[gateway]\nhold=20s\nmax_held = 7\n", &hold_8, 1,
            "[gateway]\nhold = 8s\nmax_held = 7\n");
    becomes("[gateway]\n;hold = 25s\n  hold : 20s ; mine\n", &hold_8, 1,
            "[gateway]\n;hold = 25s\nhold = 8s\n");
}

static void a_shown_default_stays_and_the_line_follows_it(void **state)
{
    (void)state;
    becomes("[gateway]\n; a hold\n;hold = 25s\n;cgi_hold = 5s\n[log]\n",
            &hold_8, 1,
            "[gateway]\n; a hold\n;hold = 25s\nhold = 8s\n;cgi_hold = 5s\n"
            "[log]\n");
}

static void the_same_name_elsewhere_is_left_alone(void **state)
{
    (void)state;
    becomes("[log]\nhold = 1s\n[gateway]\nholding = 2\n\n[hooks]\nhold = 3s\n",
            &hold_8, 1,
            "[log]\nhold = 1s\n[gateway]\nholding = 2\nhold = 8s\n\n[hooks]\n"
            "hold = 3s\n");
}

static void a_missing_section_is_made(void **state)
{
    (void)state;
    becomes("", &hold_8, 1, "\n[gateway]\nhold = 8s\n");
    becomes("[log]\nlevel = info", &hold_8, 1,
            "[log]\nlevel = info\n\n[gateway]\nhold = 8s\n");
}

static void several_at_once_and_again_is_the_same(void **state)
{
    const struct hf_settings_change both[] = {hold_8, held_3};

    (void)state;
    becomes("[gateway]\n", both, 2, "[gateway]\nhold = 8s\nheld_first = 3\n");
    becomes("[gateway]\nhold = 8s\nheld_first = 3\n", both, 2,
            "[gateway]\nhold = 8s\nheld_first = 3\n");
}

/* --- the file ------------------------------------------------------------ */

static char box[32];

static int make_box(void **state)
{
    struct hf_why why;
    bool existed;

    (void)state;
    strcpy(box, "settings-change.XXXXXX");
    if (!mkdtemp(box))
        return -1;
    return hf_dir_init(box, NULL, &existed, &why);
}

static int remove_box(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r '%s'", box);
    return system(command);
}

static void the_file_is_changed_and_the_old_one_is_kept(void **state)
{
    char before[HF_SETTINGS_FILE_MAX], kept[HF_SETTINGS_FILE_MAX];
    struct hf_settings settings;
    struct hf_dir dir;
    struct hf_why why = {""};
    size_t len, kept_len;

    (void)state;
    assert_int_equal(hf_dir_open(&dir, box, &why), 0);
    assert_int_equal(
        hf_file_read(dir.fd, HF_FILE_SETTINGS, before, sizeof(before), &len),
        0);
    assert_int_equal(hf_settings_change(&dir, &hold_8, 1, &why), 0);
    assert_int_equal(hf_settings_read(&dir, &settings, &why), 0);
    assert_int_equal(settings.hold_ms, 8000);
    assert_int_equal(hf_file_read(dir.fd, HF_FILE_SETTINGS_BEFORE, kept,
                                  sizeof(kept), &kept_len),
                     0);
    assert_int_equal(kept_len, len);
    assert_memory_equal(kept, before, len);
    hf_dir_close(&dir);
}

static void a_link_stays_and_what_it_leads_to_is_changed(void **state)
{
    struct hf_settings settings;
    struct hf_dir dir;
    struct stat st;
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(hf_dir_open(&dir, box, &why), 0);
    assert_int_equal(mkdirat(dir.fd, "etc", 0700), 0);
    assert_int_equal(renameat(dir.fd, HF_FILE_SETTINGS, dir.fd, "etc/conf"), 0);
    assert_int_equal(symlinkat("etc/conf", dir.fd, HF_FILE_SETTINGS), 0);
    assert_int_equal(hf_settings_change(&dir, &hold_8, 1, &why), 0);
    assert_int_equal(
        fstatat(dir.fd, HF_FILE_SETTINGS, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(hf_settings_read(&dir, &settings, &why), 0);
    assert_int_equal(settings.hold_ms, 8000);
    hf_dir_close(&dir);
}

static void what_would_be_no_configuration_changes_nothing(void **state)
{
    const struct hf_settings_change bad = {"gateway", "hold", "99h", "", "x"};
    const struct hf_settings_change unknown = {"gateway", "holt", "8s", "",
                                               "x"};
    struct hf_settings settings;
    struct hf_dir dir;
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(hf_dir_open(&dir, box, &why), 0);
    assert_int_equal(hf_settings_change(&dir, &bad, 1, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "hold"));
    assert_int_equal(hf_settings_change(&dir, &unknown, 1, &why), HF_EINVAL);
    assert_int_equal(hf_settings_read(&dir, &settings, &why), 0);
    assert_int_equal(settings.hold_ms, 25000);
    assert_int_equal(faccessat(dir.fd, HF_FILE_SETTINGS ".trial", F_OK, 0), -1);
    hf_dir_close(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_in_force_is_replaced),
        cmocka_unit_test(a_shown_default_stays_and_the_line_follows_it),
        cmocka_unit_test(the_same_name_elsewhere_is_left_alone),
        cmocka_unit_test(a_missing_section_is_made),
        cmocka_unit_test(several_at_once_and_again_is_the_same),
        cmocka_unit_test_setup_teardown(
            the_file_is_changed_and_the_old_one_is_kept, make_box, remove_box),
        cmocka_unit_test_setup_teardown(
            a_link_stays_and_what_it_leads_to_is_changed, make_box, remove_box),
        cmocka_unit_test_setup_teardown(
            what_would_be_no_configuration_changes_nothing, make_box,
            remove_box),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
