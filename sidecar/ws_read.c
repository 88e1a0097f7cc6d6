#include "sidecar/ws_conn_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "sidecar/counters.h"

/* A message or control frame of which the end has not come yet. */
struct hf_partial {
    struct hf_list node; /* in conns->partials */
    struct hf_conn *conn;
    struct hf_buf message;
    uint32_t fragments; /* whole ones, of the message */
    uint8_t control_len;
    char control[HF_WS_CONTROL_MAX];
};

/* --- memory that only busy sockets have ----------------------------------- */

static void account(struct hf_conns *conns, size_t before, size_t after)
{
    conns->partial_bytes -= before;
    conns->partial_bytes += after;
}

static struct hf_partial *get_partial(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;
    struct hf_partial *partial = conn->partial;

    if (partial)
        return partial;
    partial = calloc(1, sizeof(*partial));
    if (!partial)
        return NULL;
    partial->conn = conn;
    hf_buf_init(&partial->message, conns->max_message);
    hf_list_append(&conns->partials, &partial->node);
    account(conns, 0, sizeof(*partial));
    conn->partial = partial;
    return partial;
}

void hf_conn_drop_partial(struct hf_conn *conn)
{
    struct hf_partial *partial = conn->partial;

    if (!partial)
        return;
    account(conn->conns, sizeof(*partial) + partial->message.cap, 0);
    hf_list_remove(&partial->node);
    hf_buf_release(&partial->message);
    free(partial);
    conn->partial = NULL;
}

/* --- messages -------------------------------------------------------------- */

/* Whoever has been at its message longest gives way. */
static void bound_partials(struct hf_conns *conns)
{
    while (conns->partial_bytes > HF_PARTIAL_BYTES) {
        struct hf_list *oldest = hf_list_first(&conns->partials);

        hf_conn_goodbye(HF_ITEM(oldest, struct hf_partial, node)->conn,
                        HF_WS_LATER);
        HF_LOG(HF_LOG_WARN, "partial_messages_full",
               hf_field_i("max_bytes", HF_PARTIAL_BYTES),
               hf_field("effect", "who has been at its message longest is "
                                  "closed with 1013"));
    }
}

/* May say goodbye to this very socket, too. */
static int keep(struct hf_conn *conn, struct hf_str bytes)
{
    struct hf_partial *partial = get_partial(conn);
    size_t before;
    int err;

    if (!partial)
        return HF_ENOMEM;
    before = partial->message.cap;
    err = hf_buf_add_str(&partial->message, bytes);
    account(conn->conns, before, partial->message.cap);
    if (!err)
        bound_partials(conn->conns);
    return err;
}

/* Nothing more is read. Before it, what was read is answered, if the service
 * does so. */
static void finish(struct hf_conn *conn, int code)
{
    if (!conn->conns->service->in_turn) {
        hf_conn_goodbye(conn, code);
        return;
    }
    conn->wish = (uint16_t)code;
    hf_conn_drop_partial(conn);
    if (!conn->blocked)
        hf_conn_schedule(conn);
}

static bool is_finished(const struct hf_conn *conn)
{
    return conn->state != HF_CONN_OPEN || conn->wish != 0;
}

static void receive(struct hf_conn *conn, struct hf_str message, bool binary)
{
    int err = conn->conns->service->receive(conn->session, message, binary);

    hf_count(HF_COUNT_RECEIVED);
    if (err)
        finish(conn, err == HF_ELIMIT ? HF_WS_POLICY : HF_WS_FAULT);
}

/* Part of a message in several. 0, or the status to close with. */
static int on_part(struct hf_conn *conn, const struct hf_ws_piece *piece)
{
    struct hf_partial *partial = get_partial(conn);

    if (!partial)
        return HF_WS_FAULT;
    /* At least one more must come. */
    if (piece->ends_frame && !piece->ends &&
        ++partial->fragments >= conn->conns->max_fragments)
        return HF_WS_POLICY;
    return piece->bytes.len > 0 && keep(conn, piece->bytes) ? HF_WS_FAULT : 0;
}

static struct hf_str whole(const struct hf_partial *partial)
{
    return partial->message.len > 0 ? hf_buf_str(&partial->message)
                                    : HF_STR("");
}

