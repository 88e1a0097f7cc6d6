#include "sidecar/http_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sidecar/counters.h"

static enum MHD_Result queue(struct MHD_Connection *connection, int status,
                             struct MHD_Response *response)
{
    enum MHD_Result result;

    if (!response)
        return MHD_NO; /* out of memory: the library closes */
    /* A header that is missing for want of memory harms nobody. */
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options",
                                  "nosniff");
    result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static void *forget_const(const char *text)
{
    union {
        const char *from;
        void *to;
    } cast = {.from = text}; /* the library only reads it */

    return cast.to;
}

static void add_retry_after(struct MHD_Response *response, unsigned seconds)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", seconds);
    (void)MHD_add_response_header(response, "Retry-After", text);
}

/* One request, one answer: the deadline is for a whole connection. */
static enum MHD_Result refuse(struct MHD_Connection *connection,
                              struct hf_refusal refusal)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(refusal.text), forget_const(refusal.text),
        MHD_RESPMEM_PERSISTENT);

    if (response) {
        (void)MHD_add_response_header(response, "Connection", "close");
        if (refusal.text[0])
            (void)MHD_add_response_header(response, "Content-Type",
                                          "text/plain; charset=utf-8");
        if (refusal.names_version)
            (void)MHD_add_response_header(response, "Sec-WebSocket-Version",
                                          "13");
        if (refusal.retry_s > 0)
            add_retry_after(response, refusal.retry_s);
    }
    return queue(connection, refusal.status, response);
}

static void log_upgraded(const struct hf_shake *shake, int fd)
{
    char address[HF_ADDRESS_TEXT];

    hf_address_write(&shake->caller.address, address);
    HF_LOG(HF_LOG_DEBUG, "connected", hf_field_i("fd", fd),
           hf_field("address", address));
}

/* Its socket, TLS on it, and what came behind the request; -1: lost. */
static int take_secured(struct hf_shake *shake, MHD_socket socket,
                        struct hf_str *early, struct hf_layer **out_layer)
{
    struct hf_http *http = shake->http;
    size_t len = 0;
    int fd = hf_relay_take(&shake->relay, socket, *early, http->early, &len,
                           out_layer);

    hf_list_append(&http->leaving, &shake->leaving);
    *early = hf_str(http->early, len);
    return fd;
}

void hf_http_on_kept_closed(struct hf_lender *lender)
{
    struct hf_http *http = HF_ITEM(lender, struct hf_http, lender);

    http->again = true;
    (void)hf_loop_arm(http->loop, &http->due, 0); /* at the latest the tick */
}

/* Its socket, or -1. */
static int take_plain(struct hf_http *http, MHD_socket socket,
                      struct MHD_UpgradeResponseHandle *handle,
                      struct hf_layer **out_layer)
{
    if (!http->keep)
        return hf_upgrade_detach(socket, handle);
    *out_layer = hf_upgrade_keep(handle, &http->lender);
    return *out_layer ? socket : -1;
}

static void on_upgrade(void *cls, struct MHD_Connection *connection, void *came,
                       const char *extra, size_t extra_len, MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct hf_http *http = cls;
    const struct hf_visit *visit = came;
    struct hf_shake *shake =
        hf_http_shake_of(connection); /* on_request has seen it */
    struct hf_str early = hf_str(extra, extra_len);
    struct hf_layer *layer = NULL;
    int fd;

    http->again = true;
    /* No more deadline: it would shut a socket that is now also ours. */
    hf_list_remove(&shake->node);
    hf_http_shaken(shake);
    shake->done = true;
    shake->handle = handle;
    if (http->closing)
        hf_relay_end(&shake->relay);
    if (hf_relay_lives(&shake->relay)) {
        fd = take_secured(shake, socket, &early, &layer);
    } else if (shake->through->tls || http->closing) {
        fd = -1; /* it went while we were asking the application, or we do */
        hf_list_append(&http->leaving, &shake->leaving);
    } else {
        fd = take_plain(http, socket, handle, &layer);
    }
    if (fd < 0) {
        if (hf_list_linked(&shake->leaving))
            HF_LOG(HF_LOG_DEBUG, "socket_lost",
                   hf_field("reason", "the client has gone, or we go"));
        else
            hf_http_no_room(http, "socket_lost", strerror(errno));
        return;
    }
    log_upgraded(shake, fd);
    hf_visitor_upgraded(shake->caller.visitor);
    hf_conns_add(visit->request.echo ? http->echo : http->conns, fd, layer,
                 &visit->request.client, shake->caller.visitor, early);
    shake->caller.visitor = NULL;
}

