#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"

#define BATCH 128 /* events taken at once; more wait for the next turn */

struct hf_loop {
    int epoll_fd;
    int timer_fd; /* -1 unless the kernel has no epoll_pwait2 */
    bool stop;
    size_t watched;       /* descriptors that are not patient */
    size_t patient;       /* and those that are */
    struct hf_word *word; /* heeded, or NULL */

    /* The batch being delivered: events from batch_at on are still to come. */
    struct epoll_event batch[BATCH];
    int batch_at;
    int batch_len;

    /*
     * A binary heap: heap[1] is due first, heap[i] not before heap[i / 2].
     * timer->slot is its index, so disarming needs no search.
     */
    struct hf_timer **heap;
    size_t heap_len; /* timers; the last one is heap[heap_len] */
    size_t heap_cap; /* timers that fit */
    int64_t turn_us; /* when this turn woke: what is due by then fires in it */

    struct hf_list turn_ends;

    void (*took)(void *ctx, int64_t us); /* told of each turn; or NULL */
    void *took_ctx;
};

/* --- descriptors --------------------------------------------------------- */

static int control(struct hf_loop *loop, int op, struct hf_watch *watch,
                   uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll_fd, op, watch->fd, &event) < 0 ? HF_EIO : 0;
}

static size_t *count_of(struct hf_loop *loop, const struct hf_watch *watch)
{
    return watch->patient ? &loop->patient : &loop->watched;
}

int hf_loop_watch(struct hf_loop *loop, struct hf_watch *watch, uint32_t events)
{
    int err = control(loop, EPOLL_CTL_ADD, watch, events);

    if (!err)
        ++*count_of(loop, watch);
    return err;
}

int hf_loop_rewatch(struct hf_loop *loop, struct hf_watch *watch,
                    uint32_t events)
{
    return control(loop, EPOLL_CTL_MOD, watch, events);
}

/* The struct may be gone when its event's turn comes. */
static void forget_events(struct hf_loop *loop, const struct hf_watch *watch)
{
    int i;

    for (i = loop->batch_at; i < loop->batch_len; i++) {
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
    }
}

void hf_loop_unwatch(struct hf_loop *loop, struct hf_watch *watch)
{
    int saved = errno;

    if (control(loop, EPOLL_CTL_DEL, watch, 0) == 0) /* else not watched */
        --*count_of(loop, watch);
    errno = saved;
    forget_events(loop, watch);
}

void hf_loop_unwatch_closing(struct hf_loop *loop, struct hf_watch *watch)
{
    --*count_of(loop, watch);
    forget_events(loop, watch);
}

static void deliver(struct hf_loop *loop)
{
    while (loop->batch_at < loop->batch_len) {
        const struct epoll_event *event = &loop->batch[loop->batch_at++];
        struct hf_watch *watch = event->data.ptr;

        if (watch)
            watch->ready(watch, event->events);
    }
}

/* --- timers -------------------------------------------------------------- */

static void put(struct hf_loop *loop, struct hf_timer *timer, size_t slot)
{
    loop->heap[slot] = timer;
    timer->slot = slot;
}

/* Towards the top while it is due before the one above. */
static void sift_up(struct hf_loop *loop, struct hf_timer *timer, size_t slot)
{
    while (slot > 1 && timer->due_us < loop->heap[slot / 2]->due_us) {
        put(loop, loop->heap[slot / 2], slot);
        slot /= 2;
    }
    put(loop, timer, slot);
}

