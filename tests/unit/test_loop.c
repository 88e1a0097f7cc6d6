#include "base/loop.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"

/* Linked with --wrap=realloc: memory runs out when a test says so. */
void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);

static bool out_of_memory;

void *__wrap_realloc(void *at, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(at, size);
}

static struct hf_loop *loop;

static int set_up(void **state)
{
    (void)state;
    return hf_loop_new(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    hf_loop_free(loop);
    loop = NULL;
    return 0;
}

/* --- descriptors --------------------------------------------------------- */

struct seen {
    struct hf_watch watch; /* an eventfd */
    unsigned calls;
    uint32_t events;
    struct seen *victim; /* to unwatch when called */
};

static void note(struct hf_watch *watch, uint32_t events)
{
    struct seen *seen = (struct seen *)(void *)watch;

    seen->calls++;
    seen->events = events;
    if (seen->victim)
        hf_loop_unwatch(loop, &seen->victim->watch);
}

static void start(struct seen *seen, unsigned value, uint32_t events)
{
    *seen = (struct seen){
        .watch = {.fd = eventfd(value, EFD_NONBLOCK), .ready = note}};
    assert_true(seen->watch.fd >= 0);
    assert_int_equal(hf_loop_watch(loop, &seen->watch, events), 0);
}

static void finish(struct seen *seen)
{
    hf_loop_unwatch(loop, &seen->watch);
    hf_close(&seen->watch.fd);
}

static void ready_descriptors_are_delivered(void **state)
{
    struct seen ready, idle;

    (void)state;
    start(&ready, 1, EPOLLIN);
    start(&idle, 0, EPOLLIN);
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(ready.calls, 1);
    assert_int_equal(ready.events, EPOLLIN);
    assert_int_equal(idle.calls, 0);
    assert_int_equal(hf_loop_turn(loop, 0), 0); /* still ready */
    assert_int_equal(ready.calls, 2);
    finish(&ready);
    finish(&idle);
}

static void a_watch_can_ask_for_other_events(void **state)
{
    struct seen seen;

    (void)state;
    start(&seen, 1, EPOLLOUT | EPOLLET);
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(seen.events, EPOLLOUT);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(seen.calls, 1); /* edge-triggered */
    assert_int_equal(hf_loop_rewatch(loop, &seen.watch, EPOLLIN), 0);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.events, EPOLLIN);
    finish(&seen);
}

static void after_unwatch_nothing_is_delivered(void **state)
{
    struct seen seen;

    (void)state;
    start(&seen, 1, EPOLLIN);
    hf_loop_unwatch(loop, &seen.watch);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(seen.calls, 0);
    errno = ENOSPC;
    hf_loop_unwatch(loop, &seen.watch); /* again: nothing */
    hf_close(&seen.watch.fd);
    hf_loop_unwatch(loop, &seen.watch);
    assert_int_equal(errno, ENOSPC);
}

static void unwatch_reaches_into_the_batch_being_delivered(void **state)
{
    struct seen a, b;

    (void)state;
    start(&a, 1, EPOLLIN);
    start(&b, 1, EPOLLIN);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(a.calls + b.calls, 1); /* whoever came first */
    finish(&a);
    finish(&b);
}

static void a_watch_may_unwatch_itself_and_be_freed(void **state)
{
    struct seen *seen = malloc(sizeof(*seen));
    int fd;

    (void)state;
    assert_non_null(seen);
    start(seen, 1, EPOLLIN);
    seen->victim = seen;
    fd = seen->watch.fd;
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(seen->calls, 1);
    free(seen);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    hf_close(&fd);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
    struct hf_watch watch = {.fd = -1, .ready = note};

    (void)state;
    assert_int_equal(hf_loop_watch(loop, &watch, EPOLLIN), HF_EIO);
    assert_int_equal(errno, EBADF);
    assert_int_equal(hf_loop_rewatch(loop, &watch, EPOLLIN), HF_EIO);
    hf_loop_unwatch(loop, &watch);
}

#define MANY 300

static void more_than_one_batch_is_delivered_in_a_few_turns(void **state)
{
    static struct seen all[MANY];
    int turns, i;

    (void)state;
    (void)hf_raise_fd_limit();
    for (i = 0; i < MANY; i++)
        start(&all[i], 1, EPOLLIN | EPOLLONESHOT);
    for (turns = 0; turns < 4; turns++)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    for (i = 0; i < MANY; i++) {
        assert_int_equal(all[i].calls, 1);
        finish(&all[i]);
    }
}

