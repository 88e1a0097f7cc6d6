#include "channel/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"

static struct hf_report report;
static struct hf_settings settings;

/* What is judged of a measurement, by a gateway that is served so. */
static void judge(enum hf_served served, const char *json)
{
    struct hf_front front = {.served = served, .sidecar = true};

    hf_report_release(&report);
    hf_settings_default(&settings);
    assert_int_equal(hf_front_read(&front, hf_str_of(json)), 0);
    hf_front_judge(&front, &settings, &report);
}

static const char *changed(const char *name)
{
    for (size_t i = 0; i < report.changes_count; i++)
        if (strcmp(report.changes[i].name, name) == 0)
            return report.changes[i].value;
    return "nothing";
}

static bool has(const char *id)
{
    return hf_report_has(&report, id);
}

/* Is this part of what a finding says? */
static bool says(const char *part)
{
    for (size_t i = 0; i < report.count; i++)
        if (strstr(report.items[i].text, part))
            return true;
    return false;
}

static void what_was_not_measured_is_not_judged(void **state)
{
    (void)state;
    judge(HF_SERVED_RESIDENT, "{}");
    assert_int_equal(report.count, 1); /* how it is served */
    assert_int_equal(report.worst, HF_FINDING_OK);
    assert_int_equal(report.changes_count, 0);
}

static void what_is_no_measurement_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "[]", "7", "{", "{\"holds\":[[[[[[[]", "nothing"};
    struct hf_front front = {.sidecar = false};
    char *large = calloc(1, HF_FRONT_MAX + 2);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(hf_front_read(&front, hf_str_of(bad[i])) < 0);
    assert_non_null(large);
    memset(large, ' ', HF_FRONT_MAX + 1);
    assert_int_equal(hf_front_read(&front, hf_str_of(large)), HF_ELIMIT);
    free(large);
}

static void members_of_another_type_are_passed_over(void **state)
{
    (void)state;
    judge(
        HF_SERVED_RESIDENT,
        "{\"page\":7,\"echo\":[],\"holds\":{},\"trickle\":1,\"parallel\":\"x\","
        "\"body\":null,\"websocket\":[1],\"clock\":\"now\"}");
    assert_int_equal(report.changes_count, 0);
}

static void more_holds_than_there_is_room_for_are_left_out(void **state)
{
    char json[1024] = "{\"holds\":[";
    struct hf_front front = {.sidecar = false};

    (void)state;
    for (int i = 0; i < 20; i++)
        strcat(json, i ? ",{\"ms\":1,\"took\":1,\"status\":200}"
                       : "{\"ms\":1,\"took\":1,\"status\":200}");
    strcat(json, "]}");
    assert_int_equal(hf_front_read(&front, hf_str_of(json)), 0);
    assert_int_equal(front.holds_count, HF_FRONT_HOLDS);
}

static void a_hold_that_is_cut_shortens_the_setting_that_counts(void **state)
{
    static const char cut[] =
        "{\"holds\":[{\"ms\":37000,\"took\":10020,\"status\":504}]}";
    static const char early[] =
        "{\"holds\":[{\"ms\":37000,\"took\":4010,\"status\":500}]}";
    static const char at_once[] =
        "{\"holds\":[{\"ms\":37000,\"took\":30,\"status\":0}]}";

    (void)state;
    judge(HF_SERVED_RESIDENT, cut);
    assert_true(has("front-end-timeout"));
    assert_string_equal(changed("hold"), "8s");
    assert_string_equal(changed("cgi_hold"), "nothing");
    judge(HF_SERVED_CGI, cut);
    assert_string_equal(changed("hold"), "nothing");
    assert_string_equal(changed("cgi_hold"), "nothing"); /* 5s fit */
    judge(HF_SERVED_FCGID, early);
    assert_string_equal(changed("cgi_hold"), "2s");
    judge(HF_SERVED_RESIDENT, at_once);
    assert_string_equal(changed("hold"), "1s");
}

static void a_hold_that_is_whole_is_well(void **state)
{
    (void)state;
    judge(HF_SERVED_RESIDENT,
          "{\"holds\":[{\"ms\":37000,\"took\":37800,\"status\":200}]}");
    assert_false(has("front-end-timeout"));
    /* an answer that says 200 and comes too early is somebody else's */
    judge(HF_SERVED_RESIDENT,
          "{\"holds\":[{\"ms\":37000,\"took\":10000,\"status\":200}]}");
    assert_true(has("front-end-timeout"));
}

