#include "sidecar/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/jwt.h"
#include "base/log.h"
#include "base/sys.h"
#include "channel/connecting.h"
#include "sidecar/handshake.h"
#include "sidecar/upgrade.h"

/* What HF_JWT_MAX bytes in base64 need to be decoded. */
#define BEARER_ROOM (HF_BASE64_LEN(HF_JWT_MAX) / 4 * 3 + 3)

struct hf_http {
    struct hf_loop *loop;
    const struct hf_settings *settings;
    struct hf_process *process;
    struct hf_conns *conns;
    struct MHD_Daemon *daemon;
    struct hf_watch library; /* libmicrohttpd's epoll descriptor */
    struct hf_timer due;     /* when it wants to run */
    bool again;              /* it must run once more, see upgrade.h */
    struct hf_watch listener;
    bool listening; /* the listener is watched */
    bool resting;   /* out of descriptors: not before the next tick */
    bool loopback, proxied;
    struct hf_list pending; /* struct shake, oldest first */
    struct hf_list asking;  /* requests whose client the application judges */
    size_t shaking;         /* connections that libmicrohttpd has */
    size_t max_sockets;     /* upgraded ones */
    size_t max_all;         /* with those that are still shaking hands */
    char path[HF_SETTINGS_TEXT + sizeof("/websocket")];
};

/* One connection that libmicrohttpd has. */
struct shake {
    struct hf_list node; /* in http->pending until it is answered or cut */
    int64_t since_ms;
    int fd; /* libmicrohttpd's */
};

/* --- running libmicrohttpd ------------------------------------------------ */

static void schedule_run(struct hf_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    /* Without a time of its own it is run by the tick all the same: some
     * versions forget to name one. */
    if (MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES)
        hf_loop_disarm(http->loop, &http->due);
    else if (wait_ms < HF_TICK_MS)
        (void)hf_loop_arm(http->loop, &http->due, (int64_t)wait_ms * 1000);
}

static bool has_room(const struct hf_http *http)
{
    return http->shaking < HF_HANDSHAKES &&
           http->conns->count + http->shaking < http->max_all;
}

/* Whom we cannot serve now waits in the backlog. */
static void update_listening(struct hf_http *http)
{
    bool want = has_room(http) && !http->resting;

    if (want == http->listening)
        return;
    if (!want)
        hf_loop_unwatch(http->loop, &http->listener);
    else if (hf_loop_watch(http->loop, &http->listener, EPOLLIN))
        return; /* no memory: the next tick tries again */
    http->listening = want;
}

static void run(struct hf_http *http)
{
    do {
        http->again = false;
        (void)MHD_run(http->daemon); /* fails in other modes only */
    } while (http->again);
    schedule_run(http);
    update_listening(http);
}

static void on_library(struct hf_watch *watch, uint32_t events)
{
    (void)events;
    run(HF_ITEM(watch, struct hf_http, library));
}

static void on_due(struct hf_timer *timer)
{
    run(HF_ITEM(timer, struct hf_http, due));
}

/* --- accepting ------------------------------------------------------------ */

static void log_full(const struct hf_http *http, const char *event,
                     const char *hint)
{
    HF_LOG(HF_LOG_WARN, event,
           hf_field_i("sockets", (long long)http->conns->count),
           hf_field_i("handshakes", (long long)http->shaking),
           hf_field("hint", hint));
}

/* The listener would stay readable: rest instead of trying all the time. */
static void accept_failed(struct hf_http *http)
{
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return;
    log_full(http, "accept_failed", strerror(errno));
    http->resting = true;
}

static bool accept_one(struct hf_http *http)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(peer);
    int fd = accept4(http->listener.fd, (struct sockaddr *)&peer, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        accept_failed(http);
        return false;
    }
    /* Closed by the library, if it does not take it, too. */
    (void)MHD_add_connection(http->daemon, fd, (struct sockaddr *)&peer, len);
    return true;
}

static void on_listener(struct hf_watch *watch, uint32_t events)
{
    struct hf_http *http = HF_ITEM(watch, struct hf_http, listener);
    unsigned left = HF_ACCEPT_BATCH;

    (void)events;
    while (left > 0 && accept_one(http))
        left--;
    run(http); /* the library takes them up, and reads what is there */
}

/* --- deadlines ------------------------------------------------------------ */

/* Its own timeout begins anew with every byte, so it is no deadline. */
static void on_connection(void *cls, struct MHD_Connection *connection,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct hf_http *http = cls;
    struct shake *shake;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        shake = *context;
        if (shake)
            hf_list_remove(&shake->node);
        free(shake);
        http->shaking--;
        return;
    }
    http->shaking++;
    shake = calloc(1, sizeof(*shake));
    *context = shake;
    if (!shake)
        return; /* then the library's timeout must do */
    shake->fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
            ->connect_fd;
    shake->since_ms = hf_boot_ms();
    hf_list_append(&http->pending, &shake->node);
}

