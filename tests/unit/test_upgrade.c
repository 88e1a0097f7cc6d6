#include "sidecar/upgrade.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void a_socket_can_be_taken_from_this_libmicrohttpd(void **state)
{
    struct hf_why why = {.text = ""};

    (void)state;
    if (hf_upgrade_selftest(&why))
        fail_msg("%s", why.text);
}

static void the_test_leaves_no_descriptor_behind(void **state)
{
    struct hf_why why = {.text = ""};
    int before = open_descriptors();
    int i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_int_equal(hf_upgrade_selftest(&why), 0);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_can_be_taken_from_this_libmicrohttpd),
        cmocka_unit_test(the_test_leaves_no_descriptor_behind),
    };

    return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
