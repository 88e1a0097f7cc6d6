#include "sidecar/prometheus.h"

#include <string.h>

#define MICROSECONDS 1000000u

/* --- the smallest parts --------------------------------------------------- */

static void put(struct hf_buf *out, const char *text)
{
    (void)hf_buf_add(out, text, strlen(text)); /* the buffer keeps its error */
}

/* A help text may have quotes as they are; a label value may not. */
static void put_escaped(struct hf_buf *out, const char *text, bool quoted)
{
    for (; *text; text++) {
        if (*text == '\\')
            put(out, "\\\\");
        else if (*text == '\n')
            put(out, "\\n");
        else if (*text == '"' && quoted)
            put(out, "\\\"");
        else
            (void)hf_buf_add_byte(out, *text);
    }
}

/* Without the zeros at the end, as "0.0025" and "10"; by hand, because printf
 * writes the point as the locale has it. */
static void put_seconds(struct hf_buf *out, uint64_t us)
{
    char digits[7] = "000000";
    uint64_t rest = us % MICROSECONDS;
    int i;

    (void)hf_buf_add_u64(out, us / MICROSECONDS);
    if (rest == 0)
        return;
    for (i = 5; i >= 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    for (i = 5; digits[i] == '0'; i--)
        digits[i] = '\0';
    put(out, ".");
    put(out, digits);
}

static void put_label(struct hf_buf *out, const struct hf_label *label,
                      bool first)
{
    put(out, first ? "{" : ",");
    put(out, label->name);
    put(out, "=\"");
    put_escaped(out, label->value, true);
    put(out, "\"");
}

static void put_name(struct hf_buf *out, const char *name,
                     const struct hf_label labels[HF_LABELS])
{
    bool first = true;
    unsigned n;

    put(out, name);
    for (n = 0; labels && n < HF_LABELS; n++) {
        if (!labels[n].value)
            continue;
        put_label(out, &labels[n], first);
        first = false;
    }
    put(out, first ? " " : "} ");
}

/* --- families and samples ------------------------------------------------- */

void hf_prometheus_family(struct hf_buf *out, const char *name,
                          const char *type, const char *help)
{
    put(out, "# HELP ");
    put(out, name);
    put(out, " ");
    put_escaped(out, help, false);
    put(out, "\n# TYPE ");
    put(out, name);
    put(out, " ");
    put(out, type);
    put(out, "\n");
}

void hf_prometheus_number(struct hf_buf *out, const char *name,
                          const struct hf_label labels[HF_LABELS],
                          uint64_t value)
{
    put_name(out, name, labels);
    (void)hf_buf_add_u64(out, value);
    put(out, "\n");
}

void hf_prometheus_seconds(struct hf_buf *out, const char *name,
                           const struct hf_label labels[HF_LABELS], uint64_t us)
{
    put_name(out, name, labels);
    put_seconds(out, us);
    put(out, "\n");
}

/* --- histograms ----------------------------------------------------------- */

static void put_bucket(struct hf_buf *out, const char *name, int64_t bound_us,
                       uint64_t count)
{
    put(out, name);
    put(out, "_bucket{le=\"");
    if (bound_us < 0)
        put(out, "+Inf");
    else
        put_seconds(out, (uint64_t)bound_us);
    put(out, "\"} ");
    (void)hf_buf_add_u64(out, count);
    put(out, "\n");
}

static void put_suffix(struct hf_buf *out, const char *name, const char *suffix)
{
    put(out, name);
    put(out, suffix);
    put(out, " ");
}

void hf_prometheus_histogram(struct hf_buf *out, const char *name,
                             const char *help,
                             const struct hf_histogram *histogram,
                             int64_t least_us)
{
    uint64_t so_far = 0; /* each bucket counts those below it, too */
    unsigned n;

    hf_prometheus_family(out, name, "histogram", help);
    for (n = 0; n < HF_HISTOGRAM_BOUNDS; n++) {
        so_far += histogram->bucket[n];
        if (hf_histogram_bounds_us[n] >= least_us)
            put_bucket(out, name, hf_histogram_bounds_us[n], so_far);
    }
    so_far += histogram->bucket[HF_HISTOGRAM_BOUNDS];
    put_bucket(out, name, -1, so_far);
    put_suffix(out, name, "_sum");
    put_seconds(out, histogram->sum_us);
    put(out, "\n");
    put_suffix(out, name, "_count");
    (void)hf_buf_add_u64(out, so_far);
    put(out, "\n");
}