/* No more deadline: it would shut a socket that is now also ours. */
static void shaken(struct MHD_Connection *connection)
{
    struct shake *shake =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
            ->socket_context;

    if (shake)
        hf_list_remove(&shake->node);
}

void hf_http_tick(struct hf_http *http)
{
    int64_t cut_ms = hf_boot_ms() - http->settings->handshake_ms;
    struct hf_list *node;

    while ((node = hf_list_first(&http->pending))) {
        struct shake *shake = HF_ITEM(node, struct shake, node);

        if (shake->since_ms > cut_ms)
            break;
        hf_list_remove(node);
        /* The library sees the end of the stream and cleans up. */
        (void)shutdown(shake->fd, SHUT_RDWR);
    }
    http->resting = false;
    run(http);
}

/* --- answering ------------------------------------------------------------ */

static enum MHD_Result queue(struct MHD_Connection *connection, int status,
                             struct MHD_Response *response)
{
    enum MHD_Result result;

    if (!response)
        return MHD_NO; /* out of memory: the library closes */
    /* A header that is missing for want of memory harms nobody. */
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options",
                                  "nosniff");
    result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static void *forget_const(const char *text)
{
    union {
        const char *from;
        void *to;
    } cast = {.from = text}; /* the library only reads it */

    return cast.to;
}

/* One request, one answer: the deadline is for a whole connection. */
static enum MHD_Result refuse(struct MHD_Connection *connection,
                              struct hf_refusal refusal)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(refusal.text), forget_const(refusal.text),
        MHD_RESPMEM_PERSISTENT);

    if (response) {
        (void)MHD_add_response_header(response, "Connection", "close");
        if (refusal.text[0])
            (void)MHD_add_response_header(response, "Content-Type",
                                          "text/plain; charset=utf-8");
        if (refusal.names_version)
            (void)MHD_add_response_header(response, "Sec-WebSocket-Version",
                                          "13");
        if (refusal.status == 503)
            (void)MHD_add_response_header(response, "Retry-After", "5");
    }
    return queue(connection, refusal.status, response);
}

/* One that has come, until it is answered. */
struct request {
    struct hf_client client;
    enum { NEW, ASKING, ADMITTED, REFUSED, FAILED } state;
    struct hf_connecting connecting;
    struct hf_http *http;
    struct MHD_Connection *connection;
    struct hf_list node; /* in http->asking */
    char uri[];
};

static void on_upgrade(void *cls, struct MHD_Connection *connection, void *came,
                       const char *extra, size_t extra_len, MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct hf_http *http = cls;
    const struct request *request = came;
    int fd = hf_upgrade_detach(socket, handle);

    http->again = true;
    shaken(connection);
    if (fd < 0)
        log_full(http, "socket_lost", strerror(errno));
    else
        hf_conns_add(http->conns, fd, &request->client,
                     hf_str(extra, extra_len));
}

