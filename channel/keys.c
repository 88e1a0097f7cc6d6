#include "channel/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/sys.h"

struct hf_keys {
    const struct hf_dir *dir;
    bool later;       /* nobody has asked for them yet */
    struct stat seen; /* of the file when it was read; zero without one */
    struct hf_jwks set;
};

static int check_mode(const struct hf_dir *dir, struct hf_why *why)
{
    struct stat st;

    if (fstatat(dir->fd, HF_FILE_KEYS, &st, 0) != 0 ||
        (st.st_mode & 0777 & ~dir->file_mode) == 0)
        return 0; /* without it, reading says so */
    return hf_explain(why, HF_EDENIED,
                      "%s/%s can be read or changed by others (mode %03o); "
                      "whoever read it can sign in as anybody. Remove it, let "
                      "`holdfast init` make a new one, and start again",
                      dir->path, HF_FILE_KEYS, (unsigned)(st.st_mode & 0777));
}

int hf_keys_read(const struct hf_dir *dir, char *out, size_t *out_len,
                 struct hf_jwks *set, struct hf_why *why)
{
    struct hf_why here = {""};
    int err = check_mode(dir, why);

    if (err)
        return err;
    err = hf_file_read(dir->fd, HF_FILE_KEYS, out, HF_JWKS_MAX, out_len);
    if (err)
        return hf_explain(why, err, "%s/%s: %s", dir->path, HF_FILE_KEYS,
                          err == HF_EIO ? strerror(errno) : hf_strerror(err));
    err = hf_jwks_read(hf_str(out, *out_len), set, &here);
    if (err)
        return hf_explain(why, err, "%s/%s: %s", dir->path, HF_FILE_KEYS,
                          here.text[0] ? here.text : hf_strerror(err));
    return 0;
}

/* Replace the set, or keep it on an error. */
static int read_again(struct hf_keys *keys, struct hf_why *why)
{
    struct hf_jwks set = {0};
    char *text = malloc(HF_JWKS_MAX);
    size_t len = 0;
    int err = text ? hf_keys_read(keys->dir, text, &len, &set, why)
                   : hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));

    if (text)
        explicit_bzero(text, len);
    free(text);
    if (err == HF_ENOTFOUND)
        err = 0; /* and no keys */
    if (err)
        return err;
    hf_jwks_release(&keys->set);
    keys->set = set;
    return 0;
}

/* Has the file changed since it was read? */
static bool changed(struct hf_keys *keys)
{
    struct stat now = {0};

    if (fstatat(keys->dir->fd, HF_FILE_KEYS, &now, 0) != 0)
        now = (struct stat){0};
    if (now.st_ino == keys->seen.st_ino && now.st_size == keys->seen.st_size &&
        now.st_mode == keys->seen.st_mode &&
        now.st_mtim.tv_sec == keys->seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == keys->seen.st_mtim.tv_nsec)
        return false;
    keys->seen = now; /* before reading: what changes meanwhile is seen later */
    return true;
}

int hf_keys_open_later(const struct hf_dir *dir, struct hf_keys **out)
{
    struct hf_keys *keys = calloc(1, sizeof(*keys));

    if (!keys)
        return HF_ENOMEM;
    keys->dir = dir;
    keys->later = true;
    *out = keys;
    return 0;
}

int hf_keys_open(const struct hf_dir *dir, struct hf_keys **out,
                 struct hf_why *why)
{
    struct hf_keys *keys;
    int err;

    if (hf_keys_open_later(dir, &keys))
        return hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));
    keys->later = false;
    (void)changed(keys);
    err = read_again(keys, why);
    if (err) {
        hf_keys_close(keys);
        return err;
    }
    *out = keys;
    return 0;
}

void hf_keys_close(struct hf_keys *keys)
{
    if (!keys)
        return;
    hf_jwks_release(&keys->set);
    free(keys);
}

const struct hf_jwks *hf_keys_now(struct hf_keys *keys)
{
    struct hf_why why = {""};
    bool first = keys->later;

    keys->later = false;
    if (!changed(keys))
        return &keys->set;
    if (read_again(keys, &why))
        HF_LOG(HF_LOG_ERROR, "keys_refused", hf_field("why", why.text),
               hf_field("effect", first ? "no client's token is accepted"
                                        : "the keys read before stay in "
                                          "force"));
    else if (!first)
        HF_LOG(HF_LOG_INFO, "keys_read",
               hf_field_i("count", (long long)keys->set.count));
    return &keys->set;
}
