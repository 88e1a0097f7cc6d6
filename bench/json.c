/*
 * json.c - how long checking a message takes: our scanner and jansson
 *
 * Prints nanoseconds per message and bytes per nanosecond, best of five. The
 * messages are frames whose payload is filled up to the size with text that is
 * ASCII, half of several bytes, or numbers and short members.
 */
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define ROUNDS   5
#define ROUND_US 60000

typedef bool (*check_fn)(struct hf_str text);

static bool check_ours(struct hf_str text)
{
    struct hf_json out;

    return hf_json_read(text, 64, &out) == 0;
}

static bool check_jansson(struct hf_str text)
{
    json_t *value = json_loadb(text.at, text.len, 0, NULL);

    json_decref(value);
    return value != NULL;
}

/* A frame of about `size` bytes, its payload made of `filler`. */
static struct hf_str make_frame(struct hf_buf *buf, size_t size,
                                const char *filler)
{
    hf_buf_init(buf, 1 << 20);
    (void)hf_buf_add_str(
        buf, HF_STR("[\"3\",\"7\",\"room:lobby\",\"new_msg\",{\"parts\":["));
    do
        (void)hf_buf_addf(buf, "%s,", filler);
    while (buf->len + strlen(filler) + 4 < size);
    buf->len--; /* the last comma */
    (void)hf_buf_add_str(buf, HF_STR("]}]"));
    if (hf_buf_error(buf))
        exit(1);
    return hf_buf_str(buf);
}

static double best_ns(check_fn check, struct hf_str text)
{
    double best = 0;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        int64_t start_us = hf_boot_us(), took_us;
        unsigned long count = 0;
        double ns;

        do {
            unsigned i;

            for (i = 0; i < 64; i++) {
                if (!check(text))
                    exit(1);
            }
            count += 64;
            took_us = hf_boot_us() - start_us;
        } while (took_us < ROUND_US);
        ns = (double)took_us * 1000 / (double)count;
        if (best <= 0 || ns < best)
            best = ns;
    }
    return best;
}

int main(void)
{
    static const struct {
        const char *name;
        const char *filler;
    } kinds[] = {
        {"ascii", "\"The quick brown fox jumps over the lazy dog\""},
        {"utf8", "\"Zwölf Boxkämpfer – 東京の狐 😀\""},
        {"numbers", "{\"x\":12.5,\"y\":-7,\"on\":true}"},
    };
    static const size_t sizes[] = {100, 1000, 10000};
    size_t i, k;

    (void)printf("%-8s %7s %12s %12s %8s %9s\n", "text", "bytes", "ours ns",
                 "jansson ns", "times", "ours GB/s");
    for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct hf_buf buf;
            struct hf_str text = make_frame(&buf, sizes[i], kinds[k].filler);
            double ours = best_ns(check_ours, text);
            double theirs = best_ns(check_jansson, text);

            (void)printf("%-8s %7zu %12.0f %12.0f %8.1f %9.2f\n", kinds[k].name,
                         text.len, ours, theirs, theirs / ours,
                         (double)text.len / ours);
            hf_buf_release(&buf);
        }
    }
    return 0;
}