static enum MHD_Result upgrade(struct hf_http *http,
                               struct MHD_Connection *connection,
                               const struct hf_handshake *handshake)
{
    char accept[HF_ACCEPT_LEN + 1];
    struct MHD_Response *response;

    if (hf_handshake_accept(handshake, accept))
        return MHD_NO;
    response = MHD_create_response_for_upgrade(on_upgrade, http);
    if (!response)
        return MHD_NO;
    if (MHD_add_response_header(response, "Upgrade", "websocket") != MHD_YES ||
        MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) !=
            MHD_YES ||
        (handshake->phoenix &&
         MHD_add_response_header(response, "Sec-WebSocket-Protocol",
                                 "phoenix") != MHD_YES)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return queue(connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind,
                                   const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    (void)kind;
    hf_handshake_header(cls, hf_str(name, name_len),
                        hf_str(value, value ? value_len : 0));
    return MHD_YES;
}

/* The token among the subprotocols, decoded to `room`. Without the token there
 * is none; one that cannot be read, or several, is a bad one. */
static void read_bearer(const struct hf_handshake *handshake,
                        unsigned char room[BEARER_ROOM], struct hf_hello *hello)
{
    struct hf_str text = handshake->bearer;
    size_t len = 0;

    if (handshake->bearers == 0)
        return;
    hello->auth_token_bad = handshake->bearers > 1 ||
                            text.len > HF_BASE64_LEN(HF_JWT_MAX) ||
                            hf_base64_decode(text, room, &len) || len == 0;
    if (!hello->auth_token_bad)
        hello->auth_token = hf_str((const char *)room, len);
}

/* The application has answered, or will not: the library asks us again. */
static void go_on(struct request *request)
{
    hf_list_remove(&request->node);
    MHD_resume_connection(request->connection);
    request->http->again = true;
}

static void connected(struct hf_connecting *connecting, int err)
{
    struct request *request = HF_ITEM(connecting, struct request, connecting);

    request->state = err == 0 ? ADMITTED : err == HF_EDENIED ? REFUSED : FAILED;
    go_on(request);
    run(request->http);
}

static int ask(struct hf_http *http, struct request *request,
               const struct hf_hello *hello)
{
    int err;

    request->connecting.done = connected;
    request->connecting.client = &request->client;
    err = hf_connecting_start(&request->connecting, http->process, hello,
                              "websocket");
    if (err)
        return err;
    request->http = http;
    request->state = ASKING;
    hf_list_append(&http->asking, &request->node);
    return 0;
}

static int connect_client(struct hf_http *http, struct request *request,
                          struct hf_str query,
                          const struct hf_handshake *handshake)
{
    struct hf_hello hello = {
        .query = query,
        .from = {.origin = handshake->origin,
                 .host = handshake->host,
                 .sec_fetch_site = handshake->sec_fetch_site,
                 .scheme = http->proxied ? handshake->forwarded_proto
                                         : HF_STR("http"),
                 .loopback_listener = http->loopback},
        .peer = HF_STR(""),
        .authorization = handshake->authorization,
    };
    unsigned char room[BEARER_ROOM];
    int err;

    read_bearer(handshake, room, &hello);
    err = hf_connect_check(http->settings, &hello, &request->client);
    if (err == 0)
        err = hf_connect_identify(http->settings, http->process->keys, &hello,
                                  &request->client);
    if (err == 0)
        err = hf_connect_params(http->process, &hello, &request->client);
    if (err == 0 && hf_connecting_wanted(http->process))
        return ask(http, request, &hello);
    request->state = err ? REFUSED : ADMITTED;
    return 0;
}

/* In the order of specification section 5.1. */
static struct hf_refusal judge(struct hf_http *http, struct request *request,
                               const struct hf_handshake *handshake,
                               struct hf_str method)
{
    const char *uri = request->uri;
    size_t path_len = strcspn(uri, "?");
    const char *query = uri + path_len + (uri[path_len] == '?');
    struct hf_refusal refusal;

    if (!hf_str_eq(hf_str(uri, path_len), hf_str_of(http->path)))
        return (struct hf_refusal){.status = 404,
                                   .text = "there is nothing here\n"};
    refusal = hf_handshake_request(handshake, method);
    if (refusal.status)
        return refusal;
    if (hf_handshake_foreign(handshake)) {
        HF_LOG(HF_LOG_WARN, "connect_refused",
               hf_field("reason", "subprotocol"),
               hf_field("hint", "the client offers subprotocols, and none of "
                                "them is 'phoenix'"));
        return (struct hf_refusal){.status = 403, .text = ""};
    }
    if (connect_client(http, request, hf_str_of(query), handshake))
        request->state = FAILED; /* it could not be asked */
    return refusal;
}

/* What comes behind it, when it is known who connects. */
static struct hf_refusal judge_upgrade(struct hf_http *http,
                                       const struct request *request,
                                       const struct hf_handshake *handshake,
                                       struct hf_str version)
{
    struct hf_refusal refusal;

    if (request->state == REFUSED)
        return (struct hf_refusal){.status = 403, .text = ""};
    if (request->state == FAILED)
        return (struct hf_refusal){.status = 500, .text = ""};
    refusal = hf_handshake_upgrade(handshake, version);
    if (refusal.status)
        return refusal;
    if (http->conns->count >= http->max_sockets) {
        log_full(http, "sockets_full",
                 "raise the limit of open files, or max_sockets");
        return (struct hf_refusal){.status = 503,
                                   .text = "no room for another socket now\n"};
    }
    return refusal;
}

/* Called when the headers are complete. Answering at once means that a body is
 * never waited for. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_len, void **came)
{
    struct hf_http *http = cls;
    struct request *request = *came;
    struct hf_handshake handshake = {.hosts = 0};
    struct hf_refusal refusal;

    (void)url; /* decoded and without its query: see on_uri */
    (void)body;
    (void)body_len;
    if (!request)
        return MHD_NO;
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_header,
                                      &handshake);
    refusal = (struct hf_refusal){.status = 0};
    if (request->state == NEW)
        refusal = judge(http, request, &handshake, hf_str_of(method));
    if (!refusal.status && request->state == ASKING) {
        request->connection = connection;
        MHD_suspend_connection(connection);
        return MHD_YES;
    }
    if (!refusal.status)
        refusal = judge_upgrade(http, request, &handshake, hf_str_of(version));
    if (refusal.status)
        return refuse(connection, refusal);
    return upgrade(http, connection, &handshake);
}

