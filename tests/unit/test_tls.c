#include "sidecar/tls.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "base/sys.h"
#include "sidecar/limits.h"
#include "tests/unit/tls_fixture.h"

static struct tls_files files;
static struct hf_tls *tls;
static struct hf_loop *loop;
static char room[HF_READ_BYTES];

/* What the client end is to be like. */
struct wants {
    int version; /* the only one it speaks; 0: any */
    const unsigned char *alpn;
    unsigned alpn_len;
    uint8_t fragment; /* TLSEXT_max_fragment_length_... */
};

/* Both ends of one connection. */
struct both {
    SSL_CTX *context;
    SSL *client;
    int client_fd;
    struct hf_wire wire; /* ours */
    uint32_t events;     /* of ours, since last looked at */
};

static void on_events(struct hf_watch *watch, uint32_t events)
{
    struct both *both = HF_ITEM(watch, struct both, wire.watch);

    both->events |= hf_wire_events(&both->wire, events);
}

static void connect_both(struct both *both, const struct wants *wants)
{
    int pair[2];

    *both = (struct both){.client_fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    both->client_fd = pair[0];
    both->context = SSL_CTX_new(TLS_client_method());
    /* so that versions are refused by the server's rules, not by the client's */
    SSL_CTX_set_security_level(both->context, 0);
    if (wants->version) {
        SSL_CTX_set_min_proto_version(both->context, wants->version);
        SSL_CTX_set_max_proto_version(both->context, wants->version);
    }
    both->client = SSL_new(both->context);
    SSL_set_fd(both->client, pair[0]);
    SSL_set_connect_state(both->client);
    if (wants->alpn)
        SSL_set_alpn_protos(both->client, wants->alpn, wants->alpn_len);
    if (wants->fragment)
        SSL_set_tlsext_max_fragment_length(both->client, wants->fragment);

    both->wire = (struct hf_wire){.watch = {.fd = pair[1], .ready = on_events},
                                  .layer = hf_tls_layer_new(tls, pair[1])};
    assert_non_null(both->wire.layer);
    assert_int_equal(hf_wire_open(&both->wire, loop), 0);
}

/* The result of our end. */
static int shake_hands(struct both *both)
{
    int i, err = HF_EAGAIN, theirs = 0;

    for (i = 0; i < 20 && (err == HF_EAGAIN || (err == 0 && theirs != 1));
         i++) {
        ERR_clear_error();
        theirs = SSL_do_handshake(both->client);
        if (err == HF_EAGAIN)
            err = hf_tls_handshake(&both->wire);
    }
    if (err == 0)
        assert_int_equal(theirs, 1);
    return err;
}

static void meet(struct both *both)
{
    connect_both(both, &(struct wants){.version = 0});
    assert_int_equal(shake_hands(both), 0);
}

static void part(struct both *both)
{
    hf_wire_close(&both->wire, loop);
    SSL_free(both->client);
    SSL_CTX_free(both->context);
    close(both->client_fd);
}

/* What the loop tells of our end within a turn that does not wait. */
static uint32_t look(struct both *both)
{
    both->events = 0;
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    return both->events;
}

static int write_text(struct both *both, const char *text, size_t *taken)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)text,
                               .iov_len = strlen(text)};

    return hf_wire_write(&both->wire, &part, 1, taken);
}

/* --- certificate and key -------------------------------------------------- */

