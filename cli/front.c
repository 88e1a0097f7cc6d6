#include "cli/front.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "channel/front.h"
#include "channel/libcurl.h"
#include "channel/ownership.h"

#define PARALLEL_MAX 300u
#define PARALLEL_MS  3000
#define CONNECT_MS   10000L
#define SHORT_MS     20000L /* for what is answered at once */
#define FACTS_MS     60000L
#define UPGRADE_MS   5000
#define BODY_BYTES   140000u /* more than the largest message in base64 */
#define ANSWER_MAX   ((size_t)512 << 10)

struct front {
    const struct hf_front_wish *wish;
    const struct hf_libcurl *curl;
    CURLM *multi;
    char origin[600]; /* "https://example.com" */
};

struct ask {
    CURL *easy;
    struct curl_slist *fields;
    struct hf_buf answer;
    struct hf_buf form;
    int64_t begun_ms, first_ms, done_ms;
    long status; /* 0: no answer */
};

/* --- one request --------------------------------------------------------- */

static size_t take(char *at, size_t size, size_t count, void *ctx)
{
    struct ask *ask = ctx;

    if (ask->first_ms == 0)
        ask->first_ms = hf_boot_ms();
    /* an endless answer ends here */
    return hf_buf_add(&ask->answer, at, size * count) ? 0 : size * count;
}

static void add_field(const struct front *front, struct ask *ask,
                      const char *field)
{
    struct curl_slist *longer =
        front->curl->curl_slist_append(ask->fields, field);

    if (longer)
        ask->fields = longer;
}

static void end_ask(const struct front *front, struct ask *ask)
{
    if (ask->easy)
        front->curl->curl_easy_cleanup(ask->easy);
    if (ask->fields)
        front->curl->curl_slist_free_all(ask->fields);
    hf_buf_release(&ask->answer);
    hf_buf_release(&ask->form);
    *ask = (struct ask){.easy = NULL};
}

