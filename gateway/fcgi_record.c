#include "gateway/fcgi_record.h"

#include "base/err.h"

enum { VERSION = 1, RESPONDER = 1, KEEP_CONN = 1, HEADER_LEN = 8 };

enum type {
    BEGIN_REQUEST = 1,
    ABORT_REQUEST = 2,
    END_REQUEST = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
    GET_VALUES = 9,
    GET_VALUES_RESULT = 10,
    UNKNOWN_TYPE = 11,
};

/* What is read next; the zeroed walk waits for a request. */
enum phase { IDLE, IN_PARAMS, IN_STDIN };

/* Longest content of our STDOUT records; a multiple of eight, as section 3.3
 * recommends, below the 65,535 that the header can say. */
#define STDOUT_MAX 65528u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int wrong(struct hf_fcgi_walk *walk, const char *why)
{
    walk->wrong = why;
    return HF_EMALFORMED;
}

static unsigned u16(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* --- parameters ---------------------------------------------------------- */

/* Lengths take one byte below 128, else four with the top bit set. */
static void take_length_byte(struct hf_fcgi_walk *walk, unsigned char byte)
{
    if (walk->length_left == 0) {
        walk->length = byte & 0x7fu;
        walk->length_left = byte & 0x80u ? 3 : 0;
    } else {
        walk->length = walk->length << 8 | byte;
        walk->length_left--;
    }
    if (walk->length_left > 0)
        return;

    walk->pair += walk->length;
    walk->has_name = !walk->has_name;
    if (walk->has_name)
        return;
    if (walk->pair > HF_FCGI_PARAMS_MAX)
        walk->params_large = true;
    walk->text_left = (size_t)walk->pair;
    walk->pair = 0;
}

static void walk_params(struct hf_fcgi_walk *walk, struct hf_str bytes)
{
    walk->params += bytes.len;
    if (walk->params > HF_FCGI_PARAMS_MAX)
        walk->params_large = true;
    while (bytes.len > 0 && !walk->params_large) {
        size_t n = least(walk->text_left, bytes.len);

        if (n == 0) {
            take_length_byte(walk, (unsigned char)bytes.at[0]);
            n = 1;
        } else {
            walk->text_left -= n;
        }
        bytes = hf_str_from(bytes, n);
    }
}

static bool in_pair(const struct hf_fcgi_walk *walk)
{
    return walk->has_name || walk->length_left > 0 || walk->text_left > 0;
}

/* --- records ------------------------------------------------------------- */

/* May this record come now? */
static int check_header(struct hf_fcgi_walk *walk)
{
    unsigned type = walk->header[1];
    unsigned id = u16(walk->header + 2);

    if (walk->header[0] != VERSION)
        return wrong(walk, "version");
    if (walk->phase == IDLE && id == 0)
        return walk->content_len <= HF_FCGI_MANAGEMENT_MAX
                   ? 0
                   : wrong(walk, "management record too long");
    if (walk->phase == IDLE) {
        if (type != BEGIN_REQUEST)
            return wrong(walk, "no request begun");
        if (walk->content_len != sizeof(walk->begin) || walk->padding_left > 0)
            return wrong(walk, "length of begin");
        walk->id = (uint16_t)id;
        return 0;
    }
    if (id != walk->id)
        return wrong(walk, "a second request");
    if (type == ABORT_REQUEST)
        return 0;
    if (type != (walk->phase == IN_PARAMS ? PARAMS : STDIN))
        return wrong(walk, "order of records");
    /* Allowed, but libfcgi takes it for the next record (as it does behind a
     * begin). No server sends it, or nothing with libfcgi would work there. */
    if (type == PARAMS && walk->content_len == 0 && walk->padding_left > 0)
        return wrong(walk, "padding behind the end of parameters");
    return 0;
}

static int take_header(struct hf_fcgi_walk *walk, struct hf_str *bytes)
{
    size_t n = least(HEADER_LEN - walk->header_len, bytes->len);

    memcpy(walk->header + walk->header_len, bytes->at, n);
    walk->header_len += n;
    *bytes = hf_str_from(*bytes, n);
    if (walk->header_len < HEADER_LEN)
        return 0;
    walk->content_len = walk->content_left = u16(walk->header + 4);
    walk->padding_left = walk->header[6];
    return check_header(walk);
}

static void take_content(struct hf_fcgi_walk *walk, struct hf_str *bytes)
{
    size_t n = least(walk->content_left, bytes->len);
    struct hf_str content = hf_str(bytes->at, n);

    if (n == 0)
        return;
    switch (walk->header[1]) {
    case BEGIN_REQUEST:
        if (walk->phase == IDLE && u16(walk->header + 2) != 0)
            memcpy(walk->begin + sizeof(walk->begin) - walk->content_left,
                   content.at, n);
        break;
    case PARAMS:
        if (walk->phase == IN_PARAMS)
            walk_params(walk, content);
        break;
    case STDIN:
        if (walk->phase == IN_STDIN)
            walk->body += n;
        break;
    default:
        break; /* an abort has none; of management the caller keeps it */
    }
    walk->content_left -= n;
    *bytes = hf_str_from(*bytes, n);
}

static void take_padding(struct hf_fcgi_walk *walk, struct hf_str *bytes)
{
    size_t n = least(walk->padding_left, bytes->len);

    walk->padding_left -= n;
    *bytes = hf_str_from(*bytes, n);
}

/* A record is whole: what follows from it? */
static int end_record(struct hf_fcgi_walk *walk)
{
    walk->header_len = 0;
    if (walk->phase == IDLE && walk->id == 0)
        return HF_FCGI_MANAGEMENT;
    if (walk->phase == IDLE) {
        if (u16(walk->begin) != RESPONDER)
            return wrong(walk, "role");
        walk->keep = (walk->begin[2] & KEEP_CONN) != 0;
        walk->phase = IN_PARAMS;
        return HF_FCGI_MORE;
    }
    if (walk->header[1] == ABORT_REQUEST)
        return HF_FCGI_ABORT;
    if (walk->content_len > 0)
        return HF_FCGI_MORE;
    if (walk->phase == IN_STDIN)
        return HF_FCGI_REQUEST;
    if (in_pair(walk) && !walk->params_large)
        return wrong(walk, "parameters cut short");
    walk->phase = IN_STDIN;
    return HF_FCGI_MORE;
}

int hf_fcgi_walk(struct hf_fcgi_walk *walk, struct hf_str bytes,
                 size_t *out_used)
{
    size_t len = bytes.len;
    int seen = HF_FCGI_MORE;

    while (bytes.len > 0 && seen == HF_FCGI_MORE) {
        if (walk->header_len < HEADER_LEN) {
            seen = take_header(walk, &bytes);
            if (seen || walk->header_len < HEADER_LEN)
                continue;
        }
        take_content(walk, &bytes);
        take_padding(walk, &bytes);
        if (walk->content_left == 0 && walk->padding_left == 0)
            seen = end_record(walk);
    }
    *out_used = len - bytes.len;
    return seen;
}

bool hf_fcgi_is_abort(struct hf_str bytes, uint16_t id)
{
    const unsigned char *at = (const unsigned char *)bytes.at;

    return bytes.len >= HEADER_LEN && at[0] == VERSION &&
           at[1] == ABORT_REQUEST && u16(at + 2) == id;
}

/* --- answers ------------------------------------------------------------- */

static int add_header(struct hf_buf *out, enum type type, unsigned id,
                      size_t len)
{
    const unsigned char header[HEADER_LEN] = {
        VERSION,           (unsigned char)type,       (unsigned char)(id >> 8),
        (unsigned char)id, (unsigned char)(len >> 8), (unsigned char)len,
    };

    return hf_buf_add(out, header, sizeof(header));
}

static void add_stdout(struct hf_buf *out, uint16_t id, struct hf_str bytes)
{
    while (bytes.len > 0) {
        size_t n = least(bytes.len, STDOUT_MAX);

        (void)add_header(out, STDOUT, id, n); /* the buffer remembers errors */
        (void)hf_buf_add(out, bytes.at, n);
        bytes = hf_str_from(bytes, n);
    }
}

int hf_fcgi_part(struct hf_buf *out, uint16_t id, struct hf_str head,
                 struct hf_str body)
{
    add_stdout(out, id, head);
    add_stdout(out, id, body);
    return hf_buf_error(out);
}

int hf_fcgi_end(struct hf_buf *out, uint16_t id)
{
    static const char complete[8]; /* application status 0, request complete */

    (void)add_header(out, END_REQUEST, id, sizeof(complete));
    (void)hf_buf_add(out, complete, sizeof(complete));
    return hf_buf_error(out);
}

int hf_fcgi_answer(struct hf_buf *out, uint16_t id, struct hf_str head,
                   struct hf_str body)
{
    add_stdout(out, id, head);
    add_stdout(out, id, body);
    (void)add_header(out, STDOUT, id, 0);
    return hf_fcgi_end(out, id);
}

/* --- management records -------------------------------------------------- */

static bool next_length(struct hf_str *rest, size_t *out)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    size_t n = rest->len > 0 && at[0] & 0x80u ? 4 : 1;

    if (rest->len < n)
        return false;
    *out = n == 1 ? at[0]
                  : (size_t)(at[0] & 0x7fu) << 24 | (size_t)at[1] << 16 |
                        u16(at + 2);
    *rest = hf_str_from(*rest, n);
    return true;
}

