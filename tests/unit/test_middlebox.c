#include "tests/middlebox/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/middlebox/flow.h"
#include "tests/middlebox/head.h"

/* --- rules ----------------------------------------------------------------- */

static int say(struct rules *rules, const char *command)
{
    struct hf_why why;

    return rules_read(rules, hf_str_of(command), &why);
}

static void assert_rules(const struct rules *rules, enum mode upgrade,
                         enum mode get, enum mode post)
{
    assert_int_equal(rules->of[KIND_UPGRADE].mode, upgrade);
    assert_int_equal(rules->of[KIND_GET].mode, get);
    assert_int_equal(rules->of[KIND_POST].mode, post);
}

static void a_mode_is_for_what_it_is_about(void **state)
{
    struct rules rules = {.of = {{MODE_PASS, 0}}};

    (void)state;
    assert_int_equal(say(&rules, "strip"), 0);
    assert_rules(&rules, MODE_STRIP, MODE_PASS, MODE_PASS);
    assert_int_equal(say(&rules, "swallow"), 0);
    assert_rules(&rules, MODE_STRIP, MODE_PASS, MODE_HANG);
    assert_int_equal(say(&rules, "double"), 0);
    assert_rules(&rules, MODE_STRIP, MODE_DOUBLE, MODE_HANG);
    assert_int_equal(say(&rules, "pass post"), 0);
    assert_rules(&rules, MODE_STRIP, MODE_DOUBLE, MODE_PASS);
    assert_int_equal(say(&rules, "portal"), 0);
    assert_rules(&rules, MODE_PORTAL, MODE_PORTAL, MODE_PORTAL);
    assert_int_equal(say(&rules, " pass "), 0);
    assert_rules(&rules, MODE_PASS, MODE_PASS, MODE_PASS);
}

static void kinds_and_numbers_may_be_said(void **state)
{
    struct rules rules = {.of = {{MODE_PASS, 0}}};

    (void)state;
    assert_int_equal(say(&rules, "reset get  post"), 0);
    assert_rules(&rules, MODE_PASS, MODE_RESET, MODE_RESET);
    assert_int_equal(say(&rules, "refuse"), 0);
    assert_int_equal(rules.of[KIND_UPGRADE].number, 403);
    assert_int_equal(say(&rules, "refuse=407 all"), 0);
    assert_rules(&rules, MODE_STATUS, MODE_STATUS, MODE_STATUS);
    assert_int_equal(rules.of[KIND_POST].number, 407);
    assert_int_equal(say(&rules, "cut=999999"), 0);
    assert_int_equal(rules.of[KIND_UPGRADE].number, 999999);
}

static void a_wrong_command_changes_nothing(void **state)
{
    static const char *const wrong[] = {
        "",
        "=",
        "passs",
        "cut=",
        "cut=0",
        "cut=-1",
        "cut=1000000",
        "mute=1",
        "mute get",
        "lose upgrade",
        "strip gets",
        "status=600",
        "refuse=99",
        "http10 all none",
    };
    struct rules rules = {.of = {{MODE_CUT, 7}, {MODE_DELAY, 8}}};
    struct hf_why why;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(rules_read(&rules, hf_str_of(wrong[i]), &why),
                         HF_EINVAL);
        assert_true(why.text[0] != '\0');
        assert_rules(&rules, MODE_CUT, MODE_DELAY, MODE_PASS);
    }
}

/* --- heads ----------------------------------------------------------------- */

#define SOCKET                                                                 \
    "GET /socket/websocket HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, "    \
    "Upgrade\r\nUPGRADE: WebSocket\r\nOrigin: y\r\n\r\n"

static int read_text(const char *text, struct head *out)
{
    return head_read(hf_str_of(text), out);
}

static void a_request_is_of_its_kind(void **state)
{
    struct head head;

    (void)state;
    assert_int_equal(read_text(SOCKET "abc", &head), 0);
    assert_int_equal(head.kind, KIND_UPGRADE);
    assert_int_equal(head.len, strlen(SOCKET));
    assert_int_equal(read_text("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", &head),
                     0);
    assert_int_equal(head.kind, KIND_GET);
    assert_int_equal(
        read_text("POST / HTTP/1.0\nx: y\ncontent-LENGTH:  12 \n\n", &head), 0);
    assert_int_equal(head.kind, KIND_POST);
    assert_int_equal(head.body, 12);
}

static void every_begin_of_a_request_goes_on(void **state)
{
    struct head head;

    (void)state;
    for (size_t len = 0; len < strlen(SOCKET); len++)
        assert_int_equal(head_read(hf_str(SOCKET, len), &head), HF_EAGAIN);
}

