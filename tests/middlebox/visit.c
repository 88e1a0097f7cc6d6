#include "tests/middlebox/visit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "tests/middlebox/request.h"

#define LINGER_MS 2000 /* the client has so long to see our end and go */

static struct flow *flow_to(struct end *end)
{
    return &end->visit->flows[end->way == UP ? DOWN : UP];
}

/* --- ends ------------------------------------------------------------------ */

void end_close(struct end *end, bool reset)
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

void visit_free(struct visit *v)
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

void visit_reset(struct visit *v)
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

void visit_pass_on(struct visit *v, enum way way, struct hf_str bytes)
{
    const struct rule *now = &v->box->rules.of[v->kind];
    int64_t delay = now->mode == MODE_DELAY ? now->number : 0;

    if (v->silent[way] || v->ends[way == UP ? DOWN : UP].watch.fd < 0)
        return;
    if (flow_add(&v->flows[way], bytes, hf_boot_ms() + delay))
        v->over = true;
}

void visit_heed(struct visit *v, const struct rule *rule)
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
    visit_heed(v, &v->box->rules.of[v->kind]);
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
        visit_pass_on(v, DOWN, hf_str(bytes, head));
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
    visit_pass_on(v, DOWN, hf_str(bytes + head, len));
}

/* --- moving ---------------------------------------------------------------- */

/* It was reset, or nobody listens there. */
static void end_broken(struct end *end)
{
    struct visit *v = end->visit;

    if (end->way == DOWN && v->answer.line_len == 0)
        request_bad_gateway(v);
    else
        visit_reset(v);
}

static void end_read(struct end *end)
{
    struct visit *v = end->visit;
    char bytes[VISIT_READ_MAX];
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
        request_take(v, hf_str(bytes, (size_t)n));
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
void visit_settle(struct visit *v)
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
    visit_settle(v);
}

static void due_fire(struct hf_timer *timer)
{
    visit_settle(HF_ITEM(timer, struct visit, due));
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
struct visit *visit_new(struct middlebox *box)
{
    struct visit *v =
        box->visit_count < VISITS_MAX ? calloc(1, sizeof(*v)) : NULL;

    if (!v)
        return NULL;
    v->box = box;
    hf_buf_init(&v->request, HEAD_MAX + BODY_MAX + VISIT_READ_MAX);
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
