#include "cli/front.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "channel/front.h"
#include "channel/ownership.h"
#include "cli/front_ask.h"

#define PARALLEL_MAX 300u
#define PARALLEL_MS  4000
#define SHORT_MS     20000L /* for what is answered at once */
#define FACTS_MS     60000L
#define UPGRADE_MS   10000
#define BODY_BYTES   140000u /* more than the largest message in base64 */

/* --- the questions ------------------------------------------------------- */

/* One question below doctor/; `more` is a further field: "&ms=3000". */
static int ask_one(const struct hf_front_look *front, struct hf_front_ask *ask,
                   const char *question, struct hf_str more, long most_ms)
{
    char path[200];
    struct hf_buf form;
    int err;

    *ask = (struct hf_front_ask){.easy = NULL}; /* if it is not begun */
    (void)snprintf(path, sizeof(path), "/doctor/%s?probe=holdfast", question);
    hf_buf_init(&form, HF_FRONT_ANSWER_MAX);
    (void)hf_buf_addf(&form, "k=%s", front->wish->key);
    err = hf_buf_add_str(&form, more);
    if (!err)
        err = hf_front_begin(front, ask, path, hf_buf_str(&form), most_ms);
    hf_buf_release(&form);
    return err;
}

static int ask_now(const struct hf_front_look *front, struct hf_front_ask *ask,
                   const char *question, struct hf_str more, long most_ms)
{
    int err = ask_one(front, ask, question, more, most_ms);

    if (!err)
        hf_front_run(front, ask, 1);
    return err;
}

static bool is_object(struct hf_str text)
{
    struct hf_json json;

    return hf_json_read(text, 8, &json) == 0 && json.type == HF_JSON_OBJECT;
}

/* The first: is it the gateway that answers, and does it know our key? */
static int ask_echo(const struct hf_front_look *front, struct hf_buf *measured,
                    struct hf_report *report, bool *out_reached)
{
    struct hf_front_ask ask;
    char more[700];
    int err;

    (void)snprintf(more, sizeof(more), "&page=%s", front->origin);
    err = ask_now(front, &ask, "echo", hf_str_of(more), SHORT_MS);
    *out_reached = false;
    if (!err && ask.status == 403 && is_object(hf_buf_str(&ask.answer)))
        err = HF_EDENIED;
    else if (!err && (ask.status != 200 || !is_object(hf_buf_str(&ask.answer))))
        hf_report_trouble(report, "gateway", "not-reached",
                          ask.status ? "%s%s was answered with %ld, and not by "
                                       "the gateway"
                                     : "%s%s was not answered (%ld)",
                          front->wish->socket, "/doctor", ask.status);
    else if (!err) {
        *out_reached = true;
        err = hf_buf_addf(measured, ",\"echo\":%.*s",
                          HF_STR_ARG(hf_buf_str(&ask.answer)));
    }
    hf_front_end(front, &ask);
    return err;
}

static int ask_trickle(const struct hf_front_look *front,
                       struct hf_buf *measured)
{
    struct hf_front_ask ask;
    int err = ask_now(front, &ask, "trickle", hf_str(NULL, 0), SHORT_MS);

    if (!err && ask.status == 200 && ask.first_ms > 0)
        err =
            hf_buf_addf(measured, ",\"trickle\":{\"first\":%lld,\"last\":%lld}",
                        (long long)(ask.first_ms - ask.begun_ms),
                        (long long)(ask.done_ms - ask.begun_ms));
    hf_front_end(front, &ask);
    return err;
}

/* To where messages go; without a token it has no effect, and any answer of
 * ours says that it arrived. */
static int ask_body(const struct hf_front_look *front, struct hf_buf *measured)
{
    char *body = malloc(BODY_BYTES);
    struct hf_front_ask ask;
    int err;

    if (!body)
        return HF_ENOMEM;
    memset(body, ' ', BODY_BYTES);
    err = hf_front_begin(front, &ask, "/longpoll?vsn=2.0.0",
                         hf_str(body, BODY_BYTES), SHORT_MS);
    free(body);
    if (!err) {
        hf_front_run(front, &ask, 1);
        err = hf_buf_addf(
            measured, ",\"body\":{\"bytes\":%u,\"status\":%ld}", BODY_BYTES,
            is_object(hf_buf_str(&ask.answer)) ? 200L : ask.status);
    }
    hf_front_end(front, &ask);
    return err;
}

