/*
 * client.h - who a connection is: what was found out when it came
 *
 * Filled by hf_connect_check. A WebSocket keeps it for its life; a long-poll
 * client says the same again with every request.
 */
#ifndef HF_CHANNEL_CLIENT_H
#define HF_CHANNEL_CLIENT_H

#include "base/str.h"

/* The serializer it speaks (specification 2.2, 3). */
enum hf_vsn { HF_VSN_1 = 1, HF_VSN_2 = 2 };

struct hf_client {
    enum hf_vsn vsn;
    struct hf_str user; /* 1 to 128 bytes; empty: an anonymous visitor */
};

#endif
