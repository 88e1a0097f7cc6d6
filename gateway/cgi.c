#include "gateway/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sys.h"
#include "gateway/respond.h"
#include "gateway/serve.h"
#include "gateway/signals.h"
#include "gateway/turn_away.h"
#include "gateway/visit.h"
#include "schema/place.h"

/* Of a body, read at once. */
#define BODY_PART ((size_t)64 << 10)

/* Of a body that is refused, read at all. */
#define DISCARD_MAX ((size_t)64 << 20)

/* --- writing ------------------------------------------------------------- */

/* A server that does not read any more has lost its client: nothing is wrong. */
static int write_all(struct hf_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.at, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return 0;
        if (n <= 0)
            return HF_EIO;
        bytes = hf_str_from(bytes, (size_t)n);
    }
    return 0;
}

static int write_answer(struct hf_str head, struct hf_str body)
{
    int err;

    err = write_all(head);
    return err ? err : write_all(body);
}

static int answer_json(unsigned status, struct hf_str body)
{
    struct hf_head head;

    hf_head_json(&head, status, body.len);
    return write_answer(hf_head_str(&head), body);
}

/* --- the exchange -------------------------------------------------------- */

struct cgi {
    struct hf_gateway gateway;
    struct hf_exchange exchange;
    struct hf_signals signals;
    struct hf_loop *loop;
    struct hf_process process;
    bool answered;
    bool turned_away; /* nothing is open */
    int err;          /* of writing the answer */
};

static void reply(struct hf_exchange *exchange, struct hf_str head,
                  struct hf_str body)
{
    struct cgi *cgi = HF_ITEM(exchange, struct cgi, exchange);

    cgi->answered = true;
    cgi->err = write_answer(head, body);
}

static void part(struct hf_exchange *exchange, struct hf_str head,
                 struct hf_str body)
{
    struct cgi *cgi = HF_ITEM(exchange, struct cgi, exchange);

    cgi->err = write_answer(head, body);
}

/* A poll that is held is answered now, with its token; anything else ends by
 * itself, and soon. */
static void asked_to_leave(struct hf_signals *signals)
{
    struct cgi *cgi = HF_ITEM(signals, struct cgi, signals);

    (void)alarm(HF_LEAVE_MS / 1000);
    cgi->gateway.leaving = true;
    if (cgi->gateway.longpoll)
        hf_longpoll_release(cgi->gateway.longpoll);
}

/* Where nothing is resident, requests do what residents would do now and then.
 * The answer ends where our output does, so nobody waits for it. */
static void clean_up(struct hf_longpoll *longpoll)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (nowhere < 0)
        return;
    (void)dup2(nowhere, STDOUT_FILENO); /* or the answer ends a little later */
    hf_close(&nowhere);
    hf_longpoll_clean_up(longpoll);
}

static int serve(struct cgi *cgi, const struct hf_request *request)
{
    int64_t hold_ms = cgi->process.settings.cgi_hold_ms;
    int err;

    err = hf_longpoll_open(&cgi->process, hold_ms, &cgi->gateway.longpoll);
    if (err)
        return err;
    (void)alarm(HF_CGI_SECONDS + (unsigned)(hold_ms / 1000));
    cgi->exchange.reply = reply;
    hf_exchange_start(&cgi->exchange, &cgi->gateway, request);
    if (!cgi->answered)
        hf_process_rest(&cgi->process);
    while (!err && !cgi->answered)
        err = hf_loop_turn(cgi->loop, -1); /* the alarm bounds it */
    if (err)
        hf_exchange_gone(&cgi->exchange);
    else if (!cgi->gateway.leaving)
        clean_up(cgi->gateway.longpoll);
    hf_longpoll_close(cgi->gateway.longpoll);
    return err ? err : cgi->err;
}

/* --- the request --------------------------------------------------------- */

/* Until there is input, its end, or a signal: that is no error of the body, but
 * nothing of it has been done yet. */
