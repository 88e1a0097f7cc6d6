#include "channel/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/sys.h"

#define KEY_BYTES  32u
#define HASH_HEX   (2u * HF_SHA256_LEN)
#define NAME_HEX   32u /* of the hash, in a file's name */
#define RECORD_MAX (HASH_HEX + 32u)

static void hash_hex(struct hf_str key, char out[HASH_HEX + 1])
{
    unsigned char hash[HF_SHA256_LEN];
    size_t i;

    hf_sha256(key, hash);
    for (i = 0; i < sizeof(hash); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

int hf_ownership_make(char out[HF_OWNERSHIP_KEY + 1])
{
    char bytes[KEY_BYTES];
    size_t len;

    if (hf_random(bytes, sizeof(bytes)))
        return HF_EIO;
    len = hf_base64url(hf_str(bytes, sizeof(bytes)), out);
    out[len] = '\0';
    return 0;
}

bool hf_ownership_is_key(struct hf_str key)
{
    unsigned char bytes[HF_OWNERSHIP_KEY];
    size_t len;

    return key.len == HF_OWNERSHIP_KEY &&
           hf_base64url_decode(key, bytes, &len) == 0 && len == KEY_BYTES;
}

void hf_ownership_name(struct hf_str key, char out[HF_OWNERSHIP_NAME])
{
    char hex[HASH_HEX + 1];

    hash_hex(key, hex);
    (void)snprintf(out, HF_OWNERSHIP_NAME, "holdfast-%.*s.txt", (int)NAME_HEX,
                   hex);
}

/* --- the file ------------------------------------------------------------ */

static int check_folder(int fd, struct hf_why *why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return hf_explain(why, HF_EIO, "The program's folder cannot be read.");
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return hf_explain(
            why, HF_EDENIED,
            "This program runs as account number %lu, but its folder belongs "
            "to account number %lu. Programs of a site must run as its owner, "
            "or every site of this machine can read what yours keeps. Ask your "
            "host for CGI by suEXEC.",
            (unsigned long)geteuid(), (unsigned long)st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return hf_explain(
            why, HF_EDENIED,
            "Others than its owner may write into the program's folder (mode "
            "%03o). Change it to 755, as programs for file transfer can.",
            (unsigned)(st.st_mode & 0777));
    return 0;
}

/* Not by the date that a file shows, which uploads may keep from the other
 * side. The clock of a file server may be a little ahead. */
static bool is_fresh(const struct stat *st)
{
    int64_t age_s = hf_wall_ms() / 1000 - (int64_t)st->st_ctim.tv_sec;

    return age_s > -HF_OWNERSHIP_SECONDS && age_s < HF_OWNERSHIP_SECONDS;
}

static int check_file(int folder, const char *name, struct hf_why *why)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return hf_explain(why, errno == ENOENT ? HF_ENOTFOUND : HF_EIO,
                          "The file is not there yet: it must lie in the "
                          "folder of this program, under exactly this name.");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return hf_explain(why, HF_EDENIED,
                          "There is something of this name, but it is a link "
                          "or a folder. Remove it and upload a file.");
    if (st.st_uid != geteuid())
        return hf_explain(
            why, HF_EDENIED,
            "The file belongs to account number %lu, but this program runs as "
            "number %lu. Upload both in the same way. If you did, ask your "
            "host for CGI by suEXEC.",
            (unsigned long)st.st_uid, (unsigned long)geteuid());
    if (!is_fresh(&st))
        return hf_explain(why, HF_EEXPIRED,
                          "The file was put there more than an hour ago. "
                          "Remove it and upload it again.");
    return 0;
}

int hf_ownership_proven(const char *folder, struct hf_str key,
                        struct hf_why *why)
{
    char name[HF_OWNERSHIP_NAME];
    int fd;
    int err;

    if (!hf_ownership_is_key(key))
        return hf_explain(why, HF_EMALFORMED,
                          "This address is not complete. Begin anew.");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_explain(why, HF_EIO,
                          "The folder of this program cannot be read: %s.",
                          strerror(errno));
    hf_ownership_name(key, name);
    err = check_folder(fd, why);
    if (!err)
        err = check_file(fd, name, why);
    hf_close(&fd);
    return err;
}

void hf_ownership_tidy(const char *folder, struct hf_str key)
{
    char name[HF_OWNERSHIP_NAME];
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    hf_ownership_name(key, name);
    (void)unlinkat(fd, name, 0); /* it ends by itself, within the hour */
    hf_close(&fd);
}

/* --- what is kept -------------------------------------------------------- */

int hf_ownership_keep(const struct hf_dir *dir, struct hf_str key)
{
    char hex[HASH_HEX + 1];
    char record[RECORD_MAX];
    int len;

    hash_hex(key, hex);
    len = snprintf(record, sizeof(record), "%s %" PRId64 "\n", hex,
                   hf_wall_ms() / 1000 + HF_OWNERSHIP_SECONDS);
    /* The gateway of a group may run as another member of it. */
    return hf_file_replace(dir->fd, HF_FILE_OWNER, dir->file_mode & 0640,
                           hf_str(record, (size_t)len), false);
}

/* A clock that was set back must not make an hour longer. */
static bool is_current(int64_t until_s)
{
    int64_t left_s = until_s - hf_wall_ms() / 1000;

    return left_s > 0 && left_s <= HF_OWNERSHIP_SECONDS;
}

bool hf_ownership_kept(const struct hf_dir *dir, struct hf_str key)
{
    char record[RECORD_MAX];
    char hex[HASH_HEX + 1];
    int64_t until_s;
    size_t len;

    if (!hf_ownership_is_key(key) ||
        hf_file_read(dir->fd, HF_FILE_OWNER, record, sizeof(record) - 1,
                     &len) ||
        len <= HASH_HEX)
        return false;
    record[len] = '\0';
    hash_hex(key, hex);
    return hf_equal_secret(hf_str(record, HASH_HEX), hf_str(hex, HASH_HEX)) &&
           sscanf(record + HASH_HEX, " %" SCNd64, &until_s) == 1 &&
           is_current(until_s);
}
