/*
 * signals.h - being asked to end, as an event of the loop
 *
 * SIGTERM and SIGINT, and SIGUSR1, which is FastCGI's soft stop. Whoever is
 * asked answers what it holds before it goes: web servers end their programs
 * whenever they reload, which for a poll cut off would be an HTTP error.
 */
#ifndef HF_GATEWAY_SIGNALS_H
#define HF_GATEWAY_SIGNALS_H

#include "base/loop.h"

/* From a signal to the exit, for answers that are not out yet. */
#define HF_LEAVE_MS 5000

struct hf_signals {
    struct hf_watch watch;
    struct hf_loop *loop;
    /* In a turn of the loop, for each signal that came. */
    void (*asked_to_leave)(struct hf_signals *signals);
};

/*
 * Take them, with `asked_to_leave` set. They are blocked in this thread and in
 * those started by it afterwards, so call it before the first, and after
 * libfcgi has set its own handlers, which a blocked signal never reaches.
 * SIGPIPE and SIGXFSZ are ignored from then on. 0 or HF_EIO.
 */
int hf_signals_take(struct hf_signals *signals, struct hf_loop *loop);
/* They stay blocked. Accepts the struct that has taken none. */
void hf_signals_release(struct hf_signals *signals);

#endif
