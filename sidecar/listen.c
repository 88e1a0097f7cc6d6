#include "sidecar/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/passed.h"
#include "base/str.h"
#include "base/sys.h"
#include "sidecar/limits.h"

#define UNIX_PREFIX "unix:"
#define TLS_PREFIX  "tls:"

static int failed(struct hf_why *why, const char *what, const char *address)
{
    return hf_explain(why, errno == EADDRINUSE ? HF_EBUSY : HF_EIO,
                      "cannot %s %s: %s", what, address, strerror(errno));
}

/* --- Unix ----------------------------------------------------------------- */

static int open_unix(struct hf_listener *listener, const struct hf_dir *dir,
                     const char *name, struct hf_why *why)
{
    char path[PATH_MAX];
    int err;

    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') ||
        hf_dir_file(dir, name, path, sizeof(path)))
        return hf_explain(why, HF_EINVAL,
                          "\"" UNIX_PREFIX "%s\" does not name a socket in the "
                          "journal directory, as unix:sidecar.sock does",
                          name);
    err = hf_unix_listener_open(&listener->own, path, dir->file_mode,
                                HF_BACKLOG, "side-car", why);
    if (err)
        return err;
    listener->fd = listener->own.fd;
    listener->own.fd = -1;
    listener->is_unix = true;
    (void)snprintf(listener->address, sizeof(listener->address),
                   UNIX_PREFIX "%s", name);
    return 0;
}

/* --- TCP ------------------------------------------------------------------ */

union tcp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, in_port_t *out)
{
    char *end;
    unsigned long port;

    if (text[0] < '0' || text[0] > '9')
        return false;
    port = strtoul(text, &end, 10);
    if (*end || port > 65535)
        return false;
    *out = htons((in_port_t)port);
    return true;
}

static bool parse_tcp(const char *text, union tcp_address *out)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t len = colon ? (size_t)(colon - text) : 0;

    *out = (union tcp_address){.any = {.sa_family = AF_UNSPEC}};
    if (len == 0 || len >= sizeof(host))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        out->v6.sin6_family = AF_INET6;
        return parse_port(colon + 1, &out->v6.sin6_port) &&
               inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) == 1;
    }
    out->v4.sin_family = AF_INET;
    return parse_port(colon + 1, &out->v4.sin_port) &&
           inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

static bool is_loopback(const union tcp_address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static socklen_t size_of(const union tcp_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6)
                                              : sizeof(address->v4);
}

static int make_socket(const union tcp_address *address, bool shared_port)
{
    int fd = socket(address->any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    /* Connections of the last process, now in TIME_WAIT, are no hindrance. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (shared_port &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        hf_close(&fd);
    return fd;
}

static bool bind_to(int fd, const union tcp_address *address)
{
    return fd >= 0 && bind(fd, &address->any, size_of(address)) == 0;
}

/* Is the port ours alone? After our parent was killed its workers may hold it a
 * moment longer. A socket that shares its port could not tell: it would get
 * half of the clients of another side-car. 0 or HF_EIO. */
static int find_free(const union tcp_address *address)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    int tries = 40;

    for (;;) {
        int fd = make_socket(address, false);
        bool bound = bind_to(fd, address);

        hf_close(&fd);
        if (bound)
            return 0;
        if (errno != EADDRINUSE || --tries == 0)
            return HF_EIO;
        (void)nanosleep(&pause, NULL);
    }
}

/* The address with the port that the kernel chose for 0. */
static void name_tcp(struct hf_listener *listener,
                     const union tcp_address *address)
{
    bool v6 = address->any.sa_family == AF_INET6;
    char host[INET6_ADDRSTRLEN] = "?";

    (void)inet_ntop(address->any.sa_family,
                    v6 ? (const void *)&address->v6.sin6_addr
                       : (const void *)&address->v4.sin_addr,
                    host, sizeof(host));
    (void)snprintf(
        listener->address, sizeof(listener->address), v6 ? "[%s]:%u" : "%s:%u",
        host,
        (unsigned)ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port));
}

/* What a descriptor is bound to. */
static union tcp_address bound_to(int fd)
{
    union tcp_address address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof(address);

    (void)getsockname(fd, &address.any, &len); /* it is bound: works */
    return address;
}

/* All are bound before the first one listens: the kernel deals clients out from
 * then on, to those that listen. */
static int bind_all(struct hf_listener *listener, union tcp_address address,
                    unsigned workers)
{
    unsigned i;

    listener->fd = make_socket(&address, workers > 1);
    if (!bind_to(listener->fd, &address))
        return HF_EIO;
    address = bound_to(listener->fd); /* port 0 has become one */
    for (i = 1; i < workers; i++) {
        int fd = make_socket(&address, true);

        listener->others[listener->others_count++] = fd;
        if (!bind_to(fd, &address))
            return HF_EIO;
    }
    if (listen(listener->fd, HF_BACKLOG) < 0)
        return HF_EIO;
    for (i = 0; i < listener->others_count; i++)
        if (listen(listener->others[i], HF_BACKLOG) < 0)
            return HF_EIO;
    return 0;
}

static int open_tcp(struct hf_listener *listener, const char *text,
                    unsigned workers, struct hf_why *why)
{
    union tcp_address address;

    if (!parse_tcp(text, &address))
        return hf_explain(why, HF_EINVAL,
                          "\"%s\" is no address to listen on: use "
                          "unix:sidecar.sock, 127.0.0.1:4000 or [::1]:4000",
                          text);
    if (find_free(&address) || bind_all(listener, address, workers))
        return failed(why, "listen on", text);
    address = bound_to(listener->fd);
    listener->loopback = is_loopback(&address);
    name_tcp(listener, &address);
    return 0;
}

