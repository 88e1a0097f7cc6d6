#include "sidecar/handshake.h"

#include <assert.h>
#include <strings.h>

#include "base/crypto.h"

#define KEY_LEN   24u /* 16 bytes in base64 */
#define KEY_BYTES 16u
#define GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* section 1.3 */

static bool same(struct hf_str a, struct hf_str b)
{
    return a.len == b.len &&
           (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

/* Is the word in the comma-separated list? */
static bool lists(struct hf_str list, struct hf_str word)
{
    while (list.len > 0) {
        const char *comma = memchr(list.at, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.at) : list.len;
        struct hf_str item = hf_str_trim(hf_str(list.at, len));

        if (same(item, word))
            return true;
        list = hf_str_from(list, comma ? len + 1 : len);
    }
    return false;
}

static void once(struct hf_str *place, unsigned *count, struct hf_str value)
{
    *place = value;
    ++*count;
}

/* phoenix.js puts its authToken among the subprotocols (specification 2.4). */
static void read_subprotocols(struct hf_handshake *h, struct hf_str list)
{
    static const struct hf_str start = HF_STR_INIT("base64url.bearer.phx.");

    while (list.len > 0) {
        const char *comma = memchr(list.at, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.at) : list.len;
        struct hf_str item = hf_str_trim(hf_str(list.at, len));

        if (hf_str_starts(item, start))
            once(&h->bearer, &h->bearers, hf_str_from(item, start.len));
        else if (hf_str_eq(item, HF_STR("phoenix")))
            h->phoenix = true;
        else
            h->foreign |= item.len > 0;
        list = hf_str_from(list, comma ? len + 1 : len);
    }
}

/* One more line; the oldest gives way. */
static void forwarded_for(struct hf_handshake *h, struct hf_str line)
{
    unsigned i;

    for (i = 1; i < HF_FORWARDED_MAX; i++)
        h->forwarded_for[i - 1] = h->forwarded_for[i];
    h->forwarded_for[HF_FORWARDED_MAX - 1] = line;
}

void hf_handshake_header(struct hf_handshake *h, struct hf_str name,
                         struct hf_str value)
{
    value = hf_str_trim(value);
    if (same(name, HF_STR("Host"))) {
        once(&h->host, &h->hosts, value);
    } else if (same(name, HF_STR("Origin"))) {
        once(&h->origin, &h->origins, value);
    } else if (same(name, HF_STR("Sec-Fetch-Site"))) {
        once(&h->sec_fetch_site, &h->sec_fetch_sites, value);
    } else if (same(name, HF_STR("Sec-WebSocket-Key"))) {
        once(&h->key, &h->keys, value);
    } else if (same(name, HF_STR("Sec-WebSocket-Version"))) {
        h->version_13 = hf_str_eq(value, HF_STR("13"));
        h->versions++;
    } else if (same(name, HF_STR("Upgrade"))) {
        h->upgrade_websocket |= lists(value, HF_STR("websocket"));
    } else if (same(name, HF_STR("Connection"))) {
        h->connection_upgrade |= lists(value, HF_STR("upgrade"));
    } else if (same(name, HF_STR("Sec-WebSocket-Protocol"))) {
        read_subprotocols(h, value);
    } else if (same(name, HF_STR("Authorization"))) {
        once(&h->authorization, &h->authorizations, value);
    } else if (same(name, HF_STR("X-Forwarded-Proto"))) {
        h->forwarded_proto = value;
    } else if (same(name, HF_STR("X-Forwarded-For"))) {
        forwarded_for(h, value);
    } else if (same(name, HF_STR("X-Holdfast-Proxy"))) {
        once(&h->proxy, &h->proxies, value);
    } else if (same(name, HF_STR("Content-Length"))) {
        h->body |= !hf_str_eq(value, HF_STR("0"));
    } else if (same(name, HF_STR("Transfer-Encoding"))) {
        h->body = true;
    }
}

static const struct hf_refusal fine = {.text = ""};

static struct hf_refusal bad(const char *text)
{
    return (struct hf_refusal){.status = 400, .text = text};
}

struct hf_refusal hf_handshake_request(const struct hf_handshake *h,
                                       struct hf_str method)
{
    if (!hf_str_eq(method, HF_STR("GET")))
        return bad("");
    if (h->hosts != 1)
        return bad("exactly one Host header is needed\n");
    if (h->origins > 1)
        return bad("more than one Origin header\n");
    if (h->sec_fetch_sites > 1)
        return bad("more than one Sec-Fetch-Site header\n");
    if (h->authorizations > 1)
        return bad("more than one Authorization header\n");
    return fine;
}

bool hf_handshake_foreign(const struct hf_handshake *h)
{
    return h->foreign && !h->phoenix;
}

static bool is_key(struct hf_str key)
{
    unsigned char bytes[KEY_LEN / 4 * 3 + 3];
    size_t len;

    if (key.len != KEY_LEN || memcmp(key.at + KEY_LEN - 2, "==", 2) != 0)
        return false;
    /* the decoder takes the URL alphabet as well */
    if (memchr(key.at, '-', key.len) || memchr(key.at, '_', key.len))
        return false;
    return hf_base64_decode(key, bytes, &len) == 0 && len == KEY_BYTES;
}

struct hf_refusal hf_handshake_upgrade(const struct hf_handshake *h,
                                       struct hf_str version)
{
    if (!hf_str_eq(version, HF_STR("HTTP/1.1")))
        return bad("a WebSocket needs HTTP/1.1\n");
    if (h->body)
        return bad("a WebSocket handshake has no body\n");
    if (!h->connection_upgrade)
        return bad("the Connection header must contain 'upgrade'\n");
    if (!h->upgrade_websocket)
        return bad("the Upgrade header must contain 'websocket'\n");
    if (h->versions != 1 || !h->version_13)
        return (struct hf_refusal){
            .status = 400,
            .text = "the Sec-WebSocket-Version header must be 13\n",
            .names_version = true};
    if (h->keys != 1 || !is_key(h->key))
        return bad("the Sec-WebSocket-Key header must be 16 bytes in base64, "
                   "once\n");
    return fine;
}

int hf_handshake_accept(const struct hf_handshake *h,
                        char out[HF_ACCEPT_LEN + 1])
{
    char text[KEY_LEN + sizeof(GUID)];
    unsigned char digest[HF_SHA1_LEN];
    int err;

    assert(h->key.len == KEY_LEN);
    memcpy(text, h->key.at, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
    err = hf_sha1(hf_str(text, KEY_LEN + sizeof(GUID) - 1), digest);
    if (err)
        return err;
    out[hf_base64(hf_str((const char *)digest, sizeof(digest)), out)] = '\0';
    return 0;
}
