#include "schema/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"

/* Jobs in one transaction: enough that a sync costs each next to nothing, few
 * enough that other writers' turns come soon (about 10 ms of work). */
#define BATCH_MAX 512u
/* And their bytes, of which the log takes somewhat more: so that a full disk
 * can be repaired with the ballast (space.h). */
#define BATCH_BYTES (1024u * 1024u)

struct hf_writer {
    const struct hf_dir *dir;
    const struct hf_settings *settings;
    struct hf_journal *journal; /* NULL until needed, without a thread */
    int64_t busy_ms;
    struct hf_loop *loop; /* NULL: no thread, all below is unused */
    pthread_t thread;
    bool started;
    _Atomic int64_t give_up_ms; /* jobs fail from this hf_boot_ms on; 0 = not */
    struct hf_queue waiting;    /* loop -> writer */
    struct hf_queue finished;   /* writer -> loop */
    struct hf_watch watch;      /* of finished */
};

static struct hf_job *job_of(struct hf_queue_item *item)
{
    return HF_ITEM(item, struct hf_job, item);
}

/* --- one batch ----------------------------------------------------------- */

/* One job as a part of its own. */
static void run_part(struct hf_job *job, struct hf_journal *journal)
{
    job->err = hf_journal_part_begin(journal);
    if (job->err)
        return;
    job->err = job->run(job, journal);
    if (!job->err)
        job->err = hf_journal_part_keep(journal);
    if (job->err)
        hf_journal_part_undo(journal);
}

static int run_all(struct hf_queue_item *first, struct hf_journal *journal)
{
    struct hf_queue_item *item;
    int err;

    err = hf_journal_begin(journal);
    if (err)
        return err;
    for (item = first; item; item = item->next)
        run_part(job_of(item), journal);
    return hf_journal_commit(journal);
}

static void fail_all(struct hf_queue_item *first, int err)
{
    struct hf_queue_item *item;

    for (item = first; item; item = item->next)
        job_of(item)->err = err;
}

static bool out_of_time(struct hf_writer *writer)
{
    int64_t give_up_ms = atomic_load(&writer->give_up_ms);

    return give_up_ms != 0 && hf_boot_ms() >= give_up_ms;
}

/* HF_EFULL has made what room could be made; perhaps it is enough. */
static int run_batch(struct hf_writer *writer, struct hf_queue_item *first)
{
    int err;

    if (out_of_time(writer))
        return HF_ECLOSED;
    err = run_all(first, writer->journal);
    return err == HF_EFULL ? run_all(first, writer->journal) : err;
}

static int do_batch(struct hf_writer *writer, struct hf_queue_item *first)
{
    int err = run_batch(writer, first);

    if (err)
        fail_all(first, err);
    hf_queue_push_all(&writer->finished, first);
    return err;
}

/* Take the jobs that want no transaction around them out of the list. */
static struct hf_queue_item *take_alone(struct hf_queue_item **first)
{
    struct hf_queue_item *alone = NULL, **end = &alone, **at = first;

    while (*at) {
        struct hf_queue_item *item = *at;

        if (!job_of(item)->alone) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        item->next = NULL;
        *end = item;
        end = &item->next;
    }
    return alone;
}

static void do_alone(struct hf_writer *writer, struct hf_queue_item *first)
{
    struct hf_queue_item *item, *next;

    for (item = first; item; item = next) {
        struct hf_job *job = job_of(item);

        next = item->next;
        item->next = NULL;
        job->err =
            out_of_time(writer) ? HF_ECLOSED : job->run(job, writer->journal);
        hf_queue_push_all(&writer->finished, item);
    }
}

#ifdef HF_BROKEN_ACK_BEFORE_COMMIT
/* For tests: what this module must never do. */
static int do_batch_wrong(struct hf_writer *writer, struct hf_queue_item *first)
{
    struct hf_queue_item *item;

    if (hf_journal_begin(writer->journal) == 0)
        for (item = first; item; item = item->next)
            run_part(job_of(item), writer->journal);
    hf_queue_push_all(&writer->finished, first);
    return hf_journal_commit(writer->journal);
}
#define do_batch do_batch_wrong
#endif

/* Cut the list behind BATCH_BYTES, at least one; what is left, or NULL. */
static struct hf_queue_item *cut(struct hf_queue_item *first)
{
    struct hf_queue_item *last = first, *rest;
    size_t bytes = first->cost;

    while (last->next && bytes < BATCH_BYTES) {
        last = last->next;
        bytes += last->cost;
    }
    rest = last->next;
    last->next = NULL;
    return rest;
}

/*
 * A batch has waited for the lock in vain. What came meanwhile shares its fate,
 * or it might be written now: a client says again what was refused, and what it
 * said later must not have overtaken it.
 */
