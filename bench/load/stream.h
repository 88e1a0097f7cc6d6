/*
 * stream.h - the bytes of one client: a socket, or TLS on it
 */
#ifndef HF_BENCH_STREAM_H
#define HF_BENCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct hf_stream {
    int fd;    /* -1: there is none */
    void *ssl; /* SSL, or NULL for plain bytes */
};

/* What a stream needs of all: where to connect, and as whom. */
struct hf_stream_to {
    struct sockaddr_storage to;
    socklen_t to_len;
    uint32_t from; /* first source address, 127.x.y.z; 0: the kernel's choice */
    unsigned froms; /* so many addresses from there on, in turn */
    void *tls;      /* SSL_CTX, or NULL */
};

/*
 * "unix:PATH" or "A.B.C.D:PORT"; with `tls`, which accepts any certificate.
 * False, with a line on stderr.
 */
bool hf_stream_target(struct hf_stream_to *target, const char *address,
                      bool tls);

/* Begin to connect, as the nth client. False: errno; EAGAIN: try later. */
bool hf_stream_open(struct hf_stream *stream, const struct hf_stream_to *target,
                    unsigned nth);

/* Bytes read or written; 0: not now; -1: the stream has ended or is broken. */
ssize_t hf_stream_read(struct hf_stream *stream, void *to, size_t len);
ssize_t hf_stream_write(struct hf_stream *stream, const void *from, size_t len);

/* After a write that took nothing, or not all: is it for the socket to become
 * writable? Else TLS first wants to read; read, then write again. */
bool hf_stream_blocked(const struct hf_stream *stream);

/* Are there bytes in memory that epoll does not know of? */
bool hf_stream_pending(const struct hf_stream *stream);

/* `reset`: with RST in the place of FIN. Any stream may be closed, twice too. */
void hf_stream_close(struct hf_stream *stream, bool reset);

#endif
