/*
 * publication.h - the body of a publish over plain HTTP, taken apart
 *
 *     {"topic":"room:1","event":"say","payload":{"text":"hi"},"key":"..."}
 *
 * one such object, or with the content type application/x-ndjson one on each
 * line, blank lines passed over. `key` may be absent, nothing else may, and no
 * other member may be there, nor one twice: a slip of the pen in `key` would
 * else publish twice what should come once. {"_binary":"<base64>"} as payload,
 * with nothing else in it, stands for bytes; any other payload is kept as it
 * was written (D17).
 *
 * Each becomes the frame of the push it stands for, whose refs are null, and
 * whose options hold the key.
 */
#ifndef HF_CHANNEL_PUBLICATION_H
#define HF_CHANNEL_PUBLICATION_H

#include "channel/proto.h"

/* Start from the zeroed struct. */
struct hf_publications {
    size_t count;
    struct hf_frame *frames;
    size_t *lines;     /* where each stood, from 1 */
    const char *wrong; /* on an error: what is wrong, for the client */
    size_t wrong_line;
};

/*
 * Decode all of `bytes`, into which the frames point. 0; HF_EMALFORMED, and
 * `wrong` says why; HF_ELIMIT: more than HF_POST_LINES; HF_ENOMEM. To be
 * released in any case.
 */
int hf_publications_decode(struct hf_publications *out, struct hf_str bytes,
                           bool ndjson);
void hf_publications_release(struct hf_publications *publications);

#endif
