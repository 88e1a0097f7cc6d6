#include "sidecar/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/standalone.h"
#include "base/sys.h"
#include "sidecar/counters.h"
#include "sidecar/limits.h"

struct hf_tls {
    char *certificate;
    char *private_key;
    SSL_CTX *context;           /* each connection has a reference of its own */
    char record[HF_TLS_RECORD]; /* small frames on their way into one */
};

struct layer {
    struct hf_layer head;
    struct hf_tls *tls;
    SSL *ssl;
    char *kept;        /* what is held, or NULL */
    uint16_t held;     /* bytes taken, of the record that is not sent yet */
    uint16_t fragment; /* the most in one record; the client may ask for less */
    bool read_blocked; /* until it can write */
    bool write_blocked; /* until it can read */
    bool upgraded;
    bool broken; /* OpenSSL forbids any further call, shutdown too */
};

/* --- certificate and key -------------------------------------------------- */

/* What OpenSSL says is wrong, the first thing it found. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    return text ? text : "unknown error";
}

static int unusable(struct hf_why *why, const char *what, const char *path)
{
    return hf_explain(why, HF_EINVAL, "cannot use the %s %s: %s", what, path,
                      reason());
}

/* Nobody is there to be asked for one. */
static int no_passphrase(char *room, int size, int writing, void *ctx)
{
    (void)room;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

/* What we speak is HTTP/1.1, of which a WebSocket is made. A client that wants
 * only something else is told (RFC 7301 section 3.2); most offer nothing. */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_len, const unsigned char *offered,
                           unsigned offered_len, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)ctx;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The head of each record. OpenSSL refuses another handshake of TLS 1.2 by a
 * warning and reads on, within one call, for as long as a client sends more of
 * them. So the first one is the end. (That of TLS 1.3 is not seen here.) */
static void on_message(int written, int version, int type, const void *bytes,
                       size_t len, SSL *ssl, void *ctx)
{
    (void)version;
    (void)ctx;
    if (!written && type == SSL3_RT_HEADER && len > 0 &&
        *(const unsigned char *)bytes == SSL3_RT_HANDSHAKE &&
        SSL_is_init_finished(ssl))
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
}

