/*
 * frame.c - what does one frame cost: decoding a push, encoding a row, handing
 * an encoded row to one more receiver?
 *
 *     bench/frame                     nanoseconds, on this machine
 *     bench/frame ITEM BYTES N        N times one of them, with a payload of
 *                                     BYTES; for counting instructions:
 *
 *     valgrind --tool=callgrind --toggle-collect=measured \
 *         --callgrind-out-file=/dev/null bench/frame decode-2 100 10000
 *
 * prints "Collected" instructions, to be divided by N. bench/frame.sh does so
 * for all. Beside ours stand floors over the same bytes: a copy, a search for a
 * byte that is not there, and jansson's decoding of a text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#ifdef FLOOR_JANSSON
#include <jansson.h>
#endif

#include "base/crypto.h"
#include "channel/proto.h"
#include "channel/ring.h"
#include "channel/row.h"

#define BATCH   1000u
#define BATCHES 301u
#define ROOM    (1u << 20)
#define EPOCH   UINT64_C(0x0123456789abcdef)

static char payload[ROOM / 4]; /* JSON text */
static size_t payload_len;
static char bytes[ROOM]; /* the frame, or what a row holds */
static size_t bytes_len;
static char copy[ROOM];
static struct hf_row row;
static struct hf_ring ring;
static enum hf_form form;
static struct hf_str join_ref;
static enum hf_vsn vsn;
static bool binary;
static volatile size_t seen; /* keeps the compiler from leaving the work out */

/* --- what is sent --------------------------------------------------------- */

/* What a chat sends: a few members, one long text with a line end in it. */
static void make_payload(size_t want)
{
    static const char head[] = "{\"user\":\"annika\",\"n\":42,\"text\":\"";
    static const char tail[] = "\\n\"}";
    size_t least = sizeof(head) + sizeof(tail) - 2;
    size_t fill = want > least ? want - least : 0;

    if (fill > sizeof(payload) - least)
        fill = sizeof(payload) - least;
    memcpy(payload, head, sizeof(head) - 1);
    memset(payload + sizeof(head) - 1, 'x', fill);
    memcpy(payload + sizeof(head) - 1 + fill, tail, sizeof(tail) - 1);
    payload_len = least + fill;
}

static void put(const void *at, size_t len)
{
    memcpy(bytes + bytes_len, at, len);
    bytes_len += len;
}

#define PUT(text) put((text), sizeof(text) - 1)

static void text_2(void)
{
    vsn = HF_VSN_2;
    PUT("[\"3\",\"17\",\"room:lobby\",\"say\",");
    put(payload, payload_len);
    PUT("]");
}

static void text_1(void)
{
    vsn = HF_VSN_1;
    PUT("{\"topic\":\"room:lobby\",\"event\":\"say\",\"payload\":");
    put(payload, payload_len);
    PUT(",\"ref\":\"17\",\"join_ref\":\"3\"}");
}

static void kind_0(void)
{
    vsn = HF_VSN_2;
    binary = true;
    PUT("\x00\x01\x02\x0a\x03"
        "3"
        "17"
        "room:lobby"
        "say");
    put(payload, payload_len);
}

static void kind_3(void)
{
    vsn = HF_VSN_2;
    binary = true;
    PUT("\x03\x01\x02\x0a\x03\x00\x01"
        "3"
        "17"
        "room:lobby"
        "say");
    put(payload, payload_len);
}

static void kind_3_bytes(void)
{
    kind_3();
    bytes[6] = 0;
}

/* --- decoding --------------------------------------------------------------- */

static void decode(void)
{
    struct hf_frame frame;

    if (hf_frame_decode(vsn, hf_str(bytes, bytes_len), binary, &frame))
        abort();
    seen += frame.payload.raw.len;
    hf_frame_release(&frame);
}

static void floor_copy(void)
{
    memcpy(copy, bytes, bytes_len);
    __asm__ volatile("" : : "r"(copy) : "memory");
}

static void floor_search(void)
{
    seen += memchr(bytes, '\x01', bytes_len) == NULL;
}

#ifdef FLOOR_JANSSON
static void floor_jansson(void)
{
    json_t *value = json_loadb(bytes, bytes_len, 0, NULL);

    if (!value)
        abort();
    seen += json_array_size(value);
    json_decref(value);
}
#endif

/* --- rows ------------------------------------------------------------------- */

static void row_of(enum hf_kind kind, struct hf_str event)
{
    put(payload, payload_len);
    row = (struct hf_row){
        .id = 123456,
        .topic = HF_STR("room:lobby"),
        .event = event,
        .payload = hf_str(bytes, bytes_len),
        .kind = kind,
    };
}

static void to_array(void)
{
    row_of(HF_KIND_JSON, HF_STR("say"));
    form = HF_FORM_ARRAY;
}

static void to_cursors(void)
{
    to_array();
    join_ref = HF_STR("\"3\"");
}

static void to_object(void)
{
    to_array();
    form = HF_FORM_OBJECT;
}

static void to_kind_2(void)
{
    row_of(HF_KIND_BINARY, HF_STR("say"));
    form = HF_FORM_FRAMES;
}