static void certificate_and_key_must_be_readable_and_belong_together(void **s)
{
    struct hf_why why = {.text = ""};
    struct hf_tls *other = NULL;
    char key[128], cert[128];

    (void)s;
    assert_int_equal(
        hf_tls_open("/nowhere/cert.pem", files.private_key, &other, &why),
        HF_EINVAL);
    assert_non_null(strstr(why.text, "certificate /nowhere/cert.pem"));
    assert_int_equal(
        hf_tls_open(files.certificate, "/nowhere/key.pem", &other, &why),
        HF_EINVAL);
    assert_non_null(strstr(why.text, "private key /nowhere/key.pem"));

    snprintf(cert, sizeof(cert), "%s/other.pem", files.dir);
    snprintf(key, sizeof(key), "%s/other.key", files.dir);
    tls_write_pair(cert, key, "other", 1, NULL);
    assert_int_equal(hf_tls_open(files.certificate, key, &other, &why),
                     HF_EINVAL);
    assert_non_null(strstr(why.text, "mismatch"));

    /* nobody is asked for a passphrase */
    tls_write_pair(cert, key, "other", 1, "secret");
    assert_int_equal(hf_tls_open(cert, key, &other, &why), HF_EINVAL);
    assert_null(other);
    unlink(cert);
    unlink(key);
}

static void it_tells_when_the_certificate_expires(void **s)
{
    int64_t days = (hf_tls_expires_ms(tls) / 1000 - time(NULL)) / 86400;

    (void)s;
    assert_in_range(days, 29, 30);
}

/* The name in the certificate that the client got. */
static void assert_certificate(const struct both *both, const char *want)
{
    X509 *cert = SSL_get1_peer_certificate(both->client);
    char name[64] = "";

    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
                              sizeof(name));
    X509_free(cert);
    assert_string_equal(name, want);
}

static void a_new_certificate_is_for_those_who_come_from_now_on(void **s)
{
    struct hf_why why = {.text = ""};
    struct both before, after;
    FILE *file;
    size_t taken;

    (void)s;
    meet(&before);
    tls_write_pair(files.certificate, files.private_key, "second", 30, NULL);
    assert_int_equal(hf_tls_reload(tls, &why), 0);
    meet(&after);
    assert_certificate(&before, "first");
    assert_certificate(&after, "second");
    part(&after);
    assert_int_equal(write_text(&before, "still here", &taken), 0);
    assert_int_equal(SSL_read(before.client, room, sizeof(room)), 10);
    part(&before);

    /* a bad one changes nothing */
    file = fopen(files.certificate, "w");
    fputs("half a certif", file);
    fclose(file);
    assert_int_equal(hf_tls_reload(tls, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, files.certificate));
    meet(&after);
    assert_certificate(&after, "second");
    part(&after);
    tls_write_pair(files.certificate, files.private_key, "first", 30, NULL);
    assert_int_equal(hf_tls_reload(tls, &why), 0);
}

/* --- handshakes ----------------------------------------------------------- */

static void versions_1_2_and_1_3_are_spoken_and_no_older_ones(void **s)
{
    static const struct {
        int version, want;
    } cases[] = {{TLS1_3_VERSION, 0},
                 {TLS1_2_VERSION, 0},
                 {TLS1_1_VERSION, HF_EDENIED},
                 {TLS1_VERSION, HF_EDENIED}};
    size_t i;

    (void)s;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct both both;

        connect_both(&both, &(struct wants){.version = cases[i].version});
        assert_int_equal(shake_hands(&both), cases[i].want);
        part(&both);
    }
}

static void only_http_1_1_is_offered(void **s)
{
    static const unsigned char h2[] = "\x02h2";
    static const unsigned char all[] = "\x02h2\x08http/1.1";
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    struct both both;

    (void)s;
    connect_both(&both, &(struct wants){.alpn = h2, .alpn_len = 3});
    assert_int_equal(shake_hands(&both), HF_EDENIED);
    part(&both);

    connect_both(&both, &(struct wants){.alpn = all, .alpn_len = 12});
    assert_int_equal(shake_hands(&both), 0);
    SSL_get0_alpn_selected(both.client, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    part(&both);
}

static void no_session_is_kept_and_no_ticket_sent(void **s)
{
    struct both both;

    (void)s;
    meet(&both);
    assert_int_equal(SSL_read(both.client, room, 1), -1); /* takes up tickets */
    assert_false(SSL_SESSION_is_resumable(SSL_get_session(both.client)));
    part(&both);
}

static int first_words(const char *words, size_t len)
{
    struct both both;
    int err;

    connect_both(&both, &(struct wants){.version = 0});
    assert_int_equal(send(both.client_fd, words, len, 0), (ssize_t)len);
    err = hf_tls_handshake(&both.wire);
    part(&both);
    return err;
}

static void plain_http_is_told_from_garbage(void **s)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    (void)s;
    assert_int_equal(first_words(get, sizeof(get) - 1), HF_EMALFORMED);
    assert_int_equal(first_words("\x00\x01\x02\x03\x04\x05\x06\x07\x08", 9),
                     HF_EDENIED);
}

