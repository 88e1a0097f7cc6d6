/*
 * ownership.h - does whoever opens this page own the site?
 *
 * Some pages of the gateway are for the owner alone: the first set-up, when
 * there is no password yet, and the doctor's. Who owns a site can put files
 * beside its programs; nobody else can. So a page makes a key of 256 bits and
 * asks for a file whose name is made of its hash:
 *
 *     key  --SHA-256, first 128 bits-->  holdfast-9f86d081884c7d659a2feaa0c55ad015.txt
 *
 * Nothing is remembered meanwhile. The key alone proves nothing, and neither
 * does the name, which a directory listing may show: who comes with the key
 * while the file is there has done both. The file counts for an hour after it
 * was put there, by the time that the kernel gives it, which no upload can set.
 *
 *     made --file is there--> proven --kept in the journal directory--> known
 *                                                 for an hour, without the file
 *
 * A shell is a proof, too: `holdfast doctor --page` makes a key and keeps it.
 * One key is kept at a time, as its hash. A key is never logged.
 */
#ifndef HF_CHANNEL_OWNERSHIP_H
#define HF_CHANNEL_OWNERSHIP_H

#include "base/err.h"
#include "base/str.h"
#include "schema/dir.h"

#define HF_OWNERSHIP_KEY  43u /* characters of a key, base64url */
#define HF_OWNERSHIP_NAME 46u /* bytes of a file's name with terminator */

/* How long a file counts, and how long a kept key does. */
#define HF_OWNERSHIP_SECONDS 3600

/* A new key, terminated. 0 or HF_EIO. */
int hf_ownership_make(char out[HF_OWNERSHIP_KEY + 1]);

/* Could it be one of ours, by its form? */
bool hf_ownership_is_key(struct hf_str key);

/* The name of the file for it. */
void hf_ownership_name(struct hf_str key, char out[HF_OWNERSHIP_NAME]);

/*
 * Is the file for this key in `folder`, and was it put there by whom we run
 * for, within the last hour? A link is no file. A folder in which others may
 * rename files proves nothing and is refused.
 * 0; HF_ENOTFOUND: it is not there; HF_EEXPIRED, HF_EDENIED, HF_EMALFORMED: no
 * key; HF_EIO. *why says in words for the owner what to do; it names no path.
 */
int hf_ownership_proven(const char *folder, struct hf_str key,
                        struct hf_why *why);

/* Remove the file for this key: it is not needed any more. */
void hf_ownership_tidy(const char *folder, struct hf_str key);

/* Keep it in the journal directory, for an hour from now, in the place of any
 * other. 0 or HF_EIO. */
int hf_ownership_keep(const struct hf_dir *dir, struct hf_str key);

/* Is it the one that is kept there, and not for longer than an hour? */
bool hf_ownership_kept(const struct hf_dir *dir, struct hf_str key);

#endif
