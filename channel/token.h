/*
 * token.h - the poll token: which session, acknowledged how far, signed (D6)
 *
 * It rotates with every answer: coming back with it is the acknowledgement of
 * that answer. Any process of the host can make and check it with the key in
 * the file `secret`. Text: base64url of a fixed binary layout with a version
 * byte, followed by an HMAC-SHA-256 cut to 128 bits; letters, digits, '-' and
 * '_' only, at most HF_TOKEN_MAX bytes. Never logged.
 */
#ifndef HF_CHANNEL_TOKEN_H
#define HF_CHANNEL_TOKEN_H

#include <stdint.h>

#include "base/crypto.h"
#include "base/str.h"
#include "channel/limits.h"

struct hf_token {
    char session[22];      /* HF_SESSION_ID_LEN: 128 random bits, base64url */
    bool joined : 1;       /* the session had rows when this was made */
    bool owned : 1;        /* it is somebody's: an owner must be found (owner.h) */
    bool empty : 1;        /* the answer it came with was empty and at once */
    bool expired : 1;      /* its channels were told that its token has expired */
    uint64_t epoch;
    uint64_t cursor;       /* everything up to here was in earlier answers */
    uint64_t replay;       /* 0, or `joined` of the join whose replay is under way */
    uint64_t replay_at;    /* replayed so far */
    uint64_t states;       /* presence_state is owed to memberships joined at
                              this id or later; 0: to none */
    uint32_t replies;      /* replies from live.db received up to here (live.h) */
    uint32_t mount;        /* hash of the mount: no use elsewhere */
    int64_t birth_ms;      /* wall clock of the session's creation */
    int64_t expiry_ms;     /* wall clock: no revival after it */
};

/* Returns the length. 0 only when hashing failed (out of memory). */
size_t hf_token_format(const struct hf_token *token,
                       const struct hf_hmac_key *key,
                       char out[HF_TOKEN_MAX]);

/* 0; HF_EMALFORMED: not a token of ours or forged (no difference is told).
 * Expiry, mount and epoch are the caller's to judge. */
int hf_token_parse(struct hf_str text, const struct hf_hmac_key *key,
                   struct hf_token *out);

/* An id up to which it says that everything was received: of the join whose
 * replay is under way that is not known. */
static inline uint64_t hf_token_shown(const struct hf_token *token)
{
    return token->replay > 0 && token->cursor >= token->replay
               ? token->replay - 1
               : token->cursor;
}

/* A fresh random session id. 0 or HF_EIO. */
int hf_token_new_session(char out[22]);

/* The hash for the member `mount`. */
uint32_t hf_token_mount(struct hf_str mount);

#endif
