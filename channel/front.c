#include "channel/front.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

#define DEPTH        6u
#define NUMBER_MAX   1000000000000000LL /* none is larger; no sum overflows */
#define SKEW_MS      60000LL
#define HOLD_SHORTER 1500LL /* and a hold is to end so long before it is cut */
#define HOLD_LEAST   1000LL
#define ROUND_SLACK  500LL /* who waits for others takes as long again */
#define BUFFERED_MS  500LL /* parts of an answer are further apart */

/* --- reading ------------------------------------------------------------- */

static bool read_flag(struct hf_json object, const char *name)
{
    struct hf_json value;

    return hf_json_find(object, hf_str_of(name), &value) &&
           value.type == HF_JSON_TRUE;
}

static long long read_number(struct hf_json object, const char *name)
{
    struct hf_json value;
    long long number = 0;

    if (!hf_json_find(object, hf_str_of(name), &value) ||
        hf_json_integer(value, &number) || number > NUMBER_MAX)
        return 0;
    return number;
}

static void read_text(struct hf_json object, const char *name,
                      char out[HF_FRONT_TEXT])
{
    struct hf_json value;
    size_t len = 0;

    if (!hf_json_find(object, hf_str_of(name), &value) ||
        hf_json_unescape(value, out, HF_FRONT_TEXT - 1, &len))
        len = 0;
    out[len] = '\0';
}

static void read_holds(struct hf_front *front, struct hf_json list)
{
    struct hf_json_walk walk;
    struct hf_json item;

    if (list.type != HF_JSON_ARRAY)
        return;
    hf_json_walk(list, &walk);
    while (front->holds_count < HF_FRONT_HOLDS && hf_json_element(&walk, &item))
        if (item.type == HF_JSON_OBJECT)
            front->holds[front->holds_count++] = (struct hf_front_hold){
                read_number(item, "ms"), read_number(item, "took"),
                read_number(item, "status")};
}

static void read_echo(struct hf_front *front, struct hf_json echo)
{
    front->echoed = true;
    front->authorization = read_flag(echo, "authorization");
    front->auth_token = read_flag(echo, "auth_token");
    front->query = read_flag(echo, "query");
    front->host_differs = read_flag(echo, "host_differs");
    front->scheme_differs = read_flag(echo, "scheme_differs");
    front->origin_refused = read_flag(echo, "origin_refused");
    read_text(echo, "host", front->host);
}

static void read_upgrade(struct hf_front *front, struct hf_json socket)
{
    char result[HF_FRONT_TEXT];

    read_text(socket, "result", result);
    front->upgrade = strcmp(result, "opened") == 0    ? HF_UPGRADE_OPENED
                     : strcmp(result, "refused") == 0 ? HF_UPGRADE_REFUSED
                     : strcmp(result, "hung") == 0    ? HF_UPGRADE_HUNG
                                                      : HF_UPGRADE_UNKNOWN;
    front->upgrade_status = read_number(socket, "status");
}

int hf_front_read(struct hf_front *front, struct hf_str json)
{
    struct hf_json all, part;
    int err;

    if (json.len > HF_FRONT_MAX)
        return HF_ELIMIT;
    err = hf_json_read(json, DEPTH, &all);
    if (err)
        return err;
    if (all.type != HF_JSON_OBJECT)
        return HF_EMALFORMED;
    read_text(all, "page", front->page);
    front->clock_ms = read_number(all, "clock");
    if (hf_json_find(all, HF_STR("echo"), &part))
        read_echo(front, part);
    if (hf_json_find(all, HF_STR("holds"), &part))
        read_holds(front, part);
    if (hf_json_find(all, HF_STR("trickle"), &part)) {
        front->trickled = true;
        front->first_ms = read_number(part, "first");
        front->last_ms = read_number(part, "last");
    }
    if (hf_json_find(all, HF_STR("parallel"), &part)) {
        front->parallel_ms = read_number(part, "ms");
        front->asked = read_number(part, "asked");
        front->ok = read_number(part, "ok");
        front->refused = read_number(part, "refused");
        front->slowest_ms = read_number(part, "slowest");
    }
    if (hf_json_find(all, HF_STR("body"), &part)) {
        front->body_bytes = read_number(part, "bytes");
        front->body_status = read_number(part, "status");
    }
    if (hf_json_find(all, HF_STR("websocket"), &part))
        read_upgrade(front, part);
    return 0;
}