static void set_rules(SSL_CTX *context)
{
    /* The first two are bounds: a client may neither make us compress nor
     * shake hands again and again. Tickets and kept sessions would spare a few
     * clients some of a handshake; they cost all of them memory. */
    SSL_CTX_set_options(context,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                            SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* An idle connection has no buffers, 9 KB less; a write takes what it can;
     * and it is repeated from wherever the bytes are then (write_record). */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* What is no data is read one record a call: a client that has us change
     * keys without end would keep SSL_read, and with it all others. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_msg_callback(context, on_message);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(context, 0); /* cannot fail */
    /* Read no more than a record: see the header. */
    SSL_CTX_set_read_ahead(context, 0);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

static int load(SSL_CTX *context, const struct hf_tls *tls, struct hf_why *why)
{
    ERR_clear_error();
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        return hf_explain(why, HF_EINVAL, "OpenSSL offers no TLS 1.2: %s",
                          reason());
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1)
        return unusable(why, "certificate", tls->certificate);
    /* Says so, too, when it is another certificate's. */
    if (SSL_CTX_use_PrivateKey_file(context, tls->private_key,
                                    SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return unusable(why, "private key", tls->private_key);
    return 0;
}

int hf_tls_reload(struct hf_tls *tls, struct hf_why *why)
{
    SSL_CTX *context;
    int err;

    hf_standalone_openssl();
    context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return hf_explain(why, HF_ENOMEM, "cannot prepare for TLS: %s",
                          reason());
    set_rules(context);
    err = load(context, tls, why);
    if (err) {
        SSL_CTX_free(context);
        return err;
    }
    SSL_CTX_free(tls->context);
    tls->context = context;
    return 0;
}

int hf_tls_open(const char *certificate, const char *private_key,
                struct hf_tls **out, struct hf_why *why)
{
    struct hf_tls *tls = calloc(1, sizeof(*tls));
    int err = HF_ENOMEM;

    if (tls) {
        tls->certificate = strdup(certificate);
        tls->private_key = strdup(private_key);
    }
    if (!tls || !tls->certificate || !tls->private_key)
        (void)hf_explain(why, err, "out of memory");
    else
        err = hf_tls_reload(tls, why);
    if (err) {
        hf_tls_close(tls);
        return err;
    }
    *out = tls;
    return 0;
}

/* NULL when out of memory. */
static char *path_from(const char *dir, const char *name)
{
    char *path = NULL;

    if (name[0] == '/')
        return strdup(name);
    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

int hf_tls_of_settings(const struct hf_settings *settings, const char *dir,
                       struct hf_tls **out, struct hf_why *why)
{
    char *certificate, *private_key;
    int err;

    if (!settings->certificate[0] || !settings->private_key[0])
        return hf_explain(why, HF_EINVAL,
                          "listen_tls needs certificate and private_key: see "
                          "[sidecar] in " HF_FILE_SETTINGS);
    certificate = path_from(dir, settings->certificate);
    private_key = path_from(dir, settings->private_key);
    if (certificate && private_key)
        err = hf_tls_open(certificate, private_key, out, why);
    else
        err = hf_explain(why, HF_ENOMEM, "out of memory");
    free(certificate);
    free(private_key);
    return err;
}

void hf_tls_close(struct hf_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls->certificate);
    free(tls->private_key);
    free(tls);
}

int64_t hf_tls_expires_ms(const struct hf_tls *tls)
{
    const X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    struct tm end = {.tm_year = 0};

    if (!certificate ||
        ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return (int64_t)timegm(&end) * 1000;
}

/* --- what the loop looks for ---------------------------------------------- */

static struct layer *layer_of(struct hf_layer *head)
{
    return HF_ITEM(head, struct layer, head);
}

static const struct layer *peer_of(const struct hf_layer *head)
{
    return (const struct layer *)head; /* its first member */
}

/* Level-triggered: what cannot help now must not be looked for, or the loop
 * would turn without end. */
static uint32_t want(const struct hf_layer *head, uint32_t events)
{
    const struct layer *layer = peer_of(head);
    uint32_t out = 0;

    if (events & EPOLLIN)
        out |= layer->read_blocked ? EPOLLOUT : EPOLLIN;
    if ((events & EPOLLOUT) || layer->held > 0)
        out |= layer->write_blocked ? EPOLLIN : EPOLLOUT;
    return out;
}

static uint32_t means(const struct hf_layer *head, uint32_t events)
{
    const struct layer *layer = peer_of(head);
    uint32_t out = events;

    if (layer->read_blocked && (events & EPOLLOUT))
        out |= EPOLLIN;
    if (layer->write_blocked && (events & EPOLLIN))
        out |= EPOLLOUT;
    return out;
}

/* --- calls of OpenSSL ----------------------------------------------------- */

/* What `result` of a call means: HF_EAGAIN, or the end. `ours` is the error that
 * means waiting the usual way; *out_other_way: reading waits to write, or
 * writing to read. */
static int judge(struct layer *layer, int result, int ours, bool *out_other_way)
{
    int error = SSL_get_error(layer->ssl, result);

    *out_other_way = false;
    if (error == ours)
        return HF_EAGAIN;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        *out_other_way = true;
        return HF_EAGAIN;
    }
    layer->broken |= error != SSL_ERROR_ZERO_RETURN; /* that is a goodbye */
    return HF_ECLOSED;
}

static ssize_t read_some(struct layer *layer, char *room, size_t size,
                         int (*call)(SSL *ssl, void *buffer, int size))
{
    int len;

    if (layer->broken)
        return HF_ECLOSED;
    ERR_clear_error(); /* SSL_get_error looks at what others left there */
    len = call(layer->ssl, room, size > INT_MAX ? INT_MAX : (int)size);
    if (len > 0) {
        layer->read_blocked = false;
        return len;
    }
    return judge(layer, len, SSL_ERROR_WANT_READ, &layer->read_blocked);
}

/* Records are small as a rule, and each is a call of its own; so many go into
 * one turn, for a client that sends one byte in each shall not hold up others. */
static ssize_t read_records(struct hf_layer *head, int fd, char *room,
                            size_t size)
{
    struct layer *layer = layer_of(head);
    unsigned left = HF_TLS_RECORDS;
    size_t len = 0;
    ssize_t got = 0;

    (void)fd;
    assert(size >= HF_TLS_RECORD);
    while (left > 0 && size - len >= HF_TLS_RECORD) {
        got = read_some(layer, room + len, size - len, SSL_read);
        if (got < 0)
            break;
        len += (size_t)got;
        left--;
    }
    /* What ended it comes again at the next call. */
    return len > 0 ? (ssize_t)len : got;
}

/* It must come again with the same bytes. As a rule OpenSSL has them, encrypted;
 * but where an answer of its own has to go first (a change of keys, an alert)
 * it has not looked at them yet, and the room that all share has another's by
 * then. */
static int hold(struct layer *layer, const char *record, size_t len)
{
    if (!layer->kept) {
        layer->kept = malloc(len);
        if (!layer->kept) {
            layer->broken = true; /* it cannot go on without them */
            return HF_ECLOSED;
        }
        memcpy(layer->kept, record, len);
    }
    layer->held = (uint16_t)len;
    return HF_EAGAIN;
}

static void hold_no_more(struct layer *layer)
{
    layer->held = 0;
    free(layer->kept);
    layer->kept = NULL;
}

/* One record, a new one or the one that is held. */
static int write_record(struct layer *layer, const char *record, size_t len)
{
    bool other_way;
    int result;

    ERR_clear_error();
    result = SSL_write(layer->ssl, record, (int)len);
    layer->write_blocked = false;
    if (result <= 0 &&
        judge(layer, result, SSL_ERROR_WANT_WRITE, &other_way) == HF_EAGAIN) {
        layer->write_blocked = other_way;
        return hold(layer, record, len);
    }
    hold_no_more(layer);
    return result > 0 && (size_t)result == len ? 0 : HF_ECLOSED;
}

/* Where in the parts we are. */
struct place {
    const struct iovec *part;
    size_t count;
    size_t offset; /* in the first */
};

/* Small frames go into one record, and so into one packet: four of them leave 3
 * times as fast as one by one. */
static size_t fill(char record[HF_TLS_RECORD], size_t size, struct place *place)
{
    size_t len = 0;

    while (place->count > 0 && len < size) {
        size_t left = place->part->iov_len - place->offset;
        size_t room = size - len;
        size_t n = left < room ? left : room;

        memcpy(record + len, (char *)place->part->iov_base + place->offset, n);
        len += n;
        place->offset += n;
        if (place->offset == place->part->iov_len) {
            place->part++;
            place->count--;
            place->offset = 0;
        }
    }
    return len;
}

static int write_parts(struct hf_layer *head, int fd, const struct iovec *parts,
                       size_t count, size_t *out_taken)
{
    struct layer *layer = layer_of(head);
    struct place place = {.part = parts, .count = count};
    int err = 0;

    (void)fd;
    if (layer->broken)
        return HF_ECLOSED;
    if (layer->held > 0)
        err = write_record(layer, layer->kept, layer->held);
    while (!err && place.count > 0) {
        size_t len = fill(layer->tls->record, layer->fragment, &place);

        err = write_record(layer, layer->tls->record, len);
        if (err != HF_ECLOSED)
            *out_taken += len;
    }
    if (err == HF_ECLOSED)
        *out_taken = 0;
    return err;
}

/* Says goodbye in TLS, if there is room for it; WebSocket has done so already. */
static void shut_down(struct hf_layer *head, int fd)
{
    struct layer *layer = layer_of(head);

    (void)fd;
    if (layer->broken || layer->held > 0)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(layer->ssl);
}

static void close_layer(struct hf_layer *head, int fd)
{
    struct layer *layer = layer_of(head);

    if (layer->upgraded)
        hf_count_less(HF_HAS_TLS_SOCKETS);
    SSL_free(layer->ssl);
    free(layer->kept);
    free(layer);
    hf_close(&fd);
}

/* --- one connection ------------------------------------------------------- */

static const struct hf_layer_ops ops = {
    .read = read_records,
    .write = write_parts,
    .want = want,
    .means = means,
    .shutdown = shut_down,
    .close = close_layer,
};

struct hf_layer *hf_tls_layer_new(struct hf_tls *tls, int fd)
{
    struct layer *layer = calloc(1, sizeof(*layer));

    if (!layer)
        return NULL;
    layer->head.ops = &ops;
    layer->tls = tls;
    layer->ssl = SSL_new(tls->context);
    if (!layer->ssl || SSL_set_fd(layer->ssl, fd) != 1) {
        SSL_free(layer->ssl);
        free(layer);
        return NULL;
    }
    SSL_set_accept_state(layer->ssl);
    return &layer->head;
}

void hf_tls_upgraded(struct hf_layer *head)
{
    layer_of(head)->upgraded = true;
    hf_count_more(HF_HAS_TLS_SOCKETS);
}

/* RFC 6066 section 4, for the smallest of clients. A record of ours must be one
 * of OpenSSL's, or it would hold a part of it only. */
static uint16_t fragment_of(const SSL *ssl)
{
    const SSL_SESSION *session = SSL_get0_session(ssl);
    unsigned code = session ? SSL_SESSION_get_max_fragment_length(session) : 0;

    return (uint16_t)(code == 0 ? HF_TLS_RECORD : 256u << code);
}

/* The handshake waits as reading does. */
int hf_tls_handshake(struct hf_wire *wire)
{
    struct layer *layer = layer_of(wire->layer);
    int result, err;

    ERR_clear_error();
    result = SSL_accept(layer->ssl);
    if (result == 1) {
        layer->read_blocked = false;
        layer->fragment = fragment_of(layer->ssl);
        return hf_wire_rearm(wire);
    }
    err = judge(layer, result, SSL_ERROR_WANT_READ, &layer->read_blocked);
    if (err == HF_EAGAIN)
        return hf_wire_rearm(wire) ? HF_ECLOSED : HF_EAGAIN;
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST)
        return HF_EMALFORMED;
    return ERR_peek_error() ? HF_EDENIED : HF_ECLOSED;
}

ssize_t hf_tls_peek(struct hf_wire *wire, char *room, size_t size)
{
    ssize_t len = read_some(layer_of(wire->layer), room, size, SSL_peek);

    return hf_wire_rearm(wire) ? HF_ECLOSED : len;
}

void hf_tls_skip(struct hf_wire *wire, size_t len)
{
    struct layer *layer = layer_of(wire->layer);
    char rest[1024];

    /* It has been peeked at, so it is there. */
    while (len > 0) {
        ssize_t got = read_some(
            layer, rest, len < sizeof(rest) ? len : sizeof(rest), SSL_read);

        if (got <= 0)
            return;
        len -= (size_t)got;
    }
}

const char *hf_tls_reason(void)
{
    return reason();
}
