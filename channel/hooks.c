#include "channel/hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/standalone.h"
#include "base/sys.h"
#include "channel/libcurl.h"
#include "channel/limits.h"
#include "channel/topic.h"

/* Calls that wait for their turn, and the bytes of their bodies. */
#define WAITING_MAX   1000u
#define WAITING_BYTES (16u * 1024u * 1024u)

/* Bytes of an answer's header lines. */
#define HEAD_MAX (64u * 1024u)

/* A request's body: payload and parameters, which are bounded by their frame. */
#define BODY_MAX (64u * 1024u * 1024u)

#define SECRET_MIN 32u
#define SECRET_MAX 512u

struct hf_hooks {
    struct hf_loop *loop;
    const struct hf_settings *settings;
    bool asked[HF_HOOK_LEAVE + 1];
    char secret[SECRET_MAX];
    size_t secret_len;
    CURLM *multi;
    struct hf_timer due;  /* the library's */
    struct hf_timer late; /* the longest waiting call's */
    struct hf_turn turn;  /* start those whose turn it is */
    struct hf_list active, waiting;
    size_t active_count, waiting_count, waiting_bytes;
    bool global;  /* the library is set up */
    bool closing; /* nothing more is taken */
};

/* Once the first call was made, or hf_hooks_prepare. */
static const struct hf_libcurl *lib;

/* A descriptor the library wants to be watched. */
struct watched {
    struct hf_hooks *hooks;
    struct hf_watch watch;
};

struct hf_hook_sent {
    struct hf_list node; /* in active or waiting */
    struct hf_hooks *hooks;
    struct hf_hook_call *call; /* NULL: forgotten */
    enum hf_hook_kind kind;
    uint32_t topic_hash; /* whose share of all it takes */
    int64_t since_ms;    /* hf_boot_ms of its coming */
    CURL *easy;          /* NULL while it waits */
    struct curl_slist *headers;
    struct hf_buf body;
    struct hf_buf answer;
    size_t head_bytes;
    bool too_large;
    char said[CURL_ERROR_SIZE];
    char topic[HF_TOPIC_MAX + 1]; /* for the log */
};

/* --- names and words ------------------------------------------------------ */

const char *hf_hook_reason(enum hf_hook_kind kind, enum hf_hook_result result)
{
    switch (result) {
    case HF_HOOK_ANSWERED:
        return NULL;
    case HF_HOOK_BUSY:
        return "busy";
    case HF_HOOK_TIMEOUT:
    case HF_HOOK_CLOSED:
        return "timeout"; /* nobody knows what came of it */
    case HF_HOOK_FAILED:
        return kind == HF_HOOK_JOIN ? "join crashed" : "push crashed";
    }
    return NULL;
}

bool hf_hooks_want(const struct hf_hooks *hooks, enum hf_hook_kind kind,
                   struct hf_str topic)
{
    const struct hf_settings *settings;
    size_t i;

    if (!hooks || !hooks->asked[kind])
        return false;
    settings = hooks->settings;
    if (kind == HF_HOOK_CONNECT || settings->hook_topics_count == 0)
        return true;
    for (i = 0; i < settings->hook_topics_count; i++)
        if (hf_pattern_matches(hf_str_of(settings->hook_topics[i]), topic))
            return true;
    return false;
}

/* Not a secret and not to be guessed at: whose calls take long is not for
 * strangers to choose, but two topics that share a hash only share a bound. */
