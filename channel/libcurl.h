/*
 * libcurl.h - the calls of libcurl that are made, loaded late (late.h)
 */
#ifndef HF_CHANNEL_LIBCURL_H
#define HF_CHANNEL_LIBCURL_H

/* Its macros that check arguments are called by the plain names only. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/late.h"

#define HF_LIBCURL_CALLS(CALL)                                                 \
    CALL(curl_easy_cleanup)                                                    \
    CALL(curl_easy_getinfo)                                                    \
    CALL(curl_easy_init)                                                       \
    CALL(curl_easy_perform)                                                    \
    CALL(curl_easy_recv)                                                       \
    CALL(curl_easy_send)                                                       \
    CALL(curl_easy_setopt)                                                     \
    CALL(curl_easy_strerror)                                                   \
    CALL(curl_global_cleanup)                                                  \
    CALL(curl_global_init)                                                     \
    CALL(curl_multi_add_handle)                                                \
    CALL(curl_multi_assign)                                                    \
    CALL(curl_multi_cleanup)                                                   \
    CALL(curl_multi_info_read)                                                 \
    CALL(curl_multi_init)                                                      \
    CALL(curl_multi_perform)                                                   \
    CALL(curl_multi_poll)                                                      \
    CALL(curl_multi_remove_handle)                                             \
    CALL(curl_multi_setopt)                                                    \
    CALL(curl_multi_socket_action)                                             \
    CALL(curl_slist_append)                                                    \
    CALL(curl_slist_free_all)

struct hf_libcurl {
    HF_LIBCURL_CALLS(HF_LATE_MEMBER)
};

/* 0; HF_ENOTFOUND with *why. On the loop's thread. */
int hf_libcurl_load(const struct hf_libcurl **out, struct hf_why *why);

#endif