/* --- one address ---------------------------------------------------------- */

static void close_sockets(struct hf_listener *listener)
{
    while (listener->others_count > 0)
        hf_close(&listener->others[--listener->others_count]);
    hf_close(&listener->fd);
}

static struct hf_listener *next_free(struct hf_listeners *all,
                                     struct hf_why *why)
{
    struct hf_listener *listener = &all->at[all->count];

    if (all->count == HF_LISTENERS) {
        (void)hf_explain(why, HF_ELIMIT, "more than %u addresses to listen on",
                         HF_LISTENERS);
        return NULL;
    }
    *listener = (struct hf_listener){.fd = -1, .own = {.fd = -1, .lock = -1}};
    return listener;
}

int hf_listeners_add(struct hf_listeners *all, const struct hf_dir *dir,
                     const char *address, unsigned workers, struct hf_why *why)
{
    const size_t prefix = sizeof(UNIX_PREFIX) - 1;
    struct hf_listener *listener = next_free(all, why);
    int err;

    if (!listener)
        return HF_ELIMIT;
    if (strncmp(address, UNIX_PREFIX, prefix) == 0)
        err = open_unix(listener, dir, address + prefix, why);
    else
        err = open_tcp(listener, address, workers, why);
    if (err)
        close_sockets(listener);
    else
        all->count++;
    return err;
}

static void speak_tls(struct hf_listener *listener)
{
    const size_t room = sizeof(listener->address) - sizeof(TLS_PREFIX);

    listener->tls = true;
    memmove(listener->address + sizeof(TLS_PREFIX) - 1, listener->address,
            strnlen(listener->address, room) + 1);
    memcpy(listener->address, TLS_PREFIX, sizeof(TLS_PREFIX) - 1);
}

int hf_listeners_add_tls(struct hf_listeners *all, const struct hf_dir *dir,
                         const char *address, unsigned workers,
                         struct hf_why *why)
{
    int err;

    if (strncmp(address, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0)
        return hf_explain(why, HF_EINVAL,
                          "\"%s\": a Unix socket does not speak TLS", address);
    err = hf_listeners_add(all, dir, address, workers, why);
    if (!err)
        speak_tls(&all->at[all->count - 1]);
    return err;
}

bool hf_listeners_need_tls(const struct hf_listeners *all)
{
    size_t i;

    for (i = 0; i < all->count; i++)
        if (all->at[i].tls)
            return true;
    return false;
}

/* --- sockets that were passed --------------------------------------------- */

static void name_unix(struct hf_listener *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address);

    (void)getsockname(listener->fd, (struct sockaddr *)&address, &len);
    (void)snprintf(listener->address, sizeof(listener->address),
                   UNIX_PREFIX "%.*s", (int)sizeof(address.sun_path),
                   address.sun_path);
}

static int take_passed(struct hf_listener *listener, long n, struct hf_why *why)
{
    union tcp_address address;
    int fd = hf_passed_take(n);

    if (fd < 0)
        return hf_explain(why, HF_EINVAL,
                          "descriptor %d, passed by who started us, is no "
                          "listening stream socket",
                          HF_PASSED_FIRST + (int)n);
    listener->fd = fd;
    listener->passed = true;
    listener->is_unix = hf_is_unix_socket(fd);
    if (listener->is_unix) {
        name_unix(listener);
        return 0;
    }
    address = bound_to(fd);
    if (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6)
        return hf_explain(why, HF_EINVAL,
                          "descriptor %d, passed by who started us, is "
                          "neither a TCP nor a Unix socket",
                          fd);
    listener->loopback = is_loopback(&address);
    name_tcp(listener, &address);
    return 0;
}

int hf_listeners_add_passed(struct hf_listeners *all, struct hf_why *why)
{
    struct hf_passed passed;
    long i;
    int err = 0;

    hf_passed_open(&passed);
    for (i = 0; i < passed.count && !err; i++) {
        struct hf_listener *listener = next_free(all, why);

        err = listener ? take_passed(listener, i, why) : HF_ELIMIT;
        if (!err && !listener->is_unix && hf_passed_is_named(&passed, i, "tls"))
            speak_tls(listener);
        if (!err)
            all->count++;
    }
    hf_passed_release(&passed);
    return err;
}

/* --- all ------------------------------------------------------------------ */

void hf_listeners_take(struct hf_listeners *all, unsigned worker)
{
    size_t i;

    for (i = 0; i < all->count; i++) {
        struct hf_listener *listener = &all->at[i];
        int mine = -1;

        hf_close(&listener->own.lock);
        if (listener->others_count == 0)
            continue;
        if (worker > 0) {
            mine = listener->others[worker - 1];
            listener->others[worker - 1] = -1;
        } else {
            mine = listener->fd;
            listener->fd = -1;
        }
        close_sockets(listener);
        listener->fd = mine;
    }
}

void hf_listeners_close(struct hf_listeners *all)
{
    size_t i;

    for (i = 0; i < all->count; i++) {
        hf_unix_listener_close(&all->at[i].own);
        close_sockets(&all->at[i]);
    }
}

void hf_listeners_name(const struct hf_listeners *all, char *out, size_t cap)
{
    size_t len = 0, i;

    out[0] = '\0';
    for (i = 0; i < all->count && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? "," : "",
                                all->at[i].address);
}
