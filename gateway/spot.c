#include "gateway/spot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "gateway/founding.h"

/* --- paths --------------------------------------------------------------- */

/* Is `path` this folder, or below it? Both with links resolved. */
static bool is_within(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (len > 0 && folder[len - 1] == '/')
        len--; /* of "/" nothing is left, and all is within */
    return strncmp(path, folder, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

/* A folder that the web server says it shows; "" if it says none. */
static void resolve(struct hf_str said, char out[PATH_MAX])
{
    if (said.len == 0 || said.at[0] != '/' || !realpath(said.at, out))
        out[0] = '\0';
}

/* Without the last part; "/" and "" stay. */
static void drop_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        slash[slash == path ? 1 : 0] = '\0';
}

/* --- addresses ----------------------------------------------------------- */

static int add_escaped(char *out, size_t cap, size_t *len, const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                "qrstuvwxyz0123456789-._~/";

    for (; *path; path++) {
        if (*len + 4 > cap)
            return HF_ELIMIT;
        if (strchr(plain, *path))
            out[(*len)++] = *path;
        else
            *len += (size_t)snprintf(out + *len, 4, "%%%02X",
                                     (unsigned)(unsigned char)*path);
    }
    out[*len] = '\0';
    return 0;
}

/* `prefix` is the address of `folder`: that of spot->dir, if it is within. */
static void add_url(struct hf_spot *spot, struct hf_str prefix,
                    const char *folder)
{
    char begin[PATH_MAX];
    char *url;
    size_t len = 0;
    size_t skip = strlen(folder);
    unsigned i;

    while (skip > 0 && folder[skip - 1] == '/')
        skip--;
    if (spot->url_count == HF_SPOT_URLS || !is_within(spot->dir, folder) ||
        prefix.len >= sizeof(begin))
        return;
    (void)snprintf(begin, sizeof(begin), "%.*s", HF_STR_ARG(prefix));
    url = spot->urls[spot->url_count];
    if (add_escaped(url, PATH_MAX, &len, begin) ||
        add_escaped(url, PATH_MAX, &len, spot->dir + skip))
        return;
    for (i = 0; i < spot->url_count; i++)
        if (strcmp(spot->urls[i], url) == 0)
            return;
    spot->url_count++;
}

/*
 * Addresses are often paths: /chat/holdfast.cgi is .../public_html/chat/
 * holdfast.cgi. What both end with says which folder the rest of the address
 * shows: the document root most often, but for /cgi-bin/ it may be the home,
 * which nobody shows. Hence a guess, to be tested.
 */
static void add_guess(const struct hf_visit *visit, struct hf_spot *spot)
{
    char folder[PATH_MAX];
    struct hf_str url = visit->request->script_name;
    const char *slash = url.len > 0 ? memrchr(url.at, '/', url.len) : NULL;

    if (!slash || !visit->folder[0])
        return;
    url.len = (size_t)(slash - url.at); /* the address of visit->folder */
    memcpy(folder, visit->folder, sizeof(folder));
    add_url(spot, url, folder);
    while (url.len > 0) {
        const char *part = strrchr(folder, '/');
        const char *end = memrchr(url.at, '/', url.len);

        if (!part || !end ||
            !hf_str_eq(hf_str_of(part),
                       hf_str_from(url, (size_t)(end - url.at))))
            return;
        drop_last(folder);
        url.len = (size_t)(end - url.at);
        add_url(spot, url, folder);
    }
}

/* --- what will do -------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
note(struct hf_spot_notes *notes, const char *format, ...)
{
    va_list args;

    if (!notes || notes->count == HF_SPOTS)
        return;
    va_start(args, format);
    (void)vsnprintf(notes->text[notes->count], sizeof(notes->text[0]), format,
                    args);
    va_end(args);
    notes->count++;
}

static void find_home(char out[PATH_MAX], struct hf_why *why)
{
    char path[PATH_MAX];

    out[0] = '\0';
    if (hf_place_expand("~", path, sizeof(path), why) == 0)
        resolve(hf_str_of(path), out);
}

static void find_above_root(const struct hf_visit *visit, char out[PATH_MAX])
{
    char home[PATH_MAX];

    resolve(visit->request->root, out);
    drop_last(out);
    find_home(home, NULL);
    if (strcmp(out, home) == 0) /* which was the first spot */
        out[0] = '\0';
}

/* The folder above the spot; false, where something can be said with a note. */
static bool find_parent(const struct hf_visit *visit, struct hf_spot *spot,
                        struct hf_spot_notes *notes)
{
    struct hf_why why = {""};

