#include "base/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

/* A socket that is bound to the address written so. */
static int manager(const char *text)
{
    struct hf_notify notify;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(hf_notify_address(&notify, text));
    assert_int_equal(bind(fd, (const struct sockaddr *)&notify.address,
                          notify.len),
                     0);
    return fd;
}

static void hears(int fd, const char *expected)
{
    char text[128];
    ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

    assert_true(len >= 0);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void tell(const char *address, const char *state)
{
    struct hf_notify notify;

    assert_int_equal(setenv(HF_NOTIFY_VARIABLE, address, 1), 0);
    hf_notify_open(&notify);
    assert_true(hf_notify_wanted(&notify));
    assert_null(getenv(HF_NOTIFY_VARIABLE)); /* children say nothing for us */
    hf_notify(&notify, state);
}

static void who_waits_at_a_path_is_told(void **state)
{
    char folder[] = "/tmp/hf-notify.XXXXXX", path[64];
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    fd = manager(path);
    tell(path, "READY=1\nSTATUS=serving");
    hears(fd, "READY=1\nSTATUS=serving");
    hf_close(&fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void who_waits_at_an_abstract_name_is_told(void **state)
{
    char name[64];
    int fd;

    (void)state;
    (void)snprintf(name, sizeof(name), "@hf-notify-%ld", (long)getpid());
    fd = manager(name);
    tell(name, "STOPPING=1");
    hears(fd, "STOPPING=1");
    hf_close(&fd);
}

static void nobody_is_waited_for(void **state)
{
    char name[64];
    int fd, i;

    (void)state;
    tell("/nowhere/at/all", "READY=1");
    (void)snprintf(name, sizeof(name), "@hf-notify-%ld", (long)getpid());
    fd = manager(name); /* and reads nothing */
    for (i = 0; i < 1000; i++)
        tell(name, "READY=1");
    hears(fd, "READY=1");
    hf_close(&fd);
}

static void without_the_variable_nobody_is_told(void **state)
{
    struct hf_notify notify;

    (void)state;
    assert_int_equal(unsetenv(HF_NOTIFY_VARIABLE), 0);
    hf_notify_open(&notify);
    assert_false(hf_notify_wanted(&notify));
    hf_notify(&notify, "READY=1");
}

static void what_is_no_address_is_none(void **state)
{
    char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct hf_notify notify;

    (void)state;
    assert_false(hf_notify_address(&notify, ""));
    assert_false(hf_notify_address(&notify, "/"));
    assert_false(hf_notify_address(&notify, "@"));
    assert_false(hf_notify_address(&notify, "vsock:2:1"));
    memset(text, '/', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(hf_notify_address(&notify, text));
    assert_int_equal(setenv(HF_NOTIFY_VARIABLE, text, 1), 0);
    hf_notify_open(&notify);
    assert_false(hf_notify_wanted(&notify));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_at_a_path_is_told),
        cmocka_unit_test(who_waits_at_an_abstract_name_is_told),
        cmocka_unit_test(nobody_is_waited_for),
        cmocka_unit_test(without_the_variable_nobody_is_told),
        cmocka_unit_test(what_is_no_address_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
