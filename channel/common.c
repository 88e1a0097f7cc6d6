#include "channel/common.h"

#include <stdlib.h>

#include "base/json.h"
#include "channel/presence.h"
#include "channel/row.h"

#define PAGE_MAX  (16u * 1024u * 1024u) /* quoted, six bytes for one */
#define PAGE_KEPT (64u * 1024u)         /* from one snapshot to the next */

/* Pages of one snapshot are few: a topic's has its place, and whoever needs it
 * next empties it. */
static struct hf_common_page *place_of(struct hf_common *common,
                                       struct hf_str topic)
{
    unsigned hash = 0;
    size_t i;

    for (i = 0; i < topic.len; i++)
        hash = hash * 31u + (unsigned char)topic.at[i];
    return &common->pages[hash % HF_COMMON_PAGES];
}

static bool is_of(const struct hf_common_page *page,
                  const struct hf_common_of *of)
{
    return page->snapshot == of->snapshot && page->epoch == of->epoch &&
           page->after == of->after && page->through == of->through &&
           page->vsn == of->vsn &&
           hf_str_eq(hf_str(page->topic, page->topic_len), of->topic);
}

/* What one large page needed is not kept for the small ones. */
static void empty(struct hf_buf *buf)
{
    if (buf->cap > PAGE_KEPT)
        hf_buf_release(buf);
    if (buf->max == 0)
        hf_buf_init(buf, PAGE_MAX);
    hf_buf_reset(buf);
}

static struct hf_common_row *new_row(struct hf_common_page *page)
{
    size_t cap = page->cap ? page->cap * 2 : 4;
    struct hf_common_row *rows;

    if (page->count < page->cap)
        return &page->rows[page->count];
    rows = realloc(page->rows, cap * sizeof(*rows));
    if (!rows)
        return NULL;
    page->rows = rows;
    page->cap = cap;
    return &rows[page->count];
}

struct reading {
    struct hf_common *common;
    struct hf_common_page *page;
};

static int add_row(void *ctx, const struct hf_row *row)
{
    struct reading *reading = ctx;
    struct hf_common_page *page = reading->page;
    struct hf_buf *scratch = &reading->common->scratch;
    struct hf_common_row *out = new_row(page);
    int err;

    if (!out)
        return HF_ENOMEM;
    empty(scratch);
    err = hf_encode_row(scratch, row, page->epoch, page->vsn, hf_str(NULL, 0));
    if (err)
        return err;
    out->id = row->id;
    out->presence = hf_presence_known(row, UINT64_MAX);
    out->skip_at = page->text.len;
    out->skip_len = row->skip.len;
    (void)hf_buf_add_str(&page->text, row->skip);
    out->text_at = page->text.len;
    (void)hf_json_quote(&page->text, hf_buf_str(scratch));
    out->text_len = page->text.len - out->text_at;
    page->count++;
    return hf_buf_error(&page->text);
}

static int fill(struct hf_common *common, struct hf_common_page *page,
                struct hf_journal *journal, const struct hf_common_of *of)
{
    struct reading reading = {common, page};
    int err;

    page->snapshot = 0;
    page->epoch = of->epoch;
    page->after = page->last = of->after;
    page->through = of->through;
    page->vsn = of->vsn;
    page->topic_len = of->topic.len;
    memcpy(page->topic, of->topic.at, of->topic.len);
    page->more = false;
    page->count = 0;
    empty(&page->text);
    err = hf_journal_gap(journal, of->topic, of->after, &page->gap);
    if (err == 0 && !page->gap)
        err = hf_journal_read_topic(
            journal, of->topic, of->after, of->through, HF_ANSWER_MESSAGES,
            HF_ANSWER_BYTES, add_row, &reading, &page->last, &page->more);
    if (err == 0)
        page->snapshot = of->snapshot;
    return err;
}

int hf_common_read(struct hf_common *common, struct hf_journal *journal,
                   const struct hf_common_of *of,
                   const struct hf_common_page **out)
{
    struct hf_common_page *page = place_of(common, of->topic);
    int err = is_of(page, of) ? 0 : fill(common, page, journal, of);

    *out = page;
    return err;
}

void hf_common_release(struct hf_common *common)
{
    size_t i;

    for (i = 0; i < HF_COMMON_PAGES; i++) {
        hf_buf_release(&common->pages[i].text);
        free(common->pages[i].rows);
    }
    hf_buf_release(&common->scratch);
    *common = (struct hf_common){.scratch = {.at = NULL}};
}
