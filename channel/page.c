#include "channel/page.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "channel/cursor.h"
#include "channel/encode.h"

struct hf_page_item {
    uint64_t id;
    size_t at, len; /* in the arena */
};

/* --- one row --------------------------------------------------------------- */

/* JSON has line breaks between its tokens only, where a blank says the same; so
 * each message is one line, which a shell can read. */
static void add_json(struct hf_buf *out, struct hf_str payload)
{
    size_t n = out->len;

    if (hf_buf_add_str(out, payload))
        return;
    for (; n < out->len; n++)
        if (out->at[n] == '\n' || out->at[n] == '\r')
            out->at[n] = ' ';
}

static void add_payload(struct hf_buf *out, const struct hf_row *row)
{
    char *at;

    if (row->kind == HF_KIND_JSON) {
        add_json(out, row->payload);
        return;
    }
    (void)hf_buf_add_str(out, HF_BINARY_BEGIN);
    at = hf_buf_room(out, HF_BASE64_LEN(row->payload.len));
    if (at)
        hf_buf_grown(out, hf_base64(row->payload, at));
    (void)hf_buf_add_str(out, HF_BINARY_END);
}

static int encode(struct hf_buf *out, const struct hf_row *row, uint64_t epoch)
{
    char cursor[HF_CURSOR_MAX];
    size_t len = hf_cursor_format((struct hf_cursor){epoch, row->id}, cursor);

    (void)hf_buf_addf(out, "{\"cursor\":\"%.*s\",\"topic\":", (int)len, cursor);
    (void)hf_json_quote(out, row->topic);
    (void)hf_buf_add_str(out, HF_STR(",\"event\":"));
    (void)hf_json_quote(out, row->event);
    (void)hf_buf_add_str(out, HF_STR(",\"payload\":"));
    add_payload(out, row);
    (void)hf_buf_addf(out, ",\"at\":%lld}", (long long)row->at_ms);
    return hf_buf_error(out);
}

/* --- rows of one topic ------------------------------------------------------ */

struct reading {
    struct hf_page *page;
    uint64_t epoch;
    bool presence;
};

static int make_room(struct hf_page *page)
{
    size_t cap = page->items_cap ? 2 * page->items_cap : 32;
    struct hf_page_item *items;

    if (page->items_count < page->items_cap)
        return 0;
    items = realloc(page->items, cap * sizeof(*items));
    if (!items)
        return HF_ENOMEM;
    page->items = items;
    page->items_cap = cap;
    return 0;
}

static int add_row(void *ctx, const struct hf_row *row)
{
    const struct reading *reading = ctx;
    struct hf_page *page = reading->page;
    struct hf_page_item item = {row->id, page->arena.len, 0};
    int err;

    if (!reading->presence && hf_str_eq(row->event, HF_STR("presence_diff")))
        return 0;
    err = make_room(page);
    if (err == 0)
        err = encode(&page->arena, row, reading->epoch);
    if (err)
        return err;
    item.len = page->arena.len - item.at;
    page->items[page->items_count++] = item;
    return 0;
}

/* --- the page --------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct hf_page_item *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* As far as all topics were read, and as much as fits; one message alone
 * whatever its size. */
static void emit(struct hf_page *page)
{
    size_t n;

    for (n = 0; n < page->items_count; n++) {
        const struct hf_page_item *item = &page->items[n];

        if (item->id > page->upto)
            return;
        if (page->count == HF_ANSWER_MESSAGES ||
            (page->count > 0 &&
             page->messages.len + item->len > HF_ANSWER_BYTES)) {
            page->more = true;
            page->upto = page->items[n - 1].id;
            return;
        }
        if (page->count++ > 0)
            (void)hf_buf_add_str(&page->messages, HF_STR(",\n"));
        (void)hf_buf_add(&page->messages, page->arena.at + item->at, item->len);
    }
}

/* A topic was not read to the end, so nothing behind that is told either. */
static void cut(struct hf_page *page, uint64_t last)
{
    page->more = true;
#ifndef HF_BROKEN_PAGE_SAYS_HEAD
    if (last < page->upto)
        page->upto = last;
#endif
}

int hf_page_read(struct hf_page *page, struct hf_journal *journal,
                 const struct hf_page_topic *topics, size_t count,
                 uint64_t after, uint64_t through)
{
    struct reading reading = {page, hf_journal_epoch(journal), false};
    size_t n;
    int err = 0;

    page->upto = through;
    hf_buf_init(&page->arena, SIZE_MAX / 2);    /* bounded by what is read */
    hf_buf_init(&page->messages, SIZE_MAX / 2); /* a part of it */
    for (n = 0; n < count && err == 0; n++) {
        uint64_t last;
        bool more;

        reading.presence = topics[n].presence;
        err = hf_journal_read_topic(journal, topics[n].name, after, through,
                                    HF_ANSWER_MESSAGES, HF_ANSWER_BYTES,
                                    add_row, &reading, &last, &more);
        if (err == 0 && more)
            cut(page, last);
    }
    if (err)
        return err;
    if (count > 1 && page->items_count > 1)
        qsort(page->items, page->items_count, sizeof(*page->items), by_id);
    emit(page);
    return hf_buf_error(&page->messages);
}

void hf_page_release(struct hf_page *page)
{
    hf_buf_release(&page->arena);
    hf_buf_release(&page->messages);
    free(page->items);
    *page = (struct hf_page){.upto = 0};
}
