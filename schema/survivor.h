/*
 * survivor.h - does this host let a background process live?
 *
 * Many shared hosts end what an account leaves running: with the request, at
 * logout, or when a watchdog passes by. None of them can be asked, so it is
 * tried: a process of our own, which belongs to no session and holds nothing of
 * who started it, does nothing but write into the file `survivor` once a second
 * that it lives, for ten minutes at most, or until the file is removed. Whoever looks later sees how long
 * that was. It lives while its lock does, so a killed one is seen at once.
 */
#ifndef HF_SCHEMA_SURVIVOR_H
#define HF_SCHEMA_SURVIVOR_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/dir.h"

#define HF_FILE_SURVIVOR "survivor"

#define HF_SURVIVOR_MS INT64_C(600000) /* then it ends by itself */

enum hf_survival {
    HF_SURVIVAL_UNKNOWN, /* none was started, or before the last boot */
    HF_SURVIVAL_LIVES,
    HF_SURVIVAL_ENDED, /* by itself: its time was over */
    HF_SURVIVAL_KILLED,
};

struct hf_survivor {
    enum hf_survival state;
    int64_t lived_ms;
    int64_t ago_ms; /* since it was started */
    char who[16];   /* as given at its start: "shell", "cgi" */
};

void hf_survivor_look(const struct hf_dir *dir, struct hf_survivor *out);

/* Start one; none, and 0, when one lives. Forks: for a process with one thread
 * and no database open. 0; HF_EIO: no file, or no process (errno). */
int hf_survivor_start(const struct hf_dir *dir, const char *who);

#endif
