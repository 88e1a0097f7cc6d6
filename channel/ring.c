#include "channel/ring.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "channel/presence.h"
#include "channel/row.h"

#define HF_RING_FIRST 4u /* rows there is room for at first */

_Static_assert((HF_RING_ROWS & (HF_RING_ROWS - 1)) == 0,
               "the ring wraps with a mask");

struct encoding {
    struct encoding *next;
    struct hf_msg *msg;
    enum hf_form form;
    size_t len;
    char join_ref[]; /* empty: for members without cursors */
};

struct hf_ring_row {
    struct hf_row row; /* its slices point into bytes */
    struct encoding *encodings;
    unsigned encoded; /* how many of them */
    char bytes[];
};

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct hf_ring_row *row_copy(const struct hf_row *row)
{
    struct hf_ring_row *copy =
        malloc(sizeof(*copy) + row->topic.len + row->event.len +
               row->payload.len + row->skip.len);
    char *at;

    if (!copy)
        return NULL;
    at = copy->bytes;
    copy->row = *row;
    copy->row.topic = put(&at, row->topic);
    copy->row.event = put(&at, row->event);
    copy->row.payload = put(&at, row->payload);
    copy->row.skip = put(&at, row->skip);
    copy->encodings = NULL;
    copy->encoded = 0;
    return copy;
}

static void row_free(struct hf_ring_row *row)
{
    struct encoding *e;

    while ((e = row->encodings) != NULL) {
        row->encodings = e->next;
        hf_msg_unref(e->msg);
        free(e);
    }
    free(row);
}

static struct hf_ring_row **slot(const struct hf_ring *ring, uint32_t n)
{
    return &ring->rows[(ring->head + n) & (ring->size - 1)];
}

static void drop_oldest(struct hf_ring *ring)
{
    struct hf_ring_row *oldest = *slot(ring, 0);

    ring->low = oldest->row.id;
    ring->bytes -= oldest->row.payload.len;
    ring->head++;
    ring->count--;
    row_free(oldest);
}

void hf_ring_init(struct hf_ring *ring, uint64_t low)
{
    *ring = (struct hf_ring){.low = low};
}

void hf_ring_restart(struct hf_ring *ring, uint64_t low)
{
    while (ring->count > 0)
        drop_oldest(ring);
    free(ring->rows);
    *ring = (struct hf_ring){.low = low};
}

void hf_ring_release(struct hf_ring *ring)
{
    hf_ring_restart(ring, 0);
}

/* Room for twice as many rows, up to the most there may be. */
static int grow(struct hf_ring *ring)
{
    uint32_t size = ring->size > 0 ? 2 * ring->size : HF_RING_FIRST, n;
    struct hf_ring_row **rows = malloc(size * sizeof(struct hf_ring_row *));

    if (!rows)
        return HF_ENOMEM;
    for (n = 0; n < ring->count; n++)
        rows[n] = *slot(ring, n);
    free(ring->rows);
    ring->rows = rows;
    ring->size = size;
    ring->head = 0;
    return 0;
}

void hf_ring_push(struct hf_ring *ring, const struct hf_row *row)
{
    struct hf_ring_row *copy = row_copy(row);

    assert(row->id > ring->low);
    assert(ring->count == 0 ||
           row->id > hf_ring_row_id(*slot(ring, ring->count - 1)));

    while (copy && (ring->count == HF_RING_ROWS ||
                    (ring->count > 0 &&
                     ring->bytes + row->payload.len > HF_RING_BYTES)))
        drop_oldest(ring);
    if (!copy || (ring->count == ring->size && grow(ring))) {
        free(copy);
        hf_ring_restart(ring, row->id);
        return;
    }
    *slot(ring, ring->count) = copy;
    ring->count++;
    ring->bytes += row->payload.len;
}

struct hf_ring_row *hf_ring_after(const struct hf_ring *ring, uint64_t after)
{
    uint32_t lo = 0, hi = ring->count;

    assert(after >= ring->low);

    /* nearly always the member is caught up but for the newest row */
    if (hi >= 2 && (*slot(ring, hi - 2))->row.id <= after)
        lo = hi - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if ((*slot(ring, mid))->row.id > after)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < ring->count ? *slot(ring, lo) : NULL;
}

uint64_t hf_ring_row_id(const struct hf_ring_row *row)
{
    return row->row.id;
}

bool hf_ring_row_known(const struct hf_ring_row *row, uint64_t told)
{
    return hf_presence_known(&row->row, told);
}

struct hf_str hf_ring_row_skip(const struct hf_ring_row *row)
{
    return row->row.skip;
}

/* Keep it for the next member; when that fails they encode it again. */
static void remember(struct hf_ring_row *row, enum hf_form form,
                     struct hf_str join_ref, struct hf_msg *msg)
{
    struct encoding *e;

    if (row->encoded >= HF_ENCODINGS_MAX)
        return;
    e = malloc(sizeof(*e) + join_ref.len);
    if (!e)
        return;
    e->msg = hf_msg_ref(msg);
    e->form = form;
    e->len = join_ref.len;
    if (join_ref.len > 0)
        memcpy(e->join_ref, join_ref.at, join_ref.len);
    e->next = row->encodings;
    row->encodings = e;
    row->encoded++;
}

struct hf_msg *hf_ring_row_msg(struct hf_ring_row *row, uint64_t epoch,
                               enum hf_form form, struct hf_str join_ref,
                               uint64_t *out_encoded)
{
    const struct encoding *e;
    struct hf_msg *msg;

    hf_row_same(&row->row, &form, &join_ref);
    for (e = row->encodings; e; e = e->next)
        if (e->form == form && hf_str_eq(hf_str(e->join_ref, e->len), join_ref))
            return hf_msg_ref(e->msg);
    msg = hf_row_msg(&row->row, epoch, form, join_ref);
    if (!msg)
        return NULL;
    (*out_encoded)++;
    remember(row, form, join_ref, msg);
    return msg;
}
