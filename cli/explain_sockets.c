#include "cli/explain.h"

#include <inttypes.h>

static void head(struct hf_explain *explain, struct hf_str session,
                 struct hf_str user)
{
    explain->sockets_count++;
    (void)hf_buf_addf(&explain->sockets,
                      "\nsession      %.*s\n"
                      "transport    WebSocket, process %ld\n"
                      "user         %.*s\n",
                      HF_STR_ARG(session), (long)explain->pid,
                      HF_STR_ARG(user.len ? user : HF_STR("nobody known")));
}

static bool is_due(const struct hf_explain *explain,
                   const struct hf_witness_socket *socket)
{
    return socket->began < explain->id && !socket->left_out;
}

static void add_due(struct hf_explain *explain,
                    const struct hf_witness_socket *socket)
{
    struct hf_buf *out = &explain->sockets;
    char cursor[HF_CURSOR_MAX + 1];

    (void)hf_explain_cursor(explain, socket->began, cursor);
    if (socket->began >= explain->id)
        (void)hf_buf_addf(
            out, "for it       no: its stream begins behind it, at %s\n",
            cursor);
    else if (socket->left_out)
        (void)hf_buf_addf(out, "for it       no: %s\n",
                          hf_explain_is_diff(explain)
                              ? "changes of presence up to its state, or all "
                                "of them, are not for it"
                              : "the publisher has left this session out");
    else if (explain->id <= socket->live)
        (void)hf_buf_addf(
            out, "for it       yes: joined later, with since %s\n", cursor);
    else
        (void)hf_buf_addf(out, "for it       yes: joined before it\n");
}

static void add_sent(struct hf_explain *explain,
                     const struct hf_witness_socket *socket)
{
    struct hf_buf *out = &explain->sockets;
    char time[HF_EXPLAIN_TIME];

    if (socket->cursor < explain->id)
        (void)hf_buf_addf(
            out, "sent         not yet: %s\n",
            socket->lagging ? "it is behind and reads from the journal as "
                              "fast as its line takes"
            : socket->held  ? "it waits for the state of presence"
                            : "it is behind, and gets it with what is "
                              "before it");
    else if (explain->id <= socket->live)
        (void)hf_buf_addf(out, "sent         yes, with what it had missed, "
                               "after its join; when is not known\n");
    else if (socket->read_ms == 0)
        (void)hf_buf_addf(out,
                          "sent         yes; when is not known any more\n");
    else
        (void)hf_buf_addf(out, "sent         yes, read from the journal %s\n",
                          hf_explain_time(socket->read_ms, time));
}

/* A WebSocket acknowledges nothing; what is known is where the bytes are. */
static void add_taken(struct hf_explain *explain,
                      const struct hf_witness_socket *socket)
{
    struct hf_buf *out = &explain->sockets;

    if (socket->cursor < explain->id)
        (void)hf_buf_addf(out, "acknowledged no\n");
    else if (!socket->link_known)
        (void)hf_buf_addf(out, "acknowledged unknown\n");
    else if (socket->unsent > 0)
        (void)hf_buf_addf(out,
                          "acknowledged unknown: %" PRIu64
                          " bytes of this connection are still on the way\n",
                          socket->unsent);
    else
        (void)hf_buf_addf(out,
                          "acknowledged by the other end of the connection "
                          "(the client's machine or the web server between); "
                          "whether the page had it only its next join says\n");
    if (socket->link_known)
        (void)hf_buf_addf(out, "heard of     %.1f s ago\n",
                          (double)socket->quiet_ms / 1000);
}

void hf_explain_socket_heard(struct hf_explain *explain,
                             const struct hf_witness_socket *socket)
{
    head(explain, socket->session, socket->user);
    add_due(explain, socket);
    (void)hf_buf_addf(&explain->sockets, "authorised   %s\n",
                      socket->may_join ? "yes, now"
                                       : "no, not any more: it is about to be "
                                         "ended");
    if (!is_due(explain, socket))
        return;
    add_sent(explain, socket);
    add_taken(explain, socket);
}

void hf_explain_elsewhere_heard(struct hf_explain *explain,
                                const struct hf_witness_elsewhere *there)
{
    head(explain, there->session, there->user);
    (void)hf_buf_addf(
        &explain->sockets,
        "for it       no: it has joined %u other topics, and not this one\n"
        "authorised   %s\n"
        "sent         no, unless it had joined this topic before: of what has "
        "ended nothing is kept\n",
        there->topics,
        there->may_join ? "yes, it may join now" : "no, it may not join");
}
