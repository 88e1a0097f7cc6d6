/*
 * loop.h - one thread's event loop: descriptors, timers, a word, end of turn
 *
 * One turn: wait, deliver the events that are ready, fire timers that are due,
 * then call those who asked for the end of the turn. All callbacks run on the
 * caller's thread. A callback may add, change or remove any watch or timer,
 * its own too: nothing is delivered to a watch after hf_loop_unwatch, even if
 * its event is in the batch being delivered. The structs belong to the caller.
 */
#ifndef HF_BASE_LOOP_H
#define HF_BASE_LOOP_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

struct hf_loop;

struct hf_watch {
    int fd;
    /* It is no reason not to sleep on a word (hf_loop_heed): then it is looked
     * at when that sleep ends, whatever ends it, a timer mostly. */
    bool patient;
    /* `events`: EPOLLIN, EPOLLOUT, EPOLLHUP, ... as epoll_wait gave them */
    void (*ready)(struct hf_watch *watch, uint32_t events);
};

struct hf_timer {
    void (*fire)(struct hf_timer *timer);
    int64_t due_us; /* hf_boot_us(); private */
    size_t slot;    /* 0 = not armed; private */
};

/* A word in memory, perhaps shared with other processes, whose change wakes the
 * loop (futex). */
struct hf_word {
    _Atomic uint32_t *at;
    void (*changed)(struct hf_word *word);
    uint32_t seen; /* private */
};

/* Called once at the end of the turn in which it was asked for. */
struct hf_turn {
    void (*end)(struct hf_turn *turn);
    struct hf_list node; /* private; zeroed before first use */
};

int hf_loop_new(struct hf_loop **out); /* 0, HF_ENOMEM, HF_EIO */
void hf_loop_free(struct hf_loop *loop);

/* fd is the watch's; `events` may include EPOLLET, EPOLLONESHOT. 0, HF_EIO. */
int hf_loop_watch(struct hf_loop *loop, struct hf_watch *watch,
                  uint32_t events);
int hf_loop_rewatch(struct hf_loop *loop, struct hf_watch *watch,
                    uint32_t events);
/* Call before closing the descriptor: a copy of it elsewhere would keep the
 * entry alive. Does nothing when it is not watched. */
void hf_loop_unwatch(struct hf_loop *loop, struct hf_watch *watch);
/* The same, for a descriptor that is watched, of which there is no copy and
 * which is closed at once: the kernel then needs not be told twice. */
void hf_loop_unwatch_closing(struct hf_loop *loop, struct hf_watch *watch);

/* Fire once after delay_us (0 = next turn); re-arms if armed. 0, HF_ENOMEM. */
int hf_loop_arm(struct hf_loop *loop, struct hf_timer *timer, int64_t delay_us);
void hf_loop_disarm(struct hf_loop *loop, struct hf_timer *timer);
static inline bool hf_timer_armed(const struct hf_timer *timer)
{
    return timer->slot != 0;
}

/*
 * Have one word heeded, NULL for none; what it is at this moment counts as
 * seen. For processes that watch no descriptor, or patient ones only: they sleep
 * on the word, and whoever changes it wakes them with FUTEX_WAKE, without files.
 * While any other descriptor is watched the loop sleeps on those, and the word
 * is looked at once in every turn, whatever caused it.
 */
void hf_loop_heed(struct hf_loop *loop, struct hf_word *word);

/* Asking twice in one turn is once. If asked during the end of a turn, the
 * next turn does not wait. */
void hf_loop_at_turn_end(struct hf_loop *loop, struct hf_turn *turn);
void hf_loop_cancel_turn(struct hf_turn *turn);

/* From now on `took` is told at the end of each turn how long it was at work,
 * microseconds, waiting not included: so long whatever happened meanwhile had
 * to wait. NULL: nobody is. */
void hf_loop_measure(struct hf_loop *loop, void (*took)(void *ctx, int64_t us),
                     void *ctx);

/* One turn, waiting at most max_wait_ms (-1 = until something happens).
 * 0 or HF_EIO. Sub-millisecond timers are honoured (epoll_pwait2 or timerfd). */
int hf_loop_turn(struct hf_loop *loop, int max_wait_ms);
/* Turns until hf_loop_stop. */
int hf_loop_run(struct hf_loop *loop);
void hf_loop_stop(struct hf_loop *loop);

#endif
