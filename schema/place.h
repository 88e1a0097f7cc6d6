/*
 * place.h - which journal directory is ours?
 *
 * People who may edit no more than .htaccess can give a program neither
 * arguments nor an environment, so the directory is looked for. What comes
 * first in this list counts, and what is found wrong there is an error: nobody
 * is to end up in another journal by a typing mistake.
 *
 *     1  --dir
 *     2  HOLDFAST_DIR: of the environment, or a parameter that the web server
 *        sends with the request
 *     3  .htholdfast beside the script that the web server serves, or beside
 *        the program as it was started (a link counts as where it stands): one
 *        line, `dir = PATH`. Apache never shows files whose names begin so. It
 *        must belong to this account, to root or to the folder's owner
 *     4  the current directory, for the command line, if it holds a journal
 *     5  ~/holdfast, if it holds a journal
 *     6  the system's, if it holds a journal: what configure was told
 *        (--with-system-dir), /var/lib/holdfast in Debian's package; else none
 *
 * `~/` begins a path below the home of the account wherever a directory is
 * said, since web servers do not expand it. The home is $HOME if that is
 * the account's own, else what the password database says: web servers hand on
 * the HOME of whoever started them.
 */
#ifndef HF_SCHEMA_PLACE_H
#define HF_SCHEMA_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The file with the line `dir = PATH`, and the folder in the home. */
#define HF_PLACE_FILE     ".htholdfast"
#define HF_PLACE_HOME     "holdfast"
#define HF_PLACE_VARIABLE "HOLDFAST_DIR"

/* Where to look. NULL or empty: not said, do not look there. */
struct hf_place_hints {
    const char *option;   /* the value of --dir */
    const char *variable; /* the value of HOLDFAST_DIR */
    const char *script;   /* path of the script served; ignored unless it is an
                             absolute path of a file that can be executed, for
                             some servers make it up from the URL */
    const char *program;  /* path by which we were started (hf_place_program) */
    bool here;            /* the current directory, too */
};

struct hf_place {
    char dir[PATH_MAX]; /* as it was said, but for ~ and what is relative to
                           a file */
    char said_by[PATH_MAX + 32]; /* "--dir", "/home/u/www/.htholdfast" ... */
};

/*
 * Find it; whether it can be opened is for hf_dir_open. 0; HF_ENOTFOUND: *why
 * lists what was tried and says what to do; HF_EINVAL, HF_EDENIED, HF_EIO: what
 * was found first says nothing usable.
 */
int hf_place_find(const struct hf_place_hints *hints, struct hf_place *out,
                  struct hf_why *why);

/* The folder in which HF_PLACE_FILE is looked for first: that of the script, else
 * that of the program; with all links resolved. 0, HF_ENOTFOUND, HF_ELIMIT. */
int hf_place_folder(const struct hf_place_hints *hints, char out[PATH_MAX]);

/* Where ~/holdfast is, for `holdfast init`. 0, HF_ENOTFOUND, HF_ELIMIT. */
int hf_place_home(char *out, size_t cap, struct hf_why *why);

/* `path` with `~/` at its beginning replaced by the home. `~name/` is refused.
 * 0, HF_EINVAL, HF_ENOTFOUND, HF_ELIMIT. */
int hf_place_expand(const char *path, char *out, size_t cap,
                    struct hf_why *why);

/* The path by which this program was executed, as the kernel has it: unlike
 * argv[0] it is never a bare name found on PATH. "" if unknown. */
const char *hf_place_program(void);

#endif