static void on_message_piece(struct hf_conn *conn,
                             const struct hf_ws_piece *piece)
{
    bool binary = piece->kind == HF_WS_BINARY;
    int refused;

    if (piece->starts && piece->ends) {
        receive(conn, piece->bytes, binary); /* as a rule: nothing is copied */
        return;
    }
    refused = on_part(conn, piece);
    if (refused) {
        finish(conn, refused);
        return;
    }
    if (!piece->ends || conn->state != HF_CONN_OPEN)
        return;
    receive(conn, whole(conn->partial), binary);
    hf_conn_drop_partial(conn);
}

static void on_close(struct hf_conn *conn, struct hf_str body)
{
    int code = 0;
    int refused = hf_ws_read_close(body, &code);

    if (refused || conn->conns->service->in_turn)
        finish(conn, refused ? refused : code);
    else /* which repeats it (RFC 6455 section 5.5.1) */
        hf_conn_answer_goodbye(conn, code);
}

static void on_ping(struct hf_conn *conn, struct hf_str payload)
{
    if (!hf_conn_unsent(conn) || hf_ws_out_pong(&conn->unsent->out, payload))
        return; /* out of memory: a pong is the least of it */
    if (!conn->blocked)
        hf_conn_schedule(conn);
}

static void on_control(struct hf_conn *conn, enum hf_ws_opcode kind,
                       struct hf_str payload)
{
    if (kind == HF_WS_CLOSE)
        on_close(conn, payload);
    else if (kind == HF_WS_PING)
        on_ping(conn, payload);
    /* a pong says no more than that the peer is there */
}

static void on_control_piece(struct hf_conn *conn,
                             const struct hf_ws_piece *piece)
{
    struct hf_partial *partial;

    if (piece->starts && piece->ends) {
        on_control(conn, piece->kind, piece->bytes);
        return;
    }
    partial = get_partial(conn);
    if (!partial) {
        finish(conn, HF_WS_FAULT);
        return;
    }
    /* The decoder lets no more than HF_WS_CONTROL_MAX through. */
    memcpy(partial->control + partial->control_len, piece->bytes.at,
           piece->bytes.len);
    partial->control_len = (uint8_t)(partial->control_len + piece->bytes.len);
    if (!piece->ends)
        return;
    on_control(conn, piece->kind,
               hf_str(partial->control, partial->control_len));
    if (is_finished(conn))
        return; /* the partial went with it */
    partial->control_len = 0;
    if (conn->in.message == 0)
        hf_conn_drop_partial(conn);
}

void hf_conn_input(struct hf_conn *conn, size_t len)
{
    char *at = conn->conns->input;
    size_t came = len, frames = 0;

    hf_count_many(HF_COUNT_RECEIVED_BYTES, len);
    while (len > 0 && !is_finished(conn)) {
        struct hf_ws_piece piece;
        size_t used = 0;
        int refused = hf_ws_decode(&conn->in, conn->conns->max_message, at, len,
                                   &used, &piece);

        if (refused) {
            finish(conn, refused);
            return;
        }
        at += used;
        len -= used;
        frames += piece.ends_frame;
        if (piece.kind >= HF_WS_CLOSE)
            on_control_piece(conn, &piece);
        else if (piece.kind != HF_WS_CONTINUATION)
            on_message_piece(conn, &piece);
    }
    if (conn->state != HF_CONN_OPEN)
        return;
    /* Whole frames only: a peer that dribbles is not alive. */
    if (frames > 0)
        hf_conn_heard(conn);
    hf_conn_spend(conn, frames, came);
}

/* A layer wants room for all it may have; what comes behind a goodbye costs no
 * more than the call. */
static size_t helping(const struct hf_conn *conn)
{
    size_t size = HF_READ_HELPING;

    if (conn->wire.layer || conn->state != HF_CONN_OPEN ||
        conn->in.left >= HF_READ_BYTES - size)
        return HF_READ_BYTES;
    return size + (size_t)conn->in.left;
}

/* Has a service that answers in turn still to do so? */
static bool has_to_wait(const struct hf_conn *conn)
{
    return conn->conns->service->in_turn && conn->state == HF_CONN_OPEN &&
           (conn->blocked || hf_list_linked(&conn->ready));
}

void hf_conn_read(struct hf_conn *conn)
{
    ssize_t len;

    if (has_to_wait(conn))
        return;
    if (conn->paused) /* the end has come, perhaps behind other things */
        hf_conn_go_on(conn);
    len = hf_wire_read(&conn->wire, conn->conns->input, helping(conn));
    if (len == HF_EAGAIN)
        return;
    if (len < 0)
        hf_conn_end(conn);
    else if (conn->state == HF_CONN_OPEN)
        hf_conn_input(conn, (size_t)len);
}