/* Towards the leaves while one below is due before it. */
static void sift_down(struct hf_loop *loop, struct hf_timer *timer, size_t slot)
{
    while (slot * 2 <= loop->heap_len) {
        size_t child = slot * 2;

        if (child < loop->heap_len &&
            loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
            child++;
        if (timer->due_us <= loop->heap[child]->due_us)
            break;
        put(loop, loop->heap[child], slot);
        slot = child;
    }
    put(loop, timer, slot);
}

/* To where its due time belongs; `slot` is free or its own. */
static void place(struct hf_loop *loop, struct hf_timer *timer, size_t slot)
{
    if (slot > 1 && timer->due_us < loop->heap[slot / 2]->due_us)
        sift_up(loop, timer, slot);
    else
        sift_down(loop, timer, slot);
}

static int make_room(struct hf_loop *loop)
{
    size_t cap = loop->heap_cap ? loop->heap_cap * 2 : 16;
    struct hf_timer **heap;

    if (loop->heap_len < loop->heap_cap)
        return 0;
    heap = realloc(loop->heap, (cap + 1) * sizeof(struct hf_timer *));
    if (!heap)
        return HF_ENOMEM;
    loop->heap = heap;
    loop->heap_cap = cap;
    return 0;
}

static int64_t due_after(const struct hf_loop *loop, int64_t delay_us)
{
    int64_t now_us = hf_boot_us();
    int64_t due_us;

    if (delay_us <= 0)
        due_us = now_us;
    else if (delay_us > INT64_MAX - now_us)
        due_us = INT64_MAX;
    else
        due_us = now_us + delay_us;
    /* Never in the turn that arms it: a timer that re-arms itself with 0 would
     * keep the loop from ever looking at a descriptor again. */
    return due_us > loop->turn_us ? due_us : loop->turn_us + 1;
}

int hf_loop_arm(struct hf_loop *loop, struct hf_timer *timer, int64_t delay_us)
{
    int err;

    if (timer->slot == 0) {
        err = make_room(loop);
        if (err)
            return err;
        timer->slot = ++loop->heap_len;
    }
    timer->due_us = due_after(loop, delay_us);
    place(loop, timer, timer->slot);
    return 0;
}

void hf_loop_disarm(struct hf_loop *loop, struct hf_timer *timer)
{
    size_t slot = timer->slot;
    struct hf_timer *last;

    if (slot == 0)
        return;
    assert(loop->heap[slot] == timer);
    timer->slot = 0;
    last = loop->heap[loop->heap_len--];
    if (last != timer)
        place(loop, last, slot);
}

static void fire_due(struct hf_loop *loop)
{
    while (loop->heap_len > 0 && loop->heap[1]->due_us <= loop->turn_us) {
        struct hf_timer *timer = loop->heap[1];

        hf_loop_disarm(loop, timer);
        timer->fire(timer);
    }
}

/* --- a word -------------------------------------------------------------- */

void hf_loop_heed(struct hf_loop *loop, struct hf_word *word)
{
    loop->word = word;
    if (word)
        word->seen = atomic_load(word->at);
}

static void look_at_word(struct hf_loop *loop)
{
    struct hf_word *word = loop->word;
    uint32_t now;

    if (!word)
        return;
    now = atomic_load(word->at);
    if (now == word->seen)
        return;
    word->seen = now;
    word->changed(word);
}

/* Not the private kind of futex: others map the word elsewhere. */
static int wait_on_word(struct hf_loop *loop, int64_t us)
{
    struct timespec wait = {.tv_sec = us / 1000000,
                            .tv_nsec = us % 1000000 * 1000};
    long done = syscall(SYS_futex, loop->word->at, FUTEX_WAIT, loop->word->seen,
                        us < 0 ? NULL : &wait, NULL, 0);
    int count = 0;

    if (done < 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
        return HF_EIO;
    if (loop->patient > 0)
        count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, 0);
    loop->batch_at = 0;
    loop->batch_len = count < 0 ? 0 : count;
    return 0;
}

/* --- end of turn --------------------------------------------------------- */

void hf_loop_at_turn_end(struct hf_loop *loop, struct hf_turn *turn)
{
    if (!hf_list_linked(&turn->node))
        hf_list_append(&loop->turn_ends, &turn->node);
}

void hf_loop_cancel_turn(struct hf_turn *turn)
{
    hf_list_remove(&turn->node);
}

/* Those who ask from now on are for the next turn, so `due` is a list of its
 * own; who cancels meanwhile leaves whichever list it is in. */
static void end_turn(struct hf_loop *loop)
{
    struct hf_list due;
    struct hf_list *node;

    hf_list_init(&due);
    while ((node = hf_list_first(&loop->turn_ends))) {
        hf_list_remove(node);
        hf_list_append(&due, node);
    }
    while ((node = hf_list_first(&due))) {
        struct hf_turn *turn = HF_ITEM(node, struct hf_turn, node);

        hf_list_remove(node);
        turn->end(turn);
    }
}

/* --- turns --------------------------------------------------------------- */

/* How long the turn may wait: microseconds, or -1 for ever. */
static int64_t wait_us(const struct hf_loop *loop, int max_wait_ms)
{
    int64_t wait = max_wait_ms < 0 ? -1 : (int64_t)max_wait_ms * 1000;
    int64_t left;

    if (!hf_list_empty(&loop->turn_ends) || loop->stop)
        return 0;
    if (loop->heap_len == 0)
        return wait;
    left = loop->heap[1]->due_us - hf_boot_us();
    if (left < 0)
        left = 0;
    return wait < 0 || left < wait ? left : wait;
}

/* epoll_wait counts milliseconds, which is coarse for pacing frames. */
static int wait_precisely(struct hf_loop *loop, int64_t us)
{
#ifdef SYS_epoll_pwait2
    struct __kernel_timespec wait = {.tv_sec = us / 1000000,
                                     .tv_nsec = us % 1000000 * 1000};

    /* By number: glibc has a name for it only since 2.35. */
    return (int)syscall(SYS_epoll_pwait2, loop->epoll_fd, loop->batch, BATCH,
                        us < 0 ? NULL : &wait, NULL, (size_t)0);
#else
    (void)loop;
    (void)us;
    errno = ENOSYS;
    return -1;
#endif
}

/* For kernels before 5.11: a descriptor that becomes readable in time. */
static int open_timer_fd(struct hf_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0)
        return HF_EIO;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &event) < 0) {
        hf_close(&loop->timer_fd);
        return HF_EIO;
    }
    return 0;
}