static uint32_t hash_of(struct hf_str text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    size_t i;

    for (i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * 16777619u;
    return hash;
}

/* --- the body ------------------------------------------------------------- */

static void add_text(struct hf_buf *out, const char *name, struct hf_str text,
                     struct hf_str otherwise)
{
    (void)hf_buf_addf(out, ",\"%s\":", name);
    (void)hf_buf_add_str(out, text.len > 0 ? text : otherwise);
}

static void add_string(struct hf_buf *out, const char *name, struct hf_str text)
{
    (void)hf_buf_addf(out, ",\"%s\":", name);
    if (text.len > 0)
        (void)hf_json_quote(out, text);
    else
        (void)hf_buf_add_str(out, HF_STR("null"));
}

static void add_payload(struct hf_buf *out,
                        const struct hf_hook_payload *payload)
{
    char *at;

    if (!payload->binary) {
        add_text(out, "payload", payload->text, HF_STR("{}"));
        return;
    }
    (void)hf_buf_add_str(out, HF_STR(",\"payload\":{\"_binary\":\""));
    at = hf_buf_room(out, HF_BASE64_LEN(payload->text.len));
    if (at)
        hf_buf_grown(out, hf_base64(payload->text, at));
    (void)hf_buf_add_str(out, HF_STR("\"}"));
}

static void add_socket(struct hf_buf *out, const struct hf_hook_request *r)
{
    (void)hf_buf_addf(out, ",\"socket\":{\"transport\":\"%s\"", r->transport);
    add_string(out, "id", r->session);
    add_string(out, "user", r->user);
    add_text(out, "topics", r->topics, HF_STR("null"));
    add_text(out, "params", r->params, HF_STR("{}"));
    (void)hf_buf_add_byte(out, '}');
}

/* Every member is always there, so that an application need not ask which
 * are. */
static int write_body(struct hf_buf *out, const struct hf_hook_request *r)
{
    (void)hf_buf_addf(out, "{\"hook\":\"%s\"", hf_hook_name(r->kind));
    add_socket(out, r);
    if (r->kind == HF_HOOK_CONNECT) {
        add_string(out, "token", r->token);
        add_string(out, "address", r->address);
    } else {
        add_string(out, "topic", r->topic);
        add_string(out, "event", r->event);
        add_payload(out, &r->payload);
        add_text(out, "join_ref", r->join_ref, HF_STR("null"));
        add_text(out, "ref", r->ref, HF_STR("null"));
        add_string(out, "key", r->key);
    }
    if (r->reason)
        (void)hf_buf_addf(out, ",\"reason\":\"%s\"", r->reason);
    (void)hf_buf_add_byte(out, '}');
    return hf_buf_error(out);
}

/* --- the signature --------------------------------------------------------- */

/* Holdfast-Signature: t=<seconds>,v1=<hex of HMAC-SHA256(secret, t "." body)>;
 * the time lets the application refuse what somebody recorded. */
static int sign(const struct hf_hooks *hooks, struct hf_str body, char *out,
                size_t cap)
{
    unsigned char mac[HF_SHA256_LEN];
    struct hf_buf text;
    long long now = (long long)(hf_wall_ms() / 1000);
    size_t i;
    int len, err;

    hf_buf_init(&text, body.len + 32);
    (void)hf_buf_addf(&text, "%lld.", now);
    (void)hf_buf_add_str(&text, body);
    err = hf_buf_error(&text);
    if (err == 0)
        hf_hmac_sha256(hf_str(hooks->secret, hooks->secret_len),
                       hf_buf_str(&text), mac);
    hf_buf_release(&text);
    if (err)
        return err;
    len = snprintf(out, cap, "Holdfast-Signature: t=%lld,v1=", now);
    for (i = 0; i < sizeof(mac); i++)
        len += snprintf(out + len, cap - (size_t)len, "%02x", mac[i]);
    return 0;
}

/* --- one request, with the library ----------------------------------------- */

static size_t take_body(char *bytes, size_t one, size_t len, void *ctx)
{
    struct hf_hook_sent *r = ctx;

    (void)one; /* always 1 */
    if (hf_buf_add(&r->answer, bytes, len) == 0)
        return len;
    r->too_large = true;
    return 0; /* ends the transfer */
}

static size_t take_head(char *bytes, size_t one, size_t len, void *ctx)
{
    struct hf_hook_sent *r = ctx;

    (void)bytes;
    (void)one;
    r->head_bytes += len;
    if (r->head_bytes <= HEAD_MAX)
        return len;
    r->too_large = true;
    return 0;
}

static int add_header(struct hf_hook_sent *r, const char *line)
{
    struct curl_slist *longer = lib->curl_slist_append(r->headers, line);

    if (!longer)
        return HF_ENOMEM;
    r->headers = longer;
    return 0;
}

static int make_headers(struct hf_hook_sent *r)
{
    char signature[160];
    int err =
        sign(r->hooks, hf_buf_str(&r->body), signature, sizeof(signature));

    if (err == 0)
        err = add_header(r, signature);
    if (err == 0)
        err = add_header(r, "Content-Type: application/json");
    if (err == 0)
        err = add_header(r, "Accept: application/json");
    /* the library would wait for a 100 Continue */
    return err ? err : add_header(r, "Expect:");
}

/* Options that fail do so for want of memory. */
static int set_options(struct hf_hook_sent *r)
{
    const struct hf_settings *settings = r->hooks->settings;
    CURL *easy = r->easy;
    CURLcode failed = CURLE_OK;

#define SET(option, value)                                                     \
    do {                                                                       \
        CURLcode code = lib->curl_easy_setopt(easy, (option), (value));        \
        failed = failed ? failed : code;                                       \
    } while (0)

    SET(CURLOPT_PRIVATE, r);
    SET(CURLOPT_URL, settings->hook_url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    if (hf_standalone_authorities())
        SET(CURLOPT_CAINFO, hf_standalone_authorities());
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* a CGI's environment is the visitor's: HTTP_PROXY, and others like it */
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FRESH_CONNECT, 1L); /* hooks.h: once at most */
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)settings->hook_timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)settings->hook_timeout_ms);
    SET(CURLOPT_USERAGENT, "Holdfast/" PACKAGE_VERSION);
    SET(CURLOPT_HTTPHEADER, r->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
    SET(CURLOPT_POSTFIELDS, r->body.at);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, r);
    SET(CURLOPT_HEADERFUNCTION, take_head);
    SET(CURLOPT_HEADERDATA, r);
    SET(CURLOPT_ERRORBUFFER, r->said);
