/*
 * origin.h - which browser origins may talk to us (specification 2.3, D21)
 *
 * No Origin: allowed unless Sec-Fetch-Site says cross-site. Otherwise its host
 * must be the request's own host, or the origin stand in the list `origins`:
 * [scheme://]host[:port], where what is left out matches anything and a host
 * *.example.com is example.com and all below it. A single "*" in the list lets
 * every origin in, `null` too; without it `null` is refused (P-2.5). Two words in
 * the list are no origins: with "same-as-request" scheme and port must be the
 * request's own, too, and with "off" nothing is looked at.
 */
#ifndef HF_CHANNEL_ORIGIN_H
#define HF_CHANNEL_ORIGIN_H

#include "base/str.h"
#include "schema/settings.h"

struct hf_origin_request {
    struct hf_str origin;         /* the header; empty = absent */
    struct hf_str host;           /* Host header, port included */
    struct hf_str sec_fetch_site; /* empty = absent */
    struct hf_str scheme; /* "http" or "https"; another or empty = not known */
    bool loopback_listener; /* it came to a loopback address of ours directly */
};

/* 0 or HF_EDENIED. */
int hf_origin_check(const struct hf_settings *settings,
                    const struct hf_origin_request *request);

/* Is this Host one of ours? With settings.hosts given it must be in the list
 * (port not compared); without, a loopback listener takes loopback names only
 * (localhost, 127.x.y.z, [::1]), others take any. */
bool hf_host_ours(const struct hf_settings *settings,
                  const struct hf_origin_request *request);

#endif