/* --- timers -------------------------------------------------------------- */

static unsigned fired_digits;

struct alarm {
    struct hf_timer timer;
    unsigned n;
    int64_t fired_us;
    int64_t again_us;     /* re-arm itself with this delay; -1: do not */
    struct alarm *victim; /* to disarm when it fires */
};

static void fire(struct hf_timer *timer)
{
    struct alarm *alarm = (struct alarm *)(void *)timer;

    assert_false(hf_timer_armed(timer));
    fired_digits = fired_digits * 10 + alarm->n;
    alarm->fired_us = hf_boot_us();
    if (alarm->again_us >= 0)
        assert_int_equal(hf_loop_arm(loop, timer, alarm->again_us), 0);
    if (alarm->victim)
        hf_loop_disarm(loop, &alarm->victim->timer);
}

static struct alarm alarm_of(unsigned n)
{
    fired_digits = 0;
    return (struct alarm){.timer = {.fire = fire}, .n = n, .again_us = -1};
}

/* Turns until this many timers have fired, at most some seconds. */
static void turn_until(unsigned digits)
{
    int64_t give_up_us = hf_boot_us() + 5000000;

    while (fired_digits < digits && hf_boot_us() < give_up_us)
        assert_int_equal(hf_loop_turn(loop, 1000), 0);
}

static void timers_fire_in_the_order_they_are_due(void **state)
{
    struct alarm a = alarm_of(1), b = alarm_of(2), c = alarm_of(3);

    (void)state;
    assert_int_equal(hf_loop_arm(loop, &c.timer, 9000), 0);
    assert_int_equal(hf_loop_arm(loop, &a.timer, 3000), 0);
    assert_int_equal(hf_loop_arm(loop, &b.timer, 6000), 0);
    assert_true(hf_timer_armed(&a.timer));
    turn_until(100);
    assert_int_equal(fired_digits, 123);
    assert_false(hf_timer_armed(&a.timer));
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(fired_digits, 123);
}

