#include "tests/middlebox/visit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define LINGER_MS 2000 /* the client has so long to see our end and go */
#define READ_MAX  16384u

enum state { READING, PASSING, HELD, ENDING };
enum way { UP, DOWN, WAYS }; /* from the client, from the server */

/* One of the two connections: its bytes come in by `way`. */
struct end {
    struct hf_watch watch; /* fd is -1 when it is gone */
    uint32_t events;       /* asked for */
    bool watched;
    bool finished; /* it will send no more */
    struct visit *visit;
    enum way way;
};

struct visit {
    struct middlebox *box;
    struct hf_list node;
    enum state state;
    enum kind kind;
    struct rule rule;
    struct end ends[WAYS]; /* ends[UP] is the client */
    struct flow flows[WAYS];
    bool silent[WAYS];
    struct hf_buf request;
    struct answer answer;
    bool upgraded;          /* a WebSocket is open */
    size_t left;            /* bytes that may still come down (truncate) */
    struct hf_timer due;    /* delayed bytes may leave */
    struct hf_timer limit;  /* idle, or waited for the end long enough */
    struct hf_timer cutter; /* MODE_CUT */
    bool over;
};

static void settle(struct visit *v);

static struct flow *flow_to(struct end *end)
{
    return &end->visit->flows[end->way == UP ? DOWN : UP];
}

/* --- ends ------------------------------------------------------------------ */

static void end_close(struct end *end, bool reset)
{
    const struct linger at_once = {.l_onoff = 1};

    if (end->watch.fd < 0)
        return;
    hf_loop_unwatch(end->visit->box->loop, &end->watch);
    if (reset)
        (void)setsockopt(end->watch.fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once));
    hf_close(&end->watch.fd);
    end->finished = true;
    end->watched = false;
}

static void visit_free(struct visit *v)
{
    struct hf_loop *loop = v->box->loop;

    for (int way = UP; way < WAYS; way++) {
        end_close(&v->ends[way], false);
        flow_release(&v->flows[way]);
    }
    hf_loop_disarm(loop, &v->due);
    hf_loop_disarm(loop, &v->limit);
    hf_loop_disarm(loop, &v->cutter);
    hf_buf_release(&v->request);
    hf_list_remove(&v->node);
    v->box->visit_count--;
    free(v);
}

static void visit_reset(struct visit *v)
{
    end_close(&v->ends[UP], true);
    end_close(&v->ends[DOWN], true);
    v->over = true;
}

static int arm(struct visit *v, struct hf_timer *timer, int64_t ms)
{
    int err = hf_loop_arm(v->box->loop, timer, ms * 1000);

    if (err)
        v->over = true;
    return err;
}

/* --- bytes ----------------------------------------------------------------- */

static void pass_on(struct visit *v, enum way way, struct hf_str bytes)
{
    const struct rule *now = &v->box->rules.of[v->kind];
    int64_t delay = now->mode == MODE_DELAY ? now->number : 0;

    if (v->silent[way] || v->ends[way == UP ? DOWN : UP].watch.fd < 0)
        return;
    if (flow_add(&v->flows[way], bytes, hf_boot_ms() + delay))
        v->over = true;
}

static void heed(struct visit *v, const struct rule *rule)
{
    if (!v->upgraded)
        return;
    if (rule->mode == MODE_MUTE || rule->mode == MODE_MUTE_UP)
        v->silent[UP] = true;
    if (rule->mode == MODE_MUTE || rule->mode == MODE_MUTE_DOWN)
        v->silent[DOWN] = true;
    if (rule->mode == MODE_CUT)
        (void)arm(v, &v->cutter, rule->number);
}

/* The head of the answer is over. */
static void answered(struct visit *v)
{
    v->upgraded = v->kind == KIND_UPGRADE && answer_is_upgrade(&v->answer);
    /* as it is now: the rule may have changed since the request */
    heed(v, &v->box->rules.of[v->kind]);
}

static void from_server(struct visit *v, char *bytes, size_t len)
{
    size_t before = v->answer.line_len;
    size_t head = 0;

    if (!v->answer.done) {
        head = answer_take(&v->answer, hf_str(bytes, len));
        /* HTTP/1.1 -> HTTP/1.0, wherever the pieces begin */
        if (v->rule.mode == MODE_HTTP10 && before <= 7 && before + len > 7)
            bytes[7 - before] = '0';
        pass_on(v, DOWN, hf_str(bytes, head));
        if (v->answer.done)
            answered(v);
    }
    len -= head;
    if (v->rule.mode == MODE_TRUNCATE) {
        len = len < v->left ? len : v->left;
        v->left -= len;
        if (v->left == 0 && v->answer.done)
            v->ends[DOWN].finished = true;
    }
    pass_on(v, DOWN, hf_str(bytes + head, len));
}

