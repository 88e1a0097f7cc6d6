/*
 * space.h - room on the disk, and the ballast that keeps a full one reparable
 *
 * A journal on a full disk is stuck for good: its log cannot be emptied into
 * the main file, which has to grow for it, and to delete rows needs room in the
 * log. So the file `ballast` holds a few MiB, really allocated, that are given
 * up when a write finds no room; with them the log can be emptied and rows can
 * be deleted.
 *
 *     there     publishing is let in while the disk has something to spare
 *     missing   it is full: nothing is published, deleting goes on, and the
 *               next who wants to publish tries to put the ballast back
 *
 * That the ballast could be put back, together with what publishing needs, is
 * the proof of room that counts. statvfs knows no quota, and on shared hosting
 * a quota is what is full; there the ballast alone decides. Where statvfs is
 * right it refuses earlier, before the log takes the last page.
 *
 * How much: not twice the ceiling of the log (256 MiB by default, more than a
 * small account has), for a log that has grown says that somebody pins it, and
 * that is refused for itself. Undisturbed it is emptied at 500 pages, 2 MiB,
 * and a batch may bring as much again: 4 MiB as ballast, by which the main file
 * can grow when all of that is new, and 4 MiB to spare. When the file has as many
 * free pages of its own, after rows were deleted, it does not grow: then 1 MiB of
 * ballast will do, and a small log, which is emptied as often as it finds no
 * room; a small ballast is made larger in place, and stays when that fails.
 * Without this difference deleting would not bring publishing back, for the file
 * does not become shorter by it.
 */
#ifndef HF_SCHEMA_SPACE_H
#define HF_SCHEMA_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/dir.h"

#define HF_SPACE_BALLAST (INT64_C(4) << 20) /* with a file that grows */
#define HF_SPACE_LEAST   (INT64_C(1) << 20) /* and with one that does not */

#define HF_SPACE_FREE_PAGES (INT64_C(4) << 20)   /* then it does not grow */
#define HF_SPACE_GROWING    (INT64_C(4) << 20)   /* to spare when it does */
#define HF_SPACE_STEADY     (INT64_C(256) << 10) /* and when it does not */

/* What decides whether publishing is let in. */
struct hf_space {
    int64_t room;       /* hf_space_free */
    int64_t ballast;    /* hf_space_ballast */
    int64_t free_pages; /* bytes of them in the main file; 0: or not known */
};

enum hf_space_state {
    HF_SPACE_ENOUGH, /* let in */
    HF_SPACE_TRY,    /* let in if the ballast can be made larger, which only
                      * trying tells */
    HF_SPACE_FULL    /* not let in */
};

/* The rule, for who publishes and for who only looks. */
enum hf_space_state hf_space_judge(const struct hf_space *space);

void hf_space_look(const struct hf_dir *dir, int64_t free_pages,
                   struct hf_space *out);

/* Bytes that our user may still write as far as statvfs knows; -1: it does not
 * say. */
int64_t hf_space_free(const struct hf_dir *dir);

/* Bytes of the ballast; 0: missing, or not whole. */
int64_t hf_space_ballast(const struct hf_dir *dir);

/*
 * Allocate `bytes` of ballast, if there is room for them and `spare` bytes more;
 * does nothing when as much is there. Two must not do so at once. 0; HF_EFULL;
 * HF_EIO: not for want of room (errno). After an error there is as much as
 * before.
 */
int hf_space_make_ballast(const struct hf_dir *dir, int64_t bytes,
                          int64_t spare);

/* As much of it as there is room for, but 0 only when that is enough for
 * publishing; HF_EFULL, HF_EIO as above. */
int hf_space_keep_ballast(const struct hf_dir *dir,
                          const struct hf_space *space);

/* Its room is free from now on. */
void hf_space_give_up_ballast(const struct hf_dir *dir);

/* Does errno say that there is no room? A quota and a limit of file size are a
 * full disk to us. */
bool hf_space_is_full(int number);

#endif