    spot->name = HF_PLACE_HOME;
    switch (spot->number) {
    case 0:
        find_home(spot->parent, &why);
        if (!spot->parent[0])
            note(notes, "%s",
                 why.text[0] ? why.text
                             : "The home of this account is not there");
        break;
    case 1:
        find_above_root(visit, spot->parent);
        break;
    default:
        spot->name = HF_SPOT_BESIDE;
        memcpy(spot->parent, visit->folder, sizeof(spot->parent));
    }
    return spot->parent[0] != '\0';
}

/* Others who may write there could put a directory of theirs in the place of
 * ours. */
static bool may_write(const struct hf_spot *spot, struct hf_spot_notes *notes)
{
    const char *network = NULL;
    struct stat st;
    int fd = open(spot->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || hf_dir_network_fs(fd, &network)) {
        note(notes, "%s cannot be read: %s.", spot->parent, strerror(errno));
        hf_close(&fd);
        return false;
    }
    hf_close(&fd);
    if (network)
        note(notes,
             "%s is on a network file system (%s), where messages can "
             "be lost.",
             spot->parent, network);
    else if (st.st_mode & (S_IWOTH | S_IWGRP))
        note(notes, "Others may write in %s (mode %03o).", spot->parent,
             (unsigned)(st.st_mode & 0777));
    else if (access(spot->parent, W_OK | X_OK) < 0)
        note(notes, "This account may not write in %s.", spot->parent);
    else
        return true;
    return false;
}

static bool is_shown(const struct hf_visit *visit, const struct hf_spot *spot)
{
    char roots[3][PATH_MAX];
    size_t i;

    resolve(visit->request->root, roots[0]);
    resolve(visit->request->context_root, roots[1]);
    memcpy(roots[2], visit->folder, sizeof(roots[2]));
    for (i = 0; i < 3; i++)
        if (roots[i][0] && is_within(spot->dir, roots[i]))
            return true;
    return false;
}

static bool is_empty(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    bool empty = list != NULL;
    const struct dirent *entry;

    if (!list) {
        hf_close(&fd);
        return false;
    }
    while (empty && (entry = readdir(list)) != NULL)
        empty =
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(list); /* read only */
    return empty;
}

static bool is_free(const struct hf_spot *spot, struct hf_spot_notes *notes)
{
    struct stat st;

    if (lstat(spot->dir, &st) < 0 && errno == ENOENT)
        return true;
    if (is_empty(spot->dir) || hf_founding_left(spot))
        return true;
    note(notes,
         "There is a %s already, which nothing names. To go on with it, "
         "upload a file " HF_PLACE_FILE
         " with the line dir = %s beside this program; to begin anew, "
         "remove it.",
         spot->dir, spot->dir);
    return false;
}

static bool will_do(const struct hf_visit *visit, struct hf_spot *spot,
                    struct hf_spot_notes *notes)
{
    char root[PATH_MAX];
    int len;

    if (!find_parent(visit, spot, notes))
        return false;
    len = snprintf(spot->dir, sizeof(spot->dir), "%s/%s",
                   spot->parent[1] ? spot->parent : "", spot->name);
    if (len < 0 || (size_t)len >= sizeof(spot->dir)) {
        note(notes, "The path of %.100s is too long.", spot->parent);
        return false;
    }
    if (spot->number < HF_SPOTS - 1 && is_shown(visit, spot)) {
        note(notes, "%s would be within what the web server shows.", spot->dir);
        return false;
    }
    if (!may_write(spot, notes) || !is_free(spot, notes))
        return false;
    resolve(visit->request->root, root);
    if (root[0])
        add_url(spot, HF_STR(""), root);
    add_guess(visit, spot);
    return true;
}

int hf_spot_find(const struct hf_visit *visit, unsigned from,
                 struct hf_spot *out)
{
    for (; from < HF_SPOTS; from++) {
        *out = (struct hf_spot){.number = from};
        if (will_do(visit, out, NULL))
            return 0;
    }
    return HF_ENOTFOUND;
}

void hf_spot_explain(const struct hf_visit *visit, struct hf_spot_notes *notes)
{
    struct hf_spot spot;
    unsigned i;

    for (i = 0; i < HF_SPOTS; i++) {
        spot = (struct hf_spot){.number = i};
        if (will_do(visit, &spot, notes))
            note(notes, "%s can be read by its address.", spot.dir);
    }
}