static int wait_with_timer_fd(struct hf_loop *loop, int64_t us)
{
    struct itimerspec when = {0}; /* never */

    if (us == 0)
        return epoll_wait(loop->epoll_fd, loop->batch, BATCH, 0);
    if (us > 0) {
        when.it_value.tv_sec = (time_t)(us / 1000000);
        when.it_value.tv_nsec = (long)(us % 1000000 * 1000);
    }
    /* Setting it also takes back an earlier time and that it was readable.
     * Its event, whose watch is NULL, is passed over. */
    if (timerfd_settime(loop->timer_fd, 0, &when, NULL) < 0)
        return -1;
    return epoll_wait(loop->epoll_fd, loop->batch, BATCH, -1);
}

/* Fill the batch. A signal ends the wait early, which is no error. */
static int wait_for_events(struct hf_loop *loop, int64_t us)
{
    int count = -1;

    if (loop->word && loop->watched == 0)
        return wait_on_word(loop, us);

    if (loop->timer_fd < 0) {
        count = wait_precisely(loop, us);
        /* Some containers answer EPERM to calls they do not know. */
        if (count < 0 && (errno == ENOSYS || errno == EPERM) &&
            open_timer_fd(loop) < 0)
            return HF_EIO;
    }
    if (loop->timer_fd >= 0)
        count = wait_with_timer_fd(loop, us);
    if (count < 0 && errno != EINTR)
        return HF_EIO;
    loop->batch_at = 0;
    loop->batch_len = count < 0 ? 0 : count;
    return 0;
}

int hf_loop_new(struct hf_loop **out)
{
    struct hf_loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return HF_ENOMEM;
    loop->timer_fd = -1;
    hf_list_init(&loop->turn_ends);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        free(loop);
        return HF_EIO;
    }
    *out = loop;
    return 0;
}

void hf_loop_free(struct hf_loop *loop)
{
    if (!loop)
        return;
    /* Timers and turns are the caller's and may be used again. */
    while (loop->heap_len > 0)
        hf_loop_disarm(loop, loop->heap[loop->heap_len]);
    while (!hf_list_empty(&loop->turn_ends))
        hf_list_remove(loop->turn_ends.next);
    hf_close(&loop->timer_fd);
    hf_close(&loop->epoll_fd);
    free(loop->heap);
    free(loop);
}

void hf_loop_measure(struct hf_loop *loop, void (*took)(void *ctx, int64_t us),
                     void *ctx)
{
    loop->took = took;
    loop->took_ctx = ctx;
}

int hf_loop_turn(struct hf_loop *loop, int max_wait_ms)
{
    int err;

    err = wait_for_events(loop, wait_us(loop, max_wait_ms));
    if (err)
        return err;
    loop->turn_us = hf_boot_us();
    deliver(loop);
    look_at_word(loop);
    fire_due(loop);
    end_turn(loop);
    if (loop->took)
        loop->took(loop->took_ctx, hf_boot_us() - loop->turn_us);
    return 0;
}

int hf_loop_run(struct hf_loop *loop)
{
    int err = 0;

    while (!err && !loop->stop)
        err = hf_loop_turn(loop, -1);
    loop->stop = false;
    return err;
}

void hf_loop_stop(struct hf_loop *loop)
{
    loop->stop = true;
}
