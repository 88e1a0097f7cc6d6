#include "gateway/fcgi_parse.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

int hf_fcgi_parser_open(struct hf_fcgi_parser *parser)
{
    parser->file = -1;
    if (FCGX_Init() != 0)
        return HF_EIO;
    parser->file = memfd_create("fastcgi-request", MFD_CLOEXEC);
    return parser->file < 0 ? HF_EIO : 0;
}

void hf_fcgi_parser_close(struct hf_fcgi_parser *parser)
{
    hf_close(&parser->file);
}

/* The file becomes these bytes and is read from its start; with none it gives
 * its memory back. */
static int fill(const struct hf_fcgi_parser *parser, struct hf_str bytes)
{
    off_t at = 0;

    if (ftruncate(parser->file, 0) < 0)
        return HF_EIO;
    while (bytes.len > 0) {
        ssize_t n = pwrite(parser->file, bytes.at, bytes.len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return HF_EIO;
        at += n;
        bytes = hf_str_from(bytes, (size_t)n);
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

/* libfcgi closes the descriptor when it does not like what it reads, so it
 * gets a copy. Its listening socket is -1: then it cannot go on to accept. */
static int parse(struct hf_fcgi_parser *parser, FCGX_Request *request)
{
    int copy = fcntl(parser->file, F_DUPFD_CLOEXEC, 3);

    if (copy < 0 || FCGX_InitRequest(request, -1, 0) != 0) {
        hf_close(&copy);
        return HF_EIO;
    }
    request->ipcFd = copy;
    request->keepConnection = 1; /* or it would close the descriptor first */
    return FCGX_Accept_r(request) == 0 ? 0 : HF_EMALFORMED;
}

int hf_fcgi_parse(struct hf_fcgi_parser *parser, struct hf_str bytes,
                  size_t body_len, struct hf_fcgi_parsed *out)
{
    struct hf_fcgi_parsed parsed = {0};
    int err;

    if (body_len >= INT32_MAX)
        return HF_EMALFORMED;
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
    (void)fill(parser, hf_str(NULL, 0)); /* the next request tries again */
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
        int copy = request->ipcFd;

        FCGX_Free(request, 0); /* its buffers; the descriptor is ours */
        hf_close(&copy);
        free(request);
    }
    free(parsed->body_memory);
    *parsed = (struct hf_fcgi_parsed){0};
}
