#include "sidecar/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "sidecar/accept.h"
#include "sidecar/counters.h"
#include "sidecar/relay.h"
#include "sidecar/request.h"
#include "sidecar/upgrade.h"

struct hf_http {
    struct hf_loop *loop;
    const struct hf_settings *settings;
    struct hf_conns *conns;
    struct hf_conns *echo; /* NULL = none */
    struct hf_rules rules;
    struct hf_accept accept;
    struct hf_door *door;
    struct hf_tls *tls; /* NULL = no listener wants it */
    char *early;        /* HF_READ_BYTES, of who is upgraded now; for TLS */
    struct hf_lender lender;
    bool keep; /* sockets are not taken from the library */
    struct MHD_Daemon *daemon;
    struct hf_watch library; /* libmicrohttpd's epoll descriptor */
    struct hf_timer due;     /* when it wants to run */
    bool again;              /* it must run once more, see upgrade.h */
    struct hf_list pending;  /* struct shake, oldest first */
    struct hf_list arriving; /* those the library has not taken up yet */
    struct hf_list asking;   /* requests whose client the application judges */
    struct hf_list leaving;  /* upgraded ones that it can close */
    struct hf_timer crowded; /* armed while there is no room for another */
    size_t shaking;          /* connections that have not become sockets */
    size_t shaking_fds;      /* their descriptors */
    size_t max_sockets;      /* upgraded ones */
    size_t max_all;          /* with those that are still shaking hands */
};

/* One connection on its way to become a socket, or not. */
struct shake {
    struct hf_list node;     /* in http->pending until it is answered or cut */
    struct hf_list arriving; /* in http->arriving */
    const struct hf_listener *through;
    struct hf_http *http;
    struct hf_caller caller;
    int64_t since_ms;
    int fd;                 /* libmicrohttpd's; -1: it has none of it */
    bool asked;             /* its request is there */
    bool done;              /* and answered by a 101: it no longer counts */
    struct hf_relay relay;  /* alive: TLS */
    struct hf_list leaving; /* in http->leaving */
    struct MHD_UpgradeResponseHandle *handle; /* then */
};

/* Its request. */
struct visit {
    struct hf_request request;
    struct hf_http *http;
    struct MHD_Connection *connection;
    struct hf_list node; /* in http->asking */
};

/* --- connections under way ------------------------------------------------ */

/* Behind TLS the library has an end of a pair (relay.h). */
static size_t fds_of(const struct shake *shake)
{
    return shake->through->tls ? 3 : 1;
}

static struct shake *shake_new(struct hf_http *http,
                               const struct hf_guest *guest,
                               const struct hf_caller *caller)
{
    struct shake *shake = calloc(1, sizeof(*shake));

    if (!shake)
        return NULL;
    shake->http = http;
    shake->through = guest->through;
    shake->caller = *caller;
    shake->fd = -1;
    shake->since_ms = hf_boot_ms();
    hf_list_append(&http->pending, &shake->node);
    http->shaking++;
    http->shaking_fds += fds_of(shake);
    return shake;
}

static void shaken(const struct shake *shake)
{
    shake->http->shaking--;
    shake->http->shaking_fds -= fds_of(shake);
}

static void shake_free(struct shake *shake)
{
    hf_list_remove(&shake->node);
    hf_list_remove(&shake->arriving);
    hf_list_remove(&shake->leaving);
    hf_relay_end(&shake->relay);
    hf_visitor_left(shake->caller.visitor, false);
    if (!shake->done)
        shaken(shake);
    free(shake);
}

static struct shake *shake_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection,
                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/* The one just handed over with this descriptor. */
static struct shake *arrived(struct hf_http *http, int fd)
{
    struct hf_list *node, *next;

    HF_LIST_EACH(node, next, &http->arriving)
    {
        struct shake *shake = HF_ITEM(node, struct shake, arriving);

        if (shake->fd == fd) {
            hf_list_remove(node);
            return shake;
        }
    }
    return NULL;
}

/* The library has let go. What TLS still has to say goes on. */
static void let_go(struct shake *shake)
{
    shake->fd = -1;
    hf_list_remove(&shake->arriving);
    hf_list_remove(&shake->leaving);
    if (!hf_relay_lives(&shake->relay))
        shake_free(shake);
}