#undef SET
    return failed ? HF_ENOMEM : 0;
}

static int start(struct hf_hook_sent *r, struct hf_why *why)
{
    int err = hf_hooks_prepare(r->hooks, why);

    if (err == 0)
        err = make_headers(r);
    if (err)
        return err;
    r->easy = lib->curl_easy_init();
    if (!r->easy)
        return HF_ENOMEM;
    err = set_options(r);
    if (err == 0 &&
        lib->curl_multi_add_handle(r->hooks->multi, r->easy) != CURLM_OK)
        err = HF_ENOMEM;
    if (err) {
        lib->curl_easy_cleanup(r->easy);
        r->easy = NULL;
    }
    return err;
}

static void request_free(struct hf_hook_sent *r)
{
    if (r->easy) {
        (void)lib->curl_multi_remove_handle(r->hooks->multi, r->easy);
        lib->curl_easy_cleanup(r->easy);
    }
    if (r->headers)
        lib->curl_slist_free_all(r->headers);
    hf_buf_release(&r->body);
    hf_buf_release(&r->answer);
    free(r);
}

/* --- the end of one -------------------------------------------------------- */

static void log_failure(const struct hf_hook_sent *r, const char *why)
{
    HF_LOG(HF_LOG_WARN, "hook_failed", hf_field("hook", hf_hook_name(r->kind)),
           hf_field("topic", r->topic), hf_field("why", why),
           hf_field_i("ms", (long long)(hf_boot_ms() - r->since_ms)));
}

/* Out of its list, and its owner told. */
static void settle(struct hf_hook_sent *r, enum hf_hook_result result,
                   struct hf_hook_answer *answer)
{
    struct hf_hooks *hooks = r->hooks;
    struct hf_hook_call *call = r->call;

    hf_list_remove(&r->node);
    if (r->easy) {
        hooks->active_count--;
    } else {
        hooks->waiting_count--;
        hooks->waiting_bytes -= r->body.len;
    }
    request_free(r);
    hf_loop_at_turn_end(hooks->loop, &hooks->turn);
    if (!call) {
        hf_hook_answer_free(answer);
        return;
    }
    call->sent = NULL;
    call->answered(call, result, answer);
}

static void judge(struct hf_hook_sent *r)
{
    struct hf_hook_answer *answer = NULL;
    const char *why = NULL;
    char status[32];
    long code = 0;

    (void)lib->curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &code);
    if (code != 200) {
        (void)snprintf(status, sizeof(status), "HTTP status %ld", code);
        log_failure(r, status);
        settle(r, HF_HOOK_FAILED, NULL);
        return;
    }
    if (hf_hook_answer_decode(hf_buf_str(&r->answer), r->kind, &answer, &why)) {
        log_failure(r, why ? why : "out of memory");
        settle(r, HF_HOOK_FAILED, NULL);
        return;
    }
    settle(r, HF_HOOK_ANSWERED, answer);
}

static void finished(struct hf_hook_sent *r, CURLcode code)
{
    if (code == CURLE_OK) {
        judge(r);
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        log_failure(r, "it took longer than hook_timeout");
        settle(r, HF_HOOK_TIMEOUT, NULL);
        return;
    }
    log_failure(r, r->too_large ? "its answer is longer than 1 MiB"
                   : r->said[0] ? r->said
                                : lib->curl_easy_strerror(code));
    settle(r, HF_HOOK_FAILED, NULL);
}

/* --- whose turn it is ------------------------------------------------------ */