static void who_leaves_during_the_handshake_is_gone(void **s)
{
    struct both both;

    (void)s;
    connect_both(&both, &(struct wants){.version = 0});
    assert_int_equal(hf_tls_handshake(&both.wire), HF_EAGAIN);
    shutdown(both.client_fd, SHUT_RDWR);
    assert_true(hf_tls_handshake(&both.wire) < 0);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_ECLOSED);
    part(&both);
}

/* A client may not have us do the costly part again and again, nor refuse it
 * again and again: OpenSSL would do that without coming back to us. */
static void a_second_handshake_is_the_end(void **s)
{
    struct both both;

    (void)s;
    connect_both(&both, &(struct wants){.version = TLS1_2_VERSION});
    assert_int_equal(shake_hands(&both), 0);
    assert_int_equal(SSL_renegotiate(both.client), 1);
    (void)SSL_do_handshake(both.client);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_ECLOSED);
    part(&both);
}

/* --- bytes ---------------------------------------------------------------- */

static void bytes_pass_both_ways(void **s)
{
    struct both both;
    size_t taken;

    (void)s;
    meet(&both);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_EAGAIN);
    assert_int_equal(SSL_write(both.client, "ping", 4), 4);
    assert_true(look(&both) & EPOLLIN);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), 4);
    assert_memory_equal(room, "ping", 4);
    assert_int_equal(look(&both), 0);
    assert_int_equal(write_text(&both, "pong", &taken), 0);
    assert_int_equal(taken, 4);
    assert_int_equal(SSL_read(both.client, room, sizeof(room)), 4);
    assert_memory_equal(room, "pong", 4);
    part(&both);
}

static void small_frames_leave_in_one_record(void **s)
{
    struct iovec parts[3] = {{(void *)(uintptr_t) "one ", 4},
                             {(void *)(uintptr_t) "two ", 4},
                             {(void *)(uintptr_t) "three", 5}};
    struct both both;
    size_t taken;

    (void)s;
    meet(&both);
    assert_int_equal(hf_wire_write(&both.wire, parts, 3, &taken), 0);
    assert_int_equal(taken, 13);
    /* a read of OpenSSL ends with a record */
    assert_int_equal(SSL_read(both.client, room, sizeof(room)), 13);
    assert_memory_equal(room, "one two three", 13);
    part(&both);
}

/* The bound: each record is a call of its own, however little is in it. */
static void one_turn_reads_a_bounded_number_of_records(void **s)
{
    struct both both;
    unsigned i;

    (void)s;
    meet(&both);
    for (i = 0; i < HF_TLS_RECORDS + 5; i++)
        assert_int_equal(SSL_write(both.client, "x", 1), 1);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)),
                     HF_TLS_RECORDS);
    /* the loop tells of the rest: none of it is left in OpenSSL */
    assert_true(look(&both) & EPOLLIN);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), 5);
    assert_int_equal(look(&both), 0);
    part(&both);
}

