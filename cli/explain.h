/*
 * explain.h - what the parts of `holdfast explain` share
 *
 *     explain.c          the command: the message, who is asked, in which order
 *     explain_polls.c    long-poll sessions: journal, live.db, what gateways say
 *     explain_sockets.c  WebSockets: what the side-car's workers say
 *
 * A fact is one line, a name, blanks and a value. What cannot be known is said
 * to be unknown, and why.
 */
#ifndef HF_CLI_EXPLAIN_H
#define HF_CLI_EXPLAIN_H

#include "channel/rights.h"
#include "channel/witness.h"
#include "cli/cli.h"
#include "schema/inquiry.h"
#include "schema/live.h"
#include "schema/trace.h"

struct hf_explain_poll; /* one membership of a long-poll session */

struct hf_explain {
    struct hf_cli *cli;
    uint64_t epoch, id;
    struct hf_trace trace;
    struct hf_str who; /* session or user, or empty */
    struct hf_live *live;
    struct hf_rights *rights;
    struct hf_explain_poll *polls;
    size_t polls_count;
    struct hf_buf sockets; /* what is to be printed of them, and of whom they */
    size_t sockets_count;  /* belong to */
    struct hf_buf asked;   /* who was asked, in words */
    unsigned asked_count, silent;
    pid_t pid; /* of the process being heard */
    struct hf_witness_totals totals;
};

#define HF_EXPLAIN_TIME 40u
/* "2026-05-01T10:00:00.123Z", or "unknown" for 0. Returns `out`. */
const char *hf_explain_time(int64_t ms, char out[HF_EXPLAIN_TIME]);
/* A cursor of this journal as text. Returns `out`. */
const char *hf_explain_cursor(const struct hf_explain *explain, uint64_t id,
                              char out[HF_CURSOR_MAX + 1]);
/* Is the message one that sets presence right? */
bool hf_explain_is_diff(const struct hf_explain *explain);

/* --- explain_polls.c */

/* Memberships of the topic, from the journal. 0, HF_ENOMEM, HF_ESTORE. */
int hf_explain_polls_find(struct hf_explain *explain);
/* They are asked of. */
void hf_explain_polls_ask(const struct hf_explain *explain, struct hf_buf *out);
void hf_explain_poll_heard(struct hf_explain *explain,
                           const struct hf_witness_poll *poll);
int hf_explain_polls_print(struct hf_explain *explain);
/* May a session that is no member join? Prints what is known of it; HF_ENOTFOUND:
 * there is no such long-poll session. */
int hf_explain_stranger(struct hf_explain *explain);
void hf_explain_polls_free(struct hf_explain *explain);

/* --- explain_sockets.c */

void hf_explain_socket_heard(struct hf_explain *explain,
                             const struct hf_witness_socket *socket);
void hf_explain_elsewhere_heard(struct hf_explain *explain,
                                const struct hf_witness_elsewhere *there);

#endif
