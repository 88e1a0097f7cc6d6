#include "sidecar/relay.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/sys.h"
#include "sidecar/counters.h"
#include "sidecar/limits.h"

enum { TLS, HTTP, ENDING };

/* Bytes handed on at once, and how often in one turn. */
#define PIECE  4096u
#define PIECES 16u

static void end(struct hf_relay *relay)
{
    hf_relay_end(relay);
    relay->gone(relay);
}

/* Not to be looked for at all, as the end of the other side always is. */
static int watch_pair(struct hf_relay *relay, uint32_t events)
{
    if (relay->pair.fd < 0)
        return 0;
    if (events && relay->pair_watched)
        return hf_loop_rewatch(relay->loop, &relay->pair, events);
    if (events && hf_loop_watch(relay->loop, &relay->pair, events))
        return HF_EIO;
    if (!events)
        hf_loop_unwatch(relay->loop, &relay->pair);
    relay->pair_watched = events != 0;
    return 0;
}

/* Look for what can be handed on, and for nothing else, or the loop would turn
 * without end. */
static int rearm(struct hf_relay *relay)
{
    uint32_t client = EPOLLIN, library = EPOLLIN;

    if (relay->library_waits) {
        client = EPOLLOUT;
        library = 0;
    } else if (relay->client_waits) {
        client = 0;
        library |= EPOLLOUT;
    }
    if (hf_wire_await(&relay->wire, relay->loop, client))
        return HF_EIO;
    return watch_pair(relay, library);
}

/* --- ending --------------------------------------------------------------- */

static void close_pair(struct hf_relay *relay)
{
    if (relay->pair.fd < 0)
        return;
    (void)watch_pair(relay, 0);
    hf_close(&relay->pair.fd);
}

void hf_relay_end(struct hf_relay *relay)
{
    if (!hf_relay_lives(relay))
        return;
    close_pair(relay);
    hf_wire_close(&relay->wire, relay->loop);
}

/* What was written last is under way, or has to wait no longer. */
static void start_ending(struct hf_relay *relay)
{
    relay->state = ENDING;
    close_pair(relay);
    hf_wire_shutdown(&relay->wire);
    relay->client_waits = relay->library_waits = false;
    if (rearm(relay))
        end(relay);
}

/* The bytes below TLS: nobody wants to know what they say. */
static void drop_input(struct hf_relay *relay)
{
    ssize_t len;

    /* With MSG_TRUNC TCP forgets them without a copy. */
    len = recv(relay->wire.watch.fd, NULL, HF_READ_BYTES,
               MSG_TRUNC | MSG_DONTWAIT);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        end(relay);
}

/* --- handing on ----------------------------------------------------------- */

/* From the client to the library. What it does not take stays with OpenSSL. 0,
 * HF_EAGAIN: that is all for now; HF_ECLOSED. */
static int hand_in(struct hf_relay *relay)
{
    char piece[PIECE];
    ssize_t len = hf_tls_peek(&relay->wire, piece, sizeof(piece));
    ssize_t sent;

    if (len < 0)
        return (int)len;
    sent =
        send(relay->pair.fd, piece, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) {
        relay->client_waits = true;
        return HF_EAGAIN; /* the library has closed? reading will tell */
    }
    hf_tls_skip(&relay->wire, (size_t)sent);
    return 0;
}

/* The other way. 0, HF_EAGAIN, HF_ECLOSED: the client has gone; HF_ENOTFOUND:
 * the library has closed its end. */
static int hand_out(struct hf_relay *relay)
{
    char piece[PIECE];
    struct iovec part = {.iov_base = piece};
    ssize_t len =
        recv(relay->pair.fd, piece, sizeof(piece), MSG_PEEK | MSG_DONTWAIT);
    size_t taken;
    int err;

    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? HF_EAGAIN : HF_ENOTFOUND;
    if (len == 0)
        return HF_ENOTFOUND;
    part.iov_len = (size_t)len;
    err = hf_wire_write(&relay->wire, &part, 1, &taken);
    relay->library_waits = err == HF_EAGAIN;
    if (taken > 0) /* it is there */
        (void)recv(relay->pair.fd, piece, taken, MSG_DONTWAIT);
    return err;
}

static int hand_all(struct hf_relay *relay, int (*hand)(struct hf_relay *relay))
{
    unsigned left = PIECES;
    int err = 0;

    while (left > 0 && !err) {
        err = hand(relay);
        left--;
    }
    return err;
}

/* Both ways, as far as it goes. OpenSSL may have more for us than the loop tells
 * of, so input is tried whatever has happened. */
static void hand_on(struct hf_relay *relay)
{
    int err = 0;

    if (!relay->library_waits)
        err = hand_all(relay, hand_out);
    if (err == HF_ENOTFOUND) {
        start_ending(relay);
        return;
    }
    if (err != HF_ECLOSED && !relay->library_waits && !relay->client_waits) {
        err = hand_all(relay, hand_in);
        /* The next turn goes on, for OpenSSL may have the rest of a record. */
        relay->client_waits |= err == 0;
    }
    if (err == HF_ECLOSED || rearm(relay))
        end(relay);
}

static void on_pair(struct hf_watch *watch, uint32_t events)
{
    struct hf_relay *relay = HF_ITEM(watch, struct hf_relay, pair);

    if (events & ~(uint32_t)EPOLLIN)
        relay->client_waits = false;
    hand_on(relay);
}

/* --- shaking hands -------------------------------------------------------- */

/* It is small: a client that sends frames behind its request waits in its own
 * socket, and what is under way fits into the room of hf_relay_take. */
