#include "sidecar/ws_conn_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/err.h"
#include "sidecar/counters.h"

/* --- memory that only busy sockets have ----------------------------------- */

struct hf_unsent *hf_conn_unsent(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (conn->unsent)
        return conn->unsent;
    conn->unsent =
        conns->spare ? conns->spare : calloc(1, sizeof(struct hf_unsent));
    conns->spare = NULL;
    if (conn->unsent)
        conn->unsent->conn = conn;
    return conn->unsent;
}

void hf_conn_drop_unsent(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;
    struct hf_unsent *unsent = conn->unsent;

    if (!unsent)
        return;
    hf_list_remove(&unsent->node);
    hf_ws_out_release(&unsent->out);
    conn->unsent = NULL;
    if (conns->spare)
        free(unsent);
    else
        conns->spare = unsent;
}

/* --- one socket ------------------------------------------------------------ */

void hf_conn_schedule(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (!hf_list_linked(&conn->ready))
        hf_list_append(&conns->ready, &conn->ready);
    hf_loop_at_turn_end(conns->loop, &conns->turn);
}

int hf_conn_await(struct hf_conn *conn)
{
    bool read =
        !conn->paused && (!conn->blocked || !conn->conns->service->in_turn);

    return hf_wire_await(&conn->wire, conn->conns->loop,
                         (read ? EPOLLIN : 0u) |
                             (conn->blocked ? EPOLLOUT : 0u));
}

static int want_writable(struct hf_conn *conn, bool on)
{
    if (conn->blocked == on)
        return 0;
    conn->blocked = on;
    if (on)
        hf_count_more(HF_HAS_BLOCKED);
    else
        hf_count_less(HF_HAS_BLOCKED);
    return hf_conn_await(conn);
}

/* Fill the batch from the session. *out_more: there may be further messages. 0
 * or HF_ENOMEM. */
static int take(struct hf_conn *conn, bool *out_more)
{
    const struct hf_service *service = conn->conns->service;
    struct hf_msg *taken[HF_WRITE_BATCH];
    struct hf_unsent *unsent = hf_conn_unsent(conn);
    size_t count = 0, i;

    if (!unsent)
        return HF_ENOMEM;
    if (hf_ws_out_has_room(&unsent->out))
        count =
            service->take(conn->session, taken, hf_ws_out_room(&unsent->out),
                          HF_WRITE_BYTES - unsent->out.bytes);
    hf_count_many(HF_COUNT_SENT, count);
    for (i = 0; i < count; i++)
        hf_ws_out_add(&unsent->out, taken[i]);
    /* With room left it has no more for now, or will say so (link.h). */
    *out_more = !hf_ws_out_has_room(&unsent->out);
    return 0;
}

/* Without room for it another turn will do. */
static void add_ping(struct hf_conn *conn)
{
    if (hf_ws_out_ping(&conn->unsent->out))
        return;
    conn->ask = false;
    conn->pinged = true;
    hf_count(HF_COUNT_PINGS);
}

/* What is left waits for EPOLLOUT; at most one batch is taken meanwhile. */
static void wait_writable(struct hf_conn *conn, bool progress)
{
    struct hf_unsent *unsent = conn->unsent;

    if (want_writable(conn, true)) {
        hf_conn_end(conn);
        return;
    }
    if (conn->state != HF_CONN_OPEN)
        return;
    assert(unsent);
    if (progress || !hf_list_linked(&unsent->node)) {
        unsent->progress_ms = hf_boot_ms();
        hf_list_remove(&unsent->node);
        hf_list_append(&conn->conns->stuck, &unsent->node);
    }
}

static void flush(struct hf_conn *conn);

/* All is answered: its turn has come. At once, for the peer may have shut its
 * side already. */
static void say_what_waited(struct hf_conn *conn)
{
    hf_conn_goodbye(conn, conn->wish);
    flush(conn);
}

/* Everything queued is with the kernel. */
static void written(struct hf_conn *conn, bool more)
{
    hf_conn_drop_unsent(conn);
    if (want_writable(conn, false)) {
        hf_conn_end(conn);
        return;
    }
    if (conn->state == HF_CONN_OPEN && conn->wish != 0 && !more) {
        say_what_waited(conn); /* that may have been its end */
        return;
    }
    if (conn->state == HF_CONN_CLOSING)
        hf_wire_shutdown(&conn->wire);
    else if (more || conn->ask)
        hf_conn_schedule(conn);
    hf_conn_answered(conn);
}

static void settle(struct hf_conn *conn, int err, bool progress, bool more)
{
    if (!err)
        written(conn, more);
    else if (err == HF_EAGAIN)
        wait_writable(conn, progress);
    else
        hf_conn_end(conn);
}