static void to_base64(void)
{
    row_of(HF_KIND_BINARY, HF_STR("say"));
    form = HF_FORM_OBJECT;
}

/* {"type":"broadcast","event":"say","payload":{"_binary":"<base64>"}} */
static void to_kind_4(void)
{
    PUT("{\"type\":\"broadcast\",\"event\":\"say\",\"payload\":{\"_binary\":"
        "\"");
    bytes_len += hf_base64(hf_str(payload, payload_len), bytes + bytes_len);
    PUT("\"}}");
    payload_len = 0;
    row_of(HF_KIND_JSON, HF_STR("broadcast"));
    form = HF_FORM_REALTIME;
}

static void encode(void)
{
    struct hf_msg *msg = hf_row_msg(&row, EPOCH, form, join_ref);

    if (!msg)
        abort();
    seen += msg->len;
    hf_msg_unref(msg);
}

/* --- one more receiver ------------------------------------------------------ */

static void hand_out(void)
{
    uint64_t encoded = 0;
    struct hf_ring_row *newest = hf_ring_after(&ring, row.id - 1);
    struct hf_msg *msg =
        hf_ring_row_msg(newest, EPOCH, form, join_ref, &encoded);

    if (!msg || encoded)
        abort();
    hf_msg_unref(msg);
}

static void one_encoding(void)
{
    uint64_t encoded = 0;

    to_array();
    form = HF_FORM_FRAMES;
    hf_ring_init(&ring, 0);
    hf_ring_push(&ring, &row);
    hf_msg_unref(hf_ring_row_msg(hf_ring_after(&ring, 0), EPOCH, form, join_ref,
                                 &encoded));
}

/* Every member has its own join_ref, and this one asked first. */
static void many_encodings(void)
{
    static char refs[HF_ENCODINGS_MAX][8];
    uint64_t encoded = 0;
    size_t i;

    one_encoding();
    for (i = 1; i < HF_ENCODINGS_MAX; i++) {
        int len = snprintf(refs[i], sizeof(refs[i]), "\"%zu\"", 100 + i);

        hf_msg_unref(hf_ring_row_msg(hf_ring_after(&ring, 0), EPOCH, form,
                                     hf_str(refs[i], (size_t)len), &encoded));
    }
}

/* ------------------------------------------------------------------------- */

static const struct item {
    const char *name;
    void (*prepare)(void);
    void (*one)(void);
} items[] = {
    {"decode-2", text_2, decode},
    {"decode-1", text_1, decode},
    {"decode-kind-0", kind_0, decode},
    {"decode-kind-3", kind_3, decode},
    {"decode-kind-3-bytes", kind_3_bytes, decode},
    {"floor-copy", text_2, floor_copy},
    {"floor-search", text_2, floor_search},
#ifdef FLOOR_JANSSON
    {"floor-jansson", text_2, floor_jansson},
#endif
    {"encode-2", to_array, encode},
    {"encode-2-cursor", to_cursors, encode},
    {"encode-1", to_object, encode},
    {"encode-kind-2", to_kind_2, encode},
    {"encode-base64", to_base64, encode},
    {"encode-kind-4", to_kind_4, encode},
    {"hand-out", one_encoding, hand_out},
    {"hand-out-of-16", many_encodings, hand_out},
};

#define ITEMS (sizeof(items) / sizeof(items[0]))

static void prepare(const struct item *item, size_t payload_bytes)
{
    make_payload(payload_bytes);
    bytes_len = 0;
    join_ref = hf_str(NULL, 0);
    binary = false;
    item->prepare();
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
    static const size_t sizes[] = {50, 500, 5000};
    static double ns[BATCHES];
    struct utsname machine;
    size_t i, j;

    if (uname(&machine) == 0)
        (void)printf("%s %s %s\n", machine.sysname, machine.release,
                     machine.machine);
    (void)printf("%-20s %8s %8s %8s   (ns, n = %u x %u)\n", "", "payload",
                 "median", "p99", BATCHES, BATCH);
    for (i = 0; i < ITEMS; i++)
        for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            prepare(&items[i], sizes[j]);
            time_it(items[i].one, ns);
            (void)printf("%-20s %8zu %8.0f %8.0f\n", items[i].name, sizes[j],
                         ns[BATCHES / 2], ns[BATCHES * 99 / 100]);
            hf_ring_release(&ring);
        }
}

static const struct item *find(const char *name)
{
    size_t i;

    for (i = 0; i < ITEMS; i++)
        if (strcmp(items[i].name, name) == 0)
            return &items[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct item *item = argc == 4 ? find(argv[1]) : NULL;
    size_t i;

    if (item) {
        prepare(item, strtoul(argv[2], NULL, 10));
        measured(item->one, strtoul(argv[3], NULL, 10));
        hf_ring_release(&ring);
        return 0;
    }
    if (argc == 1) {
        print_table();
        return 0;
    }
    (void)fprintf(stderr,
                  "usage: %s [ITEM PAYLOAD-BYTES TIMES]; items:", argv[0]);
    for (i = 0; i < ITEMS; i++)
        (void)fprintf(stderr, " %s", items[i].name);
    (void)fprintf(stderr, "\n");
    return 2;
}