static size_t half(size_t n)
{
    return n > 1 ? n / 2 : 1;
}

static size_t of_topic(const struct hf_list *list, uint32_t hash)
{
    struct hf_list *node;
    size_t count = 0;

    for (node = list->next; node != list; node = node->next)
        if (HF_ITEM(node, struct hf_hook_sent, node)->topic_hash == hash)
            count++;
    return count;
}

static struct hf_hook_sent *next_waiting(struct hf_hooks *hooks)
{
    size_t share = half(hooks->settings->hook_concurrency);
    struct hf_list *node;

    for (node = hooks->waiting.next; node != &hooks->waiting;
         node = node->next) {
        struct hf_hook_sent *r = HF_ITEM(node, struct hf_hook_sent, node);

        if (of_topic(&hooks->active, r->topic_hash) < share)
            return r;
    }
    return NULL;
}

static void activate(struct hf_hook_sent *r)
{
    struct hf_hooks *hooks = r->hooks;
    struct hf_why why = {""};

    if (start(r, &why)) {
        log_failure(r, why.text[0] ? why.text : "out of memory");
        settle(r, HF_HOOK_BUSY, NULL);
        return;
    }
    hf_list_remove(&r->node);
    hooks->waiting_count--;
    hooks->waiting_bytes -= r->body.len;
    hf_list_append(&hooks->active, &r->node);
    hooks->active_count++;
}

static void end_of_turn(struct hf_turn *turn)
{
    struct hf_hooks *hooks = HF_ITEM(turn, struct hf_hooks, turn);
    struct hf_hook_sent *r;

    while (hooks->active_count < hooks->settings->hook_concurrency &&
           (r = next_waiting(hooks)) != NULL)
        activate(r);
}

/* Waiting ones are in the order of their coming, so the first is late first. */
static void arm_late(struct hf_hooks *hooks)
{
    struct hf_list *node = hf_list_first(&hooks->waiting);
    int64_t left_ms;

    if (!node || hf_timer_armed(&hooks->late))
        return;
    left_ms = HF_ITEM(node, struct hf_hook_sent, node)->since_ms +
              hooks->settings->hook_timeout_ms - hf_boot_ms();
    /* no memory: the next one that comes tries again */
    (void)hf_loop_arm(hooks->loop, &hooks->late,
                      (left_ms > 0 ? left_ms : 0) * 1000 + 1000);
}

static void on_late(struct hf_timer *timer)
{
    struct hf_hooks *hooks = HF_ITEM(timer, struct hf_hooks, late);
    int64_t before = hf_boot_ms() - hooks->settings->hook_timeout_ms;
    struct hf_list *node;

    while ((node = hf_list_first(&hooks->waiting)) != NULL) {
        struct hf_hook_sent *r = HF_ITEM(node, struct hf_hook_sent, node);

        if (r->since_ms > before)
            break;
        log_failure(r, "its turn did not come within hook_timeout");
        settle(r, HF_HOOK_BUSY, NULL);
    }
    arm_late(hooks);
}

/* --- the library in our loop ------------------------------------------------ */

static void take_finished(struct hf_hooks *hooks)
{
    CURLMsg *message;
    int left;

    while ((message = lib->curl_multi_info_read(hooks->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct hf_hook_sent *r = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)lib->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                     &r);
        finished(r, code);
    }
}

static void run(struct hf_hooks *hooks, curl_socket_t fd, int events)
{
    int running;

    (void)lib->curl_multi_socket_action(hooks->multi, fd, events, &running);
    take_finished(hooks);
}

static void on_ready(struct hf_watch *watch, uint32_t events)
{
    const struct watched *watched = HF_ITEM(watch, struct watched, watch);
    int what = 0;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    run(watched->hooks, watch->fd, what);
}

static void on_due(struct hf_timer *timer)
{
    run(HF_ITEM(timer, struct hf_hooks, due), CURL_SOCKET_TIMEOUT, 0);
}

static void unwatch(struct hf_hooks *hooks, curl_socket_t fd,
                    struct watched *watched)
{
    if (!watched)
        return;
    hf_loop_unwatch(hooks->loop, &watched->watch);
    (void)lib->curl_multi_assign(hooks->multi, fd, NULL);
    free(watched);
}