static void a_limit_of_requests_leaves_half_to_the_site(void **state)
{
    static const char twenty[] =
        "{\"parallel\":{\"ms\":4000,\"asked\":60,\"ok\":20,\"refused\":508,"
        "\"slowest\":4100}}";

    (void)state;
    judge(HF_SERVED_CGI, twenty);
    assert_true(has("request-limit"));
    assert_string_equal(changed("cgi_max_held"), "10");
    assert_string_equal(changed("held_first"), "10");
    judge(HF_SERVED_RESIDENT, twenty);
    assert_string_equal(changed("max_held"), "10");
    judge(HF_SERVED_CGI, "{\"parallel\":{\"ms\":4000,\"asked\":4,\"ok\":1,"
                         "\"refused\":503,\"slowest\":4000}}");
    assert_string_equal(changed("cgi_max_held"), "1"); /* never none */
}

static void who_waits_for_others_takes_twice_as_long(void **state)
{
    (void)state;
    judge(HF_SERVED_RESIDENT, "{\"parallel\":{\"ms\":4000,\"asked\":6,\"ok\":6,"
                              "\"refused\":0,\"slowest\":8050}}");
    assert_true(has("requests-wait"));
    judge(HF_SERVED_RESIDENT, "{\"parallel\":{\"ms\":4000,\"asked\":6,\"ok\":6,"
                              "\"refused\":0,\"slowest\":6900}}");
    assert_false(has("requests-wait"));
}

static void what_did_not_arrive_is_named(void **state)
{
    (void)state;
    judge(HF_SERVED_RESIDENT,
          "{\"page\":\"https://a.example\",\"echo\":{\"authorization\":false,"
          "\"auth_token\":true,\"query\":false,\"host\":\"b.example\","
          "\"host_differs\":true,\"scheme_differs\":true,"
          "\"origin_refused\":true}}");
    assert_true(has("authorization-stripped") && has("query-lost"));
    assert_true(has("host-changed") && has("scheme-hidden"));
    assert_true(has("origin-refused"));
    assert_false(has("auth-token-stripped"));
    assert_int_equal(report.worst, HF_FINDING_PROBLEM);
}

static void a_websocket_is_missed_only_where_a_sidecar_runs(void **state)
{
    struct hf_front front = {.upgrade = HF_UPGRADE_REFUSED};

    (void)state;
    judge(HF_SERVED_RESIDENT, "{\"websocket\":{\"result\":\"refused\"}}");
    assert_true(has("no-upgrade"));
    assert_true(says("refused") && !says("answered with 0"));
    judge(HF_SERVED_RESIDENT,
          "{\"websocket\":{\"result\":\"refused\",\"status\":426}}");
    assert_true(says("answered with 426"));
    judge(HF_SERVED_RESIDENT, "{\"websocket\":{\"result\":\"hung\"}}");
    assert_true(has("upgrade-hangs"));
    judge(HF_SERVED_RESIDENT, "{\"websocket\":{\"result\":\"opened\"}}");
    assert_false(has("no-upgrade") || has("upgrade-hangs"));
    hf_report_release(&report);
    hf_front_judge(&front, &settings, &report);
    assert_true(has("no-sidecar"));
    assert_int_equal(report.worst, HF_FINDING_OK);
}

static void clocks_a_minute_apart_are_named(void **state)
{
    char json[64];

    (void)state;
    (void)snprintf(json, sizeof(json), "{\"clock\":%lld}",
                   (long long)hf_wall_ms() - 50000);
    judge(HF_SERVED_RESIDENT, json);
    assert_false(has("clock-skew"));
    (void)snprintf(json, sizeof(json), "{\"clock\":%lld}",
                   (long long)hf_wall_ms() + 90000);
    judge(HF_SERVED_RESIDENT, json);
    assert_true(has("clock-skew"));
}

/* --- the report ---------------------------------------------------------- */

