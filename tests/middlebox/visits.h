/*
 * visits.h - the middlebox: its rules, and all visits there are
 */
#ifndef MIDDLEBOX_VISITS_H
#define MIDDLEBOX_VISITS_H

#include <sys/socket.h>

#include "base/list.h"
#include "base/loop.h"
#include "tests/middlebox/rules.h"

#define VISITS_MAX 1024u

struct middlebox {
    struct hf_loop *loop;
    struct sockaddr_storage server; /* where requests go */
    socklen_t server_len;
    struct rules rules;
    struct hf_list visits;
    unsigned visit_count;
    unsigned long seen[KINDS]; /* requests since the start */
};

/* Take over a client's connection, or close it when there are too many. */
void visit_begin(struct middlebox *box, int fd);

/* The rules have changed: what concerns visits that are there. */
void visits_heed_rules(struct middlebox *box);

/* These kinds of visits are reset, now. */
void visits_drop(struct middlebox *box, unsigned kinds);

/* A change of address: whoever is connected is silent from now on, both ways,
 * and nobody is told. */
void visits_move(struct middlebox *box);

/* The end of the program. */
void visits_free(struct middlebox *box);

#endif
