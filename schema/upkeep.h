/*
 * upkeep.h - what steps of retention know of each other
 *
 * Kept in the file `upkeep` of the journal directory, renamed into place, so
 * that any process may do the next step. It means nothing after a reboot, for
 * its times are hf_boot_ms, and nothing for another epoch, for it holds ids;
 * then, and when it is missing or damaged, it begins afresh.
 */
#ifndef HF_SCHEMA_UPKEEP_H
#define HF_SCHEMA_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/dir.h"

/* Wall and boot clock may come apart by so much between two steps. */
#define HF_UPKEEP_CLOCK_MS 60000
/* A jumped clock that has run steadily for so long is believed. */
#define HF_UPKEEP_STEADY_MS (60 * 60 * 1000)

#define HF_UPKEEP_TOPIC 200u /* bytes of a topic at most */

/* "At that time the head was this id." */
struct hf_mark {
    uint64_t id;
    int64_t boot_ms; /* 0 = no such mark */
};

/* Two of them tell what is older than a span: `next` takes the place of `ripe`
 * when it has reached the span itself. */
struct hf_marks {
    struct hf_mark ripe, next;
};

struct hf_upkeep {
    int64_t idle_at_ms; /* last time there was nothing to do; 0 = never */
    uint64_t epoch;     /* of the ids below */

    /* the clock: wall minus boot */
    bool has_offset;
    int64_t offset_ms; /* as it is believed */
    int64_t other_ms;  /* where it has jumped to */
    int64_t other_at;  /* seen there first, and steady since; 0 = it is not */

    struct hf_marks kept;     /* over keep_min */
    struct hf_marks retained; /* over retain */

    /* count per topic (retention.c) */
    int64_t count;    /* retain_count that the below is about; 0 = none */
    uint64_t counted; /* topics of ids up to here are done; 0 = sweep again */
    bool sweeping;    /* visiting all topics, the next one is after: */
    size_t topic_len;
    char topic[HF_UPKEEP_TOPIC];
};

/* Always gives something: what is not of this boot and epoch is left out. */
void hf_upkeep_read(const struct hf_dir *dir, uint64_t epoch,
                    struct hf_upkeep *out);
/* 0 or HF_EIO; the next step then knows no more than this one knew before. */
int hf_upkeep_write(const struct hf_dir *dir, const struct hf_upkeep *upkeep);

/* What a look at the clocks has found that was not so before. */
enum hf_clock_news {
    HF_CLOCK_NO_NEWS,
    HF_CLOCK_JUMPED,   /* and it is not believed */
    HF_CLOCK_BACK,     /* where it was before it jumped */
    HF_CLOCK_BELIEVED, /* where it has jumped to */
};

/*
 * Compare the clocks. True: the wall clock is as before. False: it has jumped,
 * by more than HF_UPKEEP_CLOCK_MS since the last call, and has neither come
 * back nor been steady long enough. *out_now_ms: the wall clock as it is
 * believed. *out_news: what to log; told again when what was found could not
 * be written to the file.
 */
bool hf_upkeep_clock(struct hf_upkeep *upkeep, int64_t boot_ms, int64_t wall_ms,
                     int64_t *out_now_ms, enum hf_clock_news *out_news);

/* Note the head. */
void hf_marks_note(struct hf_marks *marks, uint64_t head, int64_t boot_ms,
                   int64_t span_ms);
/* All ids up to this one were given at least span_ms ago; 0 = not known of any.
 */
uint64_t hf_marks_older(const struct hf_marks *marks, int64_t boot_ms,
                        int64_t span_ms);

#endif
