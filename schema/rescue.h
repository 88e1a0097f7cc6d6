/*
 * rescue.h - copy what can still be read of a journal to a new one
 *
 * For a journal whose pages are damaged, or whose disk has lost a sync
 * (failed.h). The new file begins empty, with the tables of this version;
 * messages are read in the order of their ids. Where a page cannot be read the
 * next ids are tried one by one, so that what is lost is what lay on it. Each
 * row passes the triggers of the new file, so that garbage is not carried over.
 * The ids stay, and the sequence goes above all that is known of the old one
 * plus a leap. The new file has no epoch yet: whoever opens it first begins one
 * and clients start afresh, for some of what they know may be gone.
 *
 * It is done alone (alone.h), and the old file is kept.
 */
#ifndef HF_SCHEMA_RESCUE_H
#define HF_SCHEMA_RESCUE_H

#include "schema/alone.h"
#include "schema/settings.h"

struct hf_rescue {
    const struct hf_settings *settings;
    bool even_if_whole; /* go on though nothing is wrong with it */
    /* Now and then; other than 0 stops with HF_ECLOSED. May be NULL. */
    int (*progress)(void *ctx, uint64_t id, uint64_t last);
    void *ctx;
};

struct hf_rescue_report {
    bool needless; /* the journal is whole and no sync failed: nothing done */
    uint64_t messages;
    uint64_t refused;  /* rows that could be read and are none */
    uint64_t spots;    /* places where nothing could be read */
    uint64_t ids_lost; /* ids in them: at most so many messages are lost */
    uint64_t policies;
    bool policies_damaged;    /* some of them are lost */
    char damage[160];         /* what integrity_check said of the old */
    char kept[HF_ALONE_KEPT]; /* name of the old file */
};

/*
 * 0, with the new journal in place or report->needless; HF_EBUSY: somebody has
 * the journal open; HF_ESTORE: nothing of it can be read; HF_EFULL: no room for
 * the new file; HF_ECLOSED, HF_EIO, HF_ENOMEM. *why is filled, and but for
 * HF_EIO after the last step all is as it was.
 */
int hf_rescue(const struct hf_dir *dir, const struct hf_rescue *rescue,
              struct hf_rescue_report *report, struct hf_why *why);

#endif
