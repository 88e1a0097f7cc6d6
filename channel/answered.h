/*
 * answered.h - what a process has answered to polls lately, for people
 *
 * A long-poll session's stream is a function of the journal, and of what was
 * sent nothing is kept (D6). A resident process remembers its newest requests
 * and answers all the same, so that `holdfast explain` can say when a row was
 * sent and when its client came back with it. Nothing depends on it.
 */
#ifndef HF_CHANNEL_ANSWERED_H
#define HF_CHANNEL_ANSWERED_H

#include "channel/token.h"

#define HF_ANSWERED 512u /* requests and answers that are remembered */

struct hf_answered_note {
    char session[22];
    bool is_answer;  /* else a poll has come with this cursor */
    uint64_t after;  /* of an answer: the cursor it was computed from */
    uint64_t cursor; /* and where it led */
    uint64_t replay; /* as in the token */
    uint64_t replay_at;
    int64_t at_ms; /* wall clock; 0: empty */
};

struct hf_answered {
    unsigned next; /* where the oldest is */
    struct hf_answered_note notes[HF_ANSWERED];
};

/* A poll has come with this token, or (`next` not NULL) messages leave in an
 * answer with that one. NULL answered: nothing. */
void hf_answered_note(struct hf_answered *answered,
                      const struct hf_token *token,
                      const struct hf_token *next);

/* All that is known of a session with regard to one id. */
struct hf_answered_sum {
    int64_t sent_ms; /* of the first answer that led past it; 0: not known */
    int64_t
        shown_ms;    /* the first poll that came from beyond it; 0: not known */
    uint64_t cursor; /* with which it came last; 0: it is not known */
    uint64_t replay, replay_at;
    int64_t came_ms; /* and when */
};
void hf_answered_look(const struct hf_answered *answered, struct hf_str session,
                      uint64_t id, struct hf_answered_sum *out);

#endif
