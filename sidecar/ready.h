/*
 * ready.h - can clients be sent here?
 */
#ifndef HF_SIDECAR_READY_H
#define HF_SIDECAR_READY_H

#include "base/buf.h"
#include "channel/process.h"
#include "sidecar/counters.h"

/*
 * Add each reason why not, a line for a person; none: they can. The journal is
 * to be readable and not to have failed, the workers to have room, and this one
 * not to be leaving.
 */
void hf_ready_reasons(struct hf_process *process,
                      const struct hf_counters *counters, bool leaving,
                      struct hf_buf *out);

/* The newest id of the journal. 0, or why it cannot be read. */
int hf_ready_head(struct hf_process *process, uint64_t *out);

#endif
