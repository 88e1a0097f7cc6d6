/*
 * live_impl.h - live.db from within: what live.c and live_seats.c share
 */
#ifndef HF_SCHEMA_LIVE_IMPL_H
#define HF_SCHEMA_LIVE_IMPL_H

#include "base/clock.h"
#include "schema/db.h"
#include "schema/live.h"

struct hf_live {
    struct hf_db db;
    unsigned number; /* of the file */
    dev_t device;    /* and what it was when it was opened */
    ino_t inode;
    int64_t data_version;
    bool version_known;
    int64_t self;  /* a number that no other connection has; 0: none */
    bool together; /* in hf_live_together */
    bool shared;   /* in hf_live_share, and nothing was written since */
};

/* A time so long ago. */
static inline void hf_live_bind_now(sqlite3_stmt *stmt, int at,
                                    int64_t minus_ms)
{
    (void)sqlite3_bind_int64(stmt, at, hf_boot_ms() - minus_ms);
}

/* A kept statement whose first parameter is a session; the second kind writes,
 * which ends what is shared. */
int hf_live_reading(struct hf_live *live, struct hf_str session,
                    const char *sql, sqlite3_stmt **out);
int hf_live_writing(struct hf_live *live, struct hf_str session,
                    const char *sql, sqlite3_stmt **out);

/* A part of several statements: all or nothing of it, whether it is alone or
 * inside what goes together. `err` is how the part went; the end returns it, or
 * why it was not kept. */
int hf_live_part_begin(struct hf_live *live);
int hf_live_part_end(struct hf_live *live, int err);

/* First column of the one row that a bound statement gives. HF_ENOTFOUND when
 * there is none; *out is as it was then. */
int hf_live_one_number(struct hf_live *live, sqlite3_stmt *stmt, int64_t *out);

#endif