static void flush(struct hf_conn *conn)
{
    bool more = false;
    bool progress = false;
    int err = 0;

    if (conn->state == HF_CONN_OPEN && conn->wish != 0 &&
        !conn->conns->service->in_turn)
        hf_conn_goodbye(conn, conn->wish);
    if (conn->state == HF_CONN_OPEN)
        err = take(conn, &more);
    if (!err && conn->state == HF_CONN_OPEN && conn->ask)
        add_ping(conn);
    if (!err && conn->unsent)
        err = hf_ws_out_write(&conn->unsent->out, &conn->wire, &progress);
    settle(conn, err, progress, more);
}

/* --- all of them ----------------------------------------------------------- */

/* Move all of `from` behind what is in `to`. */
static void hand_over(struct hf_list *from, struct hf_list *to)
{
    if (hf_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    hf_list_init(from);
}

/* What the next ones need is fetched while the kernel is busy with this one: with
 * ten thousand sockets none of it is in the processor's caches. Each look needs
 * what the one before has fetched. */
static void look_ahead(const struct hf_conns *conns, struct hf_list *due)
{
    struct hf_list *first = due->next, *second = first->next;
    struct hf_list *third = second->next;
    struct hf_conn *conn;

    if (first == due || second == due || third == due)
        return;
    conn = HF_ITEM(first, struct hf_conn, ready);
    if (conn->session && conns->service->expect)
        conns->service->expect(conn->session);
    conn = HF_ITEM(second, struct hf_conn, ready);
    __builtin_prefetch(conn->session);
    conn = HF_ITEM(third, struct hf_conn, ready);
    __builtin_prefetch(conn);
    __builtin_prefetch(&conn->wire);
}

/* Has this turn written to `count` sockets and no time left for more? */
static bool enough(unsigned count, int64_t began_us)
{
    if (count >= HF_WRITE_SOCKETS)
        return true;
    return count > 0 && count % HF_WRITE_LOOK == 0 &&
           hf_boot_us() - began_us >= HF_WRITE_US;
}

bool hf_conns_busy(void *ctx)
{
    const struct hf_conns *conns = ctx;

    return !hf_list_empty(&conns->ready) || !hf_list_empty(&conns->waiting);
}

/* In turns, so that a heartbeat's answer need not wait for all of a broadcast
 * that came before it, nor the rest of that for others without end. NULL: both
 * are empty. */
static struct hf_list *next_of(struct hf_list *fresh, struct hf_list *waiting,
                               unsigned count)
{
    struct hf_list *from = count % 2 == 0 ? fresh : waiting;

    if (hf_list_empty(from))
        from = from == fresh ? waiting : fresh;
    return hf_list_empty(from) ? NULL : from;
}

/* Who asks during this turn's end, or is beyond the limit, is for the next. */
void hf_conns_on_turn_end(struct hf_turn *turn)
{
    struct hf_conns *conns = HF_ITEM(turn, struct hf_conns, turn);
    int64_t began_us = hf_boot_us();
    struct hf_list fresh, *from;
    unsigned count = 0;

    hf_list_init(&fresh);
    hand_over(&conns->ready, &fresh);
    while (!enough(count, began_us) &&
           (from = next_of(&fresh, &conns->waiting, count))) {
        struct hf_conn *conn = HF_ITEM(from->next, struct hf_conn, ready);

        hf_list_remove(&conn->ready);
        look_ahead(conns, from);
        flush(conn);
        count++;
    }
    hand_over(&fresh, &conns->waiting);
    if (!hf_list_empty(&conns->ready) || !hf_list_empty(&conns->waiting))
        hf_loop_at_turn_end(conns->loop, &conns->turn);
}

/* --- who takes nothing ------------------------------------------------------ */

/* EPOLLOUT comes only when a good part of the kernel's buffer is free. Try
 * before a slow reader is taken for a dead one. */
static void try_once_more(struct hf_conn *conn)
{
    bool progress;
    int err = hf_ws_out_write(&conn->unsent->out, &conn->wire, &progress);

    if (err == HF_EAGAIN && !progress)
        hf_conn_give_up(conn, HF_WS_LATER);
    else
        settle(conn, err, progress, true);
}

static struct hf_conn *longest_stuck(const struct hf_conns *conns,
                                     int64_t older_than_ms)
{
    struct hf_list *node = hf_list_first(&conns->stuck);
    struct hf_unsent *unsent;

    if (!node)
        return NULL;
    unsent = HF_ITEM(node, struct hf_unsent, node);
    return unsent->progress_ms <= older_than_ms ? unsent->conn : NULL;
}

void hf_conns_look_at_stuck(struct hf_conns *conns, int64_t now_ms)
{
    struct hf_conn *conn;

    while ((conn = longest_stuck(conns, now_ms - HF_STUCK_MS)))
        try_once_more(conn);
}
