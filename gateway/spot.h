/*
 * spot.h - where can an account that may only upload files have a journal?
 *
 * Spots are tried in this order; the first that will do is taken:
 *
 *     1  ~/holdfast, where all programs look by themselves
 *     2  holdfast beside the document root
 *     3  .htholdfast.d beside the program, within what the web server shows
 *
 * Nothing of a journal may be readable by URL. A spot below a folder that the
 * web server shows will not do, but for the third, which is made when nothing
 * else is left. Servers do not always say what they show: where the address of
 * the program suggests that an address leads to the spot, `urls` has it, as of
 * the third. Then it takes a test before anything is kept there (founding.h).
 */
#ifndef HF_GATEWAY_SPOT_H
#define HF_GATEWAY_SPOT_H

#include "gateway/visit.h"

#define HF_SPOTS       3u
#define HF_SPOT_BESIDE ".htholdfast.d"
#define HF_SPOT_URLS   2u

struct hf_spot {
    unsigned number;       /* 0 .. HF_SPOTS - 1, in the order above */
    char parent[PATH_MAX]; /* with all links resolved */
    const char *name;      /* of the directory in it */
    char dir[PATH_MAX];    /* parent/name */
    char urls[HF_SPOT_URLS][PATH_MAX]; /* paths that may lead to it, with %XX */
    unsigned url_count;
};

/* The first spot from number `from` on that will do. 0 or HF_ENOTFOUND. */
int hf_spot_find(const struct hf_visit *visit, unsigned from,
                 struct hf_spot *out);

/* Why no spot will do, for the owner to read. */
struct hf_spot_notes {
    char text[HF_SPOTS][512];
    unsigned count;
};

/* When none was found: those that would have done did not pass the test. */
void hf_spot_explain(const struct hf_visit *visit, struct hf_spot_notes *notes);

#endif