static bool next_name(struct hf_str *rest, struct hf_str *out_name)
{
    size_t name_len, value_len;

    if (!next_length(rest, &name_len) || !next_length(rest, &value_len) ||
        rest->len < name_len || rest->len - name_len < value_len)
        return false;
    *out_name = hf_str(rest->at, name_len);
    *rest = hf_str_from(*rest, name_len + value_len);
    return true;
}

/* How many connections and requests may be open depends on descriptors and
 * settings, so these names are left out, as the specification allows. */
static int answer_values(struct hf_buf *out, struct hf_str asked)
{
    static const char one_at_a_time[] = "\x0f\x01"
                                        "FCGI_MPXS_CONNS"
                                        "0";
    bool wanted = false;
    struct hf_str name;
    size_t len;

    while (next_name(&asked, &name))
        wanted = wanted || hf_str_eq(name, HF_STR("FCGI_MPXS_CONNS"));
    len = wanted ? sizeof(one_at_a_time) - 1 : 0;
    (void)add_header(out, GET_VALUES_RESULT, 0, len);
    (void)hf_buf_add(out, one_at_a_time, len);
    return hf_buf_error(out);
}

int hf_fcgi_management(struct hf_buf *out, struct hf_str record)
{
    const unsigned char *at = (const unsigned char *)record.at;
    const unsigned char type[8] = {at[1]};

    if (at[1] == GET_VALUES)
        return answer_values(out, hf_str(record.at + HEADER_LEN, u16(at + 4)));
    (void)add_header(out, UNKNOWN_TYPE, 0, sizeof(type));
    (void)hf_buf_add(out, type, sizeof(type));
    return hf_buf_error(out);
}