static int begin_ask(const struct front *front, struct ask *ask,
                     const char *path, struct hf_str form, long most_ms)
{
    const struct hf_libcurl *curl = front->curl;
    char url[1400], origin[700];

    *ask = (struct ask){.easy = curl->curl_easy_init()};
    if (!ask->easy)
        return HF_ENOMEM;
    hf_buf_init(&ask->answer, ANSWER_MAX);
    hf_buf_init(&ask->form, ANSWER_MAX);
    if (hf_buf_add_str(&ask->form, form))
        return HF_ENOMEM;
    (void)snprintf(url, sizeof(url), "%s%s", front->wish->socket, path);
    (void)snprintf(origin, sizeof(origin), "Origin: %s", front->origin);
    add_field(front, ask, origin);
    add_field(front, ask, "Authorization: Bearer holdfast-doctor");
    add_field(front, ask, "X-Phoenix-AuthToken: holdfast-doctor");
    add_field(front, ask, "Expect:");
    curl->curl_easy_setopt(ask->easy, CURLOPT_URL, url);
    curl->curl_easy_setopt(ask->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->curl_easy_setopt(ask->easy, CURLOPT_HTTPHEADER, ask->fields);
    curl->curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDSIZE,
                           (long)ask->form.len);
    curl->curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDS, ask->form.at);
    curl->curl_easy_setopt(ask->easy, CURLOPT_WRITEFUNCTION, take);
    curl->curl_easy_setopt(ask->easy, CURLOPT_WRITEDATA, ask);
    curl->curl_easy_setopt(ask->easy, CURLOPT_PRIVATE, ask);
    curl->curl_easy_setopt(ask->easy, CURLOPT_NOSIGNAL, 1L);
    curl->curl_easy_setopt(ask->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl->curl_easy_setopt(ask->easy, CURLOPT_HTTP_VERSION,
                           (long)CURL_HTTP_VERSION_1_1);
    curl->curl_easy_setopt(ask->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl->curl_easy_setopt(ask->easy, CURLOPT_TIMEOUT_MS, most_ms);
    if (front->wish->insecure) {
        curl->curl_easy_setopt(ask->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl->curl_easy_setopt(ask->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return 0;
}

static void took_answer(const struct front *front, CURLMsg *message)
{
    char *owner = NULL;
    struct ask *ask;

    front->curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                   &owner);
    ask = (struct ask *)(void *)owner;
    ask->done_ms = hf_boot_ms();
    if (message->data.result == CURLE_OK)
        front->curl->curl_easy_getinfo(message->easy_handle,
                                       CURLINFO_RESPONSE_CODE, &ask->status);
}

/* All at once, until each has its answer or has waited long enough. */
static void run_all(const struct front *front, struct ask *asks, size_t count)
{
    const struct hf_libcurl *curl = front->curl;
    int running = 0, left;
    CURLMsg *message;

    for (size_t i = 0; i < count; i++) {
        asks[i].begun_ms = hf_boot_ms();
        curl->curl_multi_add_handle(front->multi, asks[i].easy);
    }
    do {
        if (curl->curl_multi_perform(front->multi, &running) != CURLM_OK)
            break;
        while ((message = curl->curl_multi_info_read(front->multi, &left)))
            if (message->msg == CURLMSG_DONE)
                took_answer(front, message);
        if (running > 0)
            curl->curl_multi_poll(front->multi, NULL, 0, 500, NULL);
    } while (running > 0); /* each has a time-out of its own */
    for (size_t i = 0; i < count; i++)
        curl->curl_multi_remove_handle(front->multi, asks[i].easy);
}

/* One question below doctor/; `more` is a further field: "&ms=3000". */
static int ask_one(const struct front *front, struct ask *ask,
                   const char *question, struct hf_str more, long most_ms)
{
    char path[200];
    struct hf_buf form;
    int err;

    (void)snprintf(path, sizeof(path), "/doctor/%s?k=%s&probe=holdfast",
                   question, front->wish->key);
    hf_buf_init(&form, ANSWER_MAX);
    (void)hf_buf_addf(&form, "k=%s", front->wish->key);
    err = hf_buf_add_str(&form, more);
    if (!err)
        err = begin_ask(front, ask, path, hf_buf_str(&form), most_ms);
    hf_buf_release(&form);
    return err;
}

static int ask_now(const struct front *front, struct ask *ask,
                   const char *question, struct hf_str more, long most_ms)
{
    int err = ask_one(front, ask, question, more, most_ms);

    if (!err)
        run_all(front, ask, 1);
    return err;
}

/* --- the questions ------------------------------------------------------- */

static bool is_object(struct hf_str text)
{
    struct hf_json json;

    return hf_json_read(text, 8, &json) == 0 && json.type == HF_JSON_OBJECT;
}

/* The first: is it the gateway that answers, and does it know our key? */
static int ask_echo(const struct front *front, struct hf_buf *measured,
                    struct hf_report *report, bool *out_reached)
{
    struct ask ask;
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
    end_ask(front, &ask);
    return err;
}

static int ask_trickle(const struct front *front, struct hf_buf *measured)
{
    struct ask ask;
    int err = ask_now(front, &ask, "trickle", hf_str(NULL, 0), SHORT_MS);

    if (!err && ask.status == 200 && ask.first_ms > 0)
        err =
            hf_buf_addf(measured, ",\"trickle\":{\"first\":%lld,\"last\":%lld}",
                        (long long)(ask.first_ms - ask.begun_ms),
                        (long long)(ask.done_ms - ask.begun_ms));
    end_ask(front, &ask);
    return err;
}

/* To where messages go; without a token it has no effect, and any answer of
 * ours says that it arrived. */
static int ask_body(const struct front *front, struct hf_buf *measured)
{
    char *body = malloc(BODY_BYTES);
    struct ask ask;
    int err;

    if (!body)
        return HF_ENOMEM;
    memset(body, ' ', BODY_BYTES);
    err = begin_ask(front, &ask, "/longpoll?vsn=2.0.0",
                    hf_str(body, BODY_BYTES), SHORT_MS);
    free(body);
    if (!err) {
        run_all(front, &ask, 1);
        err = hf_buf_addf(
            measured, ",\"body\":{\"bytes\":%u,\"status\":%ld}", BODY_BYTES,
            is_object(hf_buf_str(&ask.answer)) ? 200L : ask.status);
    }
    end_ask(front, &ask);
    return err;
}

static int ask_hold(const struct front *front, struct hf_buf *measured)
{
    struct ask ask;
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
    end_ask(front, &ask);
    return err;
}

static int tell_parallel(const struct ask *asks, unsigned count,
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

static int ask_parallel(const struct front *front, struct hf_buf *measured)
{
    unsigned count = front->wish->parallel < PARALLEL_MAX
                         ? front->wish->parallel
                         : PARALLEL_MAX;
    struct ask *asks = calloc(count, sizeof(*asks));
    unsigned made = 0;
    char more[32];
    int err = asks ? 0 : HF_ENOMEM;

    (void)snprintf(more, sizeof(more), "&ms=%d", PARALLEL_MS);
    for (; !err && made < count; made++)
        err = ask_one(front, &asks[made], "hold", hf_str_of(more),
                      SHORT_MS + PARALLEL_MS * (long)count);
    if (!err) {
        run_all(front, asks, count);
        err = tell_parallel(asks, count, measured);
    }
    for (unsigned i = 0; i < made; i++)
        end_ask(front, &asks[i]);
    free(asks);
    return err;
}

/* --- WebSocket ----------------------------------------------------------- */

static bool send_all(const struct front *front, CURL *easy, struct hf_str text)
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
static long read_status(const struct front *front, CURL *easy)
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

static long try_upgrade(const struct front *front, struct ask *ask)
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

static int ask_upgrade(const struct front *front, struct hf_buf *measured)
{
    struct ask ask;
    long status;
    int err = begin_ask(front, &ask, "", hf_str(NULL, 0), SHORT_MS);

    if (err) {
        end_ask(front, &ask);
        return err;
    }
    front->curl->curl_easy_setopt(ask.easy, CURLOPT_CONNECT_ONLY, 1L);
    status = try_upgrade(front, &ask);
    end_ask(front, &ask);
    return hf_buf_addf(measured,
                       ",\"websocket\":{\"result\":\"%s\",\"status\":%ld}",
                       status == 101  ? "opened"
                       : status == -1 ? "hung"
                                      : "refused",
                       status < 0 ? 0 : status);
}

/* --- the answer ---------------------------------------------------------- */

static int ask_report(const struct front *front, const char *question,
                      struct hf_str more, struct hf_report *report)
{
    struct ask ask;
    int err = ask_now(front, &ask, question, more, FACTS_MS);

    if (!err &&
        (ask.status != 200 || hf_report_read(report, hf_buf_str(&ask.answer))))
        hf_report_trouble(report, "gateway", "not-reached",
                          "the question %s was answered with %ld", question,
                          ask.status);
    end_ask(front, &ask);
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

static int ask_judge(const struct front *front, struct hf_str measured,
                     struct hf_report *report)
{
    struct hf_buf form;
    int err;

    hf_buf_init(&form, ANSWER_MAX);
    (void)hf_buf_add_str(&form, HF_STR("&measured="));
    err = add_encoded(&form, measured);
    if (!err)
        err = ask_report(front, "judge", hf_buf_str(&form), report);
    hf_buf_release(&form);
    return err;
}

static int ask_apply(const struct front *front, const struct hf_report *report,
                     struct hf_why *why)
{
    struct hf_buf form;
    struct ask ask;
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
    end_ask(front, &ask);
    return err;
}

static void say(const struct front *front, const char *what)
{
    if (front->wish->progress)
        front->wish->progress(what);
}

/* The first facts start a process, which has lived a while at the second. */
static int measure(const struct front *front, struct hf_report *report,
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
    struct front front = {.wish = wish};
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
