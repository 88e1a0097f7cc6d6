#include "sidecar/ws_out.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"

static void open_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
}

static void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* What has arrived at fd, behind what is in `got`. */
static void collect(int fd, struct hf_buf *got)
{
    char part[4096];
    ssize_t len;

    while ((len = read(fd, part, sizeof(part))) > 0)
        assert_int_equal(hf_buf_add(got, part, (size_t)len), 0);
}

static void assert_got(struct hf_buf *got, struct hf_str want)
{
    assert_int_equal(got->len, want.len);
    assert_memory_equal(got->at, want.at, want.len);
    hf_buf_release(got);
}

static int write_to(int fd, struct hf_ws_out *out, bool *progress)
{
    struct hf_wire wire = {.watch = {.fd = fd}};

    return hf_ws_out_write(out, &wire, progress);
}

static void messages_leave_as_frames_in_one_write(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_buf got;
    bool progress;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 1000);
    hf_ws_out_add(&out, hf_msg_of(HF_STR("[1]")));
    hf_ws_out_add(&out, hf_msg_of(HF_STR("")));
    hf_ws_out_add(&out, hf_msg_of(HF_STR("[2]")));
    assert_int_equal(write_to(pair[0], &out, &progress), 0);
    assert_true(progress);
    assert_int_equal(out.count, 0);
    assert_int_equal(out.bytes, 0);
    collect(pair[1], &got);
    assert_got(&got, HF_STR("\x81\x03[1]\x81\x00\x81\x03[2]"));
    close_pair(pair);
}

static void a_shared_message_gets_its_header_once(void **state)
{
    struct hf_ws_out a = {.count = 0}, b = {.count = 0};
    struct hf_msg *msg = hf_msg_of(HF_STR("hi"));
    struct hf_buf got;
    bool progress;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 1000);
    msg->binary = true;
    hf_ws_out_add(&a, hf_msg_ref(msg));
    hf_ws_out_add(&b, hf_msg_ref(msg));
    assert_int_equal(msg->head_len, 2);
    assert_int_equal(write_to(pair[0], &a, &progress), 0);
    assert_int_equal(write_to(pair[0], &b, &progress), 0);
    collect(pair[1], &got);
    assert_got(&got, HF_STR("\x82\x02hi\x82\x02hi"));
    assert_int_equal(msg->refs, 1);
    hf_msg_unref(msg);
    close_pair(pair);
}

/* A pair that takes little: the frames are cut at odd places. */
static void what_the_socket_does_not_take_waits_and_stays_whole(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_buf got, want;
    int size = 1, pair[2], i, waits = 0, err;
    bool progress;

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 1 << 20);
    hf_buf_init(&want, 1 << 20);
    assert_int_equal(
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    for (i = 0; i < 20; i++) {
        struct hf_msg *msg = hf_msg_new(1000 + (size_t)i);

        memset(msg->text, 'a' + i, msg->len);
        assert_int_equal(hf_buf_add(&want, "\x81\x7e", 2), 0);
        assert_int_equal(hf_buf_add_byte(&want, (char)(msg->len >> 8)), 0);
        assert_int_equal(hf_buf_add_byte(&want, (char)(msg->len & 0xff)), 0);
        assert_int_equal(hf_buf_add(&want, msg->text, msg->len), 0);
        hf_ws_out_add(&out, msg);
    }
    while ((err = write_to(pair[0], &out, &progress)) == HF_EAGAIN) {
        assert_int_equal(write_to(pair[0], &out, &progress), HF_EAGAIN);
        assert_false(progress);
        collect(pair[1], &got);
        assert_int_equal(out.bytes, want.len - got.len);
        waits++;
    }
    assert_int_equal(err, 0);
    assert_true(waits > 2);
    collect(pair[1], &got);
    assert_got(&got, hf_buf_str(&want));
    hf_buf_release(&want);
    close_pair(pair);
}

static void room_ends_with_the_batch_or_its_bytes(void **state)
{
    struct hf_ws_out out = {.count = 0};
    unsigned i;

    (void)state;
    for (i = 0; i < HF_WRITE_BATCH; i++) {
        assert_int_equal(hf_ws_out_room(&out), HF_WRITE_BATCH - i);
        hf_ws_out_add(&out, hf_msg_of(HF_STR("x")));
    }
    assert_int_equal(hf_ws_out_room(&out), 0);
    hf_ws_out_release(&out);

    hf_ws_out_add(&out, hf_msg_new(HF_WRITE_BYTES - 100));
    assert_true(hf_ws_out_has_room(&out));
    hf_ws_out_add(&out, hf_msg_new(HF_WRITE_BYTES));
    assert_false(hf_ws_out_has_room(&out));
    hf_ws_out_release(&out);
    assert_true(hf_ws_out_has_room(&out));
}