static void a_timer_never_fires_early(void **state)
{
    struct alarm a = alarm_of(1);
    int64_t start_us, delay_us;

    (void)state;
    for (delay_us = 1; delay_us < 3000; delay_us = delay_us * 3 + 7) {
        fired_digits = 0;
        start_us = hf_boot_us();
        assert_int_equal(hf_loop_arm(loop, &a.timer, delay_us), 0);
        turn_until(1);
        assert_int_equal(fired_digits, 1);
        assert_true(a.fired_us - start_us >= delay_us);
    }
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The median, because a busy machine may be late now and then. */
static void delays_below_a_millisecond_are_honoured(void **state)
{
    struct alarm a = alarm_of(1);
    int64_t took_us[21], start_us;
    size_t i;

    (void)state;
    for (i = 0; i < 21; i++) {
        fired_digits = 0;
        start_us = hf_boot_us();
        assert_int_equal(hf_loop_arm(loop, &a.timer, 200), 0);
        turn_until(1);
        took_us[i] = a.fired_us - start_us;
    }
    qsort(took_us, 21, sizeof(took_us[0]), by_size);
    assert_true(took_us[10] < 900);
}

static void arming_again_moves_a_timer(void **state)
{
    struct alarm a = alarm_of(1), b = alarm_of(2);

    (void)state;
    assert_int_equal(hf_loop_arm(loop, &a.timer, 1000), 0);
    assert_int_equal(hf_loop_arm(loop, &b.timer, 2000), 0);
    assert_int_equal(hf_loop_arm(loop, &a.timer, 4000), 0);
    turn_until(10);
    assert_int_equal(fired_digits, 21);
    fired_digits = 0;
    assert_int_equal(hf_loop_arm(loop, &a.timer, 3600000000), 0);
    assert_int_equal(hf_loop_arm(loop, &a.timer, 1000), 0);
    turn_until(1);
    assert_int_equal(fired_digits, 1);
}

static void a_disarmed_timer_does_not_fire(void **state)
{
    struct alarm a = alarm_of(1), b = alarm_of(2), c = alarm_of(3);

    (void)state;
    hf_loop_disarm(loop, &a.timer); /* not armed: nothing */
    assert_int_equal(hf_loop_arm(loop, &a.timer, 0), 0);
    assert_int_equal(hf_loop_arm(loop, &b.timer, 1000), 0);
    assert_int_equal(hf_loop_arm(loop, &c.timer, 2000), 0);
    hf_loop_disarm(loop, &a.timer);
    assert_false(hf_timer_armed(&a.timer));
    b.victim = &c;
    (void)usleep(3000); /* so that both are due in one turn */
    turn_until(1);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(fired_digits, 2);
}

static void a_delay_of_nothing_is_the_next_turn(void **state)
{
    struct alarm a = alarm_of(1);

    (void)state;
    a.again_us = 0;
    assert_int_equal(hf_loop_arm(loop, &a.timer, 0), 0);
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(fired_digits, 1);
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(fired_digits, 11);
    a.again_us = -1;
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(fired_digits, 111);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(fired_digits, 111);
}

static struct alarm *armed_by_watch;

static void arm_at_once(struct hf_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    assert_int_equal(hf_loop_arm(loop, &armed_by_watch->timer, -5), 0);
}

static void a_timer_armed_by_an_event_fires_in_the_next_turn(void **state)
{
    struct alarm a = alarm_of(1);
    struct seen seen;

    (void)state;
    start(&seen, 1, EPOLLIN | EPOLLONESHOT);
    seen.watch.ready = arm_at_once;
    armed_by_watch = &a;
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(fired_digits, 0);
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(fired_digits, 1);
    finish(&seen);
}

static void the_longest_delay_does_not_overflow(void **state)
{
    struct alarm a = alarm_of(1), b = alarm_of(2);

    (void)state;
    assert_int_equal(hf_loop_arm(loop, &a.timer, INT64_MAX), 0);
    assert_int_equal(hf_loop_arm(loop, &b.timer, 1000), 0);
    turn_until(1);
    assert_int_equal(fired_digits, 2);
    assert_int_equal(hf_loop_turn(loop, 1), 0);
    assert_true(hf_timer_armed(&a.timer));
    hf_loop_disarm(loop, &a.timer);
}

#define TIMERS 500u

static unsigned random_below(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % n;
}

static int64_t last_due_us;
static unsigned fired_count;

static void fire_in_order(struct hf_timer *timer)
{
    assert_true(timer->due_us >= last_due_us);
    last_due_us = timer->due_us;
    fired_count++;
}

static void order_survives_random_arming_and_disarming(void **state)
{
    static struct hf_timer timers[TIMERS];
    unsigned seed = 7, i, armed = 0;

    (void)state;
    last_due_us = 0;
    fired_count = 0;
    for (i = 0; i < TIMERS * 20; i++) {
        struct hf_timer *timer = &timers[random_below(&seed, TIMERS)];

        timer->fire = fire_in_order;
        if (random_below(&seed, 3) > 0)
            assert_int_equal(
                hf_loop_arm(loop, timer, random_below(&seed, 1000000000)), 0);
        else
            hf_loop_disarm(loop, timer);
    }
    for (i = 0; i < TIMERS; i++)
        armed += hf_timer_armed(&timers[i]);
    assert_true(armed > TIMERS / 2);
    hf_clock_shift(1100000, 0); /* all are due now */
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    hf_clock_shift(0, 0);
    assert_int_equal(fired_count, armed);
    for (i = 0; i < TIMERS; i++)
        assert_false(hf_timer_armed(&timers[i]));
}

static void without_memory_a_timer_is_not_armed(void **state)
{
    struct hf_timer timers[40] = {{.fire = NULL}};
    size_t i, armed = 0;

    (void)state;
    for (i = 0; i < 16; i++)
        assert_int_equal(hf_loop_arm(loop, &timers[i], 1000000), 0);
    out_of_memory = true;
    for (i = 16; i < 40; i++) {
        int err = hf_loop_arm(loop, &timers[i], 1000000);

        assert_true(err == 0 || err == HF_ENOMEM);
        assert_int_equal(hf_timer_armed(&timers[i]), err == 0);
        armed += err == 0;
    }
    assert_int_equal(hf_loop_arm(loop, &timers[0], 2000000), 0); /* re-arm */
    out_of_memory = false;
    assert_true(armed < 24);
    hf_loop_free(loop);
    for (i = 0; i < 40; i++)
        assert_false(hf_timer_armed(&timers[i])); /* the caller's again */
    assert_int_equal(hf_loop_new(&loop), 0);
}

/* --- end of turn --------------------------------------------------------- */

struct ending {
    struct hf_turn turn;
    unsigned n;
    struct ending *ask;    /* to ask for when called */
    struct ending *cancel; /* to cancel when called */
};

static unsigned ended_digits;

static void end(struct hf_turn *turn)
{
    struct ending *ending = (struct ending *)(void *)turn;

    ended_digits = ended_digits * 10 + ending->n;
    if (ending->ask)
        hf_loop_at_turn_end(loop, &ending->ask->turn);
    if (ending->cancel)
        hf_loop_cancel_turn(&ending->cancel->turn);
}

static struct ending ending_of(unsigned n)
{
    ended_digits = 0;
    return (struct ending){.turn = {.end = end}, .n = n};
}

static void the_end_of_a_turn_is_called_once_in_order(void **state)
{
    struct ending a = ending_of(1), b = ending_of(2);

    (void)state;
    hf_loop_at_turn_end(loop, &a.turn);
    hf_loop_at_turn_end(loop, &b.turn);
    hf_loop_at_turn_end(loop, &a.turn);
    assert_int_equal(hf_loop_turn(loop, -1), 0); /* does not wait */
    assert_int_equal(ended_digits, 12);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(ended_digits, 12);
}

static void asked_at_the_end_it_is_called_in_the_next_turn(void **state)
{
    struct ending a = ending_of(1), b = ending_of(2);

    (void)state;
    a.ask = &a;
    b.ask = &a; /* who asked already this turn */
    hf_loop_at_turn_end(loop, &a.turn);
    hf_loop_at_turn_end(loop, &b.turn);
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(ended_digits, 12);
    a.ask = NULL;
    assert_int_equal(hf_loop_turn(loop, -1), 0); /* does not wait */
    assert_int_equal(ended_digits, 121);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(ended_digits, 121);
}

static void a_cancelled_end_is_not_called(void **state)
{
    struct ending a = ending_of(1), b = ending_of(2), c = ending_of(3);

    (void)state;
    hf_loop_cancel_turn(&a.turn); /* not asked for: nothing */
    hf_loop_at_turn_end(loop, &a.turn);
    hf_loop_at_turn_end(loop, &b.turn);
    hf_loop_at_turn_end(loop, &c.turn);
    hf_loop_cancel_turn(&a.turn);
    b.cancel = &c; /* while the end is being called */
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(ended_digits, 2);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(ended_digits, 2);
}

static struct ending *asked_by_watch;

static void ask_for_end(struct hf_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    assert_int_equal(ended_digits, 0);
    hf_loop_at_turn_end(loop, &asked_by_watch->turn);
}

static void the_end_comes_after_events_and_timers(void **state)
{
    struct ending a = ending_of(1);
    struct alarm alarm = alarm_of(1);
    struct seen seen[2];
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        start(&seen[i], 1, EPOLLIN);
        seen[i].watch.ready = ask_for_end;
    }
    asked_by_watch = &a;
    assert_int_equal(hf_loop_arm(loop, &alarm.timer, 0), 0);
    assert_int_equal(hf_loop_turn(loop, 1000), 0);
    assert_int_equal(fired_digits, 1);
    assert_int_equal(ended_digits, 1);
    finish(&seen[0]);
    finish(&seen[1]);
}

