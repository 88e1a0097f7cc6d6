#include "channel/row.h"

#include "base/crypto.h"
#include "channel/cursor.h"
#include "channel/proto.h"

/* {"_binary":"<base64>"}: a binary frame cannot travel in a list of JSON
 * strings (specification 6.7), so it takes this form. */
static int add_binary(struct hf_buf *out, struct hf_str bytes)
{
    char *at;

    (void)hf_buf_add_str(out, HF_STR("{\"_binary\":\""));
    at = hf_buf_room(out, HF_BASE64_LEN(bytes.len));
    if (!at)
        return out->failed;
    hf_buf_grown(out, hf_base64(bytes, at));
    return hf_buf_add_str(out, HF_STR("\"}"));
}

/* "j:<epoch>.<id>", with its quotes. */
static size_t quote_cursor(char *out, uint64_t epoch, uint64_t id)
{
    size_t len = hf_cursor_format((struct hf_cursor){epoch, id}, out + 1);

    out[0] = out[1 + len] = '"';
    return len + 2;
}

int hf_encode_row(struct hf_buf *out, const struct hf_row *row, uint64_t epoch,
                  struct hf_str join_ref)
{
    char cursor[HF_CURSOR_MAX + 2];
    struct hf_str ref = HF_NULL;

#ifdef HF_BROKEN_REPLAY_NULL_REF
    join_ref.len = 0;
#endif
    if (join_ref.len > 0)
        ref = hf_str(cursor, quote_cursor(cursor, epoch, row->id));
    else
        join_ref = HF_NULL;
    if (row->kind == HF_KIND_JSON)
        return hf_encode_push(out, join_ref, ref, row->topic, row->event,
                              row->payload);

    (void)hf_buf_add_byte(out, '[');
    (void)hf_buf_add_str(out, join_ref);
    (void)hf_buf_add_byte(out, ',');
    (void)hf_buf_add_str(out, ref);
    (void)hf_buf_add_byte(out, ',');
    (void)hf_json_quote(out, row->topic);
    (void)hf_buf_add_byte(out, ',');
    (void)hf_json_quote(out, row->event);
    (void)hf_buf_add_byte(out, ',');
    (void)add_binary(out, row->payload);
    (void)hf_buf_add_byte(out, ']');
    return hf_buf_error(out);
}

struct hf_msg *hf_row_msg(const struct hf_row *row, uint64_t epoch,
                          struct hf_str join_ref)
{
    struct hf_msg *msg = NULL;
    struct hf_buf text;

    hf_buf_init(&text, SIZE_MAX / 2); /* bounded by the row it encodes */
    if (hf_encode_row(&text, row, epoch, join_ref) == 0)
        msg = hf_msg_of(hf_buf_str(&text));
    hf_buf_release(&text);
    return msg;
}