static void a_report_can_be_written_and_read(void **state)
{
    struct hf_report again = {.count = 0};
    struct hf_buf json;

    (void)state;
    judge(HF_SERVED_CGI,
          "{\"holds\":[{\"ms\":37000,\"took\":4010,\"status\":500}],"
          "\"trickle\":{\"first\":3000,\"last\":3001}}");
    hf_report_add(&report, HF_FINDING_PROBLEM, "files",
                  "a name \"of\" \xff bytes");
    hf_buf_init(&json, HF_REPORT_MAX);
    assert_int_equal(hf_report_json(&report, &json), 0);
    assert_int_equal(hf_report_read(&again, hf_buf_str(&json)), 0);
    assert_int_equal(again.count, report.count);
    assert_int_equal(again.worst, report.worst);
    assert_int_equal(again.changes_count, 1);
    assert_string_equal(again.changes[0].value, "2s");
    for (size_t i = 0; i < again.count; i++) {
        assert_ptr_equal(again.items[i].kind, report.items[i].kind);
        assert_string_equal(again.items[i].text, report.items[i].text);
    }
    assert_non_null(strstr(again.items[again.count - 1].text, "? bytes"));
    hf_buf_release(&json);
    hf_report_release(&again);
}

static void a_report_of_a_stranger_is_read_within_bounds(void **state)
{
    struct hf_report again = {.count = 0};
    struct hf_buf json;

    (void)state;
    hf_buf_init(&json, HF_REPORT_MAX);
    (void)hf_buf_add_str(&json, HF_STR("{\"findings\":[7,{}"));
    for (int i = 0; i < 300; i++)
        (void)hf_buf_add_str(&json,
                             HF_STR(",{\"level\":\"warning\",\"id\":\"x\","
                                    "\"text\":\"t\"}"));
    (void)hf_buf_add_str(
        &json, HF_STR("],\"changes\":[{\"name\":\"mount\",\"to\":\"/\""
                      "},{\"name\":\"hold\",\"to\":\"3s\"}]}"));
    assert_int_equal(hf_report_read(&again, hf_buf_str(&json)), 0);
    assert_int_equal(again.count, HF_REPORT_ITEMS);
    assert_int_equal(again.changes_count, 1);
    assert_string_equal(again.changes[0].name, "hold");
    assert_int_equal(hf_report_read(&again, HF_STR("[]")), HF_EMALFORMED);
    hf_buf_release(&json);
    hf_report_release(&again);
}

static void nothing_that_a_terminal_would_obey_is_shown(void **state)
{
    (void)state;
    hf_report_release(&report);
    assert_int_equal(
        hf_report_read(
            &report, HF_STR("{\"findings\":[{\"level\":\"ok\","
                            "\"subject\":\"s\\u001b\","
                            "\"text\":\"a\\u001b]0;b\\u0007\\u009b2J\\u00e4\"}"
                            "],\"changes\":[{\"name\":\"hold\","
                            "\"to\":\"3\\u001bs\"}]}")),
        0);
    assert_string_equal(report.items[0].subject, "s?");
    assert_string_equal(report.items[0].text, "a?]0;b???2J\xc3\xa4");
    assert_string_equal(report.changes[0].value, "3?s");
}

static int empty(void **state)
{
    (void)state;
    hf_report_release(&report);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_measured_is_not_judged),
        cmocka_unit_test(what_is_no_measurement_is_refused),
        cmocka_unit_test(members_of_another_type_are_passed_over),
        cmocka_unit_test(more_holds_than_there_is_room_for_are_left_out),
        cmocka_unit_test(a_hold_that_is_cut_shortens_the_setting_that_counts),
        cmocka_unit_test(a_hold_that_is_whole_is_well),
        cmocka_unit_test(a_limit_of_requests_leaves_half_to_the_site),
        cmocka_unit_test(who_waits_for_others_takes_twice_as_long),
        cmocka_unit_test(what_did_not_arrive_is_named),
        cmocka_unit_test(a_websocket_is_missed_only_where_a_sidecar_runs),
        cmocka_unit_test(clocks_a_minute_apart_are_named),
        cmocka_unit_test(a_report_can_be_written_and_read),
        cmocka_unit_test(a_report_of_a_stranger_is_read_within_bounds),
        cmocka_unit_test(nothing_that_a_terminal_would_obey_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, empty);
}