/* --- judging ------------------------------------------------------------- */

static bool by_process(const struct hf_front *front)
{
    return front->served == HF_SERVED_CGI || front->served == HF_SERVED_FCGID;
}

static void judge_way(const struct hf_front *front, struct hf_report *report)
{
    const char *software = front->software[0] ? front->software
                                              : "a web "
                                                "server";

    if (front->served == HF_SERVED_CGI)
        hf_report_trouble(report, "gateway", "cgi", "%s", software);
    else if (front->served == HF_SERVED_FCGID)
        hf_report_trouble(report, "gateway", "mod-fcgid", "%s", software);
    else
        hf_report_fact(report, "gateway", "FastCGI, by %s", software);
}

static void judge_echo(const struct hf_front *front, struct hf_report *report)
{
    if (!front->echoed)
        return;
    if (!front->query)
        hf_report_trouble(report, "request", "query-lost", "%s was sent",
                          "?probe=holdfast");
    if (front->origin_refused)
        hf_report_trouble(report, "request", "origin-refused",
                          "the page is of %s, the gateway was asked as %s",
                          front->page, front->host);
    if (front->host_differs)
        hf_report_trouble(report, "request", "host-changed",
                          "the page is of %s, the gateway was asked as %s",
                          front->page, front->host);
    if (front->scheme_differs)
        hf_report_trouble(report, "request", "scheme-hidden",
                          "the page is of %s", front->page);
    if (!front->authorization)
        hf_report_trouble(report, "headers", "authorization-stripped",
                          "one was sent and did not arrive");
    if (!front->auth_token)
        hf_report_trouble(report, "headers", "auth-token-stripped",
                          "one was sent and did not arrive");
    if (front->authorization && front->auth_token)
        hf_report_fact(report, "headers",
                       "Authorization and X-Phoenix-AuthToken arrive");
}

/* Was it answered, when it was to be? */
static bool is_whole(const struct hf_front_hold *hold)
{
    return hold->status == 200 && hold->took_ms >= hold->ms - 100;
}

/* The settings that give way: hold where polls are a process, too. */
static void recommend_hold(const struct hf_front *front,
                           const struct hf_settings *settings,
                           struct hf_report *report, long long cut_ms)
{
    bool process = by_process(front);
    int64_t now_ms = process ? settings->cgi_hold_ms : settings->hold_ms;
    long long hold_ms = cut_ms - HOLD_SHORTER;

    hold_ms = hold_ms < HOLD_LEAST ? HOLD_LEAST : hold_ms / 1000 * 1000;
    if (now_ms >= hold_ms)
        hf_report_change(report, settings, "gateway",
                         process ? "cgi_hold" : "hold", hold_ms / 1000, "s",
                         "front-end-timeout");
}

/* Only what is cut below the longest hold that we would set harms anybody. */
static void judge_holds(const struct hf_front *front,
                        const struct hf_settings *settings,
                        struct hf_report *report)
{
    const struct hf_front_hold *cut = NULL;
    long long longest_ms = 0, late_ms = 0;

    for (size_t i = 0; i < front->holds_count; i++) {
        const struct hf_front_hold *hold = &front->holds[i];

        if (!is_whole(hold)) {
            if (!cut || hold->took_ms < cut->took_ms)
                cut = hold;
            continue;
        }
        if (hold->ms > longest_ms)
            longest_ms = hold->ms;
        if (hold->took_ms - hold->ms > late_ms)
            late_ms = hold->took_ms - hold->ms;
    }
    if (cut) {
        hf_report_trouble(report, "time-out", "front-end-timeout",
                          "a request that was to last %.1f s was ended after "
                          "%.1f s%s",
                          (double)cut->ms / 1000, (double)cut->took_ms / 1000,
                          cut->status ? "" : ", without an answer");
        recommend_hold(front, settings, report, cut->took_ms);
    } else if (longest_ms > 0) {
        hf_report_fact(report, "time-out",
                       "a request may last %.1f s and more (polls last %.0f)",
                       (double)longest_ms / 1000,
                       (double)(by_process(front) ? settings->cgi_hold_ms
                                                  : settings->hold_ms) /
                           1000);
    }
}

