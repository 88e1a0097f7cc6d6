/*
 * prometheus.h - the text format that Prometheus reads (version 0.0.4)
 *
 *     # HELP holdfast_joins_total Joins, by how they were answered.
 *     # TYPE holdfast_joins_total counter
 *     holdfast_joins_total{result="ok"} 17
 *     holdfast_joins_total{result="refused"} 2
 *
 * A family is begun once, and all its samples follow at once. Names are the
 * caller's to get right: [a-z_], counters end in _total. An error stays with the
 * buffer (hf_buf_error), so one look at the end is enough.
 */
#ifndef HF_SIDECAR_PROMETHEUS_H
#define HF_SIDECAR_PROMETHEUS_H

#include "base/buf.h"
#include "base/histogram.h"

#define HF_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct hf_label {
    const char *name;
    const char *value; /* any text; NULL: there is no such label */
};

#define HF_LABELS 2u

/* `type`: "counter", "gauge", "histogram". */
void hf_prometheus_family(struct hf_buf *out, const char *name,
                          const char *type, const char *help);

/* One sample of the family begun last. */
void hf_prometheus_number(struct hf_buf *out, const char *name,
                          const struct hf_label labels[HF_LABELS],
                          uint64_t value);
/* The same for microseconds, written as seconds. */
void hf_prometheus_seconds(struct hf_buf *out, const char *name,
                           const struct hf_label labels[HF_LABELS],
                           uint64_t us);

/* A whole family, in seconds. Bounds below least_us are left out, for what is
 * not measured so finely. */
void hf_prometheus_histogram(struct hf_buf *out, const char *name,
                             const char *help,
                             const struct hf_histogram *histogram,
                             int64_t least_us);

#endif