static enum MHD_Result upgrade(struct hf_http *http,
                               struct MHD_Connection *connection,
                               const struct hf_handshake *handshake)
{
    char accept[HF_ACCEPT_LEN + 1];
    struct MHD_Response *response;

    if (hf_handshake_accept(handshake, accept))
        return MHD_NO;
    response = MHD_create_response_for_upgrade(on_upgrade, http);
    if (!response)
        return MHD_NO;
    if (MHD_add_response_header(response, "Upgrade", "websocket") != MHD_YES ||
        MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) !=
            MHD_YES ||
        (handshake->phoenix &&
         MHD_add_response_header(response, "Sec-WebSocket-Protocol",
                                 "phoenix") != MHD_YES)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return queue(connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind,
                                   const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    (void)kind;
    hf_handshake_header(cls, hf_str(name, name_len),
                        hf_str(value, value ? value_len : 0));
    return MHD_YES;
}

void hf_http_go_on(struct hf_visit *visit)
{
    hf_list_remove(&visit->node);
    MHD_resume_connection(visit->connection);
    visit->http->again = true;
}

static void on_answered(struct hf_request *request)
{
    struct hf_visit *visit = HF_ITEM(request, struct hf_visit, request);
    struct hf_http *http = visit->http;

    hf_http_go_on(visit);
    hf_http_run(http);
}

static enum MHD_Result wait_for_answer(struct hf_visit *visit,
                                       struct MHD_Connection *connection)
{
    visit->connection = connection;
    hf_list_append(&visit->http->asking, &visit->node);
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* Whose address it is comes first: what one may ask for costs more. */
static struct hf_refusal judge(struct hf_http *http, struct hf_visit *visit,
                               struct hf_shake *shake, struct hf_asked *asked)
{
    char peer[HF_ADDRESS_TEXT];
    struct hf_refusal refusal = {.status = 0};

    if (http->closing)
        return (struct hf_refusal){.status = 503,
                                   .text = "this server is leaving\n",
                                   .retry_s = HF_RETRY_S};
    if (!shake->asked)
        refusal = hf_door_ask(http->door, shake->through, asked->handshake,
                              &shake->caller);
    shake->asked = true;
    if (refusal.status)
        return refusal;
    hf_address_write(&shake->caller.address, peer);
    asked->peer = hf_str_of(peer);
    asked->believed = shake->caller.believed;
    refusal = hf_request_judge(&visit->request, &http->rules, asked);
    if (refusal.status || visit->request.state == HF_REQUEST_ASKING ||
        hf_http_sockets(http) < http->max_sockets)
        return refusal;
    hf_http_no_room(http, "sockets_full", "as many are open as may be");
    return (struct hf_refusal){.status = 503,
                               .text = "no room for another socket now\n",
                               .retry_s = HF_RETRY_S};
}

enum MHD_Result hf_http_on_request(void *cls, struct MHD_Connection *connection,
                                   const char *url, const char *method,
                                   const char *version, const char *body,
                                   size_t *body_len, void **came)
{
    struct hf_http *http = cls;
    struct hf_visit *visit = *came;
    struct hf_shake *shake = hf_http_shake_of(connection);
    struct hf_handshake handshake = {.hosts = 0};
    struct hf_asked asked = {.handshake = &handshake,
                             .method = hf_str_of(method),
                             .version = hf_str_of(version)};
    struct hf_refusal refusal;

    (void)url; /* decoded and without its query: see on_uri */
    (void)body;
    (void)body_len;
    if (!visit || !shake)
        return MHD_NO;
    asked.through = shake->through;
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_header,
                                      &handshake);
    refusal = judge(http, visit, shake, &asked);
    if (refusal.status)
        return refuse(connection, refusal);
    if (visit->request.state == HF_REQUEST_ASKING)
        return wait_for_answer(visit, connection);
    return upgrade(http, connection, &handshake);
}

/* The library takes the URI apart in place, so keep it as it came. NULL when
 * out of memory, which on_request sees. */
void *hf_http_on_uri(void *cls, const char *uri,
                     struct MHD_Connection *connection)
{
    struct hf_visit *visit = calloc(1, sizeof(*visit));

    (void)connection;
    if (!visit)
        return NULL;
    visit->http = cls;
    visit->request.answered = on_answered;
    if (hf_request_init(&visit->request, uri)) {
        free(visit);
        return NULL;
    }
    return visit;
}

void hf_http_on_completed(void *cls, struct MHD_Connection *connection,
                          void **came, enum MHD_RequestTerminationCode code)
{
    struct hf_visit *visit = *came;

    (void)cls;
    (void)connection;
    (void)code;
    *came = NULL;
    if (!visit)
        return;
    hf_list_remove(&visit->node);
    hf_request_release(&visit->request);
    free(visit);
}
