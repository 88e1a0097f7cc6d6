#include "bench/load/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SOURCE 0x7f010001u /* 127.1.0.1 */

static SSL_CTX *tls_context(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (!tls)
        return NULL;
    (void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    return tls;
}

static bool unix_target(struct hf_stream_to *target, const char *path)
{
    struct sockaddr_un *to = (struct sockaddr_un *)&target->to;

    if (strlen(path) >= sizeof(to->sun_path))
        return false;
    to->sun_family = AF_UNIX;
    (void)strcpy(to->sun_path, path);
    target->to_len = sizeof(*to);
    return true;
}

static bool tcp_target(struct hf_stream_to *target, const char *address)
{
    struct sockaddr_in *to = (struct sockaddr_in *)&target->to;
    const char *colon = strrchr(address, ':');
    char host[INET_ADDRSTRLEN];
    long port;

    if (!colon || (size_t)(colon - address) >= sizeof(host))
        return false;
    (void)memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    port = strtol(colon + 1, NULL, 10);
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)port);
    target->to_len = sizeof(*to);
    return port > 0 && port < 65536 &&
           inet_pton(AF_INET, host, &to->sin_addr) == 1;
}

bool hf_stream_target(struct hf_stream_to *target, const char *address,
                      bool tls)
{
    bool good = strncmp(address, "unix:", 5) == 0
                    ? unix_target(target, address + 5)
                    : tcp_target(target, address);

    if (!good) {
        (void)fprintf(stderr, "%s: neither unix:PATH nor A.B.C.D:PORT\n",
                      address);
        return false;
    }
    if (tls)
        target->tls = tls_context();
    return !tls || target->tls;
}

/* --- one of them ----------------------------------------------------------- */

/* From an address of its own, whose ports are chosen when the other end is
 * known: so each of them has all ports once more. */
static bool come_from(int fd, const struct hf_stream_to *target, unsigned nth)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;

    from.sin_addr.s_addr = htonl(FIRST_SOURCE + nth % target->froms);
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
                      sizeof(on)) == 0 &&
           bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

static bool connect_plain(struct hf_stream *stream,
                          const struct hf_stream_to *target, unsigned nth)
{
    int on = 1;
    int family = target->to.ss_family;

    stream->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0)
        return false;
    if (family == AF_INET) {
        (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (target->froms != 0 && !come_from(stream->fd, target, nth))
            return false;
    }
    return connect(stream->fd, (const struct sockaddr *)&target->to,
                   target->to_len) == 0 ||
           errno == EINPROGRESS;
}

static bool begin_tls(struct hf_stream *stream, SSL_CTX *tls)
{
    SSL *ssl = SSL_new(tls);

    stream->ssl = ssl;
    if (!ssl || SSL_set_fd(ssl, stream->fd) != 1) {
        errno = ENOMEM;
        return false;
    }
    SSL_set_connect_state(ssl);
    return true;
}

bool hf_stream_open(struct hf_stream *stream, const struct hf_stream_to *target,
                    unsigned nth)
{
    int saved;

    *stream = (struct hf_stream){.fd = -1};
    if (connect_plain(stream, target, nth) &&
        (!target->tls || begin_tls(stream, target->tls)))
        return true;
    saved = errno;
    hf_stream_close(stream, false);
    errno = saved;
    return false;
}

static ssize_t tls_result(struct hf_stream *stream, int result)
{
    int why;

    if (result > 0)
        return result;
    why = SSL_get_error(stream->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t plain_result(ssize_t result)
{
    if (result > 0)
        return result;
    return result < 0 &&
                   (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)
               ? 0
               : -1;
}

ssize_t hf_stream_read(struct hf_stream *stream, void *to, size_t len)
{
    if (!stream->ssl)
        return plain_result(recv(stream->fd, to, len, 0));
    ERR_clear_error();
    return tls_result(stream, SSL_read(stream->ssl, to, (int)len));
}

ssize_t hf_stream_write(struct hf_stream *stream, const void *from, size_t len)
{
    if (!stream->ssl)
        return plain_result(send(stream->fd, from, len, MSG_NOSIGNAL));
    ERR_clear_error();
    return tls_result(stream, SSL_write(stream->ssl, from, (int)len));
}

bool hf_stream_blocked(const struct hf_stream *stream)
{
    return !stream->ssl || SSL_want_write(stream->ssl);
}

bool hf_stream_pending(const struct hf_stream *stream)
{
    return stream->ssl && SSL_has_pending(stream->ssl);
}

void hf_stream_close(struct hf_stream *stream, bool reset)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    SSL_free(stream->ssl);
    stream->ssl = NULL;
    if (stream->fd < 0)
        return;
    if (reset)
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once));
    (void)close(stream->fd);
    stream->fd = -1;
}
