/* Connections of a web server, with a double of serve.h that answers, or holds
 * the request until the test answers it. */
#include "gateway/fcgi.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"
#include "tests/unit/fcgi_bytes.h"

/* --- the double ---------------------------------------------------------- */

static struct {
    unsigned started, gone;
    bool hold, post; /* a poll by default */
    char query[64]; /* of the last request */
    size_t body_len;
    struct hf_str answer;
    struct hf_exchange *held[8];
    size_t held_count;
} served;

void hf_exchange_start(struct hf_exchange *exchange, struct hf_gateway *gateway,
                       const struct hf_request *request)
{
    (void)gateway;
    served.started++;
    served.body_len = request->body.len;
    (void)snprintf(served.query, sizeof(served.query), "%.*s",
                   HF_STR_ARG(request->hello.query));
    if (!served.hold) {
        exchange->reply(exchange, HF_STR("head."), served.answer);
        return;
    }
    exchange->work = served.post ? HF_EXCHANGE_POST : HF_EXCHANGE_POLL;
    served.held[served.held_count++] = exchange;
}

void hf_exchange_gone(struct hf_exchange *exchange)
{
    served.gone += exchange->work != HF_EXCHANGE_IDLE;
    exchange->work = HF_EXCHANGE_IDLE;
}

static void answer_held(size_t i)
{
    struct hf_exchange *exchange = served.held[i];

    exchange->work = HF_EXCHANGE_IDLE;
    exchange->reply(exchange, HF_STR("head."), served.answer);
}

/* --- set-up -------------------------------------------------------------- */

static struct hf_loop *loop;
static struct hf_settings settings;
static struct hf_gateway gateway;
static struct hf_fcgi *fcgi;
static struct sockaddr_un address;
static socklen_t address_len;
static struct hf_buf bytes, params, expected;
static int64_t shifted_ms;

static void open_server(size_t max_conns)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* Without a name the kernel gives one. */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)),
                     0);
    address_len = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &address_len),
                     0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(hf_fcgi_open(loop, &gateway, fd, max_conns, &fcgi), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&served, 0, sizeof(served));
    served.answer = HF_STR("body");
    settings.max_body = 1000;
    gateway = (struct hf_gateway){.settings = &settings};
    hf_buf_init(&bytes, 128u << 20);
    hf_buf_init(&params, 1u << 20);
    hf_buf_init(&expected, 128u << 20);
    assert_int_equal(hf_loop_new(&loop), 0);
    open_server(100);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_fcgi_close(fcgi);
    hf_loop_free(loop);
    hf_buf_release(&bytes);
    hf_buf_release(&params);
    hf_buf_release(&expected);
    hf_clock_shift(0, 0);
    shifted_ms = 0;
    return 0;
}

/* --- a web server -------------------------------------------------------- */

static void turn(void)
{
    int i;

    for (i = 0; i < 5; i++)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
}

static void pass_ms(int64_t ms)
{
    shifted_ms += ms;
    hf_clock_shift(shifted_ms, 0);
    turn();
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, address_len), 0);
    return fd;
}

/* All of it, turning the loop while the socket is full. Returns what was taken
 * when the server closed. */
static size_t send_all(int fd, struct hf_str data)
{
    size_t sent = 0;

    while (sent < data.len) {
        ssize_t n = send(fd, data.at + sent, data.len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return sent;
        if (n > 0)
            sent += (size_t)n;
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    }
    turn();
    return sent;
}

/* What there is to read now, appended to `bytes`. */
static bool receive(int fd)
{
    for (;;) {
        char part[65536];
        ssize_t n = recv(fd, part, sizeof(part), 0);

        if (n > 0)
            add_bytes(&bytes, hf_str(part, (size_t)n));
        else
            return n == 0 || errno != EAGAIN; /* true: closed */
    }
}

static void expect_answer(int fd, unsigned id, struct hf_str body, bool closed)
{
    hf_buf_reset(&bytes);
    hf_buf_reset(&expected);
    add_record(&expected, FCGI_STDOUT, id, HF_STR("head."));
    add_record(&expected, FCGI_STDOUT, id, body);
    add_record(&expected, FCGI_STDOUT, id, HF_STR(""));
    add_record(&expected, FCGI_END_REQUEST, id, HF_STR("\0\0\0\0\0\0\0\0"));
    assert_int_equal(receive(fd), closed);
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.at, expected.at, expected.len);
}

