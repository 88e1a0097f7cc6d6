/*
 * address.h - IP addresses: who sent this, and is it one of ours?
 *
 * IPv4 is kept as the part of IPv6 that stands for it (RFC 4291 section
 * 2.5.5.2), so an address has one form however it came.
 */
#ifndef HF_BASE_ADDRESS_H
#define HF_BASE_ADDRESS_H

#include <netinet/in.h>

#include "base/str.h"

struct hf_address {
    bool known; /* false: a Unix socket, or nobody says; all zero */
    unsigned char bytes[16];
};

#define HF_ADDRESS_TEXT INET6_ADDRSTRLEN /* terminator included */

/* Of a peer, as accept gave it. Unknown unless it is IPv4 or IPv6. */
struct hf_address hf_address_of(const struct sockaddr *peer);
/* 192.0.2.1, 2001:db8::1; a port behind it, [2001:db8::1]:80 then, is passed
 * over. Unknown for anything else. */
struct hf_address hf_address_read(struct hf_str text);
/* As it is usually written; "" when it is not known. */
void hf_address_write(const struct hf_address *address,
                      char out[HF_ADDRESS_TEXT]);

/* 127.0.0.0/8 or ::1. */
bool hf_address_is_loopback(const struct hf_address *address);

/* Whom it counts as: one customer has a whole /64 of IPv6, and would else have
 * 2^64 addresses to come from. */
struct hf_address hf_address_site(const struct hf_address *address);

/* 192.0.2.0/24, 2001:db8::/32, or a single address. */
struct hf_network {
    struct hf_address first; /* bits beyond `bits` are zero */
    unsigned bits;           /* of 128 */
};

/* False when the text is none. */
bool hf_network_read(struct hf_str text, struct hf_network *out);
bool hf_network_has(const struct hf_network *network,
                    const struct hf_address *address);

#endif
