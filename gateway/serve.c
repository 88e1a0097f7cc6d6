#include "gateway/serve.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/probe.h"
#include "gateway/respond.h"
#include "gateway/route.h"
#include "gateway/visit.h"

static void reply_json(struct hf_exchange *exchange, unsigned status,
                       struct hf_str body)
{
    struct hf_head head;

    exchange->work = HF_EXCHANGE_IDLE;
    hf_head_json(&head, status, body.len);
    exchange->reply(exchange, hf_head_str(&head), body);
}

static void reply_text(struct hf_exchange *exchange, unsigned status,
                       struct hf_str body)
{
    struct hf_head head;

    hf_head_text(&head, status, body.len);
    exchange->reply(exchange, hf_head_str(&head), body);
}

const struct hf_str hf_not_ready_text = HF_STR_INIT(
    "This service is not ready. Its operator finds the reason in its log; who "
    "has just uploaded it opens its page setup.\n");

/* --- GET and POST -------------------------------------------------------- */

static void poll_answered(struct hf_poll *poll, struct hf_str body)
{
    reply_json(HF_ITEM(poll, struct hf_exchange, poll), 200, body);
}

static void post_answered(struct hf_post *post, struct hf_str body)
{
    reply_json(HF_ITEM(post, struct hf_exchange, post), 200, body);
}

/* It has its answer, or waits for it anyway. */
static void want_sidecar(struct hf_gateway *gateway)
{
    if (gateway->dir && !gateway->leaving)
        hf_ondemand_wanted(&gateway->ondemand, gateway->dir, gateway->settings);
}

static void start_poll(struct hf_exchange *exchange, struct hf_gateway *gateway,
                       const struct hf_request *request)
{
    char memory[HF_TOKEN_MAX];

    exchange->work = HF_EXCHANGE_POLL;
    exchange->poll = (struct hf_poll){.answer = poll_answered};
    hf_poll_start(gateway->longpoll, &exchange->poll, &request->hello,
                  hf_request_token(request, memory));
    if (gateway->leaving)
        hf_longpoll_release(gateway->longpoll);
    want_sidecar(gateway);
}

static void start_post(struct hf_exchange *exchange, struct hf_gateway *gateway,
                       const struct hf_request *request)
{
    char memory[HF_TOKEN_MAX];

    if (request->body.len > gateway->settings->max_body) {
        reply_json(exchange, 413, HF_STR("{\"status\":413}"));
        return;
    }
    if (!hf_request_whole(request)) {
        reply_json(exchange, 400, HF_STR("{\"status\":400}"));
        return;
    }
    exchange->work = HF_EXCHANGE_POST;
    exchange->post = (struct hf_post){.answer = post_answered};
    hf_post_start(gateway->longpoll, &exchange->post, &request->hello,
                  hf_request_token(request, memory), request->body,
                  hf_request_ndjson(request));
}

/* --- plain HTTP ---------------------------------------------------------- */

static void reply_plain(struct hf_exchange *exchange,
                        const struct hf_plain_answer *answer)
{
    struct hf_head head;
    char seconds[16];

    exchange->work = HF_EXCHANGE_IDLE;
    hf_head_json(&head, answer->status, answer->body.len);
    if (answer->retry_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%u", answer->retry_s);
        hf_head_add(&head, "Retry-After", seconds);
    }
    if (answer->status == 401) /* RFC 9110 section 15.5.2 */
        hf_head_add(&head, "WWW-Authenticate", "Bearer");
    exchange->reply(exchange, hf_head_str(&head), answer->body);
}

static void publishing_answered(struct hf_publishing *publishing,
                                const struct hf_plain_answer *answer)
{
    reply_plain(HF_ITEM(publishing, struct hf_exchange, publishing), answer);
}

static void events_answered(struct hf_events *events,
                            const struct hf_plain_answer *answer)
{
    reply_plain(HF_ITEM(events, struct hf_exchange, events), answer);
}

static void start_publishing(struct hf_exchange *exchange,
                             struct hf_gateway *gateway,
                             const struct hf_request *request)
{
    if (request->body.len > gateway->settings->max_body) {
        reply_json(exchange, 413, HF_STR("{\"status\":413}"));
        return;
    }
    if (!hf_request_whole(request)) {
        const struct hf_plain_refusal refusal = {
            .reason = "malformed", .message = "the body is incomplete"};
        char room[HF_PLAIN_REFUSAL_MAX];
        struct hf_plain_answer answer = hf_plain_refuse(&refusal, room);

        reply_plain(exchange, &answer);
        return;
    }
    exchange->work = HF_EXCHANGE_PUBLISH;
    exchange->publishing =
        (struct hf_publishing){.answer = publishing_answered};
    hf_publishing_start(gateway->longpoll, &exchange->publishing,
                        &request->hello, request->body,
                        hf_request_ndjson(request));
}

static void start_events(struct hf_exchange *exchange,
                         struct hf_gateway *gateway,
                         const struct hf_request *request)
{
    exchange->work = HF_EXCHANGE_EVENTS;
    exchange->events = (struct hf_events){.answer = events_answered};
    hf_events_start(gateway->longpoll, &exchange->events, &request->hello);
    if (gateway->leaving)
        hf_longpoll_release(gateway->longpoll);
}

static void reply_allowed(struct hf_exchange *exchange, const char *methods)
{
    struct hf_head head;

    hf_head_text(&head, 405, 0);
    hf_head_add(&head, "Allow", methods);
    exchange->reply(exchange, hf_head_str(&head), hf_str(NULL, 0));
}

/* --- preflight ----------------------------------------------------------- */

