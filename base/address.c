#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_AT   12u /* where the four bytes of IPv4 stand */
#define V4_BITS 96u

static const unsigned char v4_prefix[V4_AT] = {0, 0, 0, 0, 0,    0,
                                               0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct hf_address *address)
{
    return memcmp(address->bytes, v4_prefix, V4_AT) == 0;
}

static struct hf_address from_v4(const struct in_addr *in)
{
    struct hf_address address = {.known = true};

    memcpy(address.bytes, v4_prefix, V4_AT);
    memcpy(address.bytes + V4_AT, in, sizeof(*in));
    return address;
}

static struct hf_address from_v6(const struct in6_addr *in)
{
    struct hf_address address = {.known = true};

    memcpy(address.bytes, in, sizeof(*in));
    return address;
}

struct hf_address hf_address_of(const struct sockaddr *peer)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    if (peer->sa_family == AF_INET) {
        memcpy(&v4, peer, sizeof(v4));
        return from_v4(&v4.sin_addr);
    }
    if (peer->sa_family == AF_INET6) {
        memcpy(&v6, peer, sizeof(v6));
        return from_v6(&v6.sin6_addr);
    }
    return (struct hf_address){.known = false};
}

/* The address in "a", "a:port" (of IPv4), "[a]", "[a]:port". */
static struct hf_str host_of(struct hf_str text)
{
    const char *end;

    if (text.len > 0 && text.at[0] == '[') {
        text = hf_str_from(text, 1);
        end = text.len > 0 ? memchr(text.at, ']', text.len) : NULL;
        return hf_str(text.at, end ? (size_t)(end - text.at) : 0);
    }
    end = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
    if (end && end == memrchr(text.at, ':', text.len))
        text.len = (size_t)(end - text.at);
    return text;
}

struct hf_address hf_address_read(struct hf_str text)
{
    struct hf_str host = host_of(text);
    char room[HF_ADDRESS_TEXT];
    struct in6_addr v6;
    struct in_addr v4;

    if (host.len == 0 || host.len >= sizeof(room))
        return (struct hf_address){.known = false};
    memcpy(room, host.at, host.len);
    room[host.len] = '\0';
    if (inet_pton(AF_INET, room, &v4) == 1)
        return from_v4(&v4);
    if (inet_pton(AF_INET6, room, &v6) == 1)
        return from_v6(&v6);
    return (struct hf_address){.known = false};
}

void hf_address_write(const struct hf_address *address,
                      char out[HF_ADDRESS_TEXT])
{
    out[0] = '\0';
    if (!address->known)
        return;
    if (is_v4(address))
        (void)inet_ntop(AF_INET, address->bytes + V4_AT, out, HF_ADDRESS_TEXT);
    else
        (void)inet_ntop(AF_INET6, address->bytes, out, HF_ADDRESS_TEXT);
}

bool hf_address_is_loopback(const struct hf_address *address)
{
    static const unsigned char one[16] = {[15] = 1};

    if (!address->known)
        return false;
    if (is_v4(address))
        return address->bytes[V4_AT] == 127;
    return memcmp(address->bytes, one, sizeof(one)) == 0;
}

/* Zero all behind the first `bits`. */
static void keep_bits(struct hf_address *address, unsigned bits)
{
    unsigned i;

    for (i = 0; i < sizeof(address->bytes); i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;

        if (kept < 8)
            address->bytes[i] &= (unsigned char)(0xff00u >> kept);
    }
}

struct hf_address hf_address_site(const struct hf_address *address)
{
    struct hf_address site = *address;

    if (site.known && !is_v4(&site))
        keep_bits(&site, 64);
    return site;
}

/* "24", of at most `max`. */
static bool read_bits(struct hf_str text, unsigned max, unsigned *out)
{
    unsigned bits = 0;
    size_t i;

    if (text.len == 0 || text.len > 3)
        return false;
    for (i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        bits = bits * 10 + (unsigned)(text.at[i] - '0');
    }
    *out = bits;
    return bits <= max;
}

bool hf_network_read(struct hf_str text, struct hf_network *out)
{
    const char *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
    size_t len = slash ? (size_t)(slash - text.at) : text.len;
    struct hf_network network = {.bits = 128};
    unsigned before;

    network.first = hf_address_read(hf_str(text.at, len));
    if (!network.first.known)
        return false;
    before = is_v4(&network.first) ? V4_BITS : 0;
    if (slash) {
        if (!read_bits(hf_str_from(text, len + 1), 128 - before, &network.bits))
            return false;
        network.bits += before;
    }
    keep_bits(&network.first, network.bits);
    *out = network;
    return true;
}

bool hf_network_has(const struct hf_network *network,
                    const struct hf_address *address)
{
    struct hf_address masked = *address;

    if (!address->known)
        return false;
    keep_bits(&masked, network->bits);
    return memcmp(masked.bytes, network->first.bytes, sizeof(masked.bytes)) ==
           0;
}
