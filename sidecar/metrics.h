/*
 * metrics.h - all that /metrics says, by name
 *
 * The names are public: dashboards and alerts are made of them. docs/MONITORING.md
 * says what each means; a name that was given is never given another meaning.
 */
#ifndef HF_SIDECAR_METRICS_H
#define HF_SIDECAR_METRICS_H

#include "base/buf.h"
#include "sidecar/counters.h"

/* Bytes of all of it; it takes a tenth. */
#define HF_METRICS_MAX (256u * 1024u)

/* What is told. -1, or false: not known, and left out. */
struct hf_metrics {
    const struct hf_counters *counters;
    bool ready; /* as /healthz/ready says */
    /* the journal */
    bool head_known;
    uint64_t head;
    int64_t journal_bytes;
    int64_t wal_bytes;
    int64_t max_wal;
    int64_t disk_free;
    /* polls held by the gateway's processes (schema/holds.h) */
    bool polls_known;
    uint64_t polls;
    uint64_t polls_max;
    const char *http_version; /* of libmicrohttpd */
};

/* Adds to `out`, which keeps an error. */
void hf_metrics_write(const struct hf_metrics *metrics, struct hf_buf *out);

#endif
