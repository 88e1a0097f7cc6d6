/*
 * listen.h - a listening Unix socket of our own, for `--socket PATH`
 *
 * libfcgi's FCGX_OpenSocket ends the process when it does not like the path,
 * and leaves a moment in which the socket is missing or has the wrong mode.
 * Here it is bound under another name, mode 0660, and renamed into place, so a
 * web server finds the old socket or a good new one. Who holds the lock on
 * PATH.lock owns the path; kill -9 frees the lock, and what a killed process
 * left behind is replaced.
 */
#ifndef HF_GATEWAY_LISTEN_H
#define HF_GATEWAY_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

/* Connections that may wait to be accepted. With a short backlog web servers
 * answer bursts with 500 or 502 at once. */
#define HF_LISTEN_BACKLOG 1024

struct hf_listen {
    int fd;   /* listening; take it by setting it to -1 */
    int lock; /* held as long as the path is ours */
    dev_t device;
    ino_t inode;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* 0; HF_EINVAL (a path that is too long, or is something else than a socket),
 * HF_EBUSY (somebody listens there), HF_EIO; with *why filled. */
int hf_listen_open(struct hf_listen *own, const char *path, struct hf_why *why);

/* Removes the socket if it still is ours, and frees the path. */
void hf_listen_close(struct hf_listen *own);

/* Is this descriptor a Unix socket? Anybody who can reach a TCP port could
 * speak for the web server, client addresses and all. */
bool hf_listen_is_unix(int fd);

#endif
