#include "sidecar/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"

int hf_upgrade_detach(MHD_socket socket,
                      struct MHD_UpgradeResponseHandle *handle)
{
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);

    /* Only marks the connection: nothing of it is freed before the next run,
     * so this is safe within its own callback. */
    (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    return fd;
}

/* --- a socket that stays the library's --------------------------------- */

struct kept {
    struct hf_layer head;
    struct MHD_UpgradeResponseHandle *handle;
    struct hf_lender *lender;
};

static void close_kept(struct hf_layer *head, int fd)
{
    struct kept *kept = HF_ITEM(head, struct kept, head);

    (void)fd; /* the library closes it in its next run */
    (void)MHD_upgrade_action(kept->handle, MHD_UPGRADE_ACTION_CLOSE);
    kept->lender->closed(kept->lender);
    free(kept);
}

struct hf_layer *hf_upgrade_keep(struct MHD_UpgradeResponseHandle *handle,
                                 struct hf_lender *lender)
{
    static const struct hf_layer_ops ops = {.close = close_kept};
    struct kept *kept = calloc(1, sizeof(*kept));

    if (!kept) {
        (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        lender->closed(lender);
        return NULL;
    }
    kept->head.ops = &ops;
    kept->handle = handle;
    kept->lender = lender;
    return &kept->head;
}

/* --- self-test ----------------------------------------------------------- */

#define EXTRA "more"
#define REQUEST                                                                \
    "GET / HTTP/1.1\r\nHost: self.test\r\nConnection: Upgrade\r\n"             \
    "Upgrade: test\r\n\r\n" EXTRA
#define RUNS 8 /* the library needs two or three to answer and let go */

struct trial {
    struct MHD_Daemon *daemon;
    int client;       /* our end of the pair */
    int detached;     /* -1 until the upgrade */
    MHD_socket given; /* the number the library had */
    bool extra_seen;
};

static void on_upgrade(void *cls, struct MHD_Connection *connection,
                       void *request, const char *extra, size_t extra_len,
                       MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct trial *trial = cls;

    (void)connection;
    (void)request;
    trial->given = socket;
    trial->extra_seen =
        extra_len == sizeof(EXTRA) - 1 && memcmp(extra, EXTRA, extra_len) == 0;
    trial->detached = hf_upgrade_detach(socket, handle);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_len, void **request)
{
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)url;
    (void)method;
    (void)version;
    (void)body;
    (void)body_len;
    (void)request;
    response = MHD_create_response_for_upgrade(on_upgrade, cls);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Upgrade", "test");
    result =
        MHD_queue_response(connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
    MHD_destroy_response(response);
    return result;
}

static int broken(struct hf_why *why, const char *what)
{
    return hf_explain(why, HF_EINVAL, "libmicrohttpd %s: %s", MHD_get_version(),
                      what);
}

static int lacking(struct hf_why *why, const char *what)
{
    return hf_explain(
        why, HF_ENOTFOUND,
        "libmicrohttpd %s cannot be used: it was built without %s. Please "
        "install another and start again (long-poll, through holdfast-gateway, "
        "needs no libmicrohttpd)",
        MHD_get_version(), what);
}

/* A byte from one end arrives at the other. */
static bool passes(int from, int to)
{
    char got = 0;

    return send(from, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 &&
           recv(to, &got, 1, MSG_DONTWAIT) == 1 && got == 'x';
}

static bool both_ways(const struct trial *trial)
{
    return passes(trial->client, trial->detached) &&
           passes(trial->detached, trial->client);
}

/* The answer has come and is a 101; it is taken, so that the pair is empty. */
static bool switched(const struct trial *trial)
{
    char answer[1024];
    ssize_t len = recv(trial->client, answer, sizeof(answer), MSG_DONTWAIT);

    return len > 12 && memcmp(answer, "HTTP/1.1 101", 12) == 0;
}

static bool still_open(MHD_socket fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int judge(struct trial *trial, struct hf_why *why)
{
    int i;

    for (i = 0; i < RUNS; i++)
        (void)MHD_run(trial->daemon); /* the checks below tell how it went */
    if (trial->detached < 0)
        return broken(why, "it did not upgrade a connection");
    if (!switched(trial))
        return broken(why, "it sent no 101");
    if (!trial->extra_seen)
        return broken(why, "it lost what came with the request");
    if (still_open(trial->given))
        return broken(why, "it keeps a connection that it was told to close");
    if (!both_ways(trial))
        return broken(why, "a connection taken from it is dead");
    MHD_stop_daemon(trial->daemon);
    trial->daemon = NULL;
    if (!both_ways(trial))
        return broken(why, "a connection taken from it ends with it");
    return 0;
}

/* A daemon without a listening socket, and a request for it to read. */
static int set_up(struct trial *trial, struct hf_why *why)
{
    struct sockaddr peer = {.sa_family = AF_UNIX};
    int pair[2];

    trial->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_USE_NO_LISTEN_SOCKET, 0, NULL,
        NULL, on_request, trial, MHD_OPTION_END);
    if (!trial->daemon)
        return broken(why, "its daemon does not start");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   pair) < 0)
        return hf_explain(why, HF_EIO, "cannot make a pair of sockets: %s",
                          strerror(errno));
    trial->client = pair[0];
    /* From here on pair[1] is the library's, whether it takes it or not. */
    if (send(pair[0], REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL) !=
        (ssize_t)sizeof(REQUEST) - 1) {
        hf_close(&pair[1]);
        return hf_explain(why, HF_EIO, "cannot write to a socket: %s",
                          strerror(errno));
    }
    if (MHD_add_connection(trial->daemon, pair[1], &peer, sizeof(peer)) !=
        MHD_YES)
        return broken(why, "it takes no connection");
    return 0;
}

int hf_upgrade_selftest(struct hf_why *why)
{
    struct trial trial = {.client = -1, .detached = -1};
    int err;

    if (MHD_is_feature_supported(MHD_FEATURE_UPGRADE) != MHD_YES)
        return lacking(why, "HTTP upgrade");
    if (MHD_is_feature_supported(MHD_FEATURE_EPOLL) != MHD_YES)
        return lacking(why, "epoll");
    err = set_up(&trial, why);
    if (!err)
        err = judge(&trial, why);
    if (trial.daemon)
        MHD_stop_daemon(trial.daemon);
    hf_close(&trial.detached);
    hf_close(&trial.client);
    return err;
}