static void what_is_no_request_is_refused(void **state)
{
    static char endless[HEAD_MAX + 64];
    struct head head;

    (void)state;
    assert_int_equal(read_text("hello\r\n", &head), HF_EMALFORMED);
    assert_int_equal(
        read_text("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                  &head),
        HF_EMALFORMED);
    assert_int_equal(
        read_text("POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", &head),
        HF_EMALFORMED);
    assert_int_equal(
        read_text("POST / HTTP/1.1\r\nContent-Length: 524289\r\n\r\n", &head),
        HF_ELIMIT);
    memset(endless, 'a', sizeof(endless));
    assert_int_equal(head_read(hf_str(endless, HEAD_MAX), &head), HF_EAGAIN);
    assert_int_equal(head_read(hf_str(endless, sizeof(endless)), &head),
                     HF_ELIMIT);
}

static void assert_passed(bool upgrade, bool http10, const char *expected)
{
    struct hf_buf out;

    hf_buf_init(&out, 4096);
    assert_int_equal(head_pass(&out, hf_str_of(SOCKET), upgrade, http10), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.at, expected, out.len);
    hf_buf_release(&out);
}

static void a_head_is_passed_on_as_the_rule_has_it(void **state)
{
    (void)state;
    assert_passed(true, false, SOCKET);
    assert_passed(false, false,
                  "GET /socket/websocket HTTP/1.1\r\nHost: x\r\nOrigin: y\r\n"
                  "Connection: close\r\n\r\n");
    assert_passed(false, true,
                  "GET /socket/websocket HTTP/1.0\r\nHost: x\r\nOrigin: y\r\n"
                  "Connection: close\r\n\r\n");
}

static void the_head_of_an_answer_ends_where_it_ends(void **state)
{
    static const char text[] =
        "HTTP/1.1 101 Switching\r\nx: y\r\r\n\r\nframes\r\n\r\n";
    const size_t head = strlen(text) - strlen("frames\r\n\r\n");

    (void)state;
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct answer answer = {.done = false};
        size_t taken = 0;

        for (size_t at = 0; at < strlen(text); at += piece) {
            size_t len = strlen(text) - at < piece ? strlen(text) - at : piece;

            taken += answer_take(&answer, hf_str(text + at, len));
        }
        assert_int_equal(taken, head);
        assert_true(answer.done);
        assert_true(answer_is_upgrade(&answer));
    }
}

static void another_answer_is_no_upgrade(void **state)
{
    struct answer answer = {.done = false};

    (void)state;
    (void)answer_take(&answer, HF_STR("HTTP/1.1 200 101 \r\n\r\n"));
    assert_true(answer.done);
    assert_false(answer_is_upgrade(&answer));
}

/* --- flows ----------------------------------------------------------------- */

static void assert_due(const struct flow *flow, int64_t now, const char *text)
{
    struct hf_str due = flow_due(flow, now);

    assert_int_equal(due.len, strlen(text));
    assert_memory_equal(due.at, text, due.len);
}

static void delayed_bytes_leave_when_they_are_due_and_in_order(void **state)
{
    struct flow flow;

    (void)state;
    flow_init(&flow, 100);
    assert_int_equal(flow_add(&flow, HF_STR("one"), 50), 0);
    assert_int_equal(flow_add(&flow, HF_STR("two"), 70), 0);
    assert_int_equal(flow_add(&flow, HF_STR("hasty"), 10), 0);
    assert_int_equal(flow_next_ms(&flow), 50);
    assert_due(&flow, 49, "");
    assert_due(&flow, 69, "one");
    flow_drop(&flow, 2);
    assert_due(&flow, 70, "etwohasty");
    flow_drop(&flow, 5);
    assert_due(&flow, 70, "asty");
    flow_drop(&flow, 4);
    assert_true(flow_empty(&flow));
    flow_release(&flow);
}

static void a_flow_has_a_bound_for_bytes_and_for_delays(void **state)
{
    struct flow flow;

    (void)state;
    flow_init(&flow, 70);
    for (unsigned i = 0; i < FLOW_MARKS; i++) {
        assert_int_equal(flow_room(&flow), 70 - i);
        assert_int_equal(flow_add(&flow, HF_STR("x"), i), 0);
    }
    assert_int_equal(flow_room(&flow), 0);
    assert_int_equal(flow_add(&flow, HF_STR("y"), FLOW_MARKS), HF_ELIMIT);
    /* the ring goes round */
    flow_drop(&flow, 10);
    assert_int_equal(flow_add(&flow, HF_STR("0123456789"), FLOW_MARKS), 0);
    assert_int_equal(flow_add(&flow, HF_STR("0123456"), FLOW_MARKS), HF_ELIMIT);
    assert_int_equal(flow_due(&flow, FLOW_MARKS).len, 64);
    flow_release(&flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mode_is_for_what_it_is_about),
        cmocka_unit_test(kinds_and_numbers_may_be_said),
        cmocka_unit_test(a_wrong_command_changes_nothing),
        cmocka_unit_test(a_request_is_of_its_kind),
        cmocka_unit_test(every_begin_of_a_request_goes_on),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(a_head_is_passed_on_as_the_rule_has_it),
        cmocka_unit_test(the_head_of_an_answer_ends_where_it_ends),
        cmocka_unit_test(another_answer_is_no_upgrade),
        cmocka_unit_test(delayed_bytes_leave_when_they_are_due_and_in_order),
        cmocka_unit_test(a_flow_has_a_bound_for_bytes_and_for_delays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
