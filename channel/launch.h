/*
 * launch.h - start the side-car as a process of its own
 *
 * Whoever starts it, a CGI program that answers one request or a command at a
 * terminal, ends sooner than it; and a web server waits until the last copy of
 * what it gave to a CGI program is closed. So the side-car gets nothing of us: a
 * session of its own, no descriptor but /dev/null and its log (sidecar.log in
 * the directory, HF_FILE_LOG), no signal held back or ignored, and of our
 * environment only what names files and languages; a CGI program's has the
 * visitor's cookies in it.
 */
#ifndef HF_CHANNEL_LAUNCH_H
#define HF_CHANNEL_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "schema/dir.h"
#include "schema/settings.h"

#define HF_LAUNCH_NAME "holdfast-sidecar"

struct hf_launch {
    const struct hf_dir *dir;
    char program[PATH_MAX]; /* hf_launch_find */
    bool on_demand;         /* it is to end when nobody needs it */
    const char *notify;     /* told when it serves (notify.h); NULL: nobody */
};

/*
 * Which program is it: that of the setting `program`, else the one beside ours,
 * whatever links led to ours. It must be what only this account or root can
 * have put there. 0; HF_ENOTFOUND, HF_EDENIED, HF_EINVAL with *why.
 */
int hf_launch_find(const struct hf_settings *settings, char out[PATH_MAX],
                   struct hf_why *why);

/*
 * Start it. 0: it runs, though it may still find that it cannot serve, and say
 * so in its log. `out_pid`: it is our child, to be waited for; NULL: it is
 * nobody's. HF_EIO with *why: no process is to be had, or the program cannot be
 * executed. Takes some milliseconds, one second at most.
 */
int hf_launch(const struct hf_launch *launch, pid_t *out_pid,
              struct hf_why *why);

#endif