static int ask_hold(const struct hf_front_look *front, struct hf_buf *measured)
{
    struct hf_front_ask ask;
    char more[32];
    int err;

    (void)snprintf(more, sizeof(more), "&ms=%lld", front->wish->hold_ms);
    err = ask_now(front, &ask, "hold", hf_str_of(more),
                  (long)front->wish->hold_ms + SHORT_MS);
    if (!err)
        err = hf_buf_addf(measured,
                          ",\"holds\":[{\"ms\":%lld,\"took\":%lld,"
                          "\"status\":%ld}]",
                          front->wish->hold_ms,
                          (long long)(ask.done_ms - ask.begun_ms), ask.status);
    hf_front_end(front, &ask);
    return err;
}

static int tell_parallel(const struct hf_front_ask *asks, unsigned count,
                         struct hf_buf *measured)
{
    long long slowest = 0;
    long refused = 0;
    unsigned ok = 0;

    for (unsigned i = 0; i < count; i++) {
        long long took = asks[i].done_ms - asks[i].begun_ms;

        if (asks[i].status != 200) {
            refused = asks[i].status;
            continue;
        }
        ok++;
        slowest = took > slowest ? took : slowest;
    }
    return hf_buf_addf(measured,
                       ",\"parallel\":{\"ms\":%d,\"asked\":%u,\"ok\":%u,"
                       "\"refused\":%ld,\"slowest\":%lld}",
                       PARALLEL_MS, count, ok, refused, slowest);
}

static int ask_parallel(const struct hf_front_look *front,
                        struct hf_buf *measured)
{
    unsigned count = front->wish->parallel < PARALLEL_MAX
                         ? front->wish->parallel
                         : PARALLEL_MAX;
    struct hf_front_ask *asks = calloc(count, sizeof(*asks));
    unsigned made = 0;
    char more[32];
    int err = asks ? 0 : HF_ENOMEM;

    (void)snprintf(more, sizeof(more), "&ms=%d", PARALLEL_MS);
    for (; !err && made < count; made++)
        err = ask_one(front, &asks[made], "hold", hf_str_of(more),
                      SHORT_MS + PARALLEL_MS * (long)count);
    if (!err) {
        hf_front_run(front, asks, count);
        err = tell_parallel(asks, count, measured);
    }
    for (unsigned i = 0; i < made; i++)
        hf_front_end(front, &asks[i]);
    free(asks);
    return err;
}

/* --- WebSocket ----------------------------------------------------------- */

static bool send_all(const struct hf_front_look *front, CURL *easy,
                     struct hf_str text)
{
    while (text.len > 0) {
        size_t n = 0;

        if (front->curl->curl_easy_send(easy, text.at, text.len, &n) !=
            CURLE_OK)
            return false; /* the first bytes of a connection fit */
        text = hf_str_from(text, n);
    }
    return true;
}

/* The status of the answer; 0: the connection ended without one, -1: it took
 * too long. */
static long read_status(const struct hf_front_look *front, CURL *easy)
{
    int64_t deadline_ms = hf_boot_ms() + UPGRADE_MS;
    curl_socket_t fd = CURL_SOCKET_BAD;
    char text[16] = "";
    size_t len = 0;

    front->curl->curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    while (len < 12) {
        size_t n = 0;
        CURLcode code =
            front->curl->curl_easy_recv(easy, text + len, 12 - len, &n);
        int64_t left_ms = deadline_ms - hf_boot_ms();
        struct pollfd ready = {.fd = (int)fd, .events = POLLIN};

        if (code == CURLE_OK && n == 0)
            return 0;
        if (code == CURLE_OK) {
            len += n;
            continue;
        }
        if (code != CURLE_AGAIN)
            return 0;
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0)
            return -1;
    }
    return strtol(text + 9, NULL, 10); /* "HTTP/1.1 101" */
}

