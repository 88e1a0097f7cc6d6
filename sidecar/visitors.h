/*
 * visitors.h - how much one address may have: connections, and new ones
 *
 * Without it one machine takes all the room there is. Every connection, from
 * accept to its end, is a visit of its address; what an address may have is
 *
 *     sockets and handshakes    `max`, the setting max_sockets_per_address
 *     of these, handshakes      HF_ADDRESS_HANDSHAKES, or one that never asks
 *                               for anything would use up everybody's
 *     new ones per second       `rate`, after a pause `rate.burst` at once
 *
 * An IPv6 customer is a /64 (hf_address_site). Exempt are loopback and Unix
 * sockets: a proxy there speaks for everybody, and says for whom (request.c).
 *
 * Each step takes constant time. An address is kept while it has connections,
 * which are bounded elsewhere, and until it may come at full rate again, at
 * most HF_ADDRESSES_AWAY of them: beyond, the one that is away longest is
 * forgotten. Each worker counts its own.
 */
#ifndef HF_SIDECAR_VISITORS_H
#define HF_SIDECAR_VISITORS_H

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "channel/rate.h"

struct hf_visitor; /* an address with connections, or away for a moment */

struct hf_visitors {
    size_t max; /* of one address; 0 = any number */
    struct hf_rate rate;
    size_t away_count;
    /* private */
    struct hf_map all;   /* by address */
    struct hf_list away; /* without connections, longest first */
};

enum hf_welcome {
    HF_WELCOME,
    HF_TOO_MANY,  /* it has as many as it may have */
    HF_TOO_OFTEN, /* it may come again later */
};

void hf_visitors_init(struct hf_visitors *visitors, size_t max,
                      size_t per_second);
/* No visit lasts. Accepts the zeroed struct. */
void hf_visitors_release(struct hf_visitors *visitors);

/*
 * A connection from there, whose handshake begins. *out: its visit, to be ended
 * by hf_visitor_left; NULL when it is exempt, or there is no memory to count it.
 * When it is not welcome *out_retry_ms tells when it may be.
 */
enum hf_welcome hf_visitors_enter(struct hf_visitors *visitors,
                                  const struct hf_address *address,
                                  struct hf_visitor **out,
                                  int64_t *out_retry_ms);

/* These accept NULL. */

/* The handshake is done, the connection goes on. */
void hf_visitor_upgraded(struct hf_visitor *visitor);
/* It is over; `upgraded` as it was left. */
void hf_visitor_left(struct hf_visitor *visitor, bool upgraded);
/* During the handshake: it was a proxy's, for somebody else. It does not count
 * as one that came, either. */
void hf_visitor_undo(struct hf_visitor *visitor);

#endif
