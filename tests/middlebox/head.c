#include "tests/middlebox/head.h"

#include <strings.h>

/* The next line with its line end, nothing when there is none. */
static struct hf_str next_line(struct hf_str *text)
{
    const char *end = text->len > 0 ? memchr(text->at, '\n', text->len) : NULL;
    struct hf_str line = {NULL, 0};

    if (!end)
        return line;
    line = hf_str(text->at, (size_t)(end - text->at) + 1);
    *text = hf_str_from(*text, line.len);
    return line;
}

static bool is_empty(struct hf_str line)
{
    return line.len == 1 || (line.len == 2 && line.at[0] == '\r');
}

/* The value of this field, if the line has it. */
static bool field(struct hf_str line, struct hf_str name, struct hf_str *out)
{
    if (line.len <= name.len || line.at[name.len] != ':' ||
        strncasecmp(line.at, name.at, name.len) != 0)
        return false;
    while (line.len > 0 &&
           (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    *out = hf_str_trim(hf_str_from(line, name.len + 1));
    return true;
}

static int read_length(struct hf_str digits, size_t *out)
{
    size_t length = 0;

    if (digits.len == 0)
        return HF_EMALFORMED;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return HF_EMALFORMED;
        length = 10 * length + (size_t)(digits.at[i] - '0');
        if (length > BODY_MAX)
            return HF_ELIMIT;
    }
    *out = length;
    return 0;
}

static int read_field(struct hf_str line, struct head *head)
{
    struct hf_str value;

    if (field(line, HF_STR("upgrade"), &value)) {
        if (value.len == 9 && strncasecmp(value.at, "websocket", 9) == 0)
            head->kind = KIND_UPGRADE;
    } else if (field(line, HF_STR("content-length"), &value)) {
        return read_length(value, &head->body);
    } else if (field(line, HF_STR("transfer-encoding"), &value)) {
        return HF_EMALFORMED;
    }
    return 0;
}

int head_read(struct hf_str bytes, struct head *out)
{
    struct hf_str rest = bytes;
    struct hf_str line = next_line(&rest);
    struct head head = {.kind = KIND_GET};
    int err;

    if (line.len > 0 && !memmem(line.at, line.len, " HTTP/1.", 8))
        return HF_EMALFORMED;
    if (hf_str_starts(line, HF_STR("POST ")))
        head.kind = KIND_POST;
    while (line.len > 0 && !is_empty(line)) {
        err = read_field(line, &head);
        if (err)
            return err;
        line = next_line(&rest);
    }
    if (line.len == 0)
        return bytes.len > HEAD_MAX ? HF_ELIMIT : HF_EAGAIN;
    head.len = bytes.len - rest.len;
    if (head.len > HEAD_MAX)
        return HF_ELIMIT;
    *out = head;
    return 0;
}

/* GET /x HTTP/1.1 -> GET /x HTTP/1.0 */
static int pass_first(struct hf_buf *out, struct hf_str line, bool http10)
{
    size_t blank = line.len;

    if (!http10)
        return hf_buf_add_str(out, line);
    while (blank > 0 && line.at[blank - 1] != ' ')
        blank--;
    (void)hf_buf_add(out, line.at, blank);
    return hf_buf_add_str(out, HF_STR("HTTP/1.0\r\n"));
}

int head_pass(struct hf_buf *out, struct hf_str head, bool upgrade, bool http10)
{
    struct hf_str line;
    struct hf_str value;

    if (upgrade)
        return hf_buf_add_str(out, head);
    (void)pass_first(out, next_line(&head), http10);
    while ((line = next_line(&head)).len > 0 && !is_empty(line))
        if (!field(line, HF_STR("connection"), &value) &&
            !field(line, HF_STR("keep-alive"), &value) &&
            !field(line, HF_STR("upgrade"), &value))
            (void)hf_buf_add_str(out, line);
    (void)hf_buf_add_str(out, HF_STR("Connection: close\r\n\r\n"));
    return hf_buf_error(out);
}

size_t answer_take(struct answer *answer, struct hf_str bytes)
{
    static const char end[4] = {'\r', '\n', '\r', '\n'};
    size_t n = 0;

    for (; n < bytes.len && !answer->done; n++) {
        char byte = bytes.at[n];

        if (answer->line_len < sizeof(answer->line))
            answer->line[answer->line_len++] = byte;
        if (byte == end[answer->ending])
            answer->ending++;
        else
            answer->ending = byte == '\r' ? 1 : 0;
        answer->done = answer->ending == sizeof(end);
    }
    return n;
}

bool answer_is_upgrade(const struct answer *answer)
{
    return answer->line_len == sizeof(answer->line) &&
           memcmp(answer->line + 8, " 101 ", 5) == 0;
}
