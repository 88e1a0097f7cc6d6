#include "gateway/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"
#include "base/query.h"
#include "channel/front.h"
#include "channel/origin.h"
#include "gateway/probe_facts.h"
#include "gateway/serve.h"
#include "schema/running.h"

#define PARTS 3

struct hf_probe {
    struct hf_gateway *gateway;
    struct hf_probe_ends ends;
    struct hf_timer timer;
    int64_t hold_ms;
    int parts; /* of a trickle, sent */
    struct hf_probe_facts facts;
};

/* --- answers ------------------------------------------------------------- */

static void answer_json(const struct hf_probe_ends *ends, unsigned status,
                        struct hf_str body)
{
    struct hf_head head;

    hf_head_private_json(&head, status, body.len);
    ends->answer(ends->ctx, hf_head_str(&head), body);
}

static void answer_buf(const struct hf_probe_ends *ends, struct hf_buf *body)
{
    if (hf_buf_error(body))
        answer_json(ends, 500, HF_STR("{\"error\":\"too much to say\"}"));
    else
        answer_json(ends, 200, hf_buf_str(body));
    hf_buf_release(body);
}

static void answer_report(const struct hf_probe_ends *ends,
                          const struct hf_report *report)
{
    struct hf_buf body;

    hf_buf_init(&body, HF_REPORT_MAX);
    (void)hf_report_json(report, &body); /* the buffer remembers */
    answer_buf(ends, &body);
}

static void finish(struct hf_probe *probe)
{
    hf_loop_disarm(probe->gateway->loop, &probe->timer);
    hf_probe_facts_end(&probe->facts);
    probe->gateway->probes--;
    free(probe);
}

/* A field of the form. Unlike a page's it counts wherever the form comes from:
 * whether a gateway takes this site for its own is what is being asked, and the
 * key is known to nobody else. */
static const char *field(const struct hf_visit *visit, const char *name,
                         char *out, size_t cap)
{
    size_t len = 0;

    if (hf_query_get(visit->request->body, hf_str_of(name), out, cap - 1, &len))
        len = 0;
    out[len] = '\0';
    return out;
}

/* --- echo ---------------------------------------------------------------- */

static struct hf_str without_port(struct hf_str host)
{
    size_t digits = 0;

    while (digits < host.len && host.at[host.len - 1 - digits] >= '0' &&
           host.at[host.len - 1 - digits] <= '9')
        digits++;
    if (digits < host.len && host.at[host.len - 1 - digits] == ':')
        host.len -= digits + 1;
    return host;
}

/* "https://example.com:8443" and "example.com": is the page's host ours? Debian's
 * nginx leaves the port out, and by default nothing depends on it. */
static bool same_host(struct hf_str page, struct hf_str host)
{
    const char *slash = page.len ? memmem(page.at, page.len, "://", 3) : NULL;

    if (!slash || host.len == 0)
        return true; /* nobody said */
    page = hf_str_from(page, (size_t)(slash - page.at) + 3);
    page = without_port(page);
    host = without_port(host);
    return page.len == host.len && strncasecmp(page.at, host.at, page.len) == 0;
}

/* Would a page of this site be let in, as the journal's settings stand? */
static bool is_refused(const struct hf_visit *visit, struct hf_str page)
{
    struct hf_origin_request from = visit->request->hello.from;
    struct hf_settings *settings = malloc(sizeof(*settings));
    bool refused = false;

    if (settings && visit->found == HF_VISIT_SET_UP &&
        hf_settings_read(&visit->dir, settings, NULL) == 0) {
        if (page.len > 0)
            from.origin = page;
        refused = !hf_host_ours(settings, &from) ||
                  hf_origin_check(settings, &from) != 0;
    }
    free(settings);
    return refused;
}

static void put_flag(struct hf_buf *out, const char *name, bool flag)
{
    (void)hf_buf_addf(out, "\"%s\":%s,", name, flag ? "true" : "false");
}

