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

void hf_conn_spend(struct hf_conn *conn, size_t frames, size_t len)
{
    uint32_t max = conn->conns->max_frames;
    uint8_t second;

    if (max == 0)
        return;
    second = second_of(hf_boot_ms());
    if (conn->second != second) {
        conn->second = second;
        conn->frames = 0;
    }
    /* below HF_READ_FRAMES_MOST before, and a helping has fewer than 11,000 */
    conn->frames = (uint16_t)(conn->frames + frames + len / HF_READ_FRAME);
    if (conn->frames >= max)
        pause(conn);
}

void hf_conn_go_on(struct hf_conn *conn)
{
    conn->paused = false;
    conn->frames = 0;
    hf_conn_heard(conn); /* it is, and for a second nobody listened */
    if (hf_conn_await(conn))
        hf_conn_goodbye(conn, HF_WS_FAULT);
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
