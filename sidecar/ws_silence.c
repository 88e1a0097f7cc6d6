#include "sidecar/ws_conn_impl.h"

#include "base/clock.h"

void hf_conn_heard(struct hf_conn *conn)
{
    conn->silence = HF_SILENCE_NONE;
    conn->pinged = false;
    conn->ask = false;
    hf_conn_move_to(conn, &conn->conns->open[HF_SILENCE_NONE]);
}

/* Goodbye to a peer that seems to be dead. The presence of one that was silent
 * for so long already does not wait for its return, or that would be more than a
 * lease. */
void hf_conn_give_up(struct hf_conn *conn, int code)
{
    if (hf_boot_ms() - conn->since_ms >= conn->conns->lease_ms * 2 / 3)
        conn->conns->service->give_up(conn->session);
    hf_conn_goodbye(conn, code);
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Who is present must have time to answer before its lease ends. */
static int64_t ask_after_ms(const struct hf_conns *conns)
{
    int64_t latest_ms = conns->lease_ms * 2 / 3;

    return conns->ping_ms > 0 ? lesser(conns->ping_ms, latest_ms) : latest_ms;
}

/* Silent for so long, a socket leaves this list. */
static int64_t limit_ms(const struct hf_conns *conns, unsigned silence)
{
    if (silence == HF_SILENCE_NONE)
        return lesser(ask_after_ms(conns), conns->idle_ms);
    if (silence == HF_SILENCE_ASKED)
        return lesser(conns->lease_ms - conns->tick_ms, conns->idle_ms);
    return conns->idle_ms;
}

static void step_on(struct hf_conn *conn, enum hf_silence silence)
{
    conn->silence = (uint8_t)silence;
    hf_list_remove(&conn->life);
    hf_list_append(&conn->conns->open[silence], &conn->life);
}

/* It goes out at the end of a turn, see ws_write.c. */
static void ask(struct hf_conn *conn)
{
    conn->ask = true;
    if (!conn->blocked)
        hf_conn_schedule(conn);
}

static void look_at(struct hf_conn *conn, int64_t now_ms)
{
    const struct hf_conns *conns = conn->conns;
    bool present = conns->service->has_presence(conn->session);
    bool asked = conn->silence != HF_SILENCE_NONE;

    if (now_ms - conn->since_ms >= conns->idle_ms &&
        (asked || conns->idle_ms <= ask_after_ms(conns))) {
        hf_conn_give_up(conn, HF_WS_AWAY);
    } else if (!asked) {
        step_on(conn, HF_SILENCE_ASKED);
        if (present || conns->ping_ms > 0)
            ask(conn);
    } else if (!present) {
        step_on(conn, HF_SILENCE_LONG);
    } else if (conn->pinged) {
        hf_conn_give_up(conn, HF_WS_AWAY);
    } else { /* present only now, or there was no room for a ping */
        hf_conn_heard(conn);
    }
}

/* The last step first: one in a tick for each, so that after a pause of ours
 * whoever is asked has time to answer. */
void hf_conns_look_at_silence(struct hf_conns *conns, int64_t now_ms)
{
    struct hf_conn *conn;
    unsigned n;

    for (n = HF_SILENCES; n-- > 0;)
        while ((conn = hf_conn_longest(&conns->open[n],
                                       now_ms - limit_ms(conns, n))))
            look_at(conn, now_ms);
}
