/*
 * cursor.h - a place in the journal, as text for clients: "j:<epoch>.<id>"
 *
 * <epoch> is 64 bits in base64url (11 characters), <id> decimal. Opaque to
 * clients; never a decimal number alone, which stock clients would take for a
 * heartbeat's ref (specification section 10, D7). At most HF_CURSOR_MAX bytes.
 */
#ifndef HF_CHANNEL_CURSOR_H
#define HF_CHANNEL_CURSOR_H

#include <stdint.h>

#include "base/str.h"
#include "channel/limits.h"

struct hf_cursor {
    uint64_t epoch;
    uint64_t id;
};

/* Writes without terminator; returns the length. */
size_t hf_cursor_format(struct hf_cursor cursor, char out[HF_CURSOR_MAX]);

/* Strict: exactly what format writes. 0 or HF_EMALFORMED. */
int hf_cursor_parse(struct hf_str text, struct hf_cursor *out);

#endif
