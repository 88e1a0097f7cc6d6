/*
 * keys.h - the keys that clients' tokens are verified with: keys.json
 *
 * A JWK set (base/jwk.h) in the journal directory, private like the secret.
 * It is read again whenever it has changed, so that keys come and go without a
 * restart; a set with an error in it is logged and the one before stays in
 * force. Without the file no token is accepted.
 */
#ifndef HF_CHANNEL_KEYS_H
#define HF_CHANNEL_KEYS_H

#include "base/jwk.h"
#include "schema/dir.h"

struct hf_keys;

/* Read it for the first time. `dir` is borrowed. A file that is not private, or
 * not a good set, is an error with *why. */
int hf_keys_open(const struct hf_dir *dir, struct hf_keys **out,
                 struct hf_why *why);
/* The same, but not before hf_keys_now, where an error is logged and leaves no
 * key: for plain CGI, whose polls look at no token of a client. 0, HF_ENOMEM. */
int hf_keys_open_later(const struct hf_dir *dir, struct hf_keys **out);
void hf_keys_close(struct hf_keys *keys); /* NULL: nothing */

/* Those in force now: one look at the file's status. Borrowed until the next
 * call. */
const struct hf_jwks *hf_keys_now(struct hf_keys *keys);

/* Read the file's text into `out` (HF_JWKS_MAX bytes) and the keys in it; for
 * those who look after it. HF_ENOTFOUND without the file. */
int hf_keys_read(const struct hf_dir *dir, char *out, size_t *out_len,
                 struct hf_jwks *set, struct hf_why *why);

#endif
