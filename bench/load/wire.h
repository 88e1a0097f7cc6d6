/*
 * wire.h - what a client writes, and what it finds in what it reads
 *
 * A reader of its own, not that of the side-car: a bench that shares the code
 * it measures would share its faults. It knows the texts that the server
 * writes, docs/PROTOCOL.md section 1, and no other JSON.
 */
#ifndef HF_BENCH_WIRE_H
#define HF_BENCH_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* --- what is written ------------------------------------------------------- */

/* The request for /socket/websocket. `extra`: further header lines. */
int hf_wire_request(struct hf_buf *out, struct hf_str extra);

/* A masked frame. Opcode: 1 text, 8 close, 9 ping, 10 pong. */
int hf_wire_frame(struct hf_buf *out, unsigned opcode, struct hf_str payload);

/* --- what is read ---------------------------------------------------------- */

/* The head of the answer: its length once it is whole, 0 until then, or -1: not
 * the 101 for that request. *out_status: what it was instead, 0 if unclear. */
ssize_t hf_wire_answer(struct hf_str bytes, int *out_status);

struct hf_wire_piece {
    unsigned opcode;
    struct hf_str payload;
};

/* Takes a frame off the front: its length, 0 if it is not whole yet, or -1: not
 * a frame as servers send them. Messages in fragments count as the latter: no
 * server of ours sends any. */
ssize_t hf_wire_unframe(struct hf_str bytes, struct hf_wire_piece *out);

/* [join_ref, ref, topic, event, payload]; strings without their quotes, null
 * empty, the payload as it is. All are parts of `text`. */
struct hf_wire_message {
    struct hf_str join_ref, ref, topic, event, payload;
};
bool hf_wire_message(struct hf_str text, struct hf_wire_message *out);

/* The number behind `name`, which is given with quotes and colon; 0 without. */
uint64_t hf_wire_number(struct hf_str text, const char *name);

/* The same for a string; empty without it. */
struct hf_str hf_wire_string(struct hf_str text, const char *name);

#endif