/* The library takes the URI apart in place, so keep it as it came. NULL when
 * out of memory, which on_request sees. */
static void *on_uri(void *cls, const char *uri,
                    struct MHD_Connection *connection)
{
    struct request *request;
    size_t len = strlen(uri) + 1;

    (void)cls;
    (void)connection;
    request = calloc(1, sizeof(*request) + len);
    if (request)
        memcpy(request->uri, uri, len);
    return request;
}

static void on_completed(void *cls, struct MHD_Connection *connection,
                         void **request, enum MHD_RequestTerminationCode code)
{
    struct request *ours = *request;

    (void)cls;
    (void)connection;
    (void)code;
    *request = NULL;
    if (!ours)
        return;
    hf_connecting_cancel(&ours->connecting);
    hf_list_remove(&ours->node);
    hf_client_release(&ours->client);
    free(ours);
}

/* --- start and end -------------------------------------------------------- */

static int start_library(struct hf_http *http)
{
    const union MHD_DaemonInfo *info;
    /* Ours comes first; this one only ends what ours could not be kept for. */
    unsigned timeout_s = (unsigned)(http->settings->handshake_ms / 1000) + 2;

    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, on_request, http, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(HF_HANDSHAKES + HF_ACCEPT_BATCH),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HF_HANDSHAKE_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout_s, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_END);
    if (!http->daemon)
        return HF_EIO;
    info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return HF_EIO;
    http->library =
        (struct hf_watch){.fd = info->epoll_fd, .ready = on_library};
    return hf_loop_watch(http->loop, &http->library, EPOLLIN);
}

/* Some descriptors are kept for ourselves, and some to tell clients beyond the
 * last that there is no room. */
static int divide_descriptors(struct hf_http *http,
                              const struct hf_http_options *options,
                              struct hf_why *why)
{
    size_t asked = options->settings->max_sockets;
    size_t possible;

    if (options->max_fds <= HF_SPARE_FDS)
        return hf_explain(why, HF_ELIMIT,
                          "this process may open %zu files and needs more than "
                          "%u: raise the limit (ulimit -n 4096)",
                          options->max_fds, HF_SPARE_FDS);
    possible = options->max_fds - HF_SPARE_FDS;
    http->max_sockets = asked > 0 && asked < possible ? asked : possible;
    http->max_all = options->max_fds - HF_SPARE_FDS / 2;
    return 0;
}

/* A mount ends with a slash only when it is nothing else. */
static void name_path(struct hf_http *http, const char *mount)
{
    (void)snprintf(http->path, sizeof(http->path), "%s/websocket",
                   strcmp(mount, "/") == 0 ? "" : mount);
}

int hf_http_open(const struct hf_http_options *options, struct hf_http **out,
                 struct hf_why *why)
{
    struct hf_http *http = calloc(1, sizeof(*http));
    int err;

    if (!http)
        return hf_explain(why, HF_ENOMEM, "out of memory");
    http->loop = options->loop;
    http->settings = options->settings;
    http->process = options->process;
    hf_list_init(&http->asking);
    http->conns = options->conns;
    http->loopback = options->loopback;
    http->proxied = options->proxied;
    http->listener =
        (struct hf_watch){.fd = options->listener, .ready = on_listener};
    http->due.fire = on_due;
    hf_list_init(&http->pending);
    name_path(http, options->settings->mount);
    err = divide_descriptors(http, options, why);
    if (!err) {
        err = start_library(http);
        if (err)
            hf_explain(why, err, "libmicrohttpd does not start: %s",
                       strerror(errno));
    }
    if (err) {
        hf_http_close(http);
        return err;
    }
    update_listening(http);
    *out = http;
    return 0;
}

/* The library does not stop while somebody waits. */
static void end_asking(struct hf_http *http)
{
    struct hf_list *node;

    while ((node = hf_list_first(&http->asking)) != NULL) {
        struct request *request = HF_ITEM(node, struct request, node);

        hf_connecting_cancel(&request->connecting);
        request->state = FAILED;
        go_on(request);
    }
    (void)MHD_run(http->daemon);
}

void hf_http_close(struct hf_http *http)
{
    if (!http)
        return;
    if (http->daemon)
        end_asking(http);
    if (http->listening)
        hf_loop_unwatch(http->loop, &http->listener);
    hf_loop_disarm(http->loop, &http->due);
    if (http->daemon) {
        hf_loop_unwatch(http->loop, &http->library);
        MHD_stop_daemon(http->daemon);
    }
    free(http);
}