/* What the library was given and dropped without a word. */
static void forget_lost(struct hf_http *http)
{
    struct hf_list *node;

    while ((node = hf_list_first(&http->arriving)))
        let_go(HF_ITEM(node, struct shake, arriving));
}

/* The library has a new connection, or has closed one. Its notices tell us of
 * the handshake only: a socket we took over is closed for it (upgrade.h). */
static void on_connection(void *cls, struct MHD_Connection *connection,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct hf_http *http = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context =
            arrived(http, MHD_get_connection_info(
                              connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                              ->connect_fd);
    else if (*context)
        let_go(*context);
}

static size_t sockets(const struct hf_http *http)
{
    return http->conns->count + (http->echo ? http->echo->count : 0);
}

static bool has_room(struct hf_accept *accept)
{
    const struct hf_http *http = HF_ITEM(accept, struct hf_http, accept);

    return http->shaking < HF_HANDSHAKES &&
           sockets(http) + http->shaking_fds < http->max_all;
}

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

/* TLS has taken all that the library had of them; for that its end of the pair
 * had to stay open during the callback. */
static void close_leaving(struct hf_http *http)
{
    struct hf_list *node;

    while ((node = hf_list_first(&http->leaving))) {
        struct shake *shake = HF_ITEM(node, struct shake, leaving);

        hf_list_remove(node);
        (void)MHD_upgrade_action(shake->handle, MHD_UPGRADE_ACTION_CLOSE);
        http->again = true;
    }
}

static void run(struct hf_http *http)
{
    do {
        http->again = false;
        (void)MHD_run(http->daemon); /* fails in other modes only */
        close_leaving(http);
    } while (http->again);
    forget_lost(http);
    schedule_run(http);
    hf_accept_update(&http->accept);
    if (!has_room(&http->accept) && !hf_timer_armed(&http->crowded))
        (void)hf_loop_arm(http->loop, &http->crowded,
                          HF_HANDSHAKE_PRESSED_MS / 2 * 1000);
    hf_count_now(HF_HAS_HANDSHAKES, http->shaking);
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

/* --- who comes ------------------------------------------------------------ */

/* Somebody is turned away for want of room. */
static void no_room(const struct hf_http *http, const char *event,
                    const char *why)
{
    hf_count(HF_REFUSED_FULL);
    HF_LOG(HF_LOG_WARN, event, hf_field_i("sockets", (long long)sockets(http)),
           hf_field_i("handshakes", (long long)http->shaking),
           hf_field("why", why),
           hf_field("effect", "a client is turned away, and tries again"),
           hf_field("hint", "see max_sockets and workers of holdfast.conf, and "
                            "the limit of open files"));
}

static void give(struct shake *shake, int fd, const struct hf_guest *guest)
{
    struct hf_http *http = shake->http;

    shake->fd = fd;
    hf_list_append(&http->arriving, &shake->arriving);
    /* Closed by the library, if it does not take it, too. */
    (void)MHD_add_connection(http->daemon, fd,
                             (const struct sockaddr *)&guest->address,
                             guest->address_len);
}

static void secured(struct hf_relay *relay, int fd)
{
    struct shake *shake = HF_ITEM(relay, struct shake, relay);
    struct hf_http *http = shake->http;

    /* The library asks for an address, for limits of its own that we do not
     * set. */
    give(shake, fd,
         &(struct hf_guest){.address = {.ss_family = AF_UNIX},
                            .address_len = sizeof(sa_family_t)});
    run(http);
}

static void relay_gone(struct hf_relay *relay)
{
    struct shake *shake = HF_ITEM(relay, struct shake, relay);
    struct hf_http *http = shake->http;

    if (shake->fd >= 0)
        return; /* the library sees the end of the stream, and lets go */
    shake_free(shake);
    hf_accept_update(&http->accept);
}

static void start_tls(struct shake *shake, const struct hf_guest *guest)
{
    struct hf_http *http = shake->http;

    shake->relay.secured = secured;
    shake->relay.gone = relay_gone;
    if (hf_relay_open(&shake->relay, http->loop, http->tls, guest->fd) == 0)
        return;
    no_room(http, "handshake_lost", strerror(errno));
    shake_free(shake);
}

static void came(struct hf_accept *accept, const struct hf_guest *guest)
{
    struct hf_http *http = HF_ITEM(accept, struct hf_http, accept);
    struct hf_caller caller;
    struct shake *shake;

    hf_count(HF_COUNT_ACCEPTED);
    if (!hf_door_open(http->door, guest, &caller))
        return;
    shake = shake_new(http, guest, &caller);
    if (!shake) {
        int fd = guest->fd;

        hf_visitor_left(caller.visitor, false);
        no_room(http, "handshake_lost", hf_strerror(HF_ENOMEM));
        hf_close(&fd);
        return;
    }
    if (guest->through->tls)
        start_tls(shake, guest);
    else
        give(shake, guest->fd, guest);
}

/* The library takes them up, and reads what is there. */
static void came_all(struct hf_accept *accept)
{
    run(HF_ITEM(accept, struct hf_http, accept));
}

/* --- deadlines ------------------------------------------------------------ */

/* Once the library sees the end of the stream it cleans up. */
static void cut(struct shake *shake)
{
    hf_count(HF_REFUSED_SLOW);
    HF_LOG(HF_LOG_DEBUG, "handshake_cut",
           hf_field_i("after_ms", hf_boot_ms() - shake->since_ms));
    hf_list_remove(&shake->node);
    if (!hf_relay_lives(&shake->relay)) {
        (void)shutdown(shake->fd, SHUT_RDWR);
        return;
    }
    hf_relay_end(&shake->relay);
    if (shake->fd < 0)
        shake_free(shake);
}

/* Where others wait for a place, who has not even asked after a while makes
 * room. */
static void on_crowded(struct hf_timer *timer)
{
    struct hf_http *http = HF_ITEM(timer, struct hf_http, crowded);
    int64_t cut_ms = hf_boot_ms() - HF_HANDSHAKE_PRESSED_MS;
    struct hf_list *node, *next;

    HF_LIST_EACH(node, next, &http->pending)
    {
        struct shake *shake = HF_ITEM(node, struct shake, node);

        if (shake->since_ms > cut_ms)
            break;
        if (!shake->asked)
            cut(shake);
    }
    run(http);
}

/* The library's own timeout begins anew with every byte, so it is no deadline. */
void hf_http_tick(struct hf_http *http)
{
    int64_t now_ms = hf_boot_ms();
    int64_t cut_ms = now_ms - http->settings->handshake_ms;
    struct hf_list *node;

    while ((node = hf_list_first(&http->pending))) {
        struct shake *shake = HF_ITEM(node, struct shake, node);

        if (shake->since_ms > cut_ms)
            break;
        cut(shake);
    }
    hf_accept_tick(&http->accept);
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

static void add_retry_after(struct MHD_Response *response, unsigned seconds)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", seconds);
    (void)MHD_add_response_header(response, "Retry-After", text);
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
        if (refusal.retry_s > 0)
            add_retry_after(response, refusal.retry_s);
    }
    return queue(connection, refusal.status, response);
}

static void log_upgraded(const struct shake *shake, int fd)
{
    char address[HF_ADDRESS_TEXT];

    hf_address_write(&shake->caller.address, address);
    HF_LOG(HF_LOG_DEBUG, "connected", hf_field_i("fd", fd),
           hf_field("address", address));
}

/* Its socket, TLS on it, and what came behind the request; -1: lost. */
static int take_secured(struct shake *shake, MHD_socket socket,
                        struct hf_str *early, struct hf_layer **out_layer)
{
    struct hf_http *http = shake->http;
    size_t len = 0;
    int fd = hf_relay_take(&shake->relay, socket, *early, http->early, &len,
                           out_layer);

    hf_list_append(&http->leaving, &shake->leaving);
    *early = hf_str(http->early, len);
    return fd;
}

/* A kept socket is to be closed: the library does so in its next run. */
static void on_kept_closed(struct hf_lender *lender)
{
    struct hf_http *http = HF_ITEM(lender, struct hf_http, lender);

    http->again = true;
    (void)hf_loop_arm(http->loop, &http->due, 0); /* at the latest the tick */
}

/* Its socket, or -1. */
static int take_plain(struct hf_http *http, MHD_socket socket,
                      struct MHD_UpgradeResponseHandle *handle,
                      struct hf_layer **out_layer)
{
    if (!http->keep)
        return hf_upgrade_detach(socket, handle);
    *out_layer = hf_upgrade_keep(handle, &http->lender);
    return *out_layer ? socket : -1;
}

static void on_upgrade(void *cls, struct MHD_Connection *connection, void *came,
                       const char *extra, size_t extra_len, MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct hf_http *http = cls;
    const struct visit *visit = came;
    struct shake *shake = shake_of(connection); /* on_request has seen it */
    struct hf_str early = hf_str(extra, extra_len);
    struct hf_layer *layer = NULL;
    int fd;

    http->again = true;
    /* No more deadline: it would shut a socket that is now also ours. */
    hf_list_remove(&shake->node);
    shaken(shake);
    shake->done = true;
    shake->handle = handle;
    if (hf_relay_lives(&shake->relay)) {
        fd = take_secured(shake, socket, &early, &layer);
    } else if (shake->through->tls) {
        fd = -1; /* it went while we were asking the application */
        hf_list_append(&http->leaving, &shake->leaving);
    } else {
        fd = take_plain(http, socket, handle, &layer);
    }
    if (fd < 0) {
        if (!shake->through->tls) /* there the client has gone meanwhile */
            no_room(http, "socket_lost", strerror(errno));
        else
            HF_LOG(HF_LOG_DEBUG, "socket_lost",
                   hf_field("reason", "the client has gone"));
        return;
    }
    log_upgraded(shake, fd);
    hf_visitor_upgraded(shake->caller.visitor);
    hf_conns_add(visit->request.echo ? http->echo : http->conns, fd, layer,
                 &visit->request.client, shake->caller.visitor, early);
    shake->caller.visitor = NULL;
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

/* The application has answered, or will not: the library asks us again. */
static void go_on(struct visit *visit)
{
    hf_list_remove(&visit->node);
    MHD_resume_connection(visit->connection);
    visit->http->again = true;
}

static void on_answered(struct hf_request *request)
{
    struct visit *visit = HF_ITEM(request, struct visit, request);
    struct hf_http *http = visit->http;

    go_on(visit);
    run(http);
}

static enum MHD_Result wait_for_answer(struct visit *visit,
                                       struct MHD_Connection *connection)
{
    visit->connection = connection;
    hf_list_append(&visit->http->asking, &visit->node);
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* Whose address it is comes first: what one may ask for costs more. */
static struct hf_refusal judge(struct hf_http *http, struct visit *visit,
                               struct shake *shake, struct hf_asked *asked)
{
    char peer[HF_ADDRESS_TEXT];
    struct hf_refusal refusal = {.status = 0};

    if (!shake->asked)
        refusal = hf_door_ask(http->door, shake->through, asked->handshake,
                              &shake->caller);
    shake->asked = true;
    if (refusal.status)
        return refusal;
    hf_address_write(&shake->caller.address, peer);
    asked->peer = hf_str_of(peer);
    asked->believed = shake->caller.believed;
    refusal = hf_request_judge(&visit->request, &http->rules, asked);
    if (refusal.status || visit->request.state == HF_REQUEST_ASKING ||
        sockets(http) < http->max_sockets)
        return refusal;
    no_room(http, "sockets_full", "as many are open as may be");
    return (struct hf_refusal){.status = 503,
                               .text = "no room for another socket now\n",
                               .retry_s = HF_RETRY_S};
}

/* Called when the headers are complete. Answering at once means that a body is
 * never waited for. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_len, void **came)
{
    struct hf_http *http = cls;
    struct visit *visit = *came;
    struct shake *shake = shake_of(connection);
    struct hf_handshake handshake = {.hosts = 0};
    struct hf_asked asked = {.handshake = &handshake,
                             .method = hf_str_of(method),
                             .version = hf_str_of(version)};
    struct hf_refusal refusal;

    (void)url; /* decoded and without its query: see on_uri */
    (void)body;
    (void)body_len;
    if (!visit || !shake)
        return MHD_NO;
    asked.through = shake->through;
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_header,
                                      &handshake);
    refusal = judge(http, visit, shake, &asked);
    if (refusal.status)
        return refuse(connection, refusal);
    if (visit->request.state == HF_REQUEST_ASKING)
        return wait_for_answer(visit, connection);
    return upgrade(http, connection, &handshake);
}

/* The library takes the URI apart in place, so keep it as it came. NULL when
 * out of memory, which on_request sees. */
static void *on_uri(void *cls, const char *uri,
                    struct MHD_Connection *connection)
{
    struct visit *visit = calloc(1, sizeof(*visit));

    (void)connection;
    if (!visit)
        return NULL;
    visit->http = cls;
    visit->request.answered = on_answered;
    if (hf_request_init(&visit->request, uri)) {
        free(visit);
        return NULL;
    }
    return visit;
}

static void on_completed(void *cls, struct MHD_Connection *connection,
                         void **came, enum MHD_RequestTerminationCode code)
{
    struct visit *visit = *came;

    (void)cls;
    (void)connection;
    (void)code;
    *came = NULL;
    if (!visit)
        return;
    hf_list_remove(&visit->node);
    hf_request_release(&visit->request);
    free(visit);
}

/* --- start and end -------------------------------------------------------- */

static int start_library(struct hf_http *http)
{
    const union MHD_DaemonInfo *info;
    /* Its own, of as many as select can watch, is too small. We count what is
     * upgraded ourselves, as it knows of it only if that stays with it. */
    unsigned limit = HF_HANDSHAKES + HF_ACCEPT_BATCH +
                     (unsigned)(http->keep ? http->max_all : 0);
    /* Ours comes first; this one is for what is not in our list any more. It is
     * one for all: connections with their own are a list that is searched. */
    unsigned timeout_s = (unsigned)(http->settings->handshake_ms / 1000) + 2;

    /* Without MHD_USE_ERROR_LOG: it would tell, five lines for each, that a Unix
     * socket has none of TCP's options. */
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, on_request, http, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HF_HANDSHAKE_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
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
    hf_count_now(HF_HAS_ROOM, http->max_sockets);
    return 0;
}

static int open_all(struct hf_http *http, const struct hf_http_options *options,
                    struct hf_why *why)
{
    int err = divide_descriptors(http, options, why);

    if (err)
        return err;
    err = start_library(http);
    if (err)
        return hf_explain(why, err, "libmicrohttpd does not start: %s",
                          strerror(errno));
    if (http->tls)
        http->early = malloc(HF_READ_BYTES);
    if (http->tls && !http->early)
        return hf_explain(why, HF_ENOMEM, "out of memory");
    err = hf_accept_open(&http->accept, options->listeners,
                         options->listener_count);
    return err ? hf_explain(why, err, "out of memory") : 0;
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
    http->conns = options->conns;
    http->echo = options->echo;
    http->keep = options->keep;
    http->lender.closed = on_kept_closed;
    http->door = options->door;
    http->tls = options->tls;
    hf_rules_init(&http->rules, options->settings, options->process);
    http->rules.echo = options->echo_path;
    http->accept = (struct hf_accept){.loop = options->loop,
                                      .has_room = has_room,
                                      .came = came,
                                      .came_all = came_all};
    http->due.fire = on_due;
    http->crowded.fire = on_crowded;
    hf_list_init(&http->pending);
    hf_list_init(&http->arriving);
    hf_list_init(&http->asking);
    hf_list_init(&http->leaving);
    err = open_all(http, options, why);
    if (err) {
        hf_http_close(http);
        return err;
    }
    hf_accept_update(&http->accept);
    *out = http;
    return 0;
}

void hf_http_leave(struct hf_http *http)
{
    hf_accept_last(&http->accept);
    hf_accept_close(&http->accept);
}

size_t hf_http_shaking(const struct hf_http *http)
{
    return http->shaking;
}

/* The library does not stop while somebody waits. */
static void end_asking(struct hf_http *http)
{
    struct hf_list *node;

    while ((node = hf_list_first(&http->asking)) != NULL) {
        struct visit *visit = HF_ITEM(node, struct visit, node);

        hf_request_give_up(&visit->request);
        go_on(visit);
    }
    (void)MHD_run(http->daemon);
}

void hf_http_close(struct hf_http *http)
{
    struct hf_list *node;

    if (!http)
        return;
    hf_accept_close(&http->accept);
    hf_count_many(HF_REFUSED_LEAVING, http->shaking);
    if (http->daemon) {
        end_asking(http);
        do {
            http->again = false;
            (void)MHD_run(http->daemon);
            close_leaving(http);
        } while (http->again);
        (void)MHD_run(http->daemon); /* what was closed is forgotten */
    }
    hf_loop_disarm(http->loop, &http->due);
    hf_loop_disarm(http->loop, &http->crowded);
    if (http->daemon) {
        hf_loop_unwatch(http->loop, &http->library);
        MHD_stop_daemon(http->daemon);
    }
    forget_lost(http);
    while ((node = hf_list_first(&http->pending)))
        shake_free(HF_ITEM(node, struct shake, node));
    free(http->early);
    free(http);
}