static void expect_end(int fd, unsigned id, bool closed)
{
    hf_buf_reset(&bytes);
    hf_buf_reset(&expected);
    add_record(&expected, FCGI_END_REQUEST, id, HF_STR("\0\0\0\0\0\0\0\0"));
    assert_int_equal(receive(fd), closed);
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.at, expected.at, expected.len);
}

static void expect_nothing(int fd, bool closed)
{
    hf_buf_reset(&bytes);
    assert_int_equal(receive(fd), closed);
    assert_int_equal(bytes.len, 0);
}

/* An answer made by the connection itself. */
static void expect_refusal(int fd, const char *status, const char *body)
{
    hf_buf_reset(&bytes);
    assert_true(receive(fd));
    (void)hf_buf_add_byte(&bytes, '\0');
    assert_true(bytes.len > 16);
    assert_memory_equal(bytes.at + 8, status, strlen(status));
    assert_non_null(memmem(bytes.at, bytes.len, body, strlen(body)));
    assert_non_null(
        memmem(bytes.at, bytes.len, "Access-Control-Allow-Origin: *", 30));
}

static struct hf_str request(unsigned id, bool keep, const char *query)
{
    hf_buf_reset(&bytes);
    hf_buf_reset(&params);
    add_param(&params, "REQUEST_METHOD", HF_STR("GET"));
    add_param(&params, "QUERY_STRING", hf_str_of(query));
    add_request(&bytes, id, keep, hf_buf_str(&params), HF_STR(""));
    return hf_buf_str(&bytes);
}

static int ask(unsigned id, bool keep, const char *query)
{
    int fd = dial();

    (void)send_all(fd, request(id, keep, query));
    return fd;
}

static void expect_conns(size_t count)
{
    assert_int_equal(hf_fcgi_counts(fcgi).conns, count);
    if (count > 0)
        return;
    assert_int_equal(hf_fcgi_counts(fcgi).receiving, 0);
    assert_int_equal(hf_fcgi_counts(fcgi).sending, 0);
}

/* --- requests and answers ------------------------------------------------ */

static void a_request_is_answered_and_its_connection_closed(void **state)
{
    int fd = ask(1, false, "a=b");

    (void)state;
    assert_int_equal(served.started, 1);
    assert_string_equal(served.query, "a=b");
    expect_answer(fd, 1, HF_STR("body"), true);
    expect_conns(0);
    hf_close(&fd);
}

static void a_kept_connection_serves_one_after_another(void **state)
{
    int fd = dial();
    unsigned id;

    (void)state;
    for (id = 1; id < 400; id += 133) {
        (void)send_all(fd, request(id, true, "x"));
        expect_answer(fd, id, HF_STR("body"), false);
    }
    (void)send_all(fd, request(2, false, "x"));
    expect_answer(fd, 2, HF_STR("body"), true);
    assert_int_equal(served.started, 4);
    expect_conns(0);
    hf_close(&fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct hf_str all = request(1, false, "slow");
    int fd = dial();
    size_t i;

    (void)state;
    for (i = 0; i < all.len; i++) {
        assert_int_equal(served.started, 0);
        (void)send_all(fd, hf_str(all.at + i, 1));
    }
    assert_string_equal(served.query, "slow");
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);
}

static void a_half_closed_client_is_answered(void **state)
{
    int fd = dial();
    struct hf_str all = request(1, false, "x");

    (void)state;
    assert_int_equal(send(fd, all.at, all.len, 0), all.len);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turn();
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);
}

static void a_large_answer_waits_for_its_reader(void **state)
{
    static char body[3000000];
    struct hf_str left;
    size_t total = 0;
    bool closed = false;
    int fd, i;

    (void)state;
    memset(body, 'x', sizeof(body));
    served.answer = hf_str(body, sizeof(body));
    fd = ask(1, false, "x");
    assert_true(hf_fcgi_counts(fcgi).sending > sizeof(body));
    hf_buf_reset(&bytes);
    for (i = 0; !closed && i < 10000; i++) {
        closed = receive(fd);
        turn();
    }
    assert_true(closed);
    for (left = hf_buf_str(&bytes); left.len >= 8;) {
        const unsigned char *header = (const unsigned char *)left.at;
        size_t len = (size_t)header[4] << 8 | header[5];

        total += header[1] == FCGI_STDOUT ? len : 0;
        left = hf_str_from(left, 8 + len);
    }
    assert_int_equal(left.len, 0);
    assert_int_equal(total, sizeof(body) + 5);
    expect_conns(0);
    hf_close(&fd);
}