static void echo(const struct hf_visit *visit, const struct hf_probe_ends *ends)
{
    const struct hf_request *request = visit->request;
    const struct hf_origin_request *from = &request->hello.from;
    char room[HF_FRONT_TEXT], host[HF_FRONT_TEXT];
    struct hf_str page = hf_str_of(field(visit, "page", room, sizeof(room)));
    bool https = hf_str_starts(page, HF_STR("https://"));
    struct hf_buf body;

    (void)snprintf(host, sizeof(host), "%.*s",
                   (int)(from->host.len < 150 ? from->host.len : 150),
                   from->host.len ? from->host.at : "");
    for (char *at = host; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
            *at = '?';
    hf_buf_init(&body, 4096);
    (void)hf_buf_add_byte(&body, '{');
    put_flag(&body, "authorization", request->hello.authorization.len > 0);
    put_flag(&body, "auth_token", request->hello.auth_token.len > 0);
    put_flag(&body, "query",
             request->hello.query.len > 0 &&
                 memmem(request->hello.query.at, request->hello.query.len,
                        "probe=holdfast", 14));
    put_flag(&body, "host_differs", !same_host(page, from->host));
    put_flag(&body, "scheme_differs",
             https && !hf_str_eq(from->scheme, HF_STR("https")));
    put_flag(&body, "origin_refused", is_refused(visit, page));
    (void)hf_buf_add_str(&body, HF_STR("\"host\":"));
    (void)hf_json_quote(&body, hf_str_of(host));
    (void)hf_buf_add_byte(&body, '}');
    answer_buf(ends, &body);
}

/* --- judge, apply -------------------------------------------------------- */

static enum hf_served served_as(const struct hf_gateway *gateway,
                                const struct hf_request *request)
{
    if (!gateway->resident)
        return HF_SERVED_CGI;
    /* mod_proxy_fcgi, Apache's other way to FastCGI, starts no process */
    if (hf_str_starts(request->software, HF_STR("Apache")) &&
        !gateway->on_socket)
        return HF_SERVED_FCGID;
    return HF_SERVED_RESIDENT;
}

static void judge(const struct hf_gateway *gateway,
                  const struct hf_visit *visit,
                  const struct hf_probe_ends *ends, struct hf_report *report,
                  char *room)
{
    struct hf_front front = {.served = served_as(gateway, visit->request)};
    struct hf_str software = visit->request->software;
    struct hf_settings settings;
    pid_t workers[HF_WORKERS_MAX];
    unsigned count;

    (void)snprintf(front.software, sizeof(front.software), "%.*s",
                   (int)(software.len < 100 ? software.len : 100),
                   software.len ? software.at : "");
    hf_settings_default(&settings);
    if (visit->found == HF_VISIT_SET_UP) {
        if (hf_settings_read(&visit->dir, &settings, NULL))
            hf_settings_default(&settings); /* the facts say so */
        front.sidecar = hf_running_read(&visit->dir, workers, &count) != 0;
    }
    if (hf_front_read(
            &front, hf_str_of(field(visit, "measured", room, HF_FRONT_MAX)))) {
        answer_json(ends, 400, HF_STR("{\"error\":\"no measurement\"}"));
        return;
    }
    hf_front_judge(&front, &settings, report);
    answer_report(ends, report);
}

static void start_judge(const struct hf_gateway *gateway,
                        const struct hf_visit *visit,
                        const struct hf_probe_ends *ends)
{
    struct hf_report *report = calloc(1, sizeof(*report));
    char *room = malloc(HF_FRONT_MAX);

    if (report && room)
        judge(gateway, visit, ends, report, room);
    else
        answer_json(ends, 500, HF_STR("{\"error\":\"out of memory\"}"));
    if (report)
        hf_report_release(report);
    free(report);
    free(room);
}

/* The doctor's recommendations, and no other settings. */
static const struct {
    const char *name;
    long long most;
    const char *unit;
} may_change[] = {
    {"hold", 35, "s"},          {"cgi_hold", 35, "s"},
    {"held_first", 100000, ""}, {"cgi_max_held", 100000, ""},
    {"max_held", 1000000, ""},
};

/* "hold=8,held_first=4" */
static size_t read_changes(char *text, struct hf_settings_change *changes)
{
    size_t count = 0;
    char *rest = NULL;

    for (char *word = strtok_r(text, ",", &rest);
         word && count < HF_SETTINGS_CHANGES; word = strtok_r(NULL, ",", &rest))
        for (size_t i = 0; i < sizeof(may_change) / sizeof(may_change[0]);
             i++) {
            size_t len = strlen(may_change[i].name);
            long long value;

            if (strncmp(word, may_change[i].name, len) != 0 || word[len] != '=')
                continue;
            value = strtoll(word + len + 1, NULL, 10);
            if (value < 1 || value > may_change[i].most)
                continue;
            changes[count] = (struct hf_settings_change){
                .section = "gateway", .name = may_change[i].name};
            (void)snprintf(changes[count].value, sizeof(changes[count].value),
                           "%lld%s", value, may_change[i].unit);
            count++;
        }
    return count;
}

static void apply(const struct hf_gateway *gateway,
                  const struct hf_visit *visit,
                  const struct hf_probe_ends *ends)
{
    struct hf_settings_change changes[HF_SETTINGS_CHANGES];
    char text[512];
    struct hf_why why = {""};
    size_t count;

    (void)field(visit, "changes", text, sizeof(text));
    count = read_changes(text, changes);
    if (count == 0 || visit->found != HF_VISIT_SET_UP) {
        answer_json(ends, 400, HF_STR("{\"error\":\"nothing to change\"}"));
        return;
    }
    if (hf_settings_change(&visit->dir, changes, count, &why)) {
        HF_LOG(HF_LOG_ERROR, "not_changed", hf_field("error", why.text));
        answer_json(ends, 500,
                    HF_STR("{\"error\":\"nothing was changed; the "
                           "log says why\"}"));
        return;
    }
    HF_LOG(HF_LOG_INFO, "settings_changed", hf_field("by", "doctor"),
           hf_field_i("lines", (long long)count));
    answer_json(ends, 200,
                gateway->resident
                    ? HF_STR("{\"changed\":true,\"restart\":true}")
                    : HF_STR("{\"changed\":true}"));
}

/* --- what takes time ----------------------------------------------------- */

static void held(struct hf_timer *timer)
{
    struct hf_probe *probe = HF_ITEM(timer, struct hf_probe, timer);
    struct hf_probe_ends ends = probe->ends;
    char text[64];
    int len = snprintf(text, sizeof(text), "{\"held\":%lld}",
                       (long long)probe->hold_ms);

    finish(probe);
    answer_json(&ends, 200, hf_str(text, (size_t)len));
}

/* No length is said, or whoever passes it on would wait for all of it. */
static void next_part(struct hf_timer *timer)
{
    static const struct hf_str head = HF_STR_INIT(
        "Status: 200 OK\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    static const struct hf_str none = {NULL, 0};
    struct hf_probe *probe = HF_ITEM(timer, struct hf_probe, timer);
    struct hf_probe_ends ends = probe->ends;

    if (probe->parts == PARTS) {
        finish(probe);
        ends.answer(ends.ctx, none, HF_STR("end\n"));
        return;
    }
    ends.part(ends.ctx, probe->parts == 0 ? head : none, HF_STR("part\n"));
    probe->parts++;
    if (hf_loop_arm(probe->gateway->loop, timer, HF_PROBE_PART_MS * 1000)) {
        finish(probe);
        ends.answer(ends.ctx, none, HF_STR("end\n"));
    }
}

static void facts_known(void *ctx, struct hf_str json)
{
    struct hf_probe *probe = ctx;
    struct hf_probe_ends ends = probe->ends;
    struct hf_buf body;

    hf_buf_init(&body, HF_REPORT_MAX);
    (void)hf_buf_add_str(&body, json); /* the buffer remembers */
    finish(probe);
    answer_buf(&ends, &body);
}

static struct hf_probe *make(struct hf_gateway *gateway,
                             const struct hf_probe_ends *ends)
{
    struct hf_probe *probe = NULL;

    if (gateway->probes < HF_PROBES_MAX && !gateway->leaving)
        probe = calloc(1, sizeof(*probe));
    if (!probe) {
        answer_json(ends, 503, HF_STR("{\"error\":\"busy\"}"));
        return NULL;
    }
    gateway->probes++;
    probe->gateway = gateway;
    probe->ends = *ends;
    hf_probe_facts_init(&probe->facts);
    return probe;
}

/* After `ms`; the first part of a trickle at once. */
static struct hf_probe *wait_for(struct hf_probe *probe, int64_t ms,
                                 void (*fire)(struct hf_timer *timer))
{
    struct hf_probe_ends ends;

    if (!probe)
        return NULL;
    ends = probe->ends;
    probe->hold_ms = ms;
    probe->timer.fire = fire;
    if (hf_loop_arm(probe->gateway->loop, &probe->timer, ms * 1000) == 0)
        return probe;
    finish(probe);
    answer_json(&ends, 503, HF_STR("{\"error\":\"busy\"}"));
    return NULL;
}

static int64_t hold_of(const struct hf_visit *visit)
{
    char text[16];
    size_t ms = 0;

    if (hf_request_number(hf_str_of(field(visit, "ms", text, sizeof(text))),
                          (size_t)HF_PROBE_HOLD_MS, &ms))
        return 0;
    return (int64_t)ms;
}

static struct hf_probe *ask_facts(struct hf_probe *probe,
                                  const struct hf_visit *visit)
{
    struct hf_probe_ends ends;
    struct hf_report report = {.count = 0};

    if (!probe)
        return NULL;
    if (hf_probe_facts_start(&probe->facts, probe->gateway->loop, visit,
                             facts_known, probe) == 0)
        return probe;
    ends = probe->ends;
    hf_report_trouble(&report, "processes", "no-child-process", "%s",
                      strerror(probe->facts.error));
    finish(probe);
    answer_report(&ends, &report);
    hf_report_release(&report);
    return NULL;
}

/* ------------------------------------------------------------------------- */

void hf_probe_start(struct hf_gateway *gateway, struct hf_visit *visit,
                    struct hf_str rest, const struct hf_probe_ends *ends,
                    struct hf_probe **out)
{
    *out = NULL;
    if (!visit->owner)
        answer_json(ends, 403,
                    HF_STR("{\"error\":\"for the owner of the site: open "
                           "doctor in a browser\"}"));
    else if (hf_str_eq(rest, HF_STR("/echo")))
        echo(visit, ends);
    else if (hf_str_eq(rest, HF_STR("/hold")))
        *out = wait_for(make(gateway, ends), hold_of(visit), held);
    else if (hf_str_eq(rest, HF_STR("/trickle")))
        *out = wait_for(make(gateway, ends), 0, next_part);
    else if (hf_str_eq(rest, HF_STR("/judge")))
        start_judge(gateway, visit, ends);
    else if (hf_str_eq(rest, HF_STR("/apply")))
        apply(gateway, visit, ends);
    else if (hf_str_eq(rest, HF_STR("/facts")))
        *out = ask_facts(make(gateway, ends), visit);
    else
        answer_json(ends, 404, HF_STR("{\"error\":\"no such question\"}"));
}

void hf_probe_gone(struct hf_probe *probe)
{
    finish(probe);
}
