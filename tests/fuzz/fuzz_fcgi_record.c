/*
 * fuzz_fcgi_record.c - FastCGI records, in one piece and byte by byte, and
 * libfcgi as the oracle of what hf_fcgi_walk lets pass
 *
 * An input is what a web server sends on one connection.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/err.h"
#include "gateway/fcgi_parse.h"
#include "gateway/fcgi_record.h"

/* What a walk has told; the rest is its own affair. */
static void check_same(const struct hf_fcgi_walk *a,
                       const struct hf_fcgi_walk *b)
{
    CHECK(a->id == b->id && a->keep == b->keep);
    CHECK(a->params_large == b->params_large);
    CHECK(a->params == b->params && a->body == b->body);
    CHECK(a->wrong == b->wrong);
}

/* Byte by byte it must see the same at the same place. */
static void check_bytewise(struct hf_str bytes, size_t used, int seen,
                           const struct hf_fcgi_walk *whole)
{
    struct hf_fcgi_walk walk = {0};
    int last = HF_FCGI_MORE;
    size_t i, one;

    for (i = 0; i < used && last == HF_FCGI_MORE; i++) {
        last = hf_fcgi_walk(&walk, hf_str(bytes.at + i, 1), &one);
        CHECK(one == 1);
    }
    CHECK(i == used && last == seen);
    check_same(&walk, whole);
}

/* libfcgi must agree, and its body be as long as we counted. */
static void check_parse(struct hf_str request, const struct hf_fcgi_walk *walk)
{
    static struct hf_fcgi_parser parser = {.file = -1};
    struct hf_fcgi_parsed parsed;
    size_t sum = 0;
    char *const *env;

    if (parser.file < 0)
        CHECK(hf_fcgi_parser_open(&parser) == 0);
    CHECK(hf_fcgi_parse(&parser, request, walk->body, &parsed) == 0);
    CHECK(parsed.body.len == walk->body);
    for (env = parsed.env; *env; env++)
        sum += strlen(*env);
    CHECK(sum <= walk->params + strlen("FCGI_ROLE=RESPONDER"));
    hf_fcgi_parsed_release(&parsed);
}

static void check_management(struct hf_str record)
{
    struct hf_buf answer;

    hf_buf_init(&answer, 64);
    CHECK(hf_fcgi_management(&answer, record) == 0);
    CHECK(answer.len >= 8);
    hf_buf_release(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str bytes = hf_str((const char *)data, size);

    while (bytes.len > 0) {
        struct hf_fcgi_walk walk = {0};
        size_t used = SIZE_MAX;
        int seen = hf_fcgi_walk(&walk, bytes, &used);

        CHECK(used > 0 && used <= bytes.len);
        CHECK((seen == HF_EMALFORMED) == (walk.wrong != NULL));
        CHECK(walk.params_large || walk.params <= HF_FCGI_PARAMS_MAX);
        check_bytewise(bytes, used, seen, &walk);
        switch (seen) {
        case HF_FCGI_REQUEST:
            if (!walk.params_large)
                check_parse(hf_str(bytes.at, used), &walk);
            break;
        case HF_FCGI_MANAGEMENT:
            check_management(hf_str(bytes.at, used));
            break;
        case HF_FCGI_ABORT:
            /* longer: parameters before it, or content and padding in it */
            CHECK(hf_fcgi_is_abort(hf_str_from(bytes, 16), walk.id) ||
                  used > 24);
            break;
        case HF_FCGI_MORE:
            CHECK(used == bytes.len);
            return 0;
        default:
            CHECK(seen == HF_EMALFORMED);
            return 0;
        }
        bytes = hf_str_from(bytes, used);
    }
    return 0;
}
