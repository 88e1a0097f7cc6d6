#include "channel/session_state.h"

#include <stdlib.h>

/* --- messages that are no rows ----------------------------------------- */

/* Take over `msg`; NULL (out of memory) is a fault of the connection, since a
 * client cannot do without its reply. */
static struct hf_answer *answer_new(struct hf_session *session,
                                    struct hf_msg *msg)
{
    struct hf_answer *answer = msg ? calloc(1, sizeof(*answer)) : NULL;

    if (!answer) {
        hf_msg_unref(msg);
        hf_session_fail(session, HF_CLOSE_FAULT);
        return NULL;
    }
    answer->msg = msg;
    session->waiting++;
    session->waiting_bytes += msg->len;
    return answer;
}

void hf_answer_append(struct hf_answer ***end, struct hf_answer *answer)
{
    answer->next = NULL;
    **end = answer;
    *end = &answer->next;
}

void hf_reply(struct hf_session *session, struct hf_msg *msg)
{
    struct hf_answer *answer = answer_new(session, msg);

    if (!answer)
        return;
    hf_answer_append(&session->replies_end, answer);
    hf_session_wake(session);
}

/* Replies of one channel keep their order: behind the answers to pushes that
 * are still under way. */
void hf_reply_in_order(struct hf_member *member, struct hf_msg *msg)
{
    struct hf_answer *answer;

    if (!member->answers) {
        hf_reply(member->session, msg);
        return;
    }
    answer = answer_new(member->session, msg);
    if (!answer)
        return;
    hf_answer_append(&member->answers_end, answer);
    hf_member_ready(member);
}

bool hf_reply_after(struct hf_member *member, struct hf_msg *msg,
                    uint64_t after, struct hf_asking *ends)
{
    struct hf_answer *answer = answer_new(member->session, msg);

    if (!answer)
        return false;
    answer->after = after;
    answer->ends = ends;
    hf_answer_append(&member->answers_end, answer);
    hf_member_ready(member);
    return true;
}

/* What was encoded into a scratch buffer, as a message; releases the buffer.
 * NULL when out of memory. */
static struct hf_msg *finish(struct hf_buf *text)
{
    struct hf_msg *msg = NULL;

    if (hf_buf_error(text) == 0)
        msg = hf_msg_of(hf_buf_str(text));
    hf_buf_release(text);
    return msg;
}

/* Frames are bounded on their way in, so what answers them is, too. */
static void scratch(struct hf_buf *text)
{
    hf_buf_init(text, SIZE_MAX / 2);
}

struct hf_msg *hf_msg_ok(const struct hf_frame *frame, struct hf_str join_ref,
                         struct hf_str response)
{
    struct hf_buf text;

    scratch(&text);
    (void)hf_reply_ok(&text, frame, join_ref, response);
    return finish(&text);
}

struct hf_msg *hf_msg_refusal(const struct hf_frame *frame,
                              struct hf_str join_ref, const char *reason)
{
    struct hf_buf text;

    scratch(&text);
    (void)hf_reply_error(&text, frame, join_ref, reason);
    return finish(&text);
}

struct hf_msg *hf_msg_joined(const struct hf_frame *frame, struct hf_str status,
                             struct hf_str response)
{
    struct hf_parts parts;

    hf_parts_reply(&parts, hf_form_of(frame->vsn), frame->join_ref.raw,
                   frame->ref.raw, frame->raw_topic.raw, status, HF_KIND_JSON,
                   response);
    return hf_parts_msg(&parts);
}

struct hf_msg *hf_msg_reply(const struct hf_member *member,
                            const struct hf_frame *frame, struct hf_str status,
                            enum hf_kind kind, struct hf_str response)
{
    struct hf_parts parts;

    hf_parts_reply(&parts, hf_member_form(member), hf_member_join_ref(member),
                   frame->ref.raw, frame->raw_topic.raw, status, kind,
                   response);
    return hf_parts_msg(&parts);
}

struct hf_msg *hf_msg_push(const struct hf_member *member, struct hf_str event,
                           enum hf_kind kind, struct hf_str payload)
{
    struct hf_parts parts;

    hf_parts_push(&parts, hf_member_form(member), hf_member_join_ref(member),
                  HF_NULL, hf_topic_name(member->topic), event, kind, payload);
    return hf_parts_msg(&parts);
}

struct hf_msg *hf_msg_limited(const struct hf_frame *frame,
                              struct hf_str join_ref, int64_t retry_ms)
{
    struct hf_buf text;

    scratch(&text);
    (void)hf_reply_limited(&text, frame, join_ref, retry_ms);
    return finish(&text);
}

struct hf_msg *hf_msg_close(const struct hf_member *member)
{
    struct hf_buf text;

    scratch(&text);
    (void)hf_encode_close(&text, member->session->client.vsn,
                          hf_member_join_ref(member),
                          hf_topic_name(member->topic));
    return finish(&text);
}

struct hf_msg *hf_msg_phx_error(const struct hf_member *member,
                                const char *reason)
{
    struct hf_buf text;

    scratch(&text);
    (void)hf_encode_error(&text, member->session->client.vsn,
                          hf_member_join_ref(member),
                          hf_topic_name(member->topic), reason);
    return finish(&text);
}

/* Answers go out without waiting for their rows: the member will see none.
 * Pushes still under way answer to the session when they come back. */
struct hf_asking *hf_answers_release(struct hf_member *member)
{
    struct hf_session *session = member->session;
    struct hf_asking *ends = NULL;
    struct hf_answer *answer;

    while ((answer = member->answers) != NULL) {
        member->answers = answer->next;
        if (answer->ends) { /* it has ended already */
            session->waiting--;
            session->waiting_bytes -= answer->msg->len;
            hf_msg_unref(answer->msg);
            ends = answer->ends;
            free(answer);
            continue;
        }
        if (!answer->push) {
            hf_answer_append(&session->replies_end, answer);
            continue;
        }
        hf_push_orphan(answer->push);
        session->waiting--;
        free(answer);
    }
    return ends;
}