/* --- turns --------------------------------------------------------------- */

static void a_turn_waits_no_longer_than_it_is_told(void **state)
{
    struct alarm a = alarm_of(1);
    int64_t start_us = hf_boot_us();

    (void)state;
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_true(hf_boot_us() - start_us < 1000000);
    start_us = hf_boot_us();
    assert_int_equal(hf_loop_arm(loop, &a.timer, 60000000), 0);
    assert_int_equal(hf_loop_turn(loop, 30), 0);
    assert_true(hf_boot_us() - start_us >= 30000);
    assert_true(hf_boot_us() - start_us < 5000000);
    assert_int_equal(fired_digits, 0);
    hf_loop_disarm(loop, &a.timer);
}

/* What woke the loop for a timer must not wake it for ever. */
static void a_loop_that_has_waited_once_can_wait_again(void **state)
{
    struct seen seen;
    struct alarm a = alarm_of(1);
    struct itimerval wake = {.it_value = {.tv_usec = 30000}};
    int64_t start_us;

    (void)state;
    start(&seen, 1, EPOLLIN | EPOLLONESHOT);
    assert_int_equal(hf_loop_arm(loop, &a.timer, 3000), 0);
    assert_int_equal(hf_loop_turn(loop, -1), 0); /* the event, early */
    assert_int_equal(seen.calls, 1);
    hf_loop_disarm(loop, &a.timer);
    (void)usleep(5000);
    start_us = hf_boot_us();
    assert_int_equal(setitimer(ITIMER_REAL, &wake, NULL), 0);
    assert_int_equal(hf_loop_turn(loop, -1), 0); /* for the signal */
    assert_true(hf_boot_us() - start_us >= 25000);
    finish(&seen);
}