static void nothing_large_is_left_where_the_loop_does_not_see_it(void **s)
{
    static char sent[5 * HF_TLS_RECORD];
    size_t at = 0, got = 0;
    struct both both;
    int i;

    (void)s;
    for (at = 0; at < sizeof(sent); at++)
        sent[at] = (char)(at * 7 % 251);
    meet(&both);
    SSL_set_mode(both.client, SSL_MODE_ENABLE_PARTIAL_WRITE);
    for (at = 0, i = 0; i < 1000 && got < sizeof(sent); i++) {
        int put = at < sizeof(sent) ? SSL_write(both.client, sent + at,
                                                (int)(sizeof(sent) - at))
                                    : 0;

        at += put > 0 ? (size_t)put : 0;
        while (look(&both) & EPOLLIN) {
            ssize_t len = hf_wire_read(&both.wire, room, sizeof(room));

            if (len == HF_EAGAIN)
                break;
            assert_true(len > 0);
            assert_memory_equal(room, sent + got, (size_t)len);
            got += (size_t)len;
        }
    }
    assert_int_equal(got, sizeof(sent));
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_EAGAIN);
    part(&both);
}

/* Fill the socket until it takes no more. Returns what was taken. */
static size_t fill_up(struct both *both, const char *text)
{
    size_t all = 0, taken;
    int size = 4096;

    setsockopt(both->wire.watch.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (write_text(both, text, &taken) == 0)
        all += taken;
    return all + taken;
}

static void a_record_that_is_held_is_finished_before_another(void **s)
{
    static char text[HF_TLS_RECORD];
    struct both both;
    size_t all, taken, got = 0;
    int len, i, err = HF_EAGAIN;

    (void)s;
    memset(text, 'a', sizeof(text) - 1);
    meet(&both);
    all = fill_up(&both, text);
    assert_int_equal(all % (sizeof(text) - 1),
                     0); /* taken whole, though held */
    assert_int_equal(write_text(&both, "b", &taken), HF_EAGAIN);
    assert_int_equal(taken, 0);
    assert_int_equal(look(&both), 0);
    for (i = 0; i < 1000 && err == HF_EAGAIN; i++) {
        len = SSL_read(both.client, room, sizeof(room));
        got += len > 0 ? (size_t)len : 0;
        if (look(&both) & EPOLLOUT)
            err = hf_wire_write(&both.wire, NULL, 0, &taken);
    }
    assert_int_equal(err, 0);
    assert_int_equal(look(&both), 0); /* and nobody waits to write any more */
    while ((len = SSL_read(both.client, room, sizeof(room))) > 0) {
        assert_int_equal(room[0], 'a');
        got += (size_t)len;
    }
    assert_int_equal(got, all);
    assert_int_equal(write_text(&both, "b", &taken), 0);
    assert_int_equal(SSL_read(both.client, room, sizeof(room)), 1);
    assert_int_equal(room[0], 'b');
    part(&both);
}

static void a_client_may_ask_for_small_records(void **s)
{
    static char text[5001];
    struct both both;
    size_t taken, got = 0;
    int len;

    (void)s;
    memset(text, 'x', sizeof(text) - 1);
    connect_both(&both,
                 &(struct wants){.fragment = TLSEXT_max_fragment_length_512});
    assert_int_equal(shake_hands(&both), 0);
    assert_int_equal(write_text(&both, text, &taken), 0);
    assert_int_equal(taken, 5000);
    while ((len = SSL_read(both.client, room, sizeof(room))) > 0) {
        assert_true(len <= 512);
        got += (size_t)len;
    }
    assert_int_equal(got, 5000);
    part(&both);
}

/* An answer to the update is due, and the socket takes nothing: then reading
 * waits until it can write, and must not spin on what is there to read. */
static void reading_can_wait_for_writing(void **s)
{
    static char text[HF_TLS_RECORD];
    struct both both;
    size_t taken;
    ssize_t len;
    int i;

    (void)s;
    memset(text, 'a', sizeof(text) - 1);
    meet(&both);
    (void)fill_up(&both, text);
    assert_int_equal(SSL_key_update(both.client, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(both.client, "after", 5), 5);
    len = hf_wire_read(&both.wire, room, sizeof(room));
    for (i = 0; i < 5 && len == HF_EAGAIN && (look(&both) & EPOLLIN); i++)
        len = hf_wire_read(&both.wire, room, sizeof(room));
    assert_true(len == HF_EAGAIN || len == 5);
    if (len == HF_EAGAIN)
        assert_int_equal(look(&both), 0);
    for (i = 0; i < 1000 && len == HF_EAGAIN; i++) {
        static char theirs[HF_TLS_RECORD];

        (void)SSL_read(both.client, theirs, sizeof(theirs));
        if (look(&both) & EPOLLOUT)
            (void)hf_wire_write(&both.wire, NULL, 0, &taken);
        if (both.events & EPOLLIN)
            len = hf_wire_read(&both.wire, room, sizeof(room));
    }
    assert_int_equal(len, 5);
    assert_memory_equal(room, "after", 5);
    part(&both);
}

/* Ahead of the bytes, and past TLS, so that nothing of it is held. Returns how
 * much. */
static size_t stuff(struct both *both)
{
    static const char junk[512];
    int size = 4096;
    size_t all = 0;
    ssize_t len;

    setsockopt(both->wire.watch.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while ((len = send(both->wire.watch.fd, junk, sizeof(junk), 0)) > 0)
        all += (size_t)len;
    return all;
}

static void unstuff(struct both *both, size_t left)
{
    while (left > 0) {
        ssize_t len = recv(both->client_fd, room,
                           left < sizeof(room) ? left : sizeof(room), 0);

        assert_true(len > 0);
        left -= (size_t)len;
    }
}

/* The answer to the update goes first, so OpenSSL has not looked at what we
 * write. Until it does, others write. */
static void what_waits_behind_an_answer_of_tls_is_not_anothers(void **s)
{
    struct both one, other;
    size_t taken, junk;

    (void)s;
    meet(&one);
    meet(&other);
    junk = stuff(&one);
    assert_int_equal(SSL_key_update(one.client, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(one.client), 1);
    assert_int_equal(hf_wire_read(&one.wire, room, sizeof(room)), HF_EAGAIN);
    assert_int_equal(write_text(&one, "for one", &taken), HF_EAGAIN);
    assert_int_equal(taken, 7);
    assert_int_equal(write_text(&other, "a secret", &taken), 0);
    unstuff(&one, junk);
    assert_true(look(&one) & EPOLLOUT);
    assert_int_equal(hf_wire_write(&one.wire, NULL, 0, &taken), 0);
    assert_int_equal(SSL_read(one.client, room, sizeof(room)), 7);
    assert_memory_equal(room, "for one", 7);
    part(&one);
    part(&other);
}

/* Each costs more than a frame does, and OpenSSL would take them all at once,
 * as long as they come. */
static void changes_of_keys_do_not_keep_us(void **s)
{
    ssize_t len = HF_EAGAIN;
    struct both both;
    int i, reads = 0;

    (void)s;
    meet(&both);
    for (i = 0; i < 100; i++) {
        assert_int_equal(
            SSL_key_update(both.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(both.client), 1);
    }
    assert_int_equal(SSL_write(both.client, "x", 1), 1);
    while ((look(&both) & EPOLLIN) && len == HF_EAGAIN) {
        len = hf_wire_read(&both.wire, room, sizeof(room));
        reads++;
    }
    assert_int_equal(len, 1);
    assert_true(reads > 100 / (int)HF_TLS_RECORDS);
    part(&both);
}

static void what_was_peeked_at_comes_again(void **s)
{
    struct both both;

    (void)s;
    meet(&both);
    assert_int_equal(SSL_write(both.client, "GET /", 5), 5);
    assert_int_equal(hf_tls_peek(&both.wire, room, 100), 5);
    assert_int_equal(hf_tls_peek(&both.wire, room, 100), 5);
    hf_tls_skip(&both.wire, 4);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), 1);
    assert_int_equal(room[0], '/');
    part(&both);
}

/* --- the end -------------------------------------------------------------- */

static void a_goodbye_of_tls_is_the_end(void **s)
{
    struct both both;
    size_t taken;

    (void)s;
    meet(&both);
    assert_int_equal(SSL_write(both.client, "last", 4), 4);
    SSL_shutdown(both.client);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), 4);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_ECLOSED);
    assert_int_equal(write_text(&both, "too", &taken), 0); /* half is open */
    part(&both);
}

