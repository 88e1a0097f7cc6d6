/*
 * conf.h - a configuration file: "[section]", "name = value", ';' comments
 *
 * Reading is libinih's. Errors name file and line.
 */
#ifndef HF_BASE_CONF_H
#define HF_BASE_CONF_H

#include "base/err.h"

/* One setting. Return 0, or an error after hf_explain(why, ...) without place;
 * file and line are put in front. */
typedef int (*hf_conf_fn)(void *ctx, const char *section, const char *name,
                          const char *value, struct hf_why *why);

/* 0; HF_ENOTFOUND: no such file; HF_EIO; HF_EINVAL: a line is wrong, and *why
 * says which. */
int hf_conf_read(const char *path, hf_conf_fn each, void *ctx,
                 struct hf_why *why);

/* Values: false when the text is not one. */
_Bool hf_conf_bool(const char *value, _Bool *out);           /* yes, no, on, off, true, false, 1, 0 */
_Bool hf_conf_size(const char *value, long long *out);       /* 100, 64k, 8M, 1G (1024) */
_Bool hf_conf_duration_ms(const char *value, long long *out); /* 250ms, 10s, 5m, 24h, 2d */

#endif