static void an_answer_that_is_not_read_is_given_up(void **state)
{
    static char body[3000000];
    char part[100000];
    int fd;

    (void)state;
    served.answer = hf_str(body, sizeof(body));
    fd = ask(1, false, "x");
    pass_ms(HF_FCGI_SEND_MS - 1000);
    expect_conns(1);
    /* Progress makes the time start anew. */
    while (recv(fd, part, sizeof(part), 0) > 0)
        ;
    turn();
    pass_ms(HF_FCGI_SEND_MS - 1000);
    expect_conns(1);
    pass_ms(2000);
    expect_conns(0);
    hf_close(&fd);
}

static void answers_that_nobody_reads_are_bounded_together(void **state)
{
    const size_t len = 10u << 20;
    char *body = calloc(1, len);
    int fds[8];
    size_t i;

    (void)state;
    assert_non_null(body);
    served.answer = hf_str(body, len);
    for (i = 0; i < 8; i++)
        fds[i] = ask(1, false, "x");
    assert_true(hf_fcgi_counts(fcgi).conns < 8);
    assert_true(hf_fcgi_counts(fcgi).conns >= 3);
    assert_true(hf_fcgi_counts(fcgi).sending <= HF_FCGI_SENDING_MAX);
    for (i = 0; i < 8; i++)
        hf_close(&fds[i]);
    turn();
    expect_conns(0);
    free(body);
}

/* --- held requests ------------------------------------------------------- */

static void a_held_request_keeps_no_buffer(void **state)
{
    struct hf_str all;
    int fd = dial();

    (void)state;
    served.hold = true;
    all = request(5, false, "poll");
    (void)send_all(fd, hf_str(all.at, 50));
    assert_true(hf_fcgi_counts(fcgi).receiving >= 50);
    (void)send_all(fd, hf_str_from(all, 50));
    assert_int_equal(served.started, 1);
    expect_conns(1);
    assert_int_equal(hf_fcgi_counts(fcgi).receiving, 0);
    expect_nothing(fd, false);
    pass_ms(HF_FCGI_READ_MS * 10); /* no deadline of ours */
    expect_conns(1);
    answer_held(0);
    expect_answer(fd, 5, HF_STR("body"), true);
    turn();
    expect_conns(0);
    hf_close(&fd);
}

static void a_server_that_hangs_up_gives_the_poll_up(void **state)
{
    int fd;

    (void)state;
    served.hold = true;
    fd = ask(1, false, "poll");
    assert_int_equal(shutdown(fd, SHUT_WR), 0); /* lighttpd does so */
    turn();
    assert_int_equal(served.gone, 1);
    expect_refusal(fd, "Status: 200", ""); /* or it takes us for dead */
    expect_conns(0);
    hf_close(&fd);

    fd = ask(1, false, "poll");
    hf_close(&fd);
    turn();
    assert_int_equal(served.gone, 2);
    expect_conns(0);
}

static void a_post_is_not_answered_before_it_has_happened(void **state)
{
    int fd;

    (void)state;
    served.hold = true;
    served.post = true;
    fd = ask(1, true, "post");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turn();
    expect_nothing(fd, false);
    assert_int_equal(served.gone, 0);
    answer_held(0);
    expect_answer(fd, 1, HF_STR("body"), true);
    expect_conns(0);
    hf_close(&fd);

    fd = ask(1, true, "post");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turn();
    hf_close(&fd);
    turn();
    assert_int_equal(served.gone, 1);
    expect_conns(0);
}

static void an_abort_ends_a_held_request(void **state)
{
    int fd;

    (void)state;
    served.hold = true;
    fd = ask(9, true, "poll");
    hf_buf_reset(&bytes);
    add_record(&bytes, FCGI_ABORT_REQUEST, 9, HF_STR(""));
    (void)send_all(fd, hf_buf_str(&bytes));
    assert_int_equal(served.gone, 1);
    expect_end(fd, 9, false);
    served.hold = false;
    (void)send_all(fd, request(10, true, "next"));
    expect_answer(fd, 10, HF_STR("body"), false);
    hf_close(&fd);
}