static long try_upgrade(const struct hf_front_look *front,
                        struct hf_front_ask *ask)
{
    const char *host = strstr(front->wish->socket, "://") + 3;
    const char *path = strchr(host, '/');
    char text[2400];
    int len;

    if (front->curl->curl_easy_perform(ask->easy) != CURLE_OK)
        return 0;
    len = snprintf(text, sizeof(text),
                   "GET %s/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: %.*s\r\n"
                   "Origin: %s\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\n"
                   "Sec-WebSocket-Key: aG9sZGZhc3QgZG9jdG9yIQ==\r\n"
                   "Sec-WebSocket-Version: 13\r\n\r\n",
                   path ? path : "",
                   (int)(path ? path - host : (long)strlen(host)), host,
                   front->origin);
    if (len < 0 || (size_t)len >= sizeof(text) ||
        !send_all(front, ask->easy, hf_str(text, (size_t)len)))
        return 0;
    return read_status(front, ask->easy);
}

static int ask_upgrade(const struct hf_front_look *front,
                       struct hf_buf *measured)
{
    struct hf_front_ask ask;
    long status;
    int err = hf_front_begin(front, &ask, "", hf_str(NULL, 0), SHORT_MS);

    if (err) {
        hf_front_end(front, &ask);
        return err;
    }
    front->curl->curl_easy_setopt(ask.easy, CURLOPT_CONNECT_ONLY, 1L);
    status = try_upgrade(front, &ask);
    hf_front_end(front, &ask);
    return hf_buf_addf(measured,
                       ",\"websocket\":{\"result\":\"%s\",\"status\":%ld}",
                       status == 101  ? "opened"
                       : status == -1 ? "hung"
                                      : "refused",
                       status < 0 ? 0 : status);
}

/* --- the answer ---------------------------------------------------------- */

static int ask_report(const struct hf_front_look *front, const char *question,
                      struct hf_str more, struct hf_report *report)
{
    struct hf_front_ask ask;
    int err = ask_now(front, &ask, question, more, FACTS_MS);

    if (!err &&
        (ask.status != 200 || hf_report_read(report, hf_buf_str(&ask.answer))))
        hf_report_trouble(report, "gateway", "not-reached",
                          "the question %s was answered with %ld", question,
                          ask.status);
    hf_front_end(front, &ask);
    return err;
}

/* For a form: what is no letter and no digit is escaped. */
static int add_encoded(struct hf_buf *out, struct hf_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
            (c >= 'A' && c <= 'Z'))
            (void)hf_buf_add_byte(out, (char)c);
        else
            (void)hf_buf_addf(out, "%%%02X", c);
    }
    return hf_buf_error(out);
}

static int ask_judge(const struct hf_front_look *front, struct hf_str measured,
                     struct hf_report *report)
{
    struct hf_buf form;
    int err;

    hf_buf_init(&form, HF_FRONT_ANSWER_MAX);
    (void)hf_buf_add_str(&form, HF_STR("&measured="));
    err = add_encoded(&form, measured);
    if (!err)
        err = ask_report(front, "judge", hf_buf_str(&form), report);
    hf_buf_release(&form);
    return err;
}

static int ask_apply(const struct hf_front_look *front,
                     const struct hf_report *report, struct hf_why *why)
{
    struct hf_buf form;
    struct hf_front_ask ask;
    int err;

    hf_buf_init(&form, 1024);
    (void)hf_buf_add_str(&form, HF_STR("&changes="));
    for (size_t i = 0; i < report->changes_count; i++)
        (void)hf_buf_addf(&form, "%s%s=%lld", i > 0 ? "," : "",
                          report->changes[i].name,
                          strtoll(report->changes[i].value, NULL, 10));
    err = hf_buf_error(&form);
    if (!err)
        err = ask_now(front, &ask, "apply", hf_buf_str(&form), SHORT_MS);
    hf_buf_release(&form);
    if (err)
        return err;
    if (ask.status != 200)
        err = hf_explain(why, HF_EIO, "the gateway changed nothing: %.*s",
                         HF_STR_ARG(hf_buf_str(&ask.answer)));
    hf_front_end(front, &ask);
    return err;
}

