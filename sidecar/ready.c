#include "sidecar/ready.h"

#include "base/err.h"
#include "schema/failed.h"

int hf_ready_head(struct hf_process *process, uint64_t *out)
{
    struct hf_journal *journal = process->journal;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = hf_journal_head(journal, out);
    hf_journal_snapshot_end(journal);
    return err;
}

static void look_at_journal(struct hf_process *process, struct hf_buf *out)
{
    uint64_t head;
    int err = hf_ready_head(process, &head);

    if (err == HF_EREPLACED)
        (void)hf_buf_addf(out, "journal: its files were replaced while it was "
                               "open; stop all of Holdfast and start it "
                               "again\n");
    else if (err)
        (void)hf_buf_addf(out,
                          "journal: it cannot be read: %s; see holdfast "
                          "status\n",
                          hf_strerror(err));
    else if (hf_failed(&process->dir))
        (void)hf_buf_addf(out, "journal: the disk lost what was written to it, "
                               "so nothing is published; see to it, then run "
                               "holdfast check --rescue\n");
}

static void look_at_room(const struct hf_counters *counters, struct hf_buf *out)
{
    struct hf_counts counts;

    hf_counters_sum(counters, &counts);
    if (counts.gauge[HF_HAS_SOCKETS] >= counts.gauge[HF_HAS_ROOM])
        (void)hf_buf_addf(
            out,
            "room: %llu of %llu WebSockets are open; raise max_sockets or the "
            "limit of open files, or run more workers\n",
            (unsigned long long)counts.gauge[HF_HAS_SOCKETS],
            (unsigned long long)counts.gauge[HF_HAS_ROOM]);
}

void hf_ready_reasons(struct hf_process *process,
                      const struct hf_counters *counters, bool leaving,
                      struct hf_buf *out)
{
    if (leaving)
        (void)hf_buf_addf(out, "leaving: it was told to end, and says goodbye "
                               "to its clients; the next one serves them\n");
    else
        look_at_room(counters, out);
    look_at_journal(process, out);
}
