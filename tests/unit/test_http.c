/* Handshakes through libmicrohttpd, in one process with their client. */
#include "sidecar/http.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/sys.h"

#define REQUEST                                                                \
    "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n"          \
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"                            \
    "Sec-WebSocket-Version: 13\r\n"                                            \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static struct hf_loop *loop;
static struct hf_process process;
static struct hf_hub *hub;
static struct hf_conns conns;
static struct hf_listeners listeners;
static struct hf_door door;
static char path[64];

static int set_up(void **state)
{
    struct hf_why why = {.text = ""};
    bool existed;

    (void)state;
    listeners = (struct hf_listeners){.count = 0};
    (void)snprintf(path, sizeof(path), "/tmp/hf-http-XXXXXX");
    if (!mkdtemp(path) || hf_dir_init(path, NULL, &existed, &why) ||
        hf_sha1_prepare(&why) || hf_loop_new(&loop) ||
        hf_process_open(&process, loop, path, true, &why)) {
        print_error("%s\n", why.text);
        return -1;
    }
    hf_log_open("test", HF_LOG_ERROR, false);
    hf_door_init(&door, &process.settings);
    return hf_hub_open(&process, &hub) ||
           hf_conns_init(&conns, loop, hub, &process.settings) ||
           hf_listeners_add(&listeners, &process.dir, "unix:test.sock", 1,
                            &why);
}

static int tear_down(void **state)
{
    char command[sizeof(path) + 16];

    (void)state;
    hf_listeners_close(&listeners);
    hf_conns_release(&conns);
    hf_door_release(&door);
    hf_hub_close(hub);
    hf_process_close(&process);
    hf_loop_free(loop);
    (void)snprintf(command, sizeof(command), "rm -rf %s", path);
    return system(command);
}

static struct hf_http *open_http(bool keep)
{
    struct hf_http_options options = {
        .loop = loop,
        .settings = &process.settings,
        .process = &process,
        .conns = &conns,
        .door = &door,
        .listeners = listeners.at,
        .listener_count = listeners.count,
        .keep = keep,
        .max_fds = 1024,
    };
    struct hf_why why = {.text = ""};
    struct hf_http *http;

    assert_int_equal(hf_http_open(&options, &http, &why), 0);
    return http;
}

static void turns(int count)
{
    while (count-- > 0)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
}

/* Connected and accepted. */
static int come(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/test.sock",
                   path);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    turns(3);
    return fd;
}

static void ask(int fd)
{
    assert_int_equal(send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL),
                     sizeof(REQUEST) - 1);
}

/* What has come, or "" at the end of the stream. */
static void read_answer(int fd, char *out, size_t size)
{
    ssize_t len = recv(fd, out, size - 1, MSG_DONTWAIT);

    out[len > 0 ? len : 0] = '\0';
}

static void a_handshake_becomes_a_socket(void **state)
{
    bool keep = *(bool *)*state;
    struct hf_http *http = open_http(keep);
    char answer[1024];
    int fd = come();

    ask(fd);
    turns(5);
    read_answer(fd, answer, sizeof(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 101"));
    assert_int_equal(conns.count, 1);
    assert_int_equal(hf_http_shaking(http), 0);
    close(fd);
    turns(5);
    assert_int_equal(conns.count, 0);
    hf_http_close(http);
}

/* At the end sockets go first, as libmicrohttpd may have to close them; a
 * request that is there by then must not become another. */
static void a_request_that_comes_at_the_end_becomes_none(void **state)
{
    bool keep = *(bool *)*state;
    struct hf_http *http = open_http(keep);
    char answer[1024];
    int fd = come();

    ask(fd);
    hf_conns_release(&conns);
    hf_http_close(http);
    read_answer(fd, answer, sizeof(answer));
    assert_null(strstr(answer, "HTTP/1.1 101"));
    close(fd);
}

int main(void)
{
    bool taken = false, kept = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(a_handshake_becomes_a_socket,
                                                 set_up, tear_down, &taken),
        cmocka_unit_test_prestate_setup_teardown(a_handshake_becomes_a_socket,
                                                 set_up, tear_down, &kept),
        cmocka_unit_test_prestate_setup_teardown(
            a_request_that_comes_at_the_end_becomes_none, set_up, tear_down,
            &taken),
        cmocka_unit_test_prestate_setup_teardown(
            a_request_that_comes_at_the_end_becomes_none, set_up, tear_down,
            &kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
