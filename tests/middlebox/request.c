#include "tests/middlebox/request.h"

#include <errno.h>
#include <sys/socket.h>

static void answer_ourselves(struct visit *v, unsigned status,
                             const char *phrase, const char *page)
{
    struct hf_buf text = {.at = NULL};

    hf_buf_init(&text, 4096);
    if (hf_buf_addf(&text,
                    "HTTP/1.1 %u %s\r\nContent-Type: text/html\r\n"
                    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                    status, phrase, strlen(page), page))
        v->over = true;
    v->state = PASSING;
    visit_pass_on(v, DOWN, hf_buf_str(&text));
    v->ends[DOWN].finished = true;
    hf_buf_release(&text);
}

void request_bad_gateway(struct visit *v)
{
    end_close(&v->ends[DOWN], false);
    answer_ourselves(v, 502, "Bad Gateway", "<h1>Bad Gateway</h1>\n");
}

static int connect_to_server(struct visit *v)
{
    struct middlebox *box = v->box;
    struct end *end = &v->ends[DOWN];
    int family = box->server.ss_family;

    end->watch.fd =
        socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (end->watch.fd < 0)
        return HF_EIO;
    end->finished = false;
    if (connect(end->watch.fd, (const struct sockaddr *)&box->server,
                box->server_len) != 0 &&
        errno != EINPROGRESS)
        return HF_EIO;
    return 0;
}

static int request_pass(struct visit *v, const struct head *head)
{
    enum mode mode = v->rule.mode;
    bool http10 = mode == MODE_HTTP10;
    bool upgrade = v->kind == KIND_UPGRADE && mode != MODE_STRIP && !http10;
    struct hf_str request = hf_buf_str(&v->request);
    struct hf_buf text = {.at = NULL};
    int err;

    hf_buf_init(&text, HEAD_MAX + 64);
    err = head_pass(&text, hf_str(request.at, head->len), upgrade, http10);
    if (!err)
        err = connect_to_server(v);
    if (err) {
        request_bad_gateway(v);
    } else {
        v->state = PASSING;
        visit_pass_on(v, UP, hf_buf_str(&text));
        visit_pass_on(v, UP, hf_str_from(request, head->len));
    }
    hf_buf_release(&text);
    return err;
}
/* The same request once more, whose answer nobody gets. */
static void send_another(struct visit *v, const struct head *head)
{
    struct visit *twin = visit_new(v->box);

    if (!twin)
        return;
    twin->kind = v->kind;
    twin->silent[DOWN] = true;
    if (hf_buf_add_str(&twin->request, hf_buf_str(&v->request)) ||
        request_pass(twin, head))
        twin->over = true;
    visit_settle(twin);
}

static void carry_out(struct visit *v, const struct head *head)
{
    v->kind = head->kind;
    v->rule = v->box->rules.of[v->kind];
    v->left = v->rule.number;
    v->box->seen[v->kind]++;

    switch (v->rule.mode) {
    case MODE_STATUS:
        answer_ourselves(v, v->rule.number, "Refused",
                         "<h1>The middlebox refuses</h1>\n");
        break;
    case MODE_PORTAL:
        answer_ourselves(v, 200, "OK",
                         "<!doctype html>\n<h1>Welcome to the hotel</h1>\n");
        break;
    case MODE_RESET:
        visit_reset(v);
        break;
    case MODE_HANG:
        v->state = HELD;
        break;
    case MODE_DOUBLE:
        send_another(v, head);
        (void)request_pass(v, head);
        break;
    case MODE_PASS:
    case MODE_LOSE:
    case MODE_STRIP:
    case MODE_HTTP10:
    case MODE_MUTE:
    case MODE_MUTE_UP:
    case MODE_MUTE_DOWN:
    case MODE_CUT:
    case MODE_DELAY:
    case MODE_TRUNCATE:
        (void)request_pass(v, head);
        break;
    }
}

static void collect(struct visit *v, struct hf_str bytes)
{
    struct head head;
    int err;

    if (hf_buf_add_str(&v->request, bytes)) {
        v->over = true;
        return;
    }
    err = head_read(hf_buf_str(&v->request), &head);
    if (err == HF_EAGAIN)
        return;
    if (err)
        answer_ourselves(v, 400, "Bad Request", "<h1>Bad Request</h1>\n");
    else if (v->request.len >= head.len + head.body)
        carry_out(v, &head);
}

void request_take(struct visit *v, struct hf_str bytes)
{
    if (v->state == READING)
        collect(v, bytes);
    else if (v->state == PASSING && v->kind == KIND_UPGRADE)
        visit_pass_on(v, UP, bytes);
    /* else: nobody wants it, as with a second request in a pipeline */
}
