/*
 * keeper.h - has the journal cut back while nobody looks (schema/retention.h)
 *
 * Every resident process has one. Once a minute it asks whether some process
 * has found nothing to do within that time; if not it takes a step itself, on
 * the writer's thread, and as long as there is more to do another one after a
 * pause, in which whoever wants to write has its turn. It needs no election:
 * two that meet share the work.
 *
 * A host with plain CGI alone has no resident process. There each request that
 * finds the last look minutes old takes one step when it has answered.
 */
#ifndef HF_CHANNEL_KEEPER_H
#define HF_CHANNEL_KEEPER_H

#include "base/loop.h"
#include "schema/retention.h"
#include "schema/writer.h"

struct hf_process;

/* From the start of a process to its first look, ms. */
#define HF_KEEPER_FIRST_MS 3000
/* When a CGI request takes a step; resident processes never let it come to it.
 */
#define HF_KEEPER_LATE_MS (5 * HF_RETENTION_PASS_MS)

struct hf_keeper {
    struct hf_process *process; /* NULL = not started */
    struct hf_timer timer;
    struct hf_job job;
    struct hf_retention_report report; /* of the last step; the job's */
    uint64_t removed;                  /* messages, in this pass */
    int64_t complained_ms;             /* hf_boot_ms; 0 = not yet */
};

/* The loop's thread. Stop accepts one that was not started; a step under way is
 * finished by closing the writer before. */
void hf_keeper_start(struct hf_keeper *keeper, struct hf_process *process);
void hf_keeper_stop(struct hf_keeper *keeper);

/* For a process without a thread for writing: has nobody looked for long? Take
 * a step now, and wait for it. */
bool hf_keeper_is_late(const struct hf_process *process);
void hf_keeper_step(struct hf_process *process);

#endif
