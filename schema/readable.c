#include "schema/readable.h"

#include "base/json.h"
#include "base/utf8.h"
#include "schema/db.h"

#define NAME_MAX_BYTES 200u /* of a topic or an event: docs/SQL.md */

static bool is_name(struct hf_str name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES && hf_utf8_valid(name);
}

/* A client would take it for the end of its channel, or for an answer. */
static bool is_protocols(struct hf_str event)
{
    return hf_str_starts(event, HF_STR("phx_")) ||
           hf_str_starts(event, HF_STR("chan_reply_"));
}

static const char *bad_json(struct hf_str payload)
{
    struct hf_json json;

    switch (hf_json_read(payload, HF_DB_JSON_DEPTH, &json)) {
    case 0:
        return NULL;
    case HF_ELIMIT:
        return "its payload has more than 128 arrays and objects inside each "
               "other";
    default:
        return hf_utf8_valid(payload)
                   ? "its payload is not JSON, or has half a surrogate pair"
                   : "its payload is not UTF-8";
    }
}

const char *hf_row_unreadable(const struct hf_row *row)
{
    if (!is_name(row->topic))
        return "its topic is not UTF-8, too long, or has control characters";
    if (!is_name(row->event))
        return "its event is not UTF-8, too long, or has control characters";
    if (is_protocols(row->event))
        return "its event belongs to the protocol";
    if (row->payload.len > HF_PAYLOAD_LIMIT)
        return "its payload is longer than 16 MiB";
    switch (row->kind) {
    case HF_KIND_JSON:
        return bad_json(row->payload);
    case HF_KIND_BINARY:
        return NULL;
    }
    return "its kind is neither 0 nor 1";
}