static void what_comes_behind_a_held_request_is_not_guessed_at(void **state)
{
    int fd;

    (void)state;
    served.hold = true;
    fd = ask(1, true, "poll");
    (void)send_all(fd, request(2, true, "another"));
    assert_int_equal(served.started, 1);
    assert_int_equal(served.gone, 0);
    answer_held(0);
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);

    served.hold = false;
    fd = dial();
    (void)request(1, true, "both at once");
    add_bytes(&bytes, HF_STR("\1\1\0"));
    (void)send_all(fd, hf_buf_str(&bytes));
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);
    turn();
    expect_conns(0);
}

/* --- bad peers ----------------------------------------------------------- */

static void malformed_records_close_their_connection_only(void **state)
{
    int good, bad;

    (void)state;
    served.hold = true;
    good = ask(1, false, "poll");
    bad = dial();
    (void)send_all(bad, HF_STR("GET / HTTP/1.1\r\n\r\n"));
    expect_nothing(bad, true);
    expect_conns(1);
    answer_held(0);
    expect_answer(good, 1, HF_STR("body"), true);
    hf_close(&good);
    hf_close(&bad);
}

static void a_request_that_is_never_whole_is_dropped(void **state)
{
    struct hf_str half = request(1, false, "x");
    int silent = dial();
    int slow = dial();

    (void)state;
    (void)send_all(slow, hf_str(half.at, 20));
    expect_conns(2);
    pass_ms(HF_FCGI_READ_MS - 1000);
    /* A byte now and then buys no time. */
    (void)send_all(slow, hf_str(half.at + 20, 1));
    expect_conns(2);
    pass_ms(2000);
    expect_nothing(silent, true);
    expect_nothing(slow, true);
    expect_conns(0);
    hf_close(&silent);
    hf_close(&slow);
}

static void an_idle_kept_connection_may_wait_longer(void **state)
{
    int fd = ask(1, true, "x");
    struct hf_str half;

    (void)state;
    pass_ms(HF_FCGI_IDLE_MS - 1000);
    expect_answer(fd, 1, HF_STR("body"), false);
    /* With the first byte of a request the short time begins. */
    half = request(1, true, "x");
    (void)send_all(fd, hf_str(half.at, 20));
    pass_ms(HF_FCGI_READ_MS - 1000);
    expect_conns(1);
    pass_ms(2000);
    expect_conns(0);
    hf_close(&fd);

    fd = ask(1, true, "x");
    pass_ms(HF_FCGI_IDLE_MS + 1000);
    expect_conns(0);
    hf_close(&fd);
}

static int post(size_t body_len, size_t chunk)
{
    char *body = malloc(body_len);
    int fd = dial();

    assert_non_null(body);
    memset(body, 'x', body_len);
    hf_buf_reset(&bytes);
    hf_buf_reset(&params);
    add_param(&params, "REQUEST_METHOD", HF_STR("POST"));
    add_begin(&bytes, 1, 1, false);
    add_stream(&bytes, FCGI_PARAMS, 1, hf_buf_str(&params), 1000);
    add_stream(&bytes, FCGI_STDIN, 1, hf_str(body, body_len), chunk);
    (void)send_all(fd, hf_buf_str(&bytes));
    free(body);
    return fd;
}

static void a_body_up_to_the_limit_is_taken(void **state)
{
    int fd = post(1000, 7);

    (void)state;
    expect_answer(fd, 1, HF_STR("body"), true);
    assert_int_equal(served.body_len, 1000);
    hf_close(&fd);

    settings.max_body = 8000000;
    fd = post(8000000, 8000);
    expect_answer(fd, 1, HF_STR("body"), true);
    assert_int_equal(served.body_len, 8000000);
    expect_conns(0);
    hf_close(&fd);
}

static void a_body_over_the_limit_is_read_and_refused(void **state)
{
    int fd = post(1001, 65535);

    (void)state;
    expect_refusal(fd, "Status: 413 ", "{\"status\":413}");
    hf_close(&fd);
    fd = post(20000000, 65535);
    expect_refusal(fd, "Status: 413 ", "{\"status\":413}");
    assert_int_equal(served.started, 0);
    expect_conns(0);
    hf_close(&fd);
}

/* Thousands of tiny records hold little but need much. */
static void a_body_in_crumbs_is_bounded_too(void **state)
{
    int fd;

    (void)state;
    settings.max_body = 200000;
    fd = post(200000, 1);
    expect_refusal(fd, "Status: 413 ", "{\"status\":413}");
    expect_conns(0);
    hf_close(&fd);
}