/* --- requests -------------------------------------------------------------- */

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
    pass_on(v, DOWN, hf_buf_str(&text));
    v->ends[DOWN].finished = true;
    hf_buf_release(&text);
}

static void bad_gateway(struct visit *v)
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
        bad_gateway(v);
    } else {
        v->state = PASSING;
        pass_on(v, UP, hf_buf_str(&text));
        pass_on(v, UP, hf_str_from(request, head->len));
    }
    hf_buf_release(&text);
    return err;
}

static struct visit *visit_new(struct middlebox *box);

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
    settle(twin);
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

static void from_client(struct visit *v, struct hf_str bytes)
{
    if (v->state == READING)
        collect(v, bytes);
    else if (v->state == PASSING && v->kind == KIND_UPGRADE)
        pass_on(v, UP, bytes);
    /* else: nobody wants it, as with a second request in a pipeline */
}

/* --- moving ---------------------------------------------------------------- */

/* It was reset, or nobody listens there. */
static void end_broken(struct end *end)
{
    struct visit *v = end->visit;

    if (end->way == DOWN && v->answer.line_len == 0)
        bad_gateway(v);
    else
        visit_reset(v);
}

static void end_read(struct end *end)
{
    struct visit *v = end->visit;
    char bytes[READ_MAX];
    size_t room = flow_room(&v->flows[end->way]);
    ssize_t n;

    if (room > sizeof(bytes) || v->silent[end->way])
        room = sizeof(bytes);
    if (room == 0)
        return;
    n = recv(end->watch.fd, bytes, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && end->way == UP)
        from_client(v, hf_str(bytes, (size_t)n));
    else if (n > 0)
        from_server(v, bytes, (size_t)n);
    else if (n < 0 && !v->silent[end->way])
        end_broken(end);
    else
        end->finished = true;
}

static void end_write(struct end *end)
{
    struct flow *flow = flow_to(end);
    struct hf_str due = flow_due(flow, hf_boot_ms());
    ssize_t n;

    if (due.len == 0 || end->watch.fd < 0)
        return;
    n = send(end->watch.fd, due.at, due.len, MSG_NOSIGNAL);
    if (n > 0)
        flow_drop(flow, (size_t)n);
    else if (n < 0 && errno == ENOTCONN)
        return; /* not yet */
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        end_broken(end);
}

/* What this end is asked for, now. */
static uint32_t wanted(struct end *end)
{
    struct visit *v = end->visit;
    uint32_t events = 0;

    if (!end->finished &&
        (v->silent[end->way] || flow_room(&v->flows[end->way]) > 0))
        events |= EPOLLIN;
    if (flow_due(flow_to(end), hf_boot_ms()).len > 0)
        events |= EPOLLOUT;
    return events;
}

static void end_watch(struct end *end)
{
    struct hf_loop *loop = end->visit->box->loop;
    uint32_t events = wanted(end);
    int err = 0;

    if (end->watch.fd < 0 || (end->watched && events == end->events))
        return;
    if (events == 0 && end->watched) {
        /* a hang-up is reported whatever is asked for, again and again */
        hf_loop_unwatch(loop, &end->watch);
        end->watched = false;
    } else if (events != 0) {
        err = end->watched ? hf_loop_rewatch(loop, &end->watch, events)
                           : hf_loop_watch(loop, &end->watch, events);
        end->watched = true;
    }
    end->events = events;
    if (err)
        end->visit->over = true;
}

/* The bytes from this end have all left, and there will be no more. */
static void way_ended(struct visit *v, enum way way)
{
    if (v->silent[way])
        end_close(&v->ends[way], false); /* the other end is not told */
    else if (way == UP || v->ends[UP].finished)
        v->over = true;
    else if (v->state != ENDING) {
        /* what the client has sent meanwhile must not turn this into a reset */
        v->state = ENDING;
        (void)shutdown(v->ends[UP].watch.fd, SHUT_WR);
        end_close(&v->ends[DOWN], false);
        (void)arm(v, &v->limit, LINGER_MS);
    }
}

