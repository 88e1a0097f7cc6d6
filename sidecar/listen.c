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

#include "base/str.h"
#include "base/sys.h"
#include "sidecar/limits.h"

#define UNIX_PREFIX "unix:"

static int failed(struct hf_why *why, const char *what, const char *address)
{
    return hf_explain(why, errno == EADDRINUSE ? HF_EBUSY : HF_EIO,
                      "cannot %s %s: %s", what, address, strerror(errno));
}

static int open_socket(struct hf_listener *listener, int family)
{
    listener->fd =
        socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return listener->fd < 0 ? HF_EIO : 0;
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

/* After our parent was killed its worker may hold the port a moment longer. */
static int bind_patiently(int fd, const union tcp_address *address)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    int tries = 40;

    while (bind(fd, &address->any, size_of(address)) < 0 ||
           listen(fd, HF_BACKLOG) < 0) {
        if (errno != EADDRINUSE || --tries == 0)
            return HF_EIO;
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

/* The address with the port that the kernel chose for 0. */
static void name_tcp(struct hf_listener *listener)
{
    union tcp_address address = {.any = {.sa_family = AF_UNSPEC}};
    char host[INET6_ADDRSTRLEN] = "?";
    socklen_t len = sizeof(address);
    bool v6;

    (void)getsockname(listener->fd, &address.any, &len);
    v6 = address.any.sa_family == AF_INET6;
    (void)inet_ntop(address.any.sa_family,
                    v6 ? (void *)&address.v6.sin6_addr
                       : (void *)&address.v4.sin_addr,
                    host, sizeof(host));
    (void)snprintf(
        listener->address, sizeof(listener->address), v6 ? "[%s]:%u" : "%s:%u",
        host, (unsigned)ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port));
}

static int open_tcp(struct hf_listener *listener, const char *text,
                    struct hf_why *why)
{
    union tcp_address address;
    int on = 1;

    if (!parse_tcp(text, &address))
        return hf_explain(why, HF_EINVAL,
                          "\"%s\" is no address to listen on: use "
                          "unix:sidecar.sock, 127.0.0.1:4000 or [::1]:4000",
                          text);
    if (open_socket(listener, address.any.sa_family))
        return failed(why, "make a socket for", text);
    /* Connections of the last process, now in TIME_WAIT, are no hindrance. */
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind_patiently(listener->fd, &address))
        return failed(why, "listen on", text);
    listener->loopback = is_loopback(&address);
    name_tcp(listener);
    return 0;
}

/* -------------------------------------------------------------------------- */

int hf_listener_open(struct hf_listener *listener, const struct hf_dir *dir,
                     const char *address, struct hf_why *why)
{
    const size_t prefix = sizeof(UNIX_PREFIX) - 1;
    int err;

    *listener = (struct hf_listener){.fd = -1, .own = {.fd = -1, .lock = -1}};
    if (strncmp(address, UNIX_PREFIX, prefix) == 0)
        err = open_unix(listener, dir, address + prefix, why);
    else
        err = open_tcp(listener, address, why);
    if (err)
        hf_close(&listener->fd);
    return err;
}

void hf_listener_disown(struct hf_listener *listener)
{
    hf_close(&listener->own.lock);
}

void hf_listener_close(struct hf_listener *listener)
{
    hf_unix_listener_close(&listener->own);
    hf_close(&listener->fd);
}
