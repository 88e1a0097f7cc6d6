/*
 * writer.h - the writer thread: group commit off the loop (D5)
 *
 * The loop hands over jobs; the writer takes those that wait, up to 512 and
 * about 1 MiB, runs them one after the other inside one transaction, each as a
 * part of its own, commits (synced as `durability` says), rings the bells, and
 * gives them back to the loop, where `done` runs. Jobs that are `alone` run
 * outside of it. So nothing is acknowledged before it is on disk, and a thousand
 * publishers share one sync.
 *
 *     loop    hf_writer_submit ---queue--->  writer: begin, run.., commit, ring
 *     loop    done(job, err)  <--eventfd--
 *
 * If a part fails only that job fails. If begin or commit fails all jobs of
 * the batch fail with that error and none has had an effect. If that is because
 * another program holds the write lock (HF_EBUSY), so do those that were submitted
 * while it was waited for: whoever repeats what failed finds his order kept.
 */
#ifndef HF_SCHEMA_WRITER_H
#define HF_SCHEMA_WRITER_H

#include "base/loop.h"
#include "base/queue.h"
#include "schema/journal.h"

struct hf_writer;

struct hf_job {
    struct hf_queue_item item; /* private; set item.cost to its bytes */
    /* Writer thread, inside the transaction. Other than 0 undoes this part.
     * Touches only the job and the journal. May run again after an undone
     * batch, so it must start afresh each time. */
    int (*run)(struct hf_job *job, struct hf_journal *journal);
    /* Loop thread, later, exactly once; the job is the caller's again. */
    void (*done)(struct hf_job *job, int err);
    /* No transaction around `run`, which begins and ends its own, behind those
     * of the jobs that were taken with it. For upkeep, whose work must neither
     * delay a batch nor fail with it. */
    bool alone;
    int err; /* private */
};

/*
 * Open the write connection and start the thread. `loop` NULL: no thread, jobs
 * are run by submit itself, in a transaction each, and `done` is called before
 * it returns (plain CGI). The connection is then opened for the first job, which
 * fails if that does, and `dir` and `settings` are borrowed.
 */
int hf_writer_open(struct hf_loop *loop, const struct hf_dir *dir,
                   const struct hf_settings *settings, struct hf_writer **out,
                   struct hf_why *why);

/* Finish what is queued (bounded by busy_ms), run every `done`, stop. */
void hf_writer_close(struct hf_writer *writer);

/* 0: done will be called. HF_ELIMIT: the queue is full (say "busy");
 * HF_ECLOSED. On error done is not called. */
int hf_writer_submit(struct hf_writer *writer, struct hf_job *job);

#endif
