/*
 * probe_facts.h - the host's facts, asked of a process of our own
 *
 * To look a host over takes processes and forks, and must not be done where the
 * journal is open; so the gateway starts itself once more, with --doctor, and
 * reads what that says. It has the environment of a gateway and none of the
 * request's, and is ended when it takes too long or nobody waits any more.
 */
#ifndef HF_GATEWAY_PROBE_FACTS_H
#define HF_GATEWAY_PROBE_FACTS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"
#include "gateway/visit.h"

struct hf_probe_facts {
    struct hf_loop *loop; /* NULL: none is asked */
    struct hf_watch watch;
    struct hf_timer deadline;
    pid_t child;
    struct hf_buf text;
    int error; /* errno, after a start that failed */
    /* Called once, with JSON; calls hf_probe_facts_end. */
    void (*known)(void *ctx, struct hf_str json);
    void *ctx;
};

void hf_probe_facts_init(struct hf_probe_facts *facts);
/* 0; HF_EIO: it could not be started, facts->error says why; HF_ENOMEM. */
int hf_probe_facts_start(struct hf_probe_facts *facts, struct hf_loop *loop,
                         const struct hf_visit *visit,
                         void (*known)(void *ctx, struct hf_str json),
                         void *ctx);
/* At any time. */
void hf_probe_facts_end(struct hf_probe_facts *facts);

#endif