static void a_body_without_end_is_cut_off(void **state)
{
    static char content[65535];
    const size_t most = HF_FCGI_DRAIN_MAX + 10000000;
    size_t sent = 0, n;
    int fd = dial();

    (void)state;
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    (void)send_all(fd, hf_buf_str(&bytes));
    hf_buf_reset(&bytes);
    add_record(&bytes, FCGI_STDIN, 1, hf_str(content, sizeof(content)));
    do {
        n = send_all(fd, hf_buf_str(&bytes));
        sent += n;
    } while (n == bytes.len && sent < most);
    assert_true(sent >= HF_FCGI_DRAIN_MAX && sent < most);
    expect_refusal(fd, "Status: 413 ", "{\"status\":413}");
    expect_conns(0);
    hf_close(&fd);
}

static void large_header_fields_are_refused(void **state)
{
    static char value[100000];
    int fd = dial();

    (void)state;
    memset(value, 'x', sizeof(value));
    hf_buf_reset(&bytes);
    add_param(&params, "HTTP_COOKIE", hf_str(value, sizeof(value)));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR(""));
    (void)send_all(fd, hf_buf_str(&bytes));
    expect_refusal(fd, "Status: 431 ", "{\"status\":500}");
    assert_int_equal(served.started, 0);
    expect_conns(0);
    hf_close(&fd);
}

/* Begin a body of `len` bytes without its end. */
static int begin_post(char *body, size_t len)
{
    int fd = dial();

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    add_stream(&bytes, FCGI_STDIN, 1, hf_str(body, len), 65535);
    (void)send_all(fd, hf_str(bytes.at, bytes.len - 8));
    return fd;
}

static void requests_being_read_are_bounded_together(void **state)
{
    const size_t len = 20u << 20;
    char *body = calloc(1, len);
    int fds[6], refused = 0;
    size_t i;

    (void)state;
    assert_non_null(body);
    settings.max_body = len;
    for (i = 0; i < 6; i++) {
        fds[i] = begin_post(body, len);
        assert_true(hf_fcgi_counts(fcgi).receiving <= HF_FCGI_RECEIVING_MAX);
    }
    free(body);
    for (i = 0; i < 6; i++) {
        hf_buf_reset(&bytes);
        add_record(&bytes, FCGI_STDIN, 1, HF_STR(""));
        (void)send_all(fds[i], hf_buf_str(&bytes));
        hf_buf_reset(&bytes);
        assert_true(receive(fds[i]));
        if (memmem(bytes.at, bytes.len, "Status: 503 ", 12)) {
            /* A GET must not see a status it does not know. */
            assert_non_null(
                memmem(bytes.at, bytes.len, "{\"status\":500}", 14));
            refused++;
        }
        hf_close(&fds[i]);
    }
    assert_true(refused > 0);
    assert_int_equal(served.started + (unsigned)refused, 6);
    assert_true(served.started > 0);
    expect_conns(0);
}

static void an_abort_ends_a_request_that_is_being_read(void **state)
{
    int fd = dial();

    (void)state;
    hf_buf_reset(&bytes);
    add_begin(&bytes, 3, 1, true);
    add_record(&bytes, FCGI_ABORT_REQUEST, 3, HF_STR(""));
    (void)send_all(fd, hf_buf_str(&bytes));
    expect_end(fd, 3, false);
    assert_int_equal(served.started, 0);
    (void)send_all(fd, request(1, false, "x"));
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);
}

static void management_records_are_answered(void **state)
{
    int fd = dial();

    (void)state;
    (void)request(1, false, "x");
    hf_buf_reset(&expected);
    add_record(&expected, 77, 0, HF_STR(""));
    /* in two pieces, the second with the request behind it */
    (void)send_all(fd, hf_str(expected.at, 3));
    add_bytes(&expected, hf_buf_str(&bytes));
    (void)send_all(fd, hf_str_from(hf_buf_str(&expected), 3));
    hf_buf_reset(&bytes);
    assert_true(receive(fd));
    assert_true(bytes.len > 16);
    assert_memory_equal(bytes.at, "\1\x0b\0\0\0\x08\0\0\x4d\0\0\0\0\0\0\0", 16);
    assert_int_equal(served.started, 1);
    expect_conns(0);
    hf_close(&fd);
}

/* --- accepting ----------------------------------------------------------- */

