/*
 * wire.h - the bytes of one connection, plain or through TLS
 *
 * A socket, the loop's interest in it, and what lies between it and us: as a
 * rule nothing. A layer changes the bytes on their way (TLS, tls.h) or only
 * who closes the socket (upgrade.h). Codec and queue do not know which.
 *
 * A layer may take bytes that it cannot send yet, as the kernel does. Then
 * hf_wire_write says HF_EAGAIN although it took all, and wants to be called
 * again, be it with nothing, when the socket takes more.
 */
#ifndef HF_SIDECAR_WIRE_H
#define HF_SIDECAR_WIRE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/loop.h"

struct hf_layer;

/* What a layer does; NULL: as a plain socket. */
struct hf_layer_ops {
    /* As hf_wire_read and hf_wire_write. */
    ssize_t (*read)(struct hf_layer *layer, int fd, char *room, size_t size);
    int (*write)(struct hf_layer *layer, int fd, const struct iovec *parts,
                 size_t count, size_t *out_taken);
    /* Which events of the socket it needs for these of ours. */
    uint32_t (*want)(const struct hf_layer *layer, uint32_t events);
    /* What events of the socket mean for who reads and writes here. */
    uint32_t (*means)(const struct hf_layer *layer, uint32_t events);
    void (*shutdown)(struct hf_layer *layer, int fd);
    /* Closes the socket and frees the layer. */
    void (*close)(struct hf_layer *layer, int fd);
};

/* The head of every layer. */
struct hf_layer {
    const struct hf_layer_ops *ops;
    struct hf_loop *loop; /* private, as are those below */
    uint32_t asked;       /* events that hf_wire_await named */
    uint32_t armed;       /* those that the loop looks for */
};

struct hf_wire {
    struct hf_watch watch;  /* the socket, and who is told */
    struct hf_layer *layer; /* NULL: nothing */
};

/* Have the loop watch for input; watch and layer are set. 0 or HF_EIO. */
int hf_wire_open(struct hf_wire *wire, struct hf_loop *loop);
/* Closes the socket, layer and all; accepts one that is not open yet. */
void hf_wire_close(struct hf_wire *wire, struct hf_loop *loop);

/* Be told when there is input (EPOLLIN), when it takes more (EPOLLOUT), or both;
 * of its end at any rate. 0 or HF_EIO. */
int hf_wire_await(struct hf_wire *wire, struct hf_loop *loop, uint32_t events);

/* For layers: what it wants may have changed. 0 or HF_EIO. */
int hf_wire_rearm(struct hf_wire *wire);

/* In watch.ready: what its events mean, EPOLLIN: read, EPOLLOUT: write. */
static inline uint32_t hf_wire_events(const struct hf_wire *wire,
                                      uint32_t events)
{
    if (!wire->layer || !wire->layer->ops->means)
        return events;
    return wire->layer->ops->means(wire->layer, events);
}

/* Up to `size` bytes, which is at least HF_READ_BYTES: with that much room no
 * layer keeps back what the loop would not tell of. > 0: so many; HF_EAGAIN:
 * none for now; HF_ECLOSED: the end, or broken. */
ssize_t hf_wire_read(struct hf_wire *wire, char *room, size_t size);

/* Write in one call what is taken. 0: *out_taken bytes, perhaps not all;
 * HF_EAGAIN: the same, and see above; HF_ECLOSED: broken, *out_taken is 0. */
int hf_wire_write(struct hf_wire *wire, const struct iovec *parts, size_t count,
                  size_t *out_taken);

/* Nothing more will be written; all that was taken has been sent. */
void hf_wire_shutdown(struct hf_wire *wire);

#endif
