/* A TLS client until it is a WebSocket, with an end of the pair in place of
 * libmicrohttpd. */
#include "sidecar/relay.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>

#include "base/sys.h"
#include "tests/unit/tls_fixture.h"

static struct tls_files files;
static struct hf_tls *tls;
static struct hf_loop *loop;

struct guest {
    struct hf_relay relay;
    SSL_CTX *context;
    SSL *client;
    int client_fd;
    int library_fd; /* -1: TLS is not done */
    bool gone;
};

static void secured(struct hf_relay *relay, int fd)
{
    HF_ITEM(relay, struct guest, relay)->library_fd = fd;
}

static void gone(struct hf_relay *relay)
{
    HF_ITEM(relay, struct guest, relay)->gone = true;
}

static void turns(int count)
{
    while (count-- > 0)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
}

static void come(struct guest *guest)
{
    int pair[2], i;

    *guest = (struct guest){.library_fd = -1,
                            .relay = {.secured = secured, .gone = gone}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    guest->client_fd = pair[0];
    guest->context = SSL_CTX_new(TLS_client_method());
    guest->client = SSL_new(guest->context);
    SSL_set_fd(guest->client, pair[0]);
    SSL_set_connect_state(guest->client);
    assert_int_equal(hf_relay_open(&guest->relay, loop, tls, pair[1]), 0);
    for (i = 0; i < 20 && guest->library_fd < 0; i++) {
        (void)SSL_do_handshake(guest->client);
        turns(1);
    }
    assert_true(guest->library_fd >= 0);
}

static void go(struct guest *guest)
{
    hf_relay_end(&guest->relay);
    hf_close(&guest->library_fd);
    SSL_free(guest->client);
    SSL_CTX_free(guest->context);
    close(guest->client_fd);
}

static void say(struct guest *guest, const char *bytes, size_t len)
{
    assert_int_equal(SSL_write(guest->client, bytes, (int)len), (int)len);
}

/* --- handing on ----------------------------------------------------------- */

/* What is left of a record is with OpenSSL, where the loop does not see it. */
static void a_turn_that_ends_within_a_record_is_not_the_last(void **s)
{
    static char header[12000], got[sizeof(header) + 64];
    const size_t small = 14; /* and two pieces make a turn's */
    size_t len = 0, i;
    struct guest guest;

    (void)s;
    memset(header, 'h', sizeof(header));
    come(&guest);
    for (i = 0; i < small; i++)
        say(&guest, "s", 1);
    say(&guest, header, sizeof(header));
    for (i = 0; i < 50; i++) {
        ssize_t more;

        turns(1);
        more = recv(guest.library_fd, got + len, sizeof(got) - len, 0);
        len += more > 0 ? (size_t)more : 0;
    }
    assert_int_equal(len, small + sizeof(header));
    go(&guest);
}

static void both_sides_are_handed_on_and_the_end_is_told(void **s)
{
    struct guest guest;
    char text[64];

    (void)s;
    come(&guest);
    say(&guest, "GET", 3);
    turns(2);
    assert_int_equal(recv(guest.library_fd, text, sizeof(text), 0), 3);
    assert_int_equal(send(guest.library_fd, "404", 3, 0), 3);
    hf_close(&guest.library_fd);
    turns(3);
    assert_int_equal(SSL_read(guest.client, text, sizeof(text)), 3);
    assert_int_equal(SSL_read(guest.client, text, sizeof(text)), 0);
    assert_false(guest.gone);
    shutdown(guest.client_fd, SHUT_RDWR);
    turns(2);
    assert_true(guest.gone);
    go(&guest);
}

/* -------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct hf_why why = {.text = ""};

    (void)state;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    tls_files_make(&files);
    return hf_tls_open(files.certificate, files.private_key, &tls, &why) ||
           hf_loop_new(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    hf_loop_free(loop);
    hf_tls_close(tls);
    tls_files_remove(&files);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_are_handed_on_and_the_end_is_told),
        cmocka_unit_test(a_turn_that_ends_within_a_record_is_not_the_last),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
