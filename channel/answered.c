#include "channel/answered.h"

#include "base/clock.h"

void hf_answered_note(struct hf_answered *answered,
                      const struct hf_token *token, const struct hf_token *next)
{
    const struct hf_token *led = next ? next : token;
    struct hf_answered_note *note;

    if (!answered)
        return;
    note = &answered->notes[answered->next];
    answered->next = (answered->next + 1) % HF_ANSWERED;
    *note = (struct hf_answered_note){.is_answer = next != NULL,
                                      .after = token->cursor,
                                      .cursor = led->cursor,
                                      .replay = led->replay,
                                      .replay_at = led->replay_at,
                                      .at_ms = hf_wall_ms()};
    memcpy(note->session, token->session, sizeof(note->session));
}

/* The notes come oldest first, so of what is asked for once the first counts. */
static void add(struct hf_answered_sum *sum,
                const struct hf_answered_note *note, uint64_t id)
{
    if (note->is_answer) {
        if (sum->sent_ms == 0 && note->after < id && id <= note->cursor)
            sum->sent_ms = note->at_ms;
        return;
    }
    if (sum->shown_ms == 0 && note->cursor >= id)
        sum->shown_ms = note->at_ms;
    sum->cursor = note->cursor;
    sum->replay = note->replay;
    sum->replay_at = note->replay_at;
    sum->came_ms = note->at_ms;
}

void hf_answered_look(const struct hf_answered *answered, struct hf_str session,
                      uint64_t id, struct hf_answered_sum *out)
{
    unsigned i;

    *out = (struct hf_answered_sum){.sent_ms = 0};
    if (!answered)
        return;
    for (i = 0; i < HF_ANSWERED; i++) {
        const struct hf_answered_note *note =
            &answered->notes[(answered->next + i) % HF_ANSWERED];

        if (note->at_ms != 0 &&
            hf_str_eq(session, hf_str(note->session, sizeof(note->session))))
            add(out, note, id);
    }
}