static int watch_new(struct hf_hooks *hooks, curl_socket_t fd, uint32_t events)
{
    struct watched *watched = calloc(1, sizeof(*watched));

    if (!watched)
        return -1;
    watched->hooks = hooks;
    watched->watch = (struct hf_watch){.fd = fd, .ready = on_ready};
    if (hf_loop_watch(hooks->loop, &watched->watch, events) ||
        lib->curl_multi_assign(hooks->multi, fd, watched) != CURLM_OK) {
        hf_loop_unwatch(hooks->loop, &watched->watch);
        free(watched);
        return -1;
    }
    return 0;
}

/* The library says what it waits for; -1 fails the transfer. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                     void *socket)
{
    struct hf_hooks *hooks = ctx;
    struct watched *watched = socket;
    uint32_t events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        unwatch(hooks, fd, watched);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    if (!watched)
        return watch_new(hooks, fd, events);
    return hf_loop_rewatch(hooks->loop, &watched->watch, events) ? -1 : 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    struct hf_hooks *hooks = ctx;

    (void)multi;
    if (ms < 0) {
        hf_loop_disarm(hooks->loop, &hooks->due);
        return 0;
    }
    return hf_loop_arm(hooks->loop, &hooks->due, (int64_t)ms * 1000) ? -1 : 0;
}

/* --- calls ------------------------------------------------------------------ */

static bool has_room(const struct hf_hooks *hooks, uint32_t hash, size_t bytes)
{
    return hooks->waiting_count < WAITING_MAX &&
           hooks->waiting_bytes + bytes <= WAITING_BYTES &&
           of_topic(&hooks->waiting, hash) < WAITING_MAX / 2;
}

static struct hf_hook_sent *request_new(struct hf_hooks *hooks,
                                        const struct hf_hook_request *given)
{
    struct hf_hook_sent *r = calloc(1, sizeof(*r));
    size_t len = given->topic.len;

    if (!r)
        return NULL;
    r->hooks = hooks;
    r->kind = given->kind;
    r->topic_hash = hash_of(given->topic);
    r->since_ms = hf_boot_ms();
    if (len > HF_TOPIC_MAX)
        len = HF_TOPIC_MAX;
    if (len > 0)
        memcpy(r->topic, given->topic.at, len);
    hf_buf_init(&r->body, BODY_MAX);
    hf_buf_init(&r->answer, HF_HOOK_ANSWER_MAX);
    return r;
}

int hf_hooks_call(struct hf_hooks *hooks, struct hf_hook_call *call,
                  const struct hf_hook_request *given)
{
    struct hf_hook_sent *r;
    int err;

    if (!hooks || hooks->closing)
        return HF_ECLOSED;
    r = request_new(hooks, given);
    if (!r)
        return HF_ENOMEM;
    err = write_body(&r->body, given);
    if (err == 0 && !has_room(hooks, r->topic_hash, r->body.len))
        err = HF_ELIMIT;
    if (err) {
        request_free(r);
        return err;
    }
    r->call = call;
    call->sent = r;
    hf_list_append(&hooks->waiting, &r->node);
    hooks->waiting_count++;
    hooks->waiting_bytes += r->body.len;
    arm_late(hooks);
    hf_loop_at_turn_end(hooks->loop, &hooks->turn);
    return 0;
}

void hf_hook_forget(struct hf_hook_call *call)
{
    struct hf_hook_sent *r = call->sent;

    if (!r)
        return;
    call->sent = NULL;
    r->call = NULL;
    if (!r->easy)
        settle(r, HF_HOOK_BUSY, NULL);
}

size_t hf_hooks_pending(const struct hf_hooks *hooks)
{
    return hooks->active_count + hooks->waiting_count;
}

/* --- start and end ----------------------------------------------------------- */

static int read_secret(struct hf_hooks *hooks, const struct hf_dir *dir,
                       struct hf_why *why)
{
    struct hf_str text;
    struct stat st;
    int err;