static void check_ended(struct visit *v)
{
    for (int way = UP; way < WAYS && !v->over; way++)
        if (v->state != READING && v->ends[way].finished &&
            flow_empty(&v->flows[way]))
            way_ended(v, (enum way)way);
    if (v->state == READING && v->ends[UP].finished)
        v->over = true;
    if (v->ends[UP].watch.fd < 0 && v->ends[DOWN].watch.fd < 0)
        v->over = true;
}

/* The server has carried it out: that was all. */
static bool lost(const struct visit *v)
{
    return v->rule.mode == MODE_LOSE && v->answer.line_len > 0;
}

static void wait_for_delayed(struct visit *v)
{
    int64_t now = hf_boot_ms();
    int64_t next = INT64_MAX;

    for (int way = UP; way < WAYS; way++) {
        const struct flow *flow = &v->flows[way];

        if (!flow_empty(flow) && flow_next_ms(flow) > now &&
            flow_next_ms(flow) < next)
            next = flow_next_ms(flow);
    }
    if (next != INT64_MAX)
        (void)arm(v, &v->due, next - now + 1);
}

/* After whatever happened: write, end, and say what is waited for next. */
static void settle(struct visit *v)
{
    if (lost(v))
        visit_reset(v);
    for (int way = UP; way < WAYS && !v->over; way++)
        end_write(&v->ends[way]);
    if (!v->over)
        check_ended(v);
    for (int way = UP; way < WAYS && !v->over; way++)
        end_watch(&v->ends[way]);
    if (!v->over)
        wait_for_delayed(v);
    if (v->over)
        visit_free(v);
}

/* --- what wakes a visit ---------------------------------------------------- */

static void end_ready(struct hf_watch *watch, uint32_t events)
{
    struct end *end = HF_ITEM(watch, struct end, watch);
    struct visit *v = end->visit;

    if (v->state != ENDING)
        (void)arm(v, &v->limit, VISIT_IDLE_MS);
    if (!end->finished && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        end_read(end);
    settle(v);
}

static void due_fire(struct hf_timer *timer)
{
    settle(HF_ITEM(timer, struct visit, due));
}

static void limit_fire(struct hf_timer *timer)
{
    visit_free(HF_ITEM(timer, struct visit, limit));
}

static void cutter_fire(struct hf_timer *timer)
{
    struct visit *v = HF_ITEM(timer, struct visit, cutter);

    visit_reset(v);
    visit_free(v);
}

/* --- all of them ----------------------------------------------------------- */

/* Without either end. NULL: there are too many, or no memory. */
static struct visit *visit_new(struct middlebox *box)
{
    struct visit *v =
        box->visit_count < VISITS_MAX ? calloc(1, sizeof(*v)) : NULL;

    if (!v)
        return NULL;
    v->box = box;
    hf_buf_init(&v->request, HEAD_MAX + BODY_MAX + READ_MAX);
    for (int way = UP; way < WAYS; way++) {
        struct end *end = &v->ends[way];

        end->visit = v;
        end->way = (enum way)way;
        end->watch.fd = -1;
        end->watch.ready = end_ready;
        flow_init(&v->flows[way], VISIT_FLOW_MAX);
    }
    v->due.fire = due_fire;
    v->limit.fire = limit_fire;
    v->cutter.fire = cutter_fire;
    hf_list_append(&box->visits, &v->node);
    box->visit_count++;
    if (arm(v, &v->limit, VISIT_IDLE_MS) == 0)
        return v;
    visit_free(v);
    return NULL;
}

void visit_begin(struct middlebox *box, int fd)
{
    struct visit *v = visit_new(box);

    if (!v) {
        hf_close(&fd);
        return;
    }
    v->ends[UP].watch.fd = fd;
    settle(v);
}

void visits_heed_rules(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        hf_loop_disarm(box->loop, &v->cutter);
        heed(v, &box->rules.of[v->kind]);
        settle(v);
    }
}

void visits_drop(struct middlebox *box, unsigned kinds)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        if (kinds & (1u << v->kind)) {
            visit_reset(v);
            visit_free(v);
        }
    }
}

void visits_move(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        v->silent[UP] = v->silent[DOWN] = true;
        settle(v);
    }
}

void visits_free(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    visit_free(HF_ITEM(node, struct visit, node));
}
