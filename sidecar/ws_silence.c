#include "sidecar/ws_conn_impl.h"

#include "base/clock.h"
#include "sidecar/counters.h"

void hf_conn_heard(struct hf_conn *conn)
{
    conn->silence = 0;
    conn->pinged = false;
    hf_conn_move_to(conn, &conn->conns->open[0]);
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

/* Silent for so long, a socket goes on from step n. */
static int64_t step_ms(const struct hf_conns *conns, unsigned n)
{
    if (n == HF_SILENCES - 2)
        return conns->lease_ms - conns->tick_ms;
    return conns->lease_ms * (n + 1) / 3;
}

static void ping(struct hf_conn *conn)
{
    if (!hf_conn_unsent(conn) || hf_ws_out_ping(&conn->unsent->out))
        return;
    hf_count(HF_COUNT_PINGS);
    conn->pinged = true;
    if (!conn->blocked)
        hf_conn_schedule(conn);
}

static void step_on(struct hf_conn *conn)
{
    bool present = conn->conns->service->has_presence(conn->session);
    bool last = conn->silence == HF_SILENCES - 2;

    if (present && last && conn->pinged) {
        hf_conn_give_up(conn, HF_WS_AWAY);
        return;
    }
    if (present && last) { /* only now, or no memory: it was not asked */
        hf_conn_heard(conn);
        return;
    }
    conn->silence++;
    hf_list_remove(&conn->life);
    hf_list_append(&conn->conns->open[conn->silence], &conn->life);
    if (present)
        ping(conn);
}

/* The last step first: one in a tick for each, so that after a pause of ours
 * whoever is asked has time to answer. */
void hf_conns_look_at_silence(struct hf_conns *conns, int64_t now_ms)
{
    struct hf_conn *conn;
    unsigned n;

    for (n = 0; n < HF_SILENCES; n++)
        while (
            (conn = hf_conn_longest(&conns->open[n], now_ms - conns->idle_ms)))
            hf_conn_give_up(conn, HF_WS_AWAY);
    for (n = HF_SILENCES - 1; n-- > 0;)
        while ((conn = hf_conn_longest(&conns->open[n],
                                       now_ms - step_ms(conns, n))))
            step_on(conn);
}