    if (fstatat(dir->fd, HF_FILE_HOOK_SECRET, &st, 0) == 0 &&
        (st.st_mode & 0777 & ~dir->file_mode) != 0)
        return hf_explain(why, HF_EDENIED,
                          "%s/%s can be read or changed by others (mode %03o); "
                          "whoever read it can speak to the application in our "
                          "name. Remove it, let `holdfast init` make a new "
                          "one, and start again",
                          dir->path, HF_FILE_HOOK_SECRET,
                          (unsigned)(st.st_mode & 0777));
    err = hf_file_read(dir->fd, HF_FILE_HOOK_SECRET, hooks->secret,
                       sizeof(hooks->secret), &hooks->secret_len);
    if (err)
        return hf_explain(why, err,
                          "cannot read %s/%s, which hook_url needs (%s); "
                          "`holdfast init %s` makes it",
                          dir->path, HF_FILE_HOOK_SECRET, hf_strerror(err),
                          dir->path);
    text = hf_str(hooks->secret, hooks->secret_len);
    while (text.len > 0 &&
           (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    hooks->secret_len = text.len;
    if (text.len < SECRET_MIN)
        return hf_explain(why, HF_EINVAL,
                          "%s/%s is shorter than %u bytes; `holdfast init %s` "
                          "makes a new one once it is removed",
                          dir->path, HF_FILE_HOOK_SECRET, SECRET_MIN,
                          dir->path);
    return 0;
}

static void choose_events(struct hf_hooks *hooks)
{
    const struct hf_settings *settings = hooks->settings;
    enum hf_hook_kind kind;
    size_t i;

    for (kind = HF_HOOK_CONNECT; kind <= HF_HOOK_LEAVE; kind++)
        for (i = 0; i < settings->hook_events_count; i++)
            if (strcmp(settings->hook_events[i], hf_hook_name(kind)) == 0)
                hooks->asked[kind] = true;
    if (settings->hook_events_count == 0)
        hooks->asked[HF_HOOK_JOIN] = hooks->asked[HF_HOOK_PUSH] = true;
}

static void close_library(struct hf_hooks *hooks)
{
    if (hooks->multi)
        (void)lib->curl_multi_cleanup(hooks->multi);
    if (hooks->global)
        lib->curl_global_cleanup();
    hooks->multi = NULL;
    hooks->global = false;
}

static int set_up_library(struct hf_hooks *hooks)
{
    if (lib->curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return HF_EIO;
    hooks->global = true;
    hooks->multi = lib->curl_multi_init();
    if (!hooks->multi)
        return HF_ENOMEM;
    if (lib->curl_multi_setopt(hooks->multi, CURLMOPT_SOCKETFUNCTION,
                               on_socket) ||
        lib->curl_multi_setopt(hooks->multi, CURLMOPT_SOCKETDATA, hooks) ||
        lib->curl_multi_setopt(hooks->multi, CURLMOPT_TIMERFUNCTION,
                               on_timer) ||
        lib->curl_multi_setopt(hooks->multi, CURLMOPT_TIMERDATA, hooks))
        return HF_EIO;
    return 0;
}

int hf_hooks_prepare(struct hf_hooks *hooks, struct hf_why *why)
{
    struct hf_why here = {""};
    int err;

    if (!hooks || hooks->multi)
        return 0;
    err = hf_libcurl_load(&lib, &here);
    if (err)
        return hf_explain(why, err, "hook_url needs libcurl: %s", here.text);
    err = set_up_library(hooks);
    if (err) {
        close_library(hooks);
        (void)hf_explain(why, err, "libcurl does not start: %s",
                         hf_strerror(err));
    }
    return err;
}

int hf_hooks_open(struct hf_loop *loop, const struct hf_dir *dir,
                  const struct hf_settings *settings, struct hf_hooks **out,
                  struct hf_why *why)
{
    struct hf_hooks *hooks;
    int err;

    *out = NULL;
    if (settings->hook_url[0] == '\0')
        return 0;
    hooks = calloc(1, sizeof(*hooks));
    if (!hooks)
        return hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));
    hooks->loop = loop;
    hooks->settings = settings;
    hooks->due.fire = on_due;
    hooks->late.fire = on_late;
    hooks->turn.end = end_of_turn;
    hf_list_init(&hooks->active);
    hf_list_init(&hooks->waiting);
    choose_events(hooks);
    err = read_secret(hooks, dir, why);
    if (err) {
        hf_hooks_close(hooks);
        return err;
    }
    *out = hooks;
    return 0;
}

static void end_all(struct hf_list *list)
{
    struct hf_list *node;

    while ((node = hf_list_first(list)) != NULL)
        settle(HF_ITEM(node, struct hf_hook_sent, node), HF_HOOK_CLOSED, NULL);
}

void hf_hooks_close(struct hf_hooks *hooks)
{
    if (!hooks)
        return;
    hooks->closing = true;
    end_all(&hooks->waiting);
    end_all(&hooks->active);
    close_library(hooks);
    hf_loop_disarm(hooks->loop, &hooks->due);
    hf_loop_disarm(hooks->loop, &hooks->late);
    hf_loop_cancel_turn(&hooks->turn);
    explicit_bzero(hooks->secret, sizeof(hooks->secret));
    free(hooks);
}