static int make_pair(struct hf_relay *relay, int *out_fd)
{
    int size = HF_RELAY_BUFFER;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   fds) < 0)
        return HF_EIO;
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    relay->pair = (struct hf_watch){.fd = fds[0], .ready = on_pair};
    if (watch_pair(relay, EPOLLIN)) {
        hf_close(&relay->pair.fd);
        hf_close(&fds[1]);
        return HF_EIO;
    }
    *out_fd = fds[1];
    return 0;
}

static void start_http(struct hf_relay *relay)
{
    int fd = -1;

    if (make_pair(relay, &fd)) {
        HF_LOG(HF_LOG_WARN, "handshake_lost",
               hf_field("why", strerror(errno)),
               hf_field("effect", "its client connects again"));
        end(relay);
        return;
    }
    hf_count(HF_COUNT_TLS);
    relay->state = HTTP;
    relay->secured(relay, fd);
    /* The request may have come with the end of the handshake. */
    if (relay->state == HTTP && relay->pair.fd >= 0)
        hand_on(relay);
}

/* Whoever typed http:// for https:// reads why nothing comes. */
static void answer_plain(struct hf_relay *relay)
{
#define WORDS "this port speaks TLS: use https:// or wss://\n"
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Connection: close\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 45\r\n"
                                 "Cache-Control: no-store\r\n"
                                 "X-Content-Type-Options: nosniff\r\n"
                                 "\r\n" WORDS;

    static_assert(sizeof(WORDS) - 1 == 45, "as Content-Length says");
    /* Nothing was sent before, so the socket takes it. */
    (void)send(relay->wire.watch.fd, answer, sizeof(answer) - 1,
               MSG_NOSIGNAL | MSG_DONTWAIT);
#undef WORDS
}

static void shake(struct hf_relay *relay)
{
    int err = hf_tls_handshake(&relay->wire);

    if (err == HF_EAGAIN)
        return;
    if (err == 0) {
        start_http(relay);
        return;
    }
    hf_count(HF_REFUSED_TLS);
    HF_LOG(HF_LOG_DEBUG, "tls_refused", hf_field("reason", hf_tls_reason()));
    if (err == HF_EMALFORMED)
        answer_plain(relay);
    if (err == HF_ECLOSED)
        end(relay);
    else
        start_ending(relay); /* OpenSSL has sent the client an alert */
}

static void on_client(struct hf_watch *watch, uint32_t events)
{
    struct hf_relay *relay = HF_ITEM(watch, struct hf_relay, wire.watch);
    size_t taken;

    if (relay->state == TLS) {
        shake(relay);
        return;
    }
    if (relay->state == ENDING) {
        drop_input(relay);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP)) {
        end(relay);
        return;
    }
    events = hf_wire_events(&relay->wire, events);
    /* With nothing to write: what is held. */
    if (relay->library_waits && (events & EPOLLOUT) &&
        hf_wire_write(&relay->wire, NULL, 0, &taken) != HF_EAGAIN)
        relay->library_waits = false; /* broken? reading will tell */
    hand_on(relay);
}

int hf_relay_open(struct hf_relay *relay, struct hf_loop *loop,
                  struct hf_tls *tls, int fd)
{
    struct hf_layer *layer = hf_tls_layer_new(tls, fd);
    int on = 1, err;

    relay->loop = loop;
    relay->pair.fd = -1;
    relay->wire = (struct hf_wire){.watch = {.fd = fd, .ready = on_client},
                                   .layer = layer};
    if (!layer) {
        hf_close(&relay->wire.watch.fd);
        return HF_ENOMEM;
    }
    /* The last words of a handshake are small, and somebody waits for them. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    err = hf_wire_open(&relay->wire, loop);
    if (err)
        hf_wire_close(&relay->wire, loop);
    return err;
}

/* --- a WebSocket ---------------------------------------------------------- */

/* All that is in `fd`; false: more than there is room for, or broken. */
static bool take_pair(int fd, char *room, size_t *len)
{
    while (*len < HF_READ_BYTES) {
        ssize_t got = recv(fd, room + *len, HF_READ_BYTES - *len, MSG_DONTWAIT);

        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        *len += (size_t)got;
    }
    return false;
}

/* What is left of the record that was peeked at. */
static bool take_rest(struct hf_relay *relay, char *room, size_t *len)
{
    ssize_t got;

    if (HF_READ_BYTES - *len < HF_TLS_RECORD)
        return false;
    got = hf_wire_read(&relay->wire, room + *len, HF_READ_BYTES - *len);
    if (got > 0)
        *len += (size_t)got;
    return got > 0 || got == HF_EAGAIN;
}

/* The 101, before any frame. It may be held, but in one piece. */
static bool send_rest(struct hf_relay *relay)
{
    char more;

    if (relay->library_waits || hand_all(relay, hand_out) != HF_EAGAIN)
        return false;
    return !relay->library_waits ||
           recv(relay->pair.fd, &more, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

int hf_relay_take(struct hf_relay *relay, int fd, struct hf_str extra,
                  char *room, size_t *out_len, struct hf_layer **out_layer)
{
    int socket = relay->wire.watch.fd;
    size_t len = extra.len;

    assert(relay->state == HTTP && len <= HF_READ_BYTES);
    memcpy(room, extra.at, len);
    if (!send_rest(relay) || !take_pair(fd, room, &len) ||
        !take_rest(relay, room, &len)) {
        hf_relay_end(relay);
        return -1;
    }
    close_pair(relay);
    hf_loop_unwatch(relay->loop, &relay->wire.watch);
    *out_layer = relay->wire.layer;
    *out_len = len;
    hf_tls_upgraded(*out_layer);
    relay->wire.watch.fd = -1;
    relay->wire.layer = NULL;
    return socket;
}
