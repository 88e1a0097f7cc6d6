#include "sidecar/accept.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <unistd.h>

static size_t came_count, room;

static bool has_room(struct hf_accept *accept)
{
    (void)accept;
    return came_count < room;
}

static void came(struct hf_accept *accept, const struct hf_guest *guest)
{
    (void)accept;
    came_count++;
    close(guest->fd);
}

static void came_all(struct hf_accept *accept)
{
    (void)accept;
}

/* Each may need several descriptors, and few are kept for ourselves: a batch
 * must not go beyond them. */
static void no_more_are_let_in_than_there_is_room_for(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct hf_listener listener = {.fd = -1};
    struct hf_accept accept = {
        .has_room = has_room, .came = came, .came_all = came_all};
    socklen_t len = sizeof(address);
    int clients[5], i;

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener.fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener.fd, 5), 0);
    assert_int_equal(
        getsockname(listener.fd, (struct sockaddr *)&address, &len), 0);
    for (i = 0; i < 5; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&address, len),
                         0);
    }
    assert_int_equal(hf_loop_new(&accept.loop), 0);
    assert_int_equal(hf_accept_open(&accept, &listener, 1), 0);
    room = 2;
    hf_accept_update(&accept);
    for (i = 0; i < 3; i++)
        assert_int_equal(hf_loop_turn(accept.loop, 0), 0);
    assert_int_equal(came_count, 2);
    room = 5;
    hf_accept_update(&accept);
    for (i = 0; i < 3; i++)
        assert_int_equal(hf_loop_turn(accept.loop, 0), 0);
    assert_int_equal(came_count, 5);
    hf_accept_close(&accept);
    hf_loop_free(accept.loop);
    for (i = 0; i < 5; i++)
        close(clients[i]);
    close(listener.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_are_let_in_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
