#include "sidecar/wire.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

/* --- the loop's interest -------------------------------------------------- */

static uint32_t want(const struct hf_layer *layer, uint32_t events)
{
    return layer && layer->ops->want ? layer->ops->want(layer, events) : events;
}

int hf_wire_rearm(struct hf_wire *wire)
{
    struct hf_layer *layer = wire->layer;
    uint32_t events = want(layer, layer->asked);

    if (events == layer->armed || !layer->loop)
        return 0;
    layer->armed = events;
    return hf_loop_rewatch(layer->loop, &wire->watch, events);
}

int hf_wire_open(struct hf_wire *wire, struct hf_loop *loop)
{
    uint32_t events = want(wire->layer, EPOLLIN);

    if (wire->layer) {
        wire->layer->loop = loop;
        wire->layer->asked = EPOLLIN;
        wire->layer->armed = events;
    }
    return hf_loop_watch(loop, &wire->watch, events);
}

int hf_wire_await(struct hf_wire *wire, struct hf_loop *loop, uint32_t events)
{
    if (!wire->layer)
        return hf_loop_rewatch(loop, &wire->watch, events);
    wire->layer->asked = events;
    return hf_wire_rearm(wire);
}

void hf_wire_close(struct hf_wire *wire, struct hf_loop *loop)
{
    /* First: libmicrohttpd may still have a descriptor of the same socket, and
     * then closing ours would leave the loop with an entry for freed memory. */
    hf_loop_unwatch(loop, &wire->watch);
    if (!wire->layer || !wire->layer->ops->close) {
        hf_close(&wire->watch.fd);
        return;
    }
    wire->layer->ops->close(wire->layer, wire->watch.fd);
    wire->layer = NULL;
    wire->watch.fd = -1;
}

/* --- bytes ---------------------------------------------------------------- */

static ssize_t read_plain(int fd, char *room, size_t size)
{
    ssize_t len = recv(fd, room, size, MSG_DONTWAIT);

    if (len > 0)
        return len;
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? HF_EAGAIN
                                                          : HF_ECLOSED;
}

ssize_t hf_wire_read(struct hf_wire *wire, char *room, size_t size)
{
    struct hf_layer *layer = wire->layer;
    ssize_t len;

    if (!layer || !layer->ops->read)
        return read_plain(wire->watch.fd, room, size);
    len = layer->ops->read(layer, wire->watch.fd, room, size);
    return hf_wire_rearm(wire) ? HF_ECLOSED : len;
}

static int write_plain(int fd, const struct iovec *parts, size_t count,
                       size_t *out_taken)
{
    /* msghdr wants it writable, and does not write. */
    union {
        const struct iovec *from;
        struct iovec *to;
    } cast = {.from = parts};
    struct msghdr message = {.msg_iov = cast.to, .msg_iovlen = count};
    ssize_t len;

    if (count == 0)
        return 0;
    /* A broadcast is one frame for each socket, and send is the cheaper call. The
     * bare one: a library's send may be cancelled, which takes two atomic
     * operations where there are threads, and nobody cancels ours. */
    if (count == 1)
        len = syscall(SYS_sendto, fd, parts[0].iov_base, parts[0].iov_len,
                      MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
    else
        len = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS
                   ? HF_EAGAIN
                   : HF_ECLOSED;
    *out_taken = (size_t)len;
    return 0;
}

int hf_wire_write(struct hf_wire *wire, const struct iovec *parts, size_t count,
                  size_t *out_taken)
{
    struct hf_layer *layer = wire->layer;
    int err;

    *out_taken = 0;
    if (!layer || !layer->ops->write)
        return write_plain(wire->watch.fd, parts, count, out_taken);
    err = layer->ops->write(layer, wire->watch.fd, parts, count, out_taken);
    return hf_wire_rearm(wire) ? HF_ECLOSED : err;
}

void hf_wire_shutdown(struct hf_wire *wire)
{
    struct hf_layer *layer = wire->layer;

    if (layer && layer->ops->shutdown)
        layer->ops->shutdown(layer, wire->watch.fd);
    /* It was broken already? Reading will tell. */
    (void)shutdown(wire->watch.fd, SHUT_WR);
}
