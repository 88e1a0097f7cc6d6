/*
 * user.h - whose a WebSocket is, how long, and how it ends from outside
 *
 * A session with a user listens, besides its topics, for rows `disconnect` on
 * user_socket:<user> (specification 5.6), whoever inserts them; those inserted
 * before it was known as that user are not for it. A session with a token ends
 * when that expires, on time and not when the next frame comes: each channel
 * gets phx_error {"reason":"token_expired"}, then the socket is closed with
 * 1008. Before that the client may bring a fresher token.
 */
#ifndef HF_CHANNEL_USER_H
#define HF_CHANNEL_USER_H

#include "base/json.h"
#include "channel/hub.h"

struct hf_session;

/* The session's identity is known, or another one: listen and arm the timer
 * accordingly. 0 or HF_ENOMEM; then nothing has changed. */
int hf_user_watch(struct hf_session *session);
/* The session ends. */
void hf_user_unwatch(struct hf_session *session);

/* A row `disconnect` of this topic has come: close with 1001. */
void hf_user_disconnect(struct hf_hub *hub, struct hf_str topic);

/*
 * A fresher token, as a push of the event access_token brings it, and (`join`)
 * the payload of a join by Supabase's clients. Taken when it is valid and its
 * user is the same, or nobody was known; channels that it does not allow end.
 * 0; HF_ENOTFOUND: the payload has none; HF_EEXPIRED, HF_EDENIED: not taken,
 * everything stays as it was; HF_ENOMEM.
 */
int hf_user_renew(struct hf_session *session, struct hf_json payload,
                  bool join);

/* --- for both transports ------------------------------------------------- */

/* Is this member access_token of a join one to be looked at? Not where tokens
 * are the application's (connect.h): Supabase's clients join with theirs. */
bool hf_user_token_counts(const struct hf_process *process,
                          struct hf_json value);
/* The token in a payload's member access_token. 0, or as above. In a join one
 * that does not count, and a word that is no token at all, is passed over
 * (HF_ENOTFOUND). */
int hf_user_token(const struct hf_process *process, struct hf_json payload,
                  bool join, struct hf_identity **out);
/* May it take the place of what the client has? 0; HF_EDENIED: it is another
 * user's; with `passes` that is HF_ENOTFOUND: in a join, where the application
 * says who connects and may know the user by another name than the token. */
int hf_user_may_be(const struct hf_client *client,
                   const struct hf_identity *identity, bool passes);
/* The word for the client: "token_expired" or "unauthorized". */
const char *hf_user_reason(int err);

#endif
