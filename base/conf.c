#include "base/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "base/sys.h"

#define MAX_FILE 65536u /* bytes; a configuration by hand is far shorter */

struct reading {
    struct hf_str rest; /* of the file */
    int line;           /* number of the line inih is at */
    hf_conf_fn each;
    void *ctx;

    int err; /* the first one, and where and what it was */
    int err_line;
    struct hf_why why;
};

static void fail_here(struct reading *r, int err)
{
    r->err = err;
    r->err_line = r->line;
}

/*
 * inih's fgets. Three of its habits would change what a line means without a
 * word, so they end here: lines longer than its buffer are split, text after a
 * NUL is ignored, and an indented line continues the value above.
 */
static char *next_line(char *out, int size, void *ctx)
{
    struct reading *r = ctx;
    struct hf_str line = r->rest;
    const char *stop;

    if (r->err || r->rest.len == 0)
        return NULL;
    r->line++;
    stop = memchr(line.at, '\n', line.len);
    if (stop)
        line.len = (size_t)(stop - line.at) + 1;
    r->rest = hf_str_from(r->rest, line.len);

    if (memchr(line.at, '\0', line.len)) {
        fail_here(r, hf_explain(&r->why, HF_EINVAL, "a NUL byte"));
        return NULL;
    }
    while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = hf_str_from(line, 1);
    if (line.len >= (size_t)size) {
        fail_here(r, hf_explain(&r->why, HF_EINVAL, "longer than %d characters",
                                size - 2));
        return NULL;
    }
    if (line.len > 0)
        memcpy(out, line.at, line.len);
    out[line.len] = '\0';
    return out;
}

static int take_setting(void *ctx, const char *section, const char *name,
                        const char *value)
{
    struct reading *r = ctx;
    int err;

    err = r->each(r->ctx, section, name, value, &r->why);
    if (err)
        fail_here(r, err);
    return !err;
}

static int report(const struct reading *r, const char *path, int bad_line,
                  struct hf_why *why)
{
    if (bad_line == -2)
        return hf_explain(why, HF_ENOMEM, "%s: out of memory", path);
    /* What inih itself did not understand comes first if it stands first. */
    if (bad_line > 0 && (!r->err || bad_line < r->err_line))
        return hf_explain(why, HF_EINVAL,
                          "%s:%d: neither [section] nor name = value", path,
                          bad_line);
    if (r->err)
        return hf_explain(why, r->err, "%s:%d: %s", path, r->err_line,
                          r->why.text[0] ? r->why.text : hf_strerror(r->err));
    return 0;
}

static int load(const char *path, char *text, size_t *out_len,
                struct hf_why *why)
{
    int err = hf_file_read(AT_FDCWD, path, text, MAX_FILE, out_len);

    if (err == HF_ENOTFOUND)
        return hf_explain(why, err, "%s: no such file", path);
    if (err == HF_ELIMIT)
        return hf_explain(why, HF_EINVAL, "%s: larger than %u bytes", path,
                          MAX_FILE);
    if (err)
        return hf_explain(why, err, "%s: %s", path, strerror(errno));
    return 0;
}

int hf_conf_read(const char *path, hf_conf_fn each, void *ctx,
                 struct hf_why *why)
{
    struct reading r = {.each = each, .ctx = ctx};
    char *text = malloc(MAX_FILE);
    int bad_line, err;

    if (!text)
        return hf_explain(why, HF_ENOMEM, "%s: out of memory", path);
    err = load(path, text, &r.rest.len, why);
    if (!err) {
        r.rest.at = text;
        bad_line = ini_parse_stream(next_line, &r, take_setting, &r);
        err = report(&r, path, bad_line, why);
    }
    free(text);
    return err;
}

bool hf_conf_bool(const char *value, bool *out)
{
    static const char *const yes[] = {"yes", "on", "true", "1"};
    static const char *const no[] = {"no", "off", "false", "0"};
    size_t i;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(value, yes[i]) == 0) {
            *out = true;
            return true;
        }
        if (strcasecmp(value, no[i]) == 0) {
            *out = false;
            return true;
        }
    }
    return false;
}

/* Digits, then a unit; *out_unit is the text behind the digits. */
static bool read_count(const char *value, long long *out, const char **out_unit)
{
    char *end;

    if (!isdigit((unsigned char)value[0])) /* strtoll takes blanks and signs */
        return false;
    errno = 0;
    *out = strtoll(value, &end, 10);
    *out_unit = end;
    return errno == 0;
}

static bool scale(long long count, long long unit, long long *out)
{
    if (count > LLONG_MAX / unit)
        return false;
    *out = count * unit;
    return true;
}

bool hf_conf_size(const char *value, long long *out)
{
    const char *unit;
    long long count;

    if (!read_count(value, &count, &unit))
        return false;
    if (strcmp(unit, "") == 0)
        return scale(count, 1, out);
    if (strcasecmp(unit, "k") == 0)
        return scale(count, 1024, out);
    if (strcasecmp(unit, "m") == 0)
        return scale(count, 1024LL * 1024, out);
    if (strcasecmp(unit, "g") == 0)
        return scale(count, 1024LL * 1024 * 1024, out);
    return false;
}

bool hf_conf_duration_ms(const char *value, long long *out)
{
    const char *unit;
    long long count;

    if (!read_count(value, &count, &unit))
        return false;
    if (strcmp(unit, "ms") == 0)
        return scale(count, 1, out);
    if (strcmp(unit, "s") == 0)
        return scale(count, 1000, out);
    if (strcmp(unit, "m") == 0)
        return scale(count, 60LL * 1000, out);
    if (strcmp(unit, "h") == 0)
        return scale(count, 60LL * 60 * 1000, out);
    if (strcmp(unit, "d") == 0)
        return scale(count, 24LL * 60 * 60 * 1000, out);
    return false;
}