static int wait_for_input(const struct cgi *cgi)
{
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = cgi->signals.watch.fd, .events = POLLIN},
    };

    while (poll(fds, 2, -1) < 0) /* the alarm bounds it */
        if (errno != EINTR)
            return HF_EIO;
    return fds[1].revents ? HF_ECLOSED : 0;
}

/* Up to `len` bytes; fewer when the server has no more, which whoever looks at
 * CONTENT_LENGTH will notice. */
static int read_body(const struct cgi *cgi, struct hf_buf *body, size_t len)
{
    while (body->len < len) {
        size_t part = len - body->len < BODY_PART ? len - body->len : BODY_PART;
        char *at = hf_buf_room(body, part);
        int err = at ? wait_for_input(cgi) : hf_buf_error(body);
        ssize_t n;

        if (err)
            return err;
        n = read(STDIN_FILENO, at, part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return HF_EIO;
        if (n == 0)
            return 0;
        hf_buf_grown(body, (size_t)n);
    }
    return 0;
}

/* Apache's mod_cgid hands over body and answer by one socket, and takes the
 * answer for lost if we end before we have read the body. */
static void discard_body(const struct cgi *cgi)
{
    char part[8192];
    size_t left = DISCARD_MAX;

    while (left >= sizeof(part) && wait_for_input(cgi) == 0) {
        ssize_t n = read(STDIN_FILENO, part, sizeof(part));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        left -= (size_t)n;
    }
}

static int refuse_body(const struct cgi *cgi, unsigned status,
                       struct hf_str answer)
{
    int err;

    err = answer_json(status, answer);
    discard_body(cgi); /* the alarm bounds it */
    return err;
}

/*
 * How many bytes to read. A body is refused by its announced length alone. One
 * in chunks has no length: Apache hands it on up to its end, of which one byte
 * over the limit is enough.
 */
static int body_length(const struct hf_request *request, size_t most,
                       size_t *out)
{
    *out = 0;
    if (!hf_str_eq(request->method, HF_STR("POST")))
        return 0;
    if (request->content_length.len > 0)
        return hf_request_number(request->content_length, most, out);
    if (request->transfer_encoding.len > 0)
        *out = most + 1;
    return 0;
}

/* The body, of `most` bytes at most, then what it is for. */
static int with_body(struct cgi *cgi, struct hf_request *request, size_t most,
                     int (*serve_it)(struct cgi *cgi,
                                     const struct hf_request *request))
{
    struct hf_buf body;
    size_t len;
    int err;

    err = body_length(request, most, &len);
    if (err == HF_ELIMIT)
        return refuse_body(cgi, 413, HF_STR("{\"status\":413}"));
    if (err)
        return refuse_body(cgi, 400, HF_STR("{\"status\":400}"));
    hf_buf_init(&body, len);
    err = read_body(cgi, &body, len);
    request->body = hf_buf_str(&body);
    if (!err && body.len > most)
        err = refuse_body(cgi, 413, HF_STR("{\"status\":413}"));
    else if (!err)
        err = serve_it(cgi, request);
    hf_buf_release(&body);
    return err;
}

/* A page of the owner's needs no journal, and may be about one that cannot be
 * opened. */
static int serve_page(struct cgi *cgi, const struct hf_request *request)
{
    int err = 0;

    (void)alarm(HF_CGI_SECONDS + HF_PROBE_SECONDS);
    cgi->exchange.reply = reply;
    cgi->exchange.part = part;
    hf_exchange_start(&cgi->exchange, &cgi->gateway, request);
    while (!err && !cgi->answered)
        err = hf_loop_turn(cgi->loop, -1); /* the alarm bounds it */
    if (err)
        hf_exchange_gone(&cgi->exchange);
    return err ? err : cgi->err;
}

static int answer_not_ready(void)
{
    struct hf_head head;

    hf_head_text(&head, 500, hf_not_ready_text.len);
    return write_answer(hf_head_str(&head), hf_not_ready_text);
}

/* What it has on the stack is not for those that wait. */
__attribute__((noinline)) static int
open_process(struct cgi *cgi, const char *dir, const struct hf_request *request,
             struct hf_why *why)
{
    struct hf_place_hints hints = {
        .option = dir,
        .variable = request->directory.at,
        .script = request->script.at,
        .program = hf_place_program(),
    };
    struct hf_place place;
    int err;

    err = hf_place_find(&hints, &place, why);
    cgi->turned_away = !err && hf_turn_away(place.dir, request);
    if (cgi->turned_away)
        return 0;
    if (!err)
        err = hf_process_open(&cgi->process, cgi->loop, place.dir, false, why);
    if (err)
        return err;
    cgi->process.served = HF_SERVED_CGI;
    cgi->gateway.settings = &cgi->process.settings;
    cgi->gateway.dir = &cgi->process.dir;
    return 0;
}

/* By the default mount: another one is known with the journal only, and then
 * the path that a CGI script is called with says it all the same. */
static bool is_page(struct cgi *cgi, const char *dir,
                    const struct hf_request *request)
{
    hf_settings_default(&cgi->process.settings);
    cgi->gateway.settings = &cgi->process.settings;
    cgi->gateway.dir_option = dir;
    cgi->gateway.served_by = "CGI";
    cgi->gateway.loop = cgi->loop;
    return hf_visit_is(
        hf_route(hf_str_of(cgi->gateway.settings->mount), request));
}

/* With the loop open. What fails is answered here, too; whether that reaches
 * anybody does not matter any more. */
static int serve_in(struct cgi *cgi, const char *dir, struct hf_why *why)
{
    struct hf_request request;
    int err;

    hf_request_read(&request, environ, hf_str(NULL, 0));
    cgi->signals.asked_to_leave = asked_to_leave;
    err = hf_signals_take(&cgi->signals, cgi->loop);
    if (!err && is_page(cgi, dir, &request))
        return with_body(cgi, &request, HF_VISIT_BODY_MAX, serve_page);
    if (!err)
        err = open_process(cgi, dir, &request, why);
    if (err) {
        (void)answer_not_ready();
        return err;
    }
    if (cgi->turned_away)
        return answer_json(200, HF_STR("{\"status\":500}"));
    err = with_body(cgi, &request, cgi->process.settings.max_body, serve);
    /* Half an answer may be out already; then this is lost with it. */
    if (err)
        (void)answer_json(500, HF_STR("{\"status\":500}"));
    hf_process_close(&cgi->process);
    return err;
}

/* ------------------------------------------------------------------------- */

bool hf_cgi_asked(void)
{
    return getenv("REQUEST_METHOD") != NULL;
}

bool hf_cgi_refused_arguments(void)
{
    static const struct hf_str text =
        HF_STR_INIT("The query must have the form name=value.\n");
    struct hf_str query = hf_str_of(getenv("QUERY_STRING"));
    struct hf_head head;

    if (!hf_cgi_asked() || query.len == 0 || memchr(query.at, '=', query.len))
        return false;
    hf_head_text(&head, 400, text.len);
    (void)write_answer(hf_head_str(&head), text); /* gone: nobody to tell */
    return true;
}

int hf_cgi_serve(const char *dir)
{
    struct cgi cgi = {.answered = false};
    struct hf_why why = {""};
    int err;

    (void)alarm(HF_CGI_SECONDS);
    err = hf_loop_new(&cgi.loop);
    if (err) {
        (void)answer_not_ready();
    } else {
        err = serve_in(&cgi, dir, &why);
        hf_signals_release(&cgi.signals);
        hf_loop_free(cgi.loop);
    }
    if (!err)
        return 0;
    HF_LOG(HF_LOG_ERROR, "cgi_failed",
           hf_field("error", why.text[0] ? why.text : hf_strerror(err)));
    return 1;
}