static void stop_in(struct hf_timer *timer)
{
    (void)timer;
    fired_digits++;
    hf_loop_stop(loop);
}

static void a_loop_runs_until_it_is_stopped(void **state)
{
    struct hf_timer timer = {.fire = stop_in};
    int round;

    (void)state;
    fired_digits = 0;
    for (round = 0; round < 2; round++) {
        assert_int_equal(hf_loop_arm(loop, &timer, 2000), 0);
        assert_int_equal(hf_loop_run(loop), 0);
    }
    assert_int_equal(fired_digits, 2);
    hf_loop_stop(loop);
    assert_int_equal(hf_loop_run(loop), 0); /* stopped before it began */
}

/* --- a word -------------------------------------------------------------- */

static _Atomic uint32_t in_memory;

struct heeded {
    struct hf_word word;
    unsigned calls;
};

static void word_changed(struct hf_word *word)
{
    HF_ITEM(word, struct heeded, word)->calls++;
}

static void *change_word(void *arg)
{
    (void)usleep(20000);
    in_memory++;
    (void)syscall(SYS_futex, &in_memory, FUTEX_WAKE, 1, NULL, NULL, 0);
    return arg;
}

static void a_changed_word_wakes_the_loop(void **state)
{
    struct heeded h = {.word = {.at = &in_memory, .changed = word_changed}};
    struct alarm a = alarm_of(1);
    pthread_t thread;

    (void)state;
    in_memory = 7;
    hf_loop_heed(loop, &h.word);
    assert_int_equal(hf_loop_turn(loop, 20), 0); /* as it was: waits */
    assert_int_equal(h.calls, 0);
    assert_int_equal(pthread_create(&thread, NULL, change_word, NULL), 0);
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(h.calls, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    in_memory++; /* before the loop waits */
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(h.calls, 2);
    assert_int_equal(hf_loop_arm(loop, &a.timer, 3000), 0);
    assert_int_equal(hf_loop_turn(loop, -1), 0); /* timers go on */
    assert_int_equal(fired_digits, 1);
    in_memory++;
    hf_loop_heed(loop, NULL);
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(h.calls, 2);
}

static void beside_descriptors_a_word_is_seen_in_each_turn(void **state)
{
    struct heeded h = {.word = {.at = &in_memory, .changed = word_changed}};
    struct seen seen;

    (void)state;
    hf_loop_heed(loop, &h.word);
    start(&seen, 1, EPOLLIN | EPOLLONESHOT);
    in_memory++;
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(seen.calls, 1); /* the word does not hide it */
    assert_int_equal(h.calls, 1);
    finish(&seen); /* unwatched: the word is what is slept on again */
    in_memory++;
    assert_int_equal(hf_loop_turn(loop, -1), 0);
    assert_int_equal(h.calls, 2);
    hf_loop_heed(loop, NULL);
}

static void a_patient_descriptor_leaves_the_sleep_to_the_word(void **state)
{
    struct heeded h = {.word = {.at = &in_memory, .changed = word_changed}};
    struct seen seen = {.watch = {.ready = note, .patient = true}};
    pthread_t thread;

    (void)state;
    seen.watch.fd = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(hf_loop_watch(loop, &seen.watch, EPOLLIN), 0);
    hf_loop_heed(loop, &h.word);
    assert_int_equal(pthread_create(&thread, NULL, change_word, NULL), 0);
    assert_int_equal(hf_loop_turn(loop, 5000), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(h.calls, 1);
    assert_int_equal(seen.calls, 0);

    /* ready: seen at the end of the next sleep, whatever ends that */
    assert_int_equal(eventfd_write(seen.watch.fd, 1), 0);
    assert_int_equal(hf_loop_turn(loop, 20), 0);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(h.calls, 1);
    finish(&seen);
    hf_loop_heed(loop, NULL);
}

/* --- how long turns take -------------------------------------------------- */

struct turns {
    unsigned count;
    int64_t last_us;
};

static void note_turn(void *ctx, int64_t us)
{
    struct turns *turns = ctx;

    turns->count++;
    turns->last_us = us;
}

static void work_five_ms(struct hf_timer *timer)
{
    int64_t end_us = hf_boot_us() + 5000;

    (void)timer;
    while (hf_boot_us() < end_us)
        ;
}

static void a_turn_is_measured_without_its_waiting(void **state)
{
    struct hf_timer timer = {.fire = work_five_ms};
    struct turns turns = {0, -1};

    (void)state;
    hf_loop_measure(loop, note_turn, &turns);
    assert_int_equal(hf_loop_turn(loop, 30), 0); /* which only waits */
    assert_int_equal(turns.count, 1);
    assert_in_range(turns.last_us, 0, 25000);
    assert_int_equal(hf_loop_arm(loop, &timer, 0), 0);
    while (turns.last_us < 5000 && turns.count < 5)
        assert_int_equal(hf_loop_turn(loop, 100), 0);
    assert_true(turns.last_us >= 5000);
    hf_loop_measure(loop, NULL, NULL);
    turns.count = 0;
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(turns.count, 0);
}

static void to_free_no_loop_does_nothing(void **state)
{
    (void)state;
    hf_loop_free(NULL);
}

/* --- old kernels --------------------------------------------------------- */

/* From here on this process has a kernel before 5.11. */
static int forbid_epoll_pwait2(void **state)
{
#ifdef SYS_epoll_pwait2
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    (void)state;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        print_message("# no seccomp: the next tests use epoll_pwait2 again\n");
#else
    (void)state;
#endif
    return 0;
}

static void on_alarm(int signal)
{
    (void)signal;
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define OLD(f)                                                                 \
    {                                                                          \
#f " (timerfd)", f, set_up, tear_down, NULL                            \
    }

static int forbid_and_set_up(void **state)
{
    return forbid_epoll_pwait2(state) || set_up(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ready_descriptors_are_delivered),
        T(a_watch_can_ask_for_other_events),
        T(after_unwatch_nothing_is_delivered),
        T(unwatch_reaches_into_the_batch_being_delivered),
        T(a_watch_may_unwatch_itself_and_be_freed),
        T(what_cannot_be_watched_is_an_error),
        T(more_than_one_batch_is_delivered_in_a_few_turns),
        T(timers_fire_in_the_order_they_are_due),
        T(a_timer_never_fires_early),
        T(delays_below_a_millisecond_are_honoured),
        T(arming_again_moves_a_timer),
        T(a_disarmed_timer_does_not_fire),
        T(a_delay_of_nothing_is_the_next_turn),
        T(a_timer_armed_by_an_event_fires_in_the_next_turn),
        T(the_longest_delay_does_not_overflow),
        T(order_survives_random_arming_and_disarming),
        T(without_memory_a_timer_is_not_armed),
        T(the_end_of_a_turn_is_called_once_in_order),
        T(asked_at_the_end_it_is_called_in_the_next_turn),
        T(a_cancelled_end_is_not_called),
        T(the_end_comes_after_events_and_timers),
        T(a_turn_waits_no_longer_than_it_is_told),
        T(a_loop_that_has_waited_once_can_wait_again),
        T(a_loop_runs_until_it_is_stopped),
        T(a_changed_word_wakes_the_loop),
        T(beside_descriptors_a_word_is_seen_in_each_turn),
        T(a_patient_descriptor_leaves_the_sleep_to_the_word),
        T(a_turn_is_measured_without_its_waiting),
        T(to_free_no_loop_does_nothing),
        {"ready_descriptors_are_delivered (timerfd)",
         ready_descriptors_are_delivered, forbid_and_set_up, tear_down, NULL},
        OLD(timers_fire_in_the_order_they_are_due),
        OLD(a_timer_never_fires_early),
        OLD(delays_below_a_millisecond_are_honoured),
        OLD(arming_again_moves_a_timer),
        OLD(a_disarmed_timer_does_not_fire),
        OLD(a_delay_of_nothing_is_the_next_turn),
        OLD(the_longest_delay_does_not_overflow),
        OLD(the_end_of_a_turn_is_called_once_in_order),
        OLD(a_turn_waits_no_longer_than_it_is_told),
        OLD(a_loop_that_has_waited_once_can_wait_again),
        OLD(a_loop_runs_until_it_is_stopped),
    };
    struct sigaction action = {.sa_handler = on_alarm};

    (void)sigaction(SIGALRM, &action, NULL);
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
