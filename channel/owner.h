/*
 * owner.h - whose a long-poll session is, from one request to the next
 *
 * A session that came with a token, or that the application was asked about, has
 * an owner: kept in live.db until the session has rows in the journal, with them
 * alone from then on, so that every process finds it. A `disconnect` row of its user
 * that is newer than the session ends it, and every poll token of it (D10).
 */
#ifndef HF_CHANNEL_OWNER_H
#define HF_CHANNEL_OWNER_H

#include "channel/client.h"
#include "channel/process.h"
#include "channel/token.h"
#include "schema/sessions.h"

/* A new session: keep its owner, if the client has an identity, and say so in
 * the token, whose cursor is the head. 0; HF_ESTORE, HF_EBUSY. */
int hf_owner_keep(struct hf_live *live, struct hf_token *token,
                  const struct hf_client *client);

/*
 * Fill the client's identity, or make it anonymous; *out_born as in sessions.h,
 * 0 without an owner; *out_exists (may be NULL): the session has a row in the
 * journal. 0; HF_ENOTFOUND: the session was ended by a disconnect, or
 * what was known of it is lost, so a new one is needed; HF_EEXPIRED: its token
 * is no longer valid (the client is filled all the same); HF_ENOMEM, HF_ESTORE,
 * HF_EBUSY.
 */
int hf_owner_find(struct hf_journal *journal, struct hf_live *live,
                  const struct hf_token *token, struct hf_client *client,
                  uint64_t *out_born, bool *out_exists);

/* Has no `disconnect` of this user come behind an id? Nobody has none. 0;
 * HF_ENOTFOUND: one has; HF_ESTORE, HF_EBUSY. */
int hf_owner_check(struct hf_journal *journal, struct hf_str user,
                   uint64_t after);

/* What is written of an owner; borrowed from the client. */
struct hf_session_owner hf_owner_of(const struct hf_client *client,
                                    uint64_t born);

/* A fresher token came with a poll: keep it from now on, where its owner is. The
 * client has it already. */
void hf_owner_renew(struct hf_process *process, const struct hf_token *token,
                    const struct hf_client *client, uint64_t born);

#endif