static void refuse(struct hf_writer *writer, struct hf_queue_item *rest)
{
    struct hf_queue_item *later = hf_queue_take(&writer->waiting, 0);
    struct hf_queue_item *alone = take_alone(&later);

    fail_all(rest, HF_EBUSY);
    fail_all(later, HF_EBUSY);
    if (rest)
        hf_queue_push_all(&writer->finished, rest);
    if (later)
        hf_queue_push_all(&writer->finished, later);
    do_alone(writer, alone);
}

static void *write_on(void *arg)
{
    struct hf_writer *writer = arg;

    while (hf_queue_wait(&writer->waiting)) {
        struct hf_queue_item *first =
            hf_queue_take(&writer->waiting, BATCH_MAX);
        struct hf_queue_item *alone = take_alone(&first);
        struct hf_queue_item *rest;

        for (; first; first = rest) {
            rest = cut(first);
            if (do_batch(writer, first) == HF_EBUSY) {
                refuse(writer, rest);
                break;
            }
        }
        do_alone(writer, alone);
    }
    return NULL;
}

/* --- the loop's side ----------------------------------------------------- */

static void take_finished(struct hf_watch *watch, uint32_t events)
{
    struct hf_writer *writer = HF_ITEM(watch, struct hf_writer, watch);
    struct hf_queue_item *item, *next;

    (void)events; /* readable: that is all it can be */
    for (item = hf_queue_take(&writer->finished, 0); item; item = next) {
        struct hf_job *job = job_of(item);

        next = item->next; /* done may free the job */
        job->done(job, job->err);
    }
}

static int start_thread(struct hf_writer *writer)
{
    sigset_t all, before;
    int err;

    /* Signals are the loop's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&writer->thread, NULL, write_on, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        return HF_EIO;
    writer->started = true;
    return 0;
}

static int set_up_thread(struct hf_writer *writer,
                         const struct hf_settings *settings)
{
    int err;

    err = hf_queue_init(&writer->waiting, settings->queue_count,
                        settings->queue_bytes);
    if (!err)
        err = hf_queue_init(&writer->finished, 0, 0);
    if (err)
        return err;
    writer->watch.fd = writer->finished.fd;
    writer->watch.ready = take_finished;
    err = hf_loop_watch(writer->loop, &writer->watch, EPOLLIN);
    if (err) {
        writer->watch.fd = -1;
        return err;
    }
    return start_thread(writer);
}

static int open_journal(struct hf_writer *writer, struct hf_why *why)
{
    return hf_journal_open(writer->dir, writer->settings, HF_JOURNAL_WRITE,
                           &writer->journal, why);
}

int hf_writer_open(struct hf_loop *loop, const struct hf_dir *dir,
                   const struct hf_settings *settings, struct hf_writer **out,
                   struct hf_why *why)
{
    struct hf_writer *writer = calloc(1, sizeof(*writer));
    int err;

    if (!writer)
        return hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));
    writer->dir = dir;
    writer->settings = settings;
    writer->loop = loop;
    writer->busy_ms = settings->busy_ms;
    writer->watch.fd = -1;
    err = loop ? open_journal(writer, why) : 0;
    if (!err && loop) {
        err = set_up_thread(writer, settings);
        if (err)
            (void)hf_explain(why, err, "cannot start the writer: %s",
                             hf_strerror(err));
    }
    if (err) {
        hf_writer_close(writer);
        return err;
    }
    *out = writer;
    return 0;
}

static void stop_thread(struct hf_writer *writer)
{
    atomic_store(&writer->give_up_ms, hf_boot_ms() + writer->busy_ms);
    hf_queue_close(&writer->waiting);
    (void)pthread_join(writer->thread, NULL); /* ours, and joined once */
    take_finished(&writer->watch, 0);
}

void hf_writer_close(struct hf_writer *writer)
{
    if (!writer)
        return;
    if (writer->started)
        stop_thread(writer);
    if (writer->watch.fd >= 0)
        hf_loop_unwatch(writer->loop, &writer->watch);
    hf_queue_release(&writer->waiting);
    hf_queue_release(&writer->finished);
    hf_journal_close(writer->journal);
    free(writer);
}

/* Most polls write nothing, and a second connection costs their process a
 * third of what it does at all. */
static int open_late(struct hf_writer *writer)
{
    struct hf_why why = {""};
    int err;

    if (writer->journal)
        return 0;
    err = open_journal(writer, &why);
    if (err)
        HF_LOG(HF_LOG_ERROR, "writer_failed", hf_field("why", why.text),
               hf_field("effect", "this request writes nothing"));
    return err;
}

static void run_now(struct hf_writer *writer, struct hf_job *job)
{
    int err = open_late(writer);

    if (err) {
        job->done(job, err);
        return;
    }
    job->item.next = NULL;
    if (job->alone) {
        job->done(job, job->run(job, writer->journal));
        return;
    }
    err = run_batch(writer, &job->item);
    job->done(job, err ? err : job->err);
}

int hf_writer_submit(struct hf_writer *writer, struct hf_job *job)
{
    job->err = 0;
    if (writer->loop)
        return hf_queue_push(&writer->waiting, &job->item);
    run_now(writer, job);
    return 0;
}
