/*
 * front_ask.h - requests to the gateway, through whatever is in front of it
 *
 * Each with a connection and a time-out of its own, and the headers that are to
 * arrive. Times are those of hf_boot_ms.
 */
#ifndef HF_CLI_FRONT_ASK_H
#define HF_CLI_FRONT_ASK_H

#include "base/buf.h"
#include "channel/libcurl.h"
#include "cli/front.h"

#define HF_FRONT_ANSWER_MAX ((size_t)512 << 10)

struct hf_front_look {
    const struct hf_front_wish *wish;
    const struct hf_libcurl *curl;
    CURLM *multi;
    char origin[600]; /* "https://example.com" */
};

struct hf_front_ask {
    CURL *easy;
    struct curl_slist *fields;
    struct hf_buf answer;
    struct hf_buf form;
    int64_t begun_ms, first_ms, done_ms;
    long status; /* 0: no answer */
};

/* A POST of `form` to `path` below the socket. 0, HF_ENOMEM, HF_ELIMIT; end it
 * in any case. */
int hf_front_begin(const struct hf_front_look *front, struct hf_front_ask *ask,
                   const char *path, struct hf_str form, long most_ms);
void hf_front_end(const struct hf_front_look *front, struct hf_front_ask *ask);

/* All at once, until each has its answer or has waited long enough. */
void hf_front_run(const struct hf_front_look *front, struct hf_front_ask *asks,
                  size_t count);

#endif