static void judge_trickle(const struct hf_front *front,
                          struct hf_report *report)
{
    if (!front->trickled)
        return;
    if (front->last_ms - front->first_ms < BUFFERED_MS)
        hf_report_trouble(report, "answers", "buffered",
                          "three parts, sent a second apart, came together");
    else
        hf_report_fact(report, "answers", "come as they are sent");
}

static void recommend_fewer(const struct hf_front *front,
                            const struct hf_settings *settings,
                            struct hf_report *report, const char *id)
{
    bool process = by_process(front);
    size_t now = process ? settings->cgi_max_held : settings->max_held;
    /* half of it for the site, and for who pushes */
    long long held = front->ok / 2 > 1 ? front->ok / 2 : 1;

    if ((long long)now > held)
        hf_report_change(report, settings, "gateway",
                         process ? "cgi_max_held" : "max_held", held, "", id);
    if (settings->held_first == 0 || (long long)settings->held_first > held)
        hf_report_change(report, settings, "gateway", "held_first", held, "",
                         id);
}

static void judge_parallel(const struct hf_front *front,
                           const struct hf_settings *settings,
                           struct hf_report *report)
{
    if (front->asked == 0)
        return;
    if (front->ok < front->asked) {
        hf_report_trouble(report, "parallel", "request-limit",
                          "of %lld at once %lld were served, the others got "
                          "%lld",
                          front->asked, front->ok, front->refused);
        recommend_fewer(front, settings, report, "request-limit");
    } else if (front->slowest_ms > 2 * front->parallel_ms - ROUND_SLACK) {
        hf_report_trouble(report, "parallel", "requests-wait",
                          "of %lld at once, %.1f s each, the last was answered "
                          "after %.1f s",
                          front->asked, (double)front->parallel_ms / 1000,
                          (double)front->slowest_ms / 1000);
    } else {
        hf_report_fact(report, "parallel", "%lld at once were all served",
                       front->asked);
    }
}

/* Our own refusals come by 200 or as JSON, which counts as 200 for whoever
 * measures. */
static void judge_body(const struct hf_front *front, struct hf_report *report)
{
    if (front->body_bytes == 0)
        return;
    if (front->body_status == 200)
        hf_report_fact(report, "body", "%lld bytes arrive", front->body_bytes);
    else
        hf_report_trouble(report, "body", "body-limit",
                          "%lld bytes were answered with %lld",
                          front->body_bytes, front->body_status);
}

/* A page is not told with what. */
static void say_refused(const struct hf_front *front, struct hf_report *report,
                        const char *id)
{
    if (front->upgrade_status > 0)
        hf_report_trouble(report, "websocket", id,
                          "a WebSocket was answered with %lld",
                          front->upgrade_status);
    else
        hf_report_trouble(report, "websocket", id, "a WebSocket was refused");
}

static void judge_upgrade(const struct hf_front *front,
                          struct hf_report *report)
{
    switch (front->upgrade) {
    case HF_UPGRADE_UNKNOWN:
        return;
    case HF_UPGRADE_OPENED:
        hf_report_fact(report, "websocket", "opens");
        return;
    case HF_UPGRADE_REFUSED:
        if (!front->sidecar)
            break;
        say_refused(front, report, "no-upgrade");
        return;
    case HF_UPGRADE_HUNG:
        hf_report_trouble(report, "websocket", "upgrade-hangs",
                          "no answer within some seconds");
        return;
    }
    say_refused(front, report, "no-sidecar");
}

static void judge_clock(const struct hf_front *front, struct hf_report *report)
{
    long long skew_ms = (long long)hf_wall_ms() - front->clock_ms;

    if (front->clock_ms == 0)
        return;
    if (skew_ms > SKEW_MS || skew_ms < -SKEW_MS)
        hf_report_trouble(report, "clock", "clock-skew",
                          "the host's is %lld s %s the visitor's",
                          (skew_ms < 0 ? -skew_ms : skew_ms) / 1000,
                          skew_ms < 0 ? "behind" : "ahead of");
    else
        hf_report_fact(report, "clock", "the host's is the visitor's");
}

void hf_front_judge(const struct hf_front *front,
                    const struct hf_settings *settings,
                    struct hf_report *report)
{
    judge_way(front, report);
    judge_echo(front, report);
    judge_holds(front, settings, report);
    judge_trickle(front, report);
    judge_parallel(front, settings, report);
    judge_body(front, report);
    judge_upgrade(front, report);
    judge_clock(front, report);
}
