#include "gateway/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sys.h"
#include "gateway/respond.h"
#include "gateway/serve.h"
#include "schema/place.h"

/* --- reading and writing ------------------------------------------------- */

static int write_all(struct hf_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.at, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
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

/* Up to `len` bytes; fewer when the server has no more, which whoever looks at
 * CONTENT_LENGTH will notice. */
static int read_body(struct hf_buf *body, size_t len)
{
    char *at;

    hf_buf_init(body, len);
    at = hf_buf_room(body, len);
    if (!at)
        return hf_buf_error(body);
    while (body->len < len) {
        ssize_t n = read(STDIN_FILENO, body->at + body->len, len - body->len);

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

/* --- the exchange -------------------------------------------------------- */

struct answer {
    struct hf_exchange exchange;
    bool given;
    int err; /* of writing it */
};

static void reply(struct hf_exchange *exchange, struct hf_str head,
                  struct hf_str body)
{
    struct answer *answer = HF_ITEM(exchange, struct answer, exchange);

    answer->given = true;
    answer->err = write_answer(head, body);
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

/* --- the request --------------------------------------------------------- */

static int answer_not_ready(void)
{
    struct hf_head head;

    hf_head_text(&head, 500, hf_not_ready_text.len);
    return write_answer(hf_head_str(&head), hf_not_ready_text);
}

static int serve(struct hf_process *process, const struct hf_request *request)
{
    struct answer answer = {.exchange.reply = reply};
    struct hf_gateway gateway = {.settings = &process->settings};
    int err;

    err = hf_longpoll_open(process, process->settings.cgi_hold_ms,
                           &gateway.longpoll);
    if (err)
        return err;
    (void)alarm(HF_CGI_SECONDS +
                (unsigned)(process->settings.cgi_hold_ms / 1000));
    hf_exchange_start(&answer.exchange, &gateway, request);
    while (!err && !answer.given)
        err = hf_loop_turn(process->loop, -1); /* the alarm bounds it */
    if (err)
        hf_exchange_gone(&answer.exchange);
    else
        clean_up(gateway.longpoll);
    hf_longpoll_close(gateway.longpoll);
    return err ? err : answer.err;
}

/* Read the body, then serve. A body is refused by its announced length alone,
 * for a CGI program need not read it. */
static int serve_body(struct hf_process *process, struct hf_request *request)
{
    struct hf_buf body;
    size_t len = 0;
    int err;

    if (request->content_length.len > 0)
        err = hf_request_number(request->content_length,
                                process->settings.max_body, &len);
    else
        err = 0;
    if (err == HF_ELIMIT)
        return answer_json(400, HF_STR("{\"status\":413}"));
    if (err)
        return answer_json(400, HF_STR("{\"status\":500}"));
    err = read_body(&body, len);
    request->body = hf_buf_str(&body);
    if (!err)
        err = serve(process, request);
    hf_buf_release(&body);
    return err;
}

/* Serve it; what fails before that is answered here, too. */
static int serve_in(const char *dir, struct hf_request *request,
                    struct hf_loop *loop, struct hf_why *why)
{
    struct hf_process process;
    struct hf_place_hints hints = {
        .option = dir,
        .variable = request->directory.at,
        .script = request->script.at,
        .program = hf_place_program(),
    };
    struct hf_place place;
    int err;

    err = hf_place_find(&hints, &place, why);
    if (!err)
        err = hf_process_open(&process, loop, place.dir, false, why);
    if (err) {
        (void)answer_not_ready(); /* gone: nobody to tell */
        return err;
    }
    process.served = HF_SERVED_CGI;
    err = serve_body(&process, request);
    /* Half an answer may be out already; then this is lost with it. */
    if (err)
        (void)answer_json(500, HF_STR("{\"status\":500}"));
    hf_process_close(&process);
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
    struct hf_request request;
    struct hf_loop *loop;
    struct hf_why why = {{0}};
    int err;

    /* libfcgi's handler of SIGTERM would only note it. */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGUSR1, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* like a full disk (space.h) */
    (void)alarm(HF_CGI_SECONDS);

    hf_request_read(&request, environ, hf_str(NULL, 0));
    err = hf_loop_new(&loop);
    if (err) {
        (void)answer_not_ready();
    } else {
        err = serve_in(dir, &request, loop, &why);
        hf_loop_free(loop);
    }
    if (!err)
        return 0;
    HF_LOG(HF_LOG_ERROR, "cgi_failed",
           hf_field("error", why.text[0] ? why.text : hf_strerror(err)));
    return 1;
}
