/*
 * ws_frame.h - RFC 6455 frames to and from memory; no I/O, no buffers
 *
 * The decoder takes bytes as they come from a client, undoes the mask where
 * they lie, and hands out pieces of them: a whole message when all of it is
 * there, else what is there. Putting pieces together is the caller's part.
 * Everything the RFC lets a server judge is judged here, as early as the bytes
 * allow: a length is refused when its header is read, a text at its first bad
 * byte.
 *
 *     FIRST -> SECOND --+--> LENGTH --+--> MASK -> PAYLOAD --> FIRST
 *                       +-------------+
 */
#ifndef HF_SIDECAR_WS_FRAME_H
#define HF_SIDECAR_WS_FRAME_H

#include <stdint.h>

#include "base/str.h"
#include "base/utf8.h"

/* Section 5.2; everything else is reserved. */
enum hf_ws_opcode {
    HF_WS_CONTINUATION = 0x0,
    HF_WS_TEXT = 0x1,
    HF_WS_BINARY = 0x2,
    HF_WS_CLOSE = 0x8,
    HF_WS_PING = 0x9,
    HF_WS_PONG = 0xA,
};

/* Section 7.4.1 and the registry it opens: the codes that we send. Never 1000,
 * after which some clients do not come back (specification section 8.5). */
enum hf_ws_status {
    HF_WS_AWAY = 1001,      /* silent for too long, or disconnected */
    HF_WS_PROTOCOL = 1002,  /* broken framing */
    HF_WS_BAD_TEXT = 1007,  /* not UTF-8 */
    HF_WS_POLICY = 1008,    /* asks faster than it reads */
    HF_WS_TOO_BIG = 1009,   /* message beyond max_frame */
    HF_WS_FAULT = 1011,     /* undecodable message, or out of memory */
    HF_WS_RESTART = 1012,   /* planned: come back */
    HF_WS_LATER = 1013,     /* does not read, or we have no room */
    HF_WS_NO_STATUS = 1005, /* never on the wire: a goodbye without a code */
};

#define HF_WS_HEAD_MAX    10u  /* bytes; ours carry no mask */
#define HF_WS_CONTROL_MAX 125u /* payload bytes of ping, pong, close */
#define HF_WS_REASON_MAX  124u /* of a close, with a terminator */

/* Zeroed before the first byte. After a refusal it must not be fed again. */
struct hf_ws_decoder {
    uint64_t left;       /* bytes of this frame's payload still to come */
    size_t message_len;  /* bytes of this message so far */
    uint8_t mask[4];     /* turned so that mask[0] is for the next byte */
    uint8_t stage;       /* which byte of a frame comes next */
    uint8_t need;        /* bytes of LENGTH or MASK still to come */
    uint8_t opcode;      /* of this frame */
    uint8_t message;     /* TEXT or BINARY while one is under way; else 0 */
    struct hf_utf8 text; /* how far the text is checked */
    bool final;          /* this frame ends its message */
    bool fresh;          /* no piece of this frame was handed out yet */
    bool wide;           /* its length has eight bytes, not two */
};

struct hf_ws_piece {
    enum hf_ws_opcode kind; /* CONTINUATION: there is no piece */
    struct hf_str bytes;    /* unmasked, in the caller's memory; may be empty */
    bool starts;            /* first piece of a message or control frame */
    bool ends_frame;        /* the peer has sent a whole frame */
    bool ends;              /* last piece of a message or control frame */
};

/*
 * Take from the front of `bytes` (len at least 1), which are unmasked in place,
 * at most one piece. *out_used is at least 1; call again until all is used.
 * Messages are at most max_message bytes.
 *
 * 0, or the enum hf_ws_status to close with: PROTOCOL, BAD_TEXT, TOO_BIG.
 */
int hf_ws_decode(struct hf_ws_decoder *decoder, size_t max_message, char *bytes,
                 size_t len, size_t *out_used, struct hf_ws_piece *out);

/*
 * What a close frame says. *out_code is what to answer with: the peer's own
 * code, or NO_STATUS when it gave none. 0; PROTOCOL for a body of one byte or a
 * code that must not be sent; BAD_TEXT.
 */
int hf_ws_read_close(struct hf_str body, int *out_code);

/* Write the header of an unfragmented, unmasked frame so that it ends just
 * before `end`, which has HF_WS_HEAD_MAX bytes before it. Its length. */
size_t hf_ws_head(char *end, enum hf_ws_opcode opcode, size_t len);

#endif
