/*
 * passed.h - listening sockets that whoever started us holds for us
 *
 * A service manager may open sockets itself and pass them to the program that
 * serves them, as systemd does (sd_listen_fds(3)): descriptors 3, 4 and so on,
 * their number in LISTEN_FDS, whom they are for in LISTEN_PID. While that
 * program is restarted the manager goes on listening, and clients wait instead
 * of being refused.
 */
#ifndef HF_BASE_PASSED_H
#define HF_BASE_PASSED_H

#include <stdbool.h>

#define HF_PASSED_FIRST 3

struct hf_passed {
    long count;  /* 0: none, or for another process */
    char *names; /* of each, with colons between; NULL: they have none */
};

/* Are there any for us? Changes nothing. */
bool hf_passed_any(void);

/* What there is. The variables are then removed, for what we start is not to
 * take them for its own. */
void hf_passed_open(struct hf_passed *passed);
void hf_passed_release(struct hf_passed *passed);

/* Has the nth, from 0, that name? */
bool hf_passed_is_named(const struct hf_passed *passed, long n,
                        const char *name);

/* Make the nth ours: non-blocking, and closed in what we start. The descriptor,
 * or HF_EINVAL: it is no listening stream socket. */
int hf_passed_take(long n);

#endif
