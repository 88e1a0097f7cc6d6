/*
 * body.h - the body of a POST, taken apart into frames (specification 6.5)
 *
 * With the content type application/x-ndjson each line is a message: one that
 * begins as base64 does is a binary frame, any other is text. Blank lines are
 * passed over (6.5, H). With any other content type all of it is one text.
 */
#ifndef HF_CHANNEL_BODY_H
#define HF_CHANNEL_BODY_H

#include "channel/proto.h"

/* Start from the zeroed struct. */
struct hf_body {
    size_t count;
    struct hf_frame *frames;
};

/*
 * Decode all of `bytes`, in which base64 is replaced by what it stands for; the
 * frames point into it. 0, HF_EMALFORMED, HF_ELIMIT: more than HF_POST_LINES,
 * HF_ENOMEM. To be released in any case.
 */
int hf_body_decode(struct hf_body *out, enum hf_vsn vsn, char *bytes,
                   size_t len, bool ndjson);
void hf_body_release(struct hf_body *body);

#endif
