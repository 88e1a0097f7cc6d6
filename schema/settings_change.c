#include "schema/settings_change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"

/* --- lines --------------------------------------------------------------- */

static struct hf_str take_line(struct hf_str *rest)
{
    const char *end = memchr(rest->at, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->at) + 1 : rest->len;
    struct hf_str line = hf_str(rest->at, len);

    *rest = hf_str_from(*rest, len);
    return line;
}

static struct hf_str bare(struct hf_str line)
{
    while (line.len > 0 &&
           (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    return hf_str_trim(line);
}

static bool is_section(struct hf_str line, struct hf_str *out_name)
{
    const char *end;

    line = bare(line);
    if (line.len < 2 || line.at[0] != '[')
        return false;
    end = memchr(line.at, ']', line.len);
    if (!end)
        return false;
    *out_name = hf_str(line.at + 1, (size_t)(end - line.at) - 1);
    return true;
}

/* "name = ..." in force; with `commented` ";name = ..." */
static bool sets(struct hf_str line, const char *name, bool commented)
{
    struct hf_str rest = bare(line);
    struct hf_str ours = hf_str_of(name);

    if (commented) {
        if (rest.len == 0 || rest.at[0] != ';')
            return false;
        rest = hf_str_from(rest, 1);
    }
    if (!hf_str_starts(rest, ours))
        return false;
    rest = hf_str_trim(hf_str_from(rest, ours.len));
    return rest.len > 0 && (rest.at[0] == '=' || rest.at[0] == ':');
}

/* --- one change ---------------------------------------------------------- */

/* Where the change goes: the line that it replaces, or behind which it goes. */
struct spot {
    size_t at;   /* bytes from the beginning */
    size_t skip; /* bytes of the line that goes */
    bool in_section;
};

static struct spot find(struct hf_str text,
                        const struct hf_settings_change *change)
{
    struct hf_str rest = text, name, section = {NULL, 0};
    struct spot spot = {.at = text.len};
    bool shown = false;

    while (rest.len > 0) {
        size_t at = text.len - rest.len;
        struct hf_str line = take_line(&rest);
        size_t end = at + line.len;

        if (is_section(line, &name)) {
            section = name;
            if (hf_str_eq(section, hf_str_of(change->section)) && !shown)
                spot = (struct spot){.at = end, .in_section = true};
            continue;
        }
        if (!hf_str_eq(section, hf_str_of(change->section)))
            continue;
        if (sets(line, change->name, false))
            return (struct spot){at, line.len, true};
        if (sets(line, change->name, true)) {
            spot = (struct spot){.at = end, .in_section = true};
            shown = true;
        } else if (!shown && bare(line).len > 0) {
            spot = (struct spot){.at = end, .in_section = true};
        }
    }
    return spot;
}

static int put_change(struct hf_str text,
                      const struct hf_settings_change *change,
                      struct hf_buf *out)
{
    struct spot spot = find(text, change);

    (void)hf_buf_add(out, text.at, spot.at); /* `failed` remembers */
    if (spot.at > 0 && text.at[spot.at - 1] != '\n')
        (void)hf_buf_add_byte(out, '\n');
    if (!spot.in_section)
        (void)hf_buf_addf(out, "\n[%s]\n", change->section);
    (void)hf_buf_addf(out, "%s = %s\n", change->name, change->value);
    (void)hf_buf_add_str(out, hf_str_from(text, spot.at + spot.skip));
    return hf_buf_error(out);
}

int hf_settings_change_text(struct hf_str text,
                            const struct hf_settings_change *changes,
                            size_t count, struct hf_buf *out)
{
    struct hf_buf from, to;
    int err;

    hf_buf_init(&from, HF_SETTINGS_FILE_MAX);
    hf_buf_init(&to, HF_SETTINGS_FILE_MAX);
    err = hf_buf_add_str(&from, text);
    for (size_t i = 0; i < count && !err; i++) {
        struct hf_buf swap;

        hf_buf_reset(&to);
        err = put_change(hf_buf_str(&from), &changes[i], &to);
        swap = from;
        from = to;
        to = swap;
    }
    if (!err)
        err = hf_buf_add_str(out, hf_buf_str(&from));
    hf_buf_release(&from);
    hf_buf_release(&to);
    return err;
}

/* --- the file ------------------------------------------------------------ */

#define TRIAL HF_FILE_SETTINGS ".trial"

/* Is it a configuration? Read as programs do, under another name. */
static int try_out(const struct hf_dir *dir, struct hf_str text,
                   struct hf_why *why)
{
    struct hf_settings *settings = malloc(sizeof(*settings));
    char path[PATH_MAX];
    int err =
        settings ? hf_dir_file(dir, TRIAL, path, sizeof(path)) : HF_ENOMEM;

    if (!err)
        err = hf_file_replace(dir->fd, TRIAL, dir->file_mode, text, false);
    if (!err)
        err = hf_settings_read_file(path, settings, why);
    (void)unlinkat(dir->fd, TRIAL, 0); /* perhaps it was never made */
    free(settings);
    return err;
}

/* A link stays one, such as a package makes to /etc: what it leads to is
 * changed, and the file as it was is kept in the journal directory. */
static const char *what_it_leads_to(const struct hf_dir *dir,
                                    char path[PATH_MAX])
{
    char name[PATH_MAX];

    return !hf_dir_file(dir, HF_FILE_SETTINGS, name, sizeof(name)) &&
                   realpath(name, path)
               ? path
               : HF_FILE_SETTINGS;
}

int hf_settings_change(const struct hf_dir *dir,
                       const struct hf_settings_change *changes, size_t count,
                       struct hf_why *why)
{
    char path[PATH_MAX];
    char *text = malloc(HF_SETTINGS_FILE_MAX);
    struct hf_buf changed;
    size_t len = 0;
    int err;

    if (!text)
        return HF_ENOMEM;
    hf_buf_init(&changed, HF_SETTINGS_FILE_MAX);
    err = hf_file_read(dir->fd, HF_FILE_SETTINGS, text, HF_SETTINGS_FILE_MAX,
                       &len);
    if (err == HF_ENOTFOUND)
        err = 0; /* all defaults */
    if (!err)
        err = hf_settings_change_text(hf_str(text, len), changes, count,
                                      &changed);
    if (!err)
        err = try_out(dir, hf_buf_str(&changed), why);
    if (!err)
        err = hf_file_replace(dir->fd, HF_FILE_SETTINGS_BEFORE, dir->file_mode,
                              hf_str(text, len), true);
    if (!err)
        err = hf_file_replace(dir->fd, what_it_leads_to(dir, path),
                              dir->file_mode, hf_buf_str(&changed), true);
    if (err && why && !why->text[0])
        (void)hf_explain(why, err, "%s/" HF_FILE_SETTINGS ": %s", dir->path,
                         err == HF_EIO ? strerror(errno) : hf_strerror(err));
    hf_buf_release(&changed);
    free(text);
    return err;
}