/* Nothing to do is nothing done: the loop waits as long as it may. */
static void expect_quiet(void)
{
    int64_t start_ms = hf_boot_ms();

    assert_int_equal(hf_loop_turn(loop, 50), 0);
    assert_true(hf_boot_ms() - start_ms >= 45);
}

static void connections_beyond_the_limit_wait(void **state)
{
    int fds[3];

    (void)state;
    hf_fcgi_close(fcgi);
    open_server(2);
    served.hold = true;
    fds[0] = ask(1, false, "0");
    fds[1] = ask(1, false, "1");
    fds[2] = ask(1, false, "2");
    expect_conns(2);
    assert_int_equal(served.started, 2);
    expect_quiet();
    answer_held(0);
    turn();
    assert_int_equal(served.started, 3);
    assert_string_equal(served.query, "2");
    expect_conns(2);
    hf_close(&fds[0]);
    hf_close(&fds[1]);
    hf_close(&fds[2]);
}

static void running_out_of_descriptors_is_a_pause(void **state)
{
    struct rlimit before, none;
    int fd = dial();

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    (void)request(1, false, "x");
    assert_int_equal(send(fd, bytes.at, bytes.len, 0), bytes.len);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn();
    expect_conns(0);
    expect_quiet();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turn(); /* not even tried before the pause is over */
    assert_int_equal(served.started, 0);
    pass_ms(HF_FCGI_PAUSE_MS + 1);
    assert_int_equal(served.started, 1);
    expect_answer(fd, 1, HF_STR("body"), true);
    hf_close(&fd);
}

/* --- leaving ------------------------------------------------------------- */

static void stopping_lets_what_is_under_way_finish(void **state)
{
    struct hf_str late_request;
    int idle = ask(1, true, "kept");
    int held, late, fd;

    (void)state;
    expect_answer(idle, 1, HF_STR("body"), false);
    served.hold = true;
    held = ask(1, true, "held");
    late = dial();
    turn();
    expect_conns(3);

    gateway.leaving = true;
    hf_fcgi_stop(fcgi);
    turn();
    expect_nothing(idle, true);
    expect_conns(2);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, address_len), -1);

    answer_held(0);
    turn();
    expect_answer(held, 1, HF_STR("body"), true); /* kept no longer */
    served.hold = false;
    late_request = request(1, true, "late");
    (void)send_all(late, late_request);
    expect_answer(late, 1, HF_STR("body"), true);
    expect_conns(0);
    hf_close(&fd);
    hf_close(&idle);
    hf_close(&held);
    hf_close(&late);
}

static void closing_gives_up_what_is_held(void **state)
{
    int fd;

    (void)state;
    served.hold = true;
    fd = ask(1, false, "held");
    hf_fcgi_close(fcgi);
    fcgi = NULL;
    assert_int_equal(served.gone, 1);
    expect_nothing(fd, true);
    hf_close(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_and_its_connection_closed),
        TEST(a_kept_connection_serves_one_after_another),
        TEST(a_request_may_come_byte_by_byte),
        TEST(a_half_closed_client_is_answered),
        TEST(a_large_answer_waits_for_its_reader),
        TEST(an_answer_that_is_not_read_is_given_up),
        TEST(answers_that_nobody_reads_are_bounded_together),
        TEST(a_held_request_keeps_no_buffer),
        TEST(a_server_that_hangs_up_gives_the_poll_up),
        TEST(a_post_is_not_answered_before_it_has_happened),
        TEST(an_abort_ends_a_held_request),
        TEST(what_comes_behind_a_held_request_is_not_guessed_at),
        TEST(malformed_records_close_their_connection_only),
        TEST(a_request_that_is_never_whole_is_dropped),
        TEST(an_idle_kept_connection_may_wait_longer),
        TEST(a_body_up_to_the_limit_is_taken),
        TEST(a_body_over_the_limit_is_read_and_refused),
        TEST(a_body_in_crumbs_is_bounded_too),
        TEST(a_body_without_end_is_cut_off),
        TEST(large_header_fields_are_refused),
        TEST(requests_being_read_are_bounded_together),
        TEST(an_abort_ends_a_request_that_is_being_read),
        TEST(management_records_are_answered),
        TEST(connections_beyond_the_limit_wait),
        TEST(running_out_of_descriptors_is_a_pause),
        TEST(stopping_lets_what_is_under_way_finish),
        TEST(closing_gives_up_what_is_held),
    };

    return cmocka_run_group_tests_name("fcgi", tests, NULL, NULL);
}
