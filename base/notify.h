/*
 * notify.h - tell the service manager how far we are (sd_notify(3))
 *
 * Whoever starts a program and wants to know when it can be used names a
 * datagram socket in NOTIFY_SOCKET; a line "READY=1" sent there says so. It is
 * systemd's protocol, which others speak too; `holdfast sidecar start` is one.
 * Twenty lines instead of libsystemd: a library that hosts without systemd do
 * not have.
 *
 * Nothing depends on its being heard: nobody is waited for, no error is told.
 */
#ifndef HF_BASE_NOTIFY_H
#define HF_BASE_NOTIFY_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HF_NOTIFY_VARIABLE "NOTIFY_SOCKET"

struct hf_notify {
    struct sockaddr_un address;
    socklen_t len; /* 0: nobody wants to know */
};

/* Who wants to know, by the environment; the variable is then removed, for
 * whoever we start is not to speak for us. */
void hf_notify_open(struct hf_notify *notify);

/* Does anybody? */
static inline bool hf_notify_wanted(const struct hf_notify *notify)
{
    return notify->len > 0;
}

/* Tell them; `state` is a line "READY=1", "STOPPING=1", "STATUS=..." or several
 * with line ends between. */
void hf_notify(const struct hf_notify *notify, const char *state);

/* The address that is written so in the variable: a path, or '@' and an abstract
 * name. False if it is neither. */
bool hf_notify_address(struct hf_notify *out, const char *text);

#endif
