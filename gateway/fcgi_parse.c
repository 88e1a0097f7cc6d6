#include "gateway/fcgi_parse.h"

#include <errno.h>
#include <fcgiapp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

/* Kept from request to request; what a large one needed is given back. */
#define FILE_KEPT ((size_t)64 << 10)

static int open_file(struct hf_fcgi_parser *parser)
{
    parser->len = 0;
    parser->file = memfd_create("fastcgi-request", MFD_CLOEXEC);
    return parser->file < 0 ? HF_EIO : 0;
}

int hf_fcgi_parser_open(struct hf_fcgi_parser *parser)
{
    parser->file = -1;
    return FCGX_Init() == 0 ? open_file(parser) : HF_EIO;
}

void hf_fcgi_parser_close(struct hf_fcgi_parser *parser)
{
    hf_close(&parser->file);
}

static int cut(struct hf_fcgi_parser *parser, size_t len)
{
    if (parser->len <= len)
        return 0;
    if (ftruncate(parser->file, (off_t)len) < 0)
        return HF_EIO;
    parser->len = len;
    return 0;
}

/* The file becomes these bytes, with none of another request behind them, and
 * is read from its start. */
static int fill(struct hf_fcgi_parser *parser, struct hf_str bytes)
{
    off_t at = 0;

    if (cut(parser, bytes.len))
        return HF_EIO;
    while (bytes.len > 0) {
        ssize_t n = pwrite(parser->file, bytes.at, bytes.len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return HF_EIO;
        at += n;
        bytes = hf_str_from(bytes, (size_t)n);
        if (parser->len < (size_t)at)
            parser->len = (size_t)at;
    }
    return lseek(parser->file, 0, SEEK_SET) < 0 ? HF_EIO : 0;
}

static int read_body(struct hf_fcgi_parsed *out, size_t body_len)
{
    FCGX_Stream *in = out->request->in;

    out->body_memory = malloc(body_len + 1);
    if (!out->body_memory)
        return HF_ENOMEM;
    /* Asking for one more than there is makes libfcgi read to the end. */
    if (FCGX_GetStr(out->body_memory, (int)body_len + 1, in) != (int)body_len ||
        FCGX_GetError(in) != 0)
        return HF_EMALFORMED;
    out->body = hf_str(out->body_memory, body_len);
    return 0;
}

/* Its listening socket is -1: then it cannot go on to accept when it does not
 * like what it reads. The file it closes then, and the next request gets a new
 * one. */
static int parse(struct hf_fcgi_parser *parser, FCGX_Request *request)
{
    int result;

    if (FCGX_InitRequest(request, -1, 0) != 0)
        return HF_EIO;
    request->ipcFd = parser->file;
    request->keepConnection = 1; /* or it would close the descriptor first */
    result = FCGX_Accept_r(request);
    parser->file = request->ipcFd;
    return result == 0 ? 0 : HF_EMALFORMED;
}

int hf_fcgi_parse(struct hf_fcgi_parser *parser, struct hf_str bytes,
                  size_t body_len, struct hf_fcgi_parsed *out)
{
    struct hf_fcgi_parsed parsed = {0};
    int err;

    if (body_len >= INT32_MAX)
        return HF_EMALFORMED;
    err = parser->file < 0 ? open_file(parser) : 0;
    if (!err)
        err = fill(parser, bytes);
    if (err)
        return err;
    parsed.request = calloc(1, sizeof(*parsed.request));
    if (!parsed.request)
        return HF_ENOMEM;
    parsed.request->ipcFd = -1;

    err = parse(parser, parsed.request);
    if (!err)
        err = read_body(&parsed, body_len);
    if (parser->file >= 0)
        (void)cut(parser, FILE_KEPT); /* the next request tries again */
    if (err) {
        hf_fcgi_parsed_release(&parsed);
        return err;
    }
    parsed.env = parsed.request->envp;
    *out = parsed;
    return 0;
}

void hf_fcgi_parsed_release(struct hf_fcgi_parsed *parsed)
{
    FCGX_Request *request = parsed->request;

    if (request) {
        FCGX_Free(request, 0); /* its buffers; the descriptor is ours */
        free(request);
    }
    free(parsed->body_memory);
    *parsed = (struct hf_fcgi_parsed){0};
}
