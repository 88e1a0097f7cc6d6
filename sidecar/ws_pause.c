#include "sidecar/ws_conn_impl.h"

#include "base/clock.h"
#include "base/err.h"

/* A round number of ms that is easily divided by. */
static uint8_t second_of(int64_t ms)
{
    return (uint8_t)(ms >> 10);
}

static int arm(struct hf_conns *conns)
{
    return hf_loop_arm(conns->loop, &conns->resume, HF_READ_RESUME_MS * 1000);
}

/* Without memory for the timer, or a word of the kernel, it just goes on. */
static void pause(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (!hf_timer_armed(&conns->resume) && arm(conns))
        return;
    conn->paused = true;
    if (hf_conn_await(conn)) {
        conn->paused = false;
        return;
    }
    conn->silence = HF_SILENCE_NONE;
    hf_conn_move_to(conn, &conns->paused);
}

/* Its peer's socket holds it up until it takes its answers; when it takes nothing
 * at all the deadline of what is stuck is its own. */
static void wait_for_answers(struct hf_conn *conn)
{
    conn->paused = conn->full = true;
    if (hf_conn_await(conn)) {
        conn->paused = conn->full = false;
        return;
    }
    conn->silence = HF_SILENCE_NONE;
    hf_conn_move_to(conn, &conn->conns->full);
}

static bool is_full(struct hf_conn *conn)
{
    const struct hf_service *service = conn->conns->service;

    return service->is_full && service->is_full(conn->session);
}

/* Has it sent all it may in this second? */
static bool has_spent(struct hf_conn *conn, size_t frames, size_t len)
{
    uint32_t max = conn->conns->max_frames;
    uint8_t second;

    if (max == 0)
        return false;
    second = second_of(hf_boot_ms());
    if (conn->second != second) {
        conn->second = second;
        conn->frames = 0;
    }
    /* below HF_READ_FRAMES_MOST before, and a helping has fewer than 11,000 */
    conn->frames = (uint16_t)(conn->frames + frames + len / HF_READ_FRAME);
    return conn->frames >= max;
}

void hf_conn_spend(struct hf_conn *conn, size_t frames, size_t len)
{
    if (has_spent(conn, frames, len))
        pause(conn);
    else if (is_full(conn))
        wait_for_answers(conn);
}

void hf_conn_go_on(struct hf_conn *conn)
{
    conn->paused = conn->full = false;
    conn->frames = 0;
    hf_conn_heard(conn); /* it is, and for a second nobody listened */
    if (hf_conn_await(conn))
        hf_conn_goodbye(conn, HF_WS_FAULT);
}

void hf_conn_answered(struct hf_conn *conn)
{
    if (conn->full && !is_full(conn))
        hf_conn_go_on(conn);
}

void hf_conns_look_at_full(struct hf_conns *conns)
{
    struct hf_list *node, *next;

    HF_LIST_EACH(node, next, &conns->full)
    hf_conn_answered(HF_ITEM(node, struct hf_conn, life));
}

void hf_conns_on_resume(struct hf_timer *timer)
{
    struct hf_conns *conns = HF_ITEM(timer, struct hf_conns, resume);
    int64_t since_ms = hf_boot_ms() - HF_READ_PAUSE_MS;
    struct hf_conn *conn;

    while ((conn = hf_conn_longest(&conns->paused, since_ms)))
        hf_conn_go_on(conn);
    if (!hf_list_empty(&conns->paused))
        (void)arm(conns); /* it was armed before: there is room for it */
}
