/*
 * fcgi_record.h - FastCGI records: where a request ends, how one is answered
 *
 * A web server sends a request as records of eight bytes of header, content
 * and padding (FastCGI 1.0, section 3.3):
 *
 *     BEGIN_REQUEST  PARAMS... PARAMS(empty)  STDIN... STDIN(empty)
 *
 * hf_fcgi_walk goes over the bytes as they come, in pieces of any size, and
 * keeps none of them. It says when a request is whole, and is the decoder that
 * stands before libfcgi: what it lets pass, libfcgi parses without waiting,
 * without surprises and without CVE-2025-23016, whose lengths it refuses. (The
 * fix in Debian 12 leaves out their sum, which still aborts the process.)
 *
 * Passed are one request at a time in the role of responder, and between
 * requests management records. Everything else is HF_EMALFORMED, and the
 * connection is to be closed: another version, another role, a second request
 * before the first is answered (we say FCGI_MPXS_CONNS=0), records in a wrong
 * order or for an id that is not being read. So is padding in the two records
 * behind which libfcgi takes it for the next record: the begin, and the empty
 * one that ends the parameters.
 */
#ifndef HF_GATEWAY_FCGI_RECORD_H
#define HF_GATEWAY_FCGI_RECORD_H

#include <stdint.h>

#include "base/buf.h"

/* Bytes of all parameters of a request, and so of any single one. A web server
 * takes some 8 to 32 KiB of header fields before it refuses by itself. */
#define HF_FCGI_PARAMS_MAX ((size_t)64 << 10)

/* Content bytes of a management record; names of three variables fit. */
#define HF_FCGI_MANAGEMENT_MAX 512u

enum hf_fcgi_seen {
    HF_FCGI_MORE,       /* all bytes used, and the request goes on */
    HF_FCGI_REQUEST,    /* a request is whole */
    HF_FCGI_ABORT,      /* the server takes back the request being read */
    HF_FCGI_MANAGEMENT, /* a management record is whole: answer it */
};

/* Zeroed before each request. */
struct hf_fcgi_walk {
    uint16_t id;       /* of the request; 0 = not begun */
    bool keep;         /* the server wants the connection kept open */
    bool params_large; /* over HF_FCGI_PARAMS_MAX, or a pair claims to be: walk
                          on to find the end, but do not parse */
    size_t params;     /* content bytes of PARAMS so far */
    size_t body;       /* content bytes of STDIN so far */
    const char *wrong; /* after HF_EMALFORMED: why, for the log */

    /* private */
    int phase;
    unsigned char header[8];
    unsigned char begin[8];
    size_t header_len;   /* bytes of it so far */
    size_t content_len;  /* of this record */
    size_t content_left; /* still to come */
    size_t padding_left;
    size_t text_left;     /* of a name and its value, still to come */
    uint64_t pair;        /* sum of the lengths read so far */
    uint32_t length;      /* the length being read */
    unsigned length_left; /* bytes of it still to come */
    bool has_name;        /* the length of the name is read */
};

/*
 * Go over `bytes`, which follow those of the last call. Returns an enum
 * hf_fcgi_seen and in *out_used how many bytes belong to what was seen; or
 * HF_EMALFORMED.
 */
int hf_fcgi_walk(struct hf_fcgi_walk *walk, struct hf_str bytes,
                 size_t *out_used);

/* Do these bytes begin with the abort of request `id`? */
bool hf_fcgi_is_abort(struct hf_str bytes, uint16_t id);

/* Append the whole answer to a request, `head` and `body` in that order. 0, or
 * the error of hf_buf_add. */
int hf_fcgi_answer(struct hf_buf *out, uint16_t id, struct hf_str head,
                   struct hf_str body);

/* Append a part of an answer: the request goes on. */
int hf_fcgi_part(struct hf_buf *out, uint16_t id, struct hf_str head,
                 struct hf_str body);

/* Append the end of a request that gets no answer. */
int hf_fcgi_end(struct hf_buf *out, uint16_t id);

/* Append the answer to a management record, given whole: the variables asked
 * for that we know, or "unknown type" (section 4). */
int hf_fcgi_management(struct hf_buf *out, struct hf_str record);

#endif