static void an_end_without_one_is_the_same(void **s)
{
    struct both both;

    (void)s;
    meet(&both);
    shutdown(both.client_fd, SHUT_RDWR);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_ECLOSED);
    part(&both);
}

static void we_say_goodbye_in_tls_as_well(void **s)
{
    struct both both;
    size_t taken;
    int len;

    (void)s;
    meet(&both);
    assert_int_equal(write_text(&both, "bye", &taken), 0);
    hf_wire_shutdown(&both.wire);
    assert_int_equal(SSL_read(both.client, room, sizeof(room)), 3);
    len = SSL_read(both.client, room, sizeof(room));
    assert_int_equal(SSL_get_error(both.client, len), SSL_ERROR_ZERO_RETURN);
    part(&both);
}

static void forged_bytes_end_the_connection(void **s)
{
    struct both both;
    size_t taken;

    (void)s;
    meet(&both);
    assert_int_equal(send(both.client_fd,
                          "\x17\x03\x03\x00\x20"
                          "0123456789abcdef0123456789abcdef",
                          37, 0),
                     37);
    assert_int_equal(hf_wire_read(&both.wire, room, sizeof(room)), HF_ECLOSED);
    assert_int_equal(write_text(&both, "x", &taken), HF_ECLOSED);
    assert_int_equal(taken, 0);
    hf_wire_shutdown(
        &both.wire); /* OpenSSL allows no more calls: none is made */
    part(&both);
}

