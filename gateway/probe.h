/*
 * probe.h - the doctor's questions to the gateway: <mount>/doctor/...
 *
 *     facts     what the host allows, found by a process of its own, since it
 *               forks and must have no database open (channel/doctor.h)
 *     echo      what of this request arrived
 *     hold      answer after `ms` (at most HF_PROBE_HOLD_MS)
 *     trickle   three parts of an answer, a second apart
 *     judge     a measurement (channel/front.h): what follows of it
 *     apply     change holdfast.conf as `changes` says
 *
 * All take a form by POST, whose field `k` is the owner's key, so that it stands
 * in no log of the web server; or the key in the query. Answers are JSON but those of trickle. Everything is
 * bounded: the form by HF_VISIT_BODY_MAX, the time by the constants here, and of
 * one process at most HF_PROBES_MAX are under way.
 */
#ifndef HF_GATEWAY_PROBE_H
#define HF_GATEWAY_PROBE_H

#include "base/loop.h"
#include "gateway/visit.h"

#define HF_PROBES_MAX    400u
#define HF_PROBE_HOLD_MS INT64_C(120000)
#define HF_PROBE_PART_MS INT64_C(1000)
/* For the facts: locks and cron may take some seconds each. */
#define HF_PROBE_FACTS_MS INT64_C(45000)

/* More than any of them may last, in seconds. */
#define HF_PROBE_SECONDS 130u

struct hf_gateway;
struct hf_probe;

struct hf_probe_ends {
    /* More will come. Only for `trickle`. */
    void (*part)(void *ctx, struct hf_str head, struct hf_str body);
    /* That was all, and the probe is freed. */
    void (*answer)(void *ctx, struct hf_str head, struct hf_str body);
    void *ctx;
};

/* Start, for the owner of `visit`, what `rest` ("/echo") names. The answer may
 * come before this returns; then *out is NULL. */
void hf_probe_start(struct hf_gateway *gateway, struct hf_visit *visit,
                    struct hf_str rest, const struct hf_probe_ends *ends,
                    struct hf_probe **out);
/* The client is gone: no answer any more. */
void hf_probe_gone(struct hf_probe *probe);

#endif
