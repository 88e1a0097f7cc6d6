#include "sidecar/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "sidecar/counters.h"
#include "sidecar/http_impl.h"

/* --- connections under way ------------------------------------------------ */

/* Behind TLS the library has an end of a pair (relay.h). */
static size_t fds_of(const struct hf_shake *shake)
{
    return shake->through->tls ? 3 : 1;
}

static struct hf_shake *shake_new(struct hf_http *http,
                                  const struct hf_guest *guest,
                                  const struct hf_caller *caller)
{
    struct hf_shake *shake = calloc(1, sizeof(*shake));

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

void hf_http_shaken(const struct hf_shake *shake)
{
    shake->http->shaking--;
    shake->http->shaking_fds -= fds_of(shake);
}

static void shake_free(struct hf_shake *shake)
{
    hf_list_remove(&shake->node);
    hf_list_remove(&shake->arriving);
    hf_list_remove(&shake->leaving);
    hf_relay_end(&shake->relay);
    hf_visitor_left(shake->caller.visitor, false);
    if (!shake->done)
        hf_http_shaken(shake);
    free(shake);
}

struct hf_shake *hf_http_shake_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection,
                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/* The one just handed over with this descriptor. */
static struct hf_shake *arrived(struct hf_http *http, int fd)
{
    struct hf_list *node, *next;

    HF_LIST_EACH(node, next, &http->arriving)
    {
        struct hf_shake *shake = HF_ITEM(node, struct hf_shake, arriving);

        if (shake->fd == fd) {
            hf_list_remove(node);
            return shake;
        }
    }
    return NULL;
}

/* The library has let go. What TLS still has to say goes on. */
static void let_go(struct hf_shake *shake)
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
        let_go(HF_ITEM(node, struct hf_shake, arriving));
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

size_t hf_http_sockets(const struct hf_http *http)
{
    return http->conns->count + (http->echo ? http->echo->count : 0);
}

static bool has_room(struct hf_accept *accept)
{
    const struct hf_http *http = HF_ITEM(accept, struct hf_http, accept);

    return http->shaking < HF_HANDSHAKES &&
           hf_http_sockets(http) + http->shaking_fds < http->max_all;
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
        struct hf_shake *shake = HF_ITEM(node, struct hf_shake, leaving);

        hf_list_remove(node);
        (void)MHD_upgrade_action(shake->handle, MHD_UPGRADE_ACTION_CLOSE);
        http->again = true;
    }
}

void hf_http_run(struct hf_http *http)
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
    hf_http_run(HF_ITEM(watch, struct hf_http, library));
}

static void on_due(struct hf_timer *timer)
{
    hf_http_run(HF_ITEM(timer, struct hf_http, due));
}

/* --- who comes ------------------------------------------------------------ */

void hf_http_no_room(const struct hf_http *http, const char *event,
                     const char *why)
{
    hf_count(HF_REFUSED_FULL);
    HF_LOG(HF_LOG_WARN, event,
           hf_field_i("sockets", (long long)hf_http_sockets(http)),
           hf_field_i("handshakes", (long long)http->shaking),
           hf_field("why", why),
           hf_field("effect", "a client is turned away, and tries again"),
           hf_field("hint", "see max_sockets and workers of holdfast.conf, and "
                            "the limit of open files"));
}

static void give(struct hf_shake *shake, int fd, const struct hf_guest *guest)
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
    struct hf_shake *shake = HF_ITEM(relay, struct hf_shake, relay);
    struct hf_http *http = shake->http;

    /* The library asks for an address, for limits of its own that we do not
     * set. */
    give(shake, fd,
         &(struct hf_guest){.address = {.ss_family = AF_UNIX},
                            .address_len = sizeof(sa_family_t)});
    hf_http_run(http);
}

static void relay_gone(struct hf_relay *relay)
{
    struct hf_shake *shake = HF_ITEM(relay, struct hf_shake, relay);
    struct hf_http *http = shake->http;

    if (shake->fd >= 0)
        return; /* the library sees the end of the stream, and lets go */
    shake_free(shake);
    hf_accept_update(&http->accept);
}

static void start_tls(struct hf_shake *shake, const struct hf_guest *guest)
{
    struct hf_http *http = shake->http;

    shake->relay.secured = secured;
    shake->relay.gone = relay_gone;
    if (hf_relay_open(&shake->relay, http->loop, http->tls, guest->fd) == 0)
        return;
    hf_http_no_room(http, "handshake_lost", strerror(errno));
    shake_free(shake);
}

static void came(struct hf_accept *accept, const struct hf_guest *guest)
{
    struct hf_http *http = HF_ITEM(accept, struct hf_http, accept);
    struct hf_caller caller;
    struct hf_shake *shake;

    hf_count(HF_COUNT_ACCEPTED);
    if (!hf_door_open(http->door, guest, &caller))
        return;
    shake = shake_new(http, guest, &caller);
    if (!shake) {
        int fd = guest->fd;

        hf_visitor_left(caller.visitor, false);
        hf_http_no_room(http, "handshake_lost", hf_strerror(HF_ENOMEM));
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
    hf_http_run(HF_ITEM(accept, struct hf_http, accept));
}

/* --- deadlines ------------------------------------------------------------ */

/* Once the library sees the end of the stream it cleans up. */
static void cut(struct hf_shake *shake)
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
        struct hf_shake *shake = HF_ITEM(node, struct hf_shake, node);

        if (shake->since_ms > cut_ms)
            break;
        if (!shake->asked)
            cut(shake);
    }
    hf_http_run(http);
}

/* The library's own timeout begins anew with every byte, so it is no deadline. */
void hf_http_tick(struct hf_http *http)
{
    int64_t now_ms = hf_boot_ms();
    int64_t cut_ms = now_ms - http->settings->handshake_ms;
    struct hf_list *node;

    while ((node = hf_list_first(&http->pending))) {
        struct hf_shake *shake = HF_ITEM(node, struct hf_shake, node);

        if (shake->since_ms > cut_ms)
            break;
        cut(shake);
    }
    hf_accept_tick(&http->accept);
    hf_http_run(http);
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
        0, NULL, NULL, hf_http_on_request, http, MHD_OPTION_URI_LOG_CALLBACK,
        hf_http_on_uri, http, MHD_OPTION_NOTIFY_COMPLETED, hf_http_on_completed,
        http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
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
    http->lender.closed = hf_http_on_kept_closed;
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
        struct hf_visit *visit = HF_ITEM(node, struct hf_visit, node);

        hf_request_give_up(&visit->request);
        hf_http_go_on(visit);
    }
    (void)MHD_run(http->daemon);
}

void hf_http_close(struct hf_http *http)
{
    struct hf_list *node;

    if (!http)
        return;
    http->closing = true;
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
        shake_free(HF_ITEM(node, struct hf_shake, node));
    hf_count_now(HF_HAS_HANDSHAKES, 0);
    free(http->early);
    free(http);
}
