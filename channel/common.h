/*
 * common.h - rows of a topic as many receive them, while a snapshot lasts
 *
 * One message to a thousand polls is read, encoded and quoted once: those who
 * are told in one snapshot of the journal and have read as far as each other
 * get the same page. What differs from session to session (who is skipped, who
 * was told a presence) is said with each row, and left to who asks. A few pages
 * are kept, by topic; what is not among them is read again.
 */
#ifndef HF_CHANNEL_COMMON_H
#define HF_CHANNEL_COMMON_H

#include "base/buf.h"
#include "channel/client.h"
#include "channel/limits.h"
#include "schema/journal.h"

#define HF_COMMON_PAGES 4u

struct hf_common_row {
    uint64_t id;
    bool presence; /* who is told the state knows it (presence.h) */
    size_t skip_at, skip_len;
    size_t text_at, text_len; /* a JSON string, quoted */
};

struct hf_common_page {
    /* private: what it is of */
    uint64_t snapshot; /* 0: of nothing */
    uint64_t epoch, after, through;
    enum hf_vsn vsn;
    size_t topic_len;
    char topic[HF_TOPIC_MAX];
    /* What was read, and how far. */
    bool gap;  /* rows that must be read are gone: nothing was */
    bool more; /* there are rows behind `last` */
    uint64_t last;
    struct hf_buf text;
    struct hf_common_row *rows;
    size_t count, cap;
};

/* Start from the zeroed struct. */
struct hf_common {
    struct hf_common_page pages[HF_COMMON_PAGES];
    struct hf_buf scratch;
};

struct hf_common_of {
    uint64_t snapshot; /* its number (waiting.h); never 0 */
    uint64_t epoch;
    struct hf_str topic;
    uint64_t after, through; /* ids in (after, through] */
    enum hf_vsn vsn;
};

/* At most HF_ANSWER_MESSAGES rows and about HF_ANSWER_BYTES, without join_ref.
 * *out is borrowed until the next call. 0; HF_ENOMEM, HF_ESTORE, HF_EBUSY. */
int hf_common_read(struct hf_common *common, struct hf_journal *journal,
                   const struct hf_common_of *of,
                   const struct hf_common_page **out);
void hf_common_release(struct hf_common *common);

static inline struct hf_str hf_common_text(const struct hf_common_page *page,
                                           const struct hf_common_row *row)
{
    return hf_str(page->text.at + row->text_at, row->text_len);
}

static inline struct hf_str hf_common_skip(const struct hf_common_page *page,
                                           const struct hf_common_row *row)
{
    return hf_str(page->text.at + row->skip_at, row->skip_len);
}

#endif
