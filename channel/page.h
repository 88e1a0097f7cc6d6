/*
 * page.h - rows of some topics in their one order, as objects for plain HTTP
 *
 *     {"cursor":C,"topic":T,"event":E,"payload":P,"at":MS}
 *
 * A page is bounded like the answer to a poll; the next one goes on behind it.
 * A payload of bytes is {"_binary":"<base64>"} (P-1.12). Diffs of presence are
 * for those only who may know it. Line breaks between the tokens of a payload are
 * given out as blanks: a message is one line.
 */
#ifndef HF_CHANNEL_PAGE_H
#define HF_CHANNEL_PAGE_H

#include "base/buf.h"
#include "schema/journal.h"

struct hf_page_item;

/* Start from the zeroed struct. */
struct hf_page {
    struct hf_buf messages; /* the objects, one a line, comma between them */
    size_t count;
    uint64_t upto; /* read to here */
    bool more;     /* which is not the end */
    /* private */
    struct hf_buf arena;
    struct hf_page_item *items;
    size_t items_count, items_cap;
};

struct hf_page_topic {
    struct hf_str name;
    bool presence; /* its diffs, too */
};

/* Rows with ids in (after, through] of these topics; they are all different.
 * 0, or why it cannot be read: HF_EBUSY, HF_ESTORE, HF_EREPLACED, HF_ENOMEM. */
int hf_page_read(struct hf_page *page, struct hf_journal *journal,
                 const struct hf_page_topic *topics, size_t count,
                 uint64_t after, uint64_t through);
/* To be called in any case. */
void hf_page_release(struct hf_page *page);

#endif
