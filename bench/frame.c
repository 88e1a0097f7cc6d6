/*
 * frame.c - what does one frame cost: decoding a push, encoding a row?
 *
 *     bench/frame                     nanoseconds, on this machine
 *     bench/frame decode BYTES N      N times one of the two, payloads of
 *     bench/frame encode BYTES N      BYTES; for counting instructions:
 *
 *     valgrind --tool=callgrind --toggle-collect=measured \
 *         --callgrind-out-file=/dev/null bench/frame decode 100 10000
 *
 * prints "Collected" instructions, to be divided by N.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "channel/proto.h"
#include "channel/row.h"

#define BATCH   1000u
#define BATCHES 501u

static char text[1u << 20];
static size_t text_len;
static struct hf_row row;
static struct hf_buf out;
static size_t seen; /* keeps the compiler from leaving the work out */

/* What a chat sends: a few members, one long text with a line end in it. */
static void prepare(size_t payload_bytes)
{
    static const char head[] = "{\"user\":\"annika\",\"n\":42,\"text\":\"";
    static const char tail[] = "\\n\"}";
    size_t least = sizeof(head) + sizeof(tail) - 2;
    size_t fill = payload_bytes > least ? payload_bytes - least : 0;
    int len = snprintf(text, sizeof(text),
                       "[\"3\",\"17\",\"room:lobby\",\"say\",%s", head);
    struct hf_frame frame;

    text_len = (size_t)len;
    if (fill > sizeof(text) - text_len - sizeof(tail))
        fill = sizeof(text) - text_len - sizeof(tail);
    memset(text + text_len, 'x', fill);
    text_len += fill;
    text_len +=
        (size_t)snprintf(text + text_len, sizeof(text) - text_len, "%s]", tail);

    if (hf_frame_decode(HF_VSN_2, hf_str(text, text_len), false, &frame))
        abort();
    row = (struct hf_row){
        .id = 123456,
        .topic = frame.topic,
        .event = frame.event,
        .payload = frame.payload.raw,
        .kind = HF_KIND_JSON,
    };
}

static void decode_one(void)
{
    struct hf_frame frame;

    if (hf_frame_decode(HF_VSN_2, hf_str(text, text_len), false, &frame))
        abort();
    seen += frame.payload.raw.len;
}

/* As for a member that stores cursors. */
static void encode_one(void)
{
    hf_buf_reset(&out);
    if (hf_encode_row(&out, &row, 0x0123456789abcdefu, HF_VSN_2,
                      HF_STR("\"3\"")))
        abort();
    seen += out.len;
}

/* Named on callgrind's command line. */
__attribute__((noinline)) void measured(void (*one)(void), unsigned long n);
void measured(void (*one)(void), unsigned long n)
{
    while (n-- > 0)
        one();
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Nanoseconds of each of BATCH calls, BATCHES times over, sorted. */
static void time_it(void (*one)(void), double ns[BATCHES])
{
    size_t i;

    measured(one, BATCH); /* warm */
    for (i = 0; i < BATCHES; i++) {
        struct timespec from, to;

        (void)clock_gettime(CLOCK_MONOTONIC, &from);
        measured(one, BATCH);
        (void)clock_gettime(CLOCK_MONOTONIC, &to);
        ns[i] = ((double)(to.tv_sec - from.tv_sec) * 1e9 +
                 (double)(to.tv_nsec - from.tv_nsec)) /
                BATCH;
    }
    qsort(ns, BATCHES, sizeof(ns[0]), by_size);
}

static void print_table(void)
{
    static const size_t sizes[] = {50, 100, 500, 5000, 50000};
    static double ns[BATCHES];
    struct utsname machine;
    size_t i;

    if (uname(&machine) == 0)
        (void)printf("%s %s %s\n", machine.sysname, machine.release,
                     machine.machine);
    (void)printf("%-8s %10s %10s %10s   (ns, n = %u x %u)\n", "", "payload",
                 "median", "p99", BATCHES, BATCH);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        prepare(sizes[i]);
        time_it(decode_one, ns);
        (void)printf("%-8s %10zu %10.0f %10.0f\n", "decode", sizes[i],
                     ns[BATCHES / 2], ns[BATCHES * 99 / 100]);
        time_it(encode_one, ns);
        (void)printf("%-8s %10zu %10.0f %10.0f\n", "encode", sizes[i],
                     ns[BATCHES / 2], ns[BATCHES * 99 / 100]);
    }
}

int main(int argc, char **argv)
{
    hf_buf_init(&out, 2 * sizeof(text));
    if (argc == 1) {
        print_table();
    } else if (argc == 4 && (strcmp(argv[1], "decode") == 0 ||
                             strcmp(argv[1], "encode") == 0)) {
        prepare(strtoul(argv[2], NULL, 10));
        measured(argv[1][0] == 'd' ? decode_one : encode_one,
                 strtoul(argv[3], NULL, 10));
    } else {
        (void)fprintf(stderr, "usage: %s [decode|encode PAYLOAD-BYTES TIMES]\n",
                      argv[0]);
        return 2;
    }
    hf_buf_release(&out);
    return seen == 0;
}