static void when_pongs_do_not_fit_the_latest_counts(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_buf got;
    bool progress;
    unsigned i;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 10000);
    for (i = 0; i < HF_WRITE_BATCH; i++)
        hf_ws_out_add(&out, hf_msg_of(HF_STR("m")));
    for (i = 0; i < 100; i++) {
        char payload = (char)('0' + i % 10);

        assert_int_equal(hf_ws_out_pong(&out, hf_str(&payload, 1)), 0);
    }
    assert_int_equal(write_to(pair[0], &out, &progress), 0);
    collect(pair[1], &got);
    assert_int_equal(got.len, (HF_WRITE_BATCH + HF_WRITE_PONGS) * 3);
    assert_memory_equal(got.at + HF_WRITE_BATCH * 3,
                        "\x8a\x01"
                        "0\x8a\x01"
                        "1\x8a\x01"
                        "2",
                        9);
    assert_memory_equal(got.at + got.len - 3,
                        "\x8a\x01"
                        "9",
                        3);
    hf_buf_release(&got);
    close_pair(pair);
}

static void a_ping_goes_behind_the_messages_where_there_is_room(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_buf got;
    bool progress;
    unsigned i;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 10000);
    for (i = 0; i < HF_WRITE_BATCH; i++)
        hf_ws_out_add(&out, hf_msg_of(HF_STR("m")));
    assert_int_equal(hf_ws_out_ping(&out), 0);
    for (i = 1; i < HF_WRITE_PONGS; i++)
        assert_int_equal(hf_ws_out_pong(&out, HF_STR("")), 0);
    assert_int_equal(hf_ws_out_ping(&out), HF_EAGAIN);
    assert_int_equal(write_to(pair[0], &out, &progress), 0);
    collect(pair[1], &got);
    assert_int_equal(got.len, HF_WRITE_BATCH * 3 + HF_WRITE_PONGS * 2);
    assert_memory_equal(got.at + HF_WRITE_BATCH * 3, "\x89\0\x8a\0", 4);
    hf_buf_release(&got);
    close_pair(pair);
}

static void a_goodbye_drops_what_was_not_begun(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_buf got;
    bool progress;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 1000);
    hf_ws_out_add(&out, hf_msg_of(HF_STR("a")));
    hf_ws_out_add(&out, hf_msg_of(HF_STR("b")));
    assert_int_equal(hf_ws_out_goodbye(&out, HF_WS_RESTART, HF_STR("")), 0);
    assert_int_equal(write_to(pair[0], &out, &progress), 0);
    collect(pair[1], &got);
    assert_got(&got, HF_STR("\x88\x02\x03\xf4"));
    close_pair(pair);
}

static void a_goodbye_comes_behind_the_frame_that_was_begun(void **state)
{
    struct hf_ws_out out = {.count = 0};
    struct hf_msg *big = hf_msg_new(1 << 20);
    struct hf_buf got;
    bool progress;
    int pair[2];

    (void)state;
    open_pair(pair);
    hf_buf_init(&got, 2 << 20);
    memset(big->text, 'x', big->len);
    hf_ws_out_add(&out, big);
    assert_int_equal(write_to(pair[0], &out, &progress), HF_EAGAIN);
    assert_true(progress);
    assert_int_equal(hf_ws_out_pong(&out, HF_STR("p")), 0);
    assert_int_equal(hf_ws_out_goodbye(&out, HF_WS_NO_STATUS, HF_STR("")), 0);
    while (write_to(pair[0], &out, &progress) == HF_EAGAIN)
        collect(pair[1], &got);
    collect(pair[1], &got);
    assert_int_equal(got.len, 10 + (1 << 20) + 2);
    assert_memory_equal(got.at + got.len - 3, "x\x88\x00", 3);
    hf_buf_release(&got);
    close_pair(pair);
}

static void a_broken_connection_is_told_without_a_signal(void **state)
{
    struct hf_ws_out out = {.count = 0};
    bool progress;
    int pair[2];

    (void)state;
    open_pair(pair);
    close(pair[1]);
    hf_ws_out_add(&out, hf_msg_of(HF_STR("a")));
    assert_int_equal(write_to(pair[0], &out, &progress), HF_ECLOSED);
    hf_ws_out_release(&out);
    close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_leave_as_frames_in_one_write),
        cmocka_unit_test(a_shared_message_gets_its_header_once),
        cmocka_unit_test(what_the_socket_does_not_take_waits_and_stays_whole),
        cmocka_unit_test(room_ends_with_the_batch_or_its_bytes),
        cmocka_unit_test(when_pongs_do_not_fit_the_latest_counts),
        cmocka_unit_test(a_ping_goes_behind_the_messages_where_there_is_room),
        cmocka_unit_test(a_goodbye_drops_what_was_not_begun),
        cmocka_unit_test(a_goodbye_comes_behind_the_frame_that_was_begun),
        cmocka_unit_test(a_broken_connection_is_told_without_a_signal),
    };

    return cmocka_run_group_tests_name("ws_out", tests, NULL, NULL);
}
