/*
 * asking.h - a WebSocket's frame whose hook is asked, to its last effect (D12)
 *
 *     hf_ask --> (application) --> answered --> (writer) --> told --> finished
 *                                     |                        ^
 *                                     +--- nothing to write ---+
 *
 * Until it is finished the frames of its topic wait (session.c), so a channel
 * has its effects in the order of its frames, and other channels go on. Where
 * the client or the membership is gone meanwhile, what the application wants
 * for others is done all the same. An answer that ends the channel is finished
 * when the client has taken all that comes before the end.
 *
 * The application is also told of members that did not leave by themselves, as
 * far as this process lives to do it; nobody waits for that.
 */
#ifndef HF_CHANNEL_ASKING_H
#define HF_CHANNEL_ASKING_H

#include "channel/hooks.h"
#include "channel/proto.h"

struct hf_session;
struct hf_member;
struct hf_asking;

/* Is the application asked this? */
bool hf_asking_wanted(const struct hf_session *session, enum hf_hook_kind kind,
                      struct hf_str topic);

/* Ask about this frame, whose topic then waits. 0; HF_ELIMIT: too many wait
 * (say "busy"); HF_ECONFLICT: its key was used for another push; HF_ENOMEM. */
int hf_ask(struct hf_session *session, enum hf_hook_kind kind,
           const struct hf_frame *frame);

/* Does this topic wait for an answer? */
bool hf_asking_about(const struct hf_session *session, struct hf_str topic);

/* How many topics would be joined by the joins it has asked about? */
size_t hf_asking_joins(const struct hf_session *session);

/* The membership ends without having left: tell the application why. */
void hf_asking_lost(const struct hf_member *member, const char *reason);

/* The session ends; what it has asked goes on without it. */
void hf_asking_abandon(struct hf_session *session);

/* The end that `asking` put into the member's queue was taken; with a member it
 * ends now, without one it has ended for another reason. */
void hf_asking_ended(struct hf_asking *asking, struct hf_member *member);

#endif
