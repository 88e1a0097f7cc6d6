/*
 * redact.h - take away a payload and keep the message's place
 *
 * For text that must not be kept. The payload becomes {} (no bytes when kind is
 * 1); id, topic, event, time and key stay, so cursors, order and repeats are
 * as before. `redacted` notes it. A script can do the same:
 *
 *     UPDATE messages SET payload = '{}' WHERE id = ?
 *
 * From then on nobody is given the old payload; processes that have it in
 * memory drop it within a second. Clients that have received it keep it, and so
 * do backups.
 */
#ifndef HF_SCHEMA_REDACT_H
#define HF_SCHEMA_REDACT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/journal.h"

struct hf_redaction {
    bool already; /* the payload had been taken away before */
    bool taken;   /* nobody is given it any more, also when the call failed */
    bool erased;  /* the old bytes are in no file of the journal any more */
};

/*
 * Take away the payload of message `id`, in a transaction of its own, then
 * write the WAL back into the journal and empty it, so that the bytes are gone
 * from both (freed space is overwritten). Waits for readers of the old state,
 * settings.busy_ms at most and letting others publish meanwhile. `erased` is
 * false when some program's open transaction still reads it then: the payload
 * is taken away, and another call finishes the erasing once that has ended.
 * What foreign programs without PRAGMA secure_delete moved about before may
 * have left bytes in free space of the file; that is beyond us. 0;
 * HF_ENOTFOUND: no such message; HF_EBUSY, HF_EFULL, HF_EBLOCKED, HF_EFAILED,
 * HF_EREPLACED, HF_ESTORE, HF_EIO. After an error `taken` says whether only
 * the erasing failed, which another call finishes as well.
 */
int hf_journal_redact(struct hf_journal *journal, uint64_t id,
                      struct hf_redaction *out);

#endif
