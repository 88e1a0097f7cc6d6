/*
 * tail.h - journal -> rings: the only way live rows come into a process (D1)
 *
 * One page is one snapshot of the journal: it reads the rows after the hub's
 * cursor, moves the cursor, and notices what a reader must be told of instead:
 * another epoch, rows deleted before they were read, changed rights.
 */
#ifndef HF_CHANNEL_TAIL_H
#define HF_CHANNEL_TAIL_H

#include "channel/hub.h"

/* Read on by at most a page. *out_more: the head is not reached. 0, HF_ESTORE,
 * HF_EBUSY, HF_EREPLACED: the cursor did not move. */
int hf_tail_page(struct hf_hub *hub, bool *out_more);

/* The files of the journal were replaced below this process, which can read no
 * more of it: end every membership rather than keep it waiting. 0, HF_ENOMEM. */
int hf_tail_end(struct hf_hub *hub);

/* Put the cursor at the head without reading; for a hub without topics. */
int hf_tail_skip_to_head(struct hf_hub *hub);

#endif
