/*
 * unix_listener.h - a listening Unix socket that one process owns
 *
 * It is bound under another name, with its mode, and renamed into place, so
 * that whoever connects finds the old socket or a good new one. Who holds the
 * lock on PATH.lock owns the path; kill -9 frees the lock, and what a killed
 * process left behind is replaced. Nothing else than a socket is.
 */
#ifndef HF_BASE_UNIX_LISTENER_H
#define HF_BASE_UNIX_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

struct hf_unix_listener {
    int fd;   /* listening, non-blocking; take it by setting it to -1 */
    int lock; /* held as long as the path is ours; a child closes its copy */
    dev_t device;
    ino_t inode;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* `who` is for the message when the path is taken: "another WHO listens on".
 * 0; HF_EINVAL (a path that is too long, or is something else than a socket),
 * HF_EBUSY (somebody listens there), HF_EIO; with *why filled. While only one
 * thread runs: the process' file mode mask is changed for a moment. */
int hf_unix_listener_open(struct hf_unix_listener *own, const char *path,
                          mode_t mode, int backlog, const char *who,
                          struct hf_why *why);

/* What would opening it meet? Changes nothing. 0: it is free, or was left
 * behind; HF_EBUSY: somebody listens there; HF_EINVAL, HF_EDENIED, HF_ENOTFOUND,
 * HF_EIO: it could not be made; *why filled on an error. */
int hf_unix_listener_look(const char *path, struct hf_why *why);

/* Removes the socket if it still is ours, and frees the path. */
void hf_unix_listener_close(struct hf_unix_listener *own);

/* Is this descriptor a Unix socket? */
bool hf_is_unix_socket(int fd);

#endif