static int set_up(void **s)
{
    struct hf_why why = {.text = ""};

    (void)s;
    (void)signal(SIGPIPE, SIG_IGN);
    tls_files_make(&files);
    assert_int_equal(hf_loop_new(&loop), 0);
    if (hf_tls_open(files.certificate, files.private_key, &tls, &why))
        fail_msg("%s", why.text);
    return 0;
}

static int tear_down(void **s)
{
    (void)s;
    hf_tls_close(tls);
    hf_loop_free(loop);
    tls_files_remove(&files);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            certificate_and_key_must_be_readable_and_belong_together),
        cmocka_unit_test(it_tells_when_the_certificate_expires),
        cmocka_unit_test(a_new_certificate_is_for_those_who_come_from_now_on),
        cmocka_unit_test(versions_1_2_and_1_3_are_spoken_and_no_older_ones),
        cmocka_unit_test(only_http_1_1_is_offered),
        cmocka_unit_test(no_session_is_kept_and_no_ticket_sent),
        cmocka_unit_test(plain_http_is_told_from_garbage),
        cmocka_unit_test(who_leaves_during_the_handshake_is_gone),
        cmocka_unit_test(a_second_handshake_is_the_end),
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(small_frames_leave_in_one_record),
        cmocka_unit_test(one_turn_reads_a_bounded_number_of_records),
        cmocka_unit_test(nothing_large_is_left_where_the_loop_does_not_see_it),
        cmocka_unit_test(a_record_that_is_held_is_finished_before_another),
        cmocka_unit_test(a_client_may_ask_for_small_records),
        cmocka_unit_test(reading_can_wait_for_writing),
        cmocka_unit_test(what_waits_behind_an_answer_of_tls_is_not_anothers),
        cmocka_unit_test(changes_of_keys_do_not_keep_us),
        cmocka_unit_test(what_was_peeked_at_comes_again),
        cmocka_unit_test(a_goodbye_of_tls_is_the_end),
        cmocka_unit_test(an_end_without_one_is_the_same),
        cmocka_unit_test(we_say_goodbye_in_tls_as_well),
        cmocka_unit_test(forged_bytes_end_the_connection),
    };

    return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}