/* No version and no token is looked at: none is given (6.8). */
static void preflight(struct hf_exchange *exchange, struct hf_gateway *gateway,
                      const struct hf_request *request)
{
    const struct hf_origin_request *from = &request->hello.from;
    struct hf_head head;

    if (!hf_host_ours(gateway->settings, from) ||
        hf_origin_check(gateway->settings, from)) {
        HF_LOG(HF_LOG_WARN, "preflight_refused",
               hf_field_s("origin", from->origin),
               hf_field_s("host", from->host),
               hf_field("hint", "if pages from there may connect, add it to "
                                "origins in holdfast.conf"),
               hf_field_s("peer", request->hello.peer));
        reply_json(exchange, 200, HF_STR("{\"status\":403}"));
        return;
    }
    hf_head_preflight(&head, request->allow_headers);
    exchange->reply(exchange, hf_head_str(&head), hf_str(NULL, 0));
}

/* --- pages of the owner -------------------------------------------------- */

static void probe_answered(void *ctx, struct hf_str head, struct hf_str body)
{
    struct hf_exchange *exchange = ctx;

    exchange->work = HF_EXCHANGE_IDLE;
    exchange->reply(exchange, head, body);
}

static void probe_part(void *ctx, struct hf_str head, struct hf_str body)
{
    struct hf_exchange *exchange = ctx;

    if (exchange->part)
        exchange->part(exchange, head, body);
}

/* It may be answered before hf_probe_start returns, and then the exchange may
 * be another one's already. */
static void start_probe(struct hf_exchange *exchange,
                        struct hf_gateway *gateway, struct hf_str rest,
                        const struct hf_request *request)
{
    const struct hf_probe_ends ends = {probe_part, probe_answered, exchange};
    struct hf_probe *probe = NULL;
    struct hf_visit visit;

    hf_visit_begin(&visit, request, HF_ROUTE_DOCTOR, gateway->dir_option,
                   gateway->served_by);
    hf_probe_start(gateway, &visit, rest, &ends, &probe);
    hf_visit_end(&visit);
    if (probe) {
        exchange->work = HF_EXCHANGE_PROBE;
        exchange->probe = probe;
    }
}

static void show_page(struct hf_exchange *exchange, struct hf_gateway *gateway,
                      enum hf_route route, const struct hf_request *request)
{
    struct hf_html html;

    struct hf_str rest =
        hf_route_rest(hf_str_of(gateway->settings->mount), request);

    if (request->body.len > HF_VISIT_BODY_MAX || !hf_request_whole(request)) {
        reply_text(exchange, 413, HF_STR(""));
        return;
    }
    if (route == HF_ROUTE_DOCTOR && rest.len > 0) {
        start_probe(exchange, gateway, rest, request);
        return;
    }
    hf_html_init(&html);
    hf_visit_answer(request, route, gateway->dir_option, gateway->served_by,
                    &html);
    exchange->reply(exchange, hf_head_str(&html.head), hf_buf_str(&html.body));
    hf_html_release(&html);
}

static enum hf_route route_of(const struct hf_gateway *gateway,
                              const struct hf_request *request)
{
    return hf_route(hf_str_of(gateway->settings->mount), request);
}

/* ------------------------------------------------------------------------- */

void hf_exchange_start(struct hf_exchange *exchange, struct hf_gateway *gateway,
                       const struct hf_request *request)
{
    enum hf_route route = route_of(gateway, request);

    /* Also when there is no journal yet, or one that cannot be opened. */
    if (hf_visit_is(route)) {
        show_page(exchange, gateway, route, request);
        return;
    }
    if (gateway->admit && gateway->admit(gateway, request)) {
        reply_text(exchange, 500, hf_not_ready_text);
        return;
    }
    route = route_of(gateway, request); /* by the journal's mount */
    switch (route) {
    case HF_ROUTE_POLL:
        start_poll(exchange, gateway, request);
        return;
    case HF_ROUTE_PUSH:
        start_post(exchange, gateway, request);
        return;
    case HF_ROUTE_PUBLISH:
        start_publishing(exchange, gateway, request);
        return;
    case HF_ROUTE_EVENTS:
        start_events(exchange, gateway, request);
        return;
    case HF_ROUTE_PREFLIGHT:
        preflight(exchange, gateway, request);
        return;
    case HF_ROUTE_METHOD:
        reply_text(exchange, 400, HF_STR(""));
        return;
    case HF_ROUTE_PUBLISH_METHOD:
        reply_allowed(exchange, "POST, OPTIONS");
        return;
    case HF_ROUTE_EVENTS_METHOD:
        reply_allowed(exchange, "GET, OPTIONS");
        return;
    case HF_ROUTE_WEBSOCKET:
        reply_text(exchange, 404, HF_STR("No WebSockets here.\n"));
        want_sidecar(gateway);
        return;
    case HF_ROUTE_SETUP:
    case HF_ROUTE_DOCTOR:
        show_page(exchange, gateway, route, request);
        return;
    case HF_ROUTE_NOWHERE:
        reply_text(exchange, 404, HF_STR("Not found.\n"));
        return;
    }
}

void hf_exchange_gone(struct hf_exchange *exchange)
{
    switch (exchange->work) {
    case HF_EXCHANGE_IDLE:
        return;
    case HF_EXCHANGE_POLL:
        hf_poll_cancel(&exchange->poll);
        break;
    case HF_EXCHANGE_POST:
        hf_post_forget(&exchange->post);
        break;
    case HF_EXCHANGE_PUBLISH:
        hf_publishing_forget(&exchange->publishing);
        break;
    case HF_EXCHANGE_EVENTS:
        hf_events_cancel(&exchange->events);
        break;
    case HF_EXCHANGE_PROBE:
        hf_probe_gone(exchange->probe);
        break;
    }
    exchange->work = HF_EXCHANGE_IDLE;
}