static void say(const struct hf_front_look *front, const char *what)
{
    if (front->wish->progress)
        front->wish->progress(what);
}

/* The first facts start a process, which has lived a while at the second. */
static int measure(const struct hf_front_look *front, struct hf_report *report,
                   struct hf_buf *measured)
{
    struct hf_report before = {.count = 0};
    bool reached;
    int err;

    (void)hf_buf_add_str(measured, HF_STR("{\"page\":"));
    (void)hf_json_quote(measured, hf_str_of(front->origin));
    say(front, "does it answer");
    err = ask_echo(front, measured, report, &reached);
    if (err || !reached)
        return err;
    say(front, "the host");
    err = ask_report(front, "facts", hf_str(NULL, 0), &before);
    hf_report_release(&before);
    say(front, "how answers come");
    if (!err)
        err = ask_trickle(front, measured);
    if (!err)
        err = ask_body(front, measured);
    if (!err)
        err = ask_upgrade(front, measured);
    say(front, "how long a request may last");
    if (!err)
        err = ask_hold(front, measured);
    if (!err && front->wish->parallel > 0) {
        say(front, "how many at once");
        err = ask_parallel(front, measured);
    }
    if (!err)
        err =
            hf_buf_addf(measured, ",\"clock\":%lld}", (long long)hf_wall_ms());
    say(front, "what follows");
    if (!err)
        err = ask_report(front, "facts", hf_str(NULL, 0), report);
    if (!err)
        err = ask_judge(front, hf_buf_str(measured), report);
    return err;
}

int hf_front_ask(const struct hf_front_wish *wish, struct hf_report *report,
                 struct hf_why *why)
{
    struct hf_front_look front = {.wish = wish};
    const char *host = strstr(wish->socket, "://");
    struct hf_buf measured;
    int err;

    (void)snprintf(
        front.origin, sizeof(front.origin), "%.*s",
        (int)(host + 3 - wish->socket + (long)strcspn(host + 3, "/")),
        wish->socket);
    err = hf_libcurl_load(&front.curl, why);
    if (err)
        return err;
    hf_buf_init(&measured, HF_FRONT_MAX);
    front.multi = front.curl->curl_multi_init();
    err = front.multi ? measure(&front, report, &measured) : HF_ENOMEM;
    if (err == HF_EDENIED)
        err = hf_explain(why, err,
                         "the gateway does not know this key: it serves "
                         "another journal directory, or the key is older than "
                         "an hour. Open %s/doctor in a browser for a new one",
                         wish->socket);
    else if (!err && wish->apply && report->changes_count > 0)
        err = ask_apply(&front, report, why);
    if (front.multi)
        front.curl->curl_multi_cleanup(front.multi);
    hf_buf_release(&measured);
    return err;
}

/* --- the URL ------------------------------------------------------------- */

bool hf_front_read_url(struct hf_front_wish *wish, const char *url)
{
    const char *host = strstr(url, "://");
    size_t len = strcspn(url, "?#");
    const char *key = strstr(url + len, "k=");

    if (!host ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        !host[3] || host[3] == '/' || len >= sizeof(wish->socket))
        return false;
    memcpy(wish->socket, url, len);
    while (len > 0 && wish->socket[len - 1] == '/')
        len--;
    wish->socket[len] = '\0';
    if (len > 7 && strcmp(wish->socket + len - 7, "/doctor") == 0)
        wish->socket[len - 7] = '\0';
    if (key && hf_ownership_is_key(hf_str(key + 2, strcspn(key + 2, "&#"))))
        (void)snprintf(wish->key, sizeof(wish->key), "%.*s",
                       (int)strcspn(key + 2, "&#"), key + 2);
    return true;
}
