#include "schema/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/jwk.h"
#include "base/sys.h"
#include "schema/db.h"
#include "schema/files.h"
#include "schema/journal.h"
#include "schema/live.h"
#include "schema/migrate.h"
#include "schema/move.h"
#include "schema/settings.h"
#include "schema/space.h"

#define NETWORK_FS_VARIABLE "HOLDFAST_ALLOW_NETWORK_FS"
#define NETWORK_FS_VALUE    "all-processes-on-this-host"
#define SECRET_BYTES        32u
#define FILE_NEW_JOURNAL    "journal.db.new"

/* --- file systems -------------------------------------------------------- */

/* From linux/magic.h and statfs(2); no header has all of them. */
static const struct {
    unsigned long magic;
    const char *name;
} network_fs[] = {
    {0x6969, "NFS"},
    {0x517B, "SMB"},
    {0xFF534D42, "SMB"},
    {0xFE534D42, "SMB"},
    {0x01021997, "9p"},
    {0x65735546, "FUSE"},
    {0x00C36400, "Ceph"},
    {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},
    {0x73757245, "Coda"},
    {0x564C, "NCP"},
    {0x01161970, "GFS2"},
    {0x7461636F, "OCFS2"},
    {0x0BD00BD0, "Lustre"},
    {0x47504653, "GPFS"},
    {0x786F4256, "VirtualBox shares"},
    {0xBACBACBC, "VMware shares"},
    {0xAAD7AAEA, "PanFS"},
    {0x19830326, "BeeGFS"},
    {0x20030528, "OrangeFS"},
};

/* The name of a network file system, or NULL. */
static const char *network_fs_name(unsigned long magic)
{
    size_t i;

    for (i = 0; i < sizeof(network_fs) / sizeof(network_fs[0]); i++) {
        if (network_fs[i].magic == (magic & 0xFFFFFFFF))
            return network_fs[i].name;
    }
    return NULL;
}

int hf_dir_network_fs(int fd, const char **out_name)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return HF_EIO;
    *out_name = network_fs_name((unsigned long)fs.f_type);
    return 0;
}

static int refuse_network(int fd, const char *path, struct hf_why *why)
{
    const char *said = getenv(NETWORK_FS_VARIABLE);
    const char *name;

    if (said && strcmp(said, NETWORK_FS_VALUE) == 0)
        return 0;
    if (hf_dir_network_fs(fd, &name))
        return hf_explain(why, HF_EIO, "%s: %s", path, strerror(errno));
    if (!name)
        return 0;
    return hf_explain(why, HF_EINVAL,
                      "%s is on a network file system (%s), where messages can "
                      "be lost between hosts; use a local directory. If every "
                      "program that uses it runs on this host, set %s=%s",
                      path, name, NETWORK_FS_VARIABLE, NETWORK_FS_VALUE);
}

/* --- opening ------------------------------------------------------------- */

static int from_errno(struct hf_why *why, const char *path)
{
    int err = errno == ENOENT || errno == ENOTDIR ? HF_ENOTFOUND
              : errno == EACCES || errno == EPERM ? HF_EDENIED
                                                  : HF_EIO;

    return hf_explain(why, err, "%s: %s", path, strerror(errno));
}

static int open_directory(struct hf_dir *dir, const char *path,
                          struct hf_why *why)
{
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return from_errno(why, path);
    if (!realpath(path, dir->path))
        return from_errno(why, path);
    return refuse_network(dir->fd, dir->path, why);
}

static int check_modes(struct hf_dir *dir, struct hf_why *why)
{
    struct stat st;

    if (fstat(dir->fd, &st) < 0)
        return from_errno(why, dir->path);
    if (st.st_mode & S_IRWXO)
        return hf_explain(why, HF_EDENIED,
                          "%s can be entered by everybody; the journal is "
                          "private: chmod 700 it, or 2770 with a group",
                          dir->path);
    dir->file_mode = (st.st_mode & S_IWGRP) ? 0660 : 0600;
    return 0;
}

static int find_journal(const struct hf_dir *dir, struct hf_why *why)
{
    if (faccessat(dir->fd, HF_FILE_JOURNAL, F_OK, 0) == 0)
        return 0;
    if (errno != ENOENT)
        return from_errno(why, dir->path);
    if (hf_moved(dir, why))
        return HF_ENOTFOUND;
    return hf_explain(why, HF_ENOTFOUND,
                      "%s has no journal; make one with: holdfast init %s",
                      dir->path, dir->path);
}

int hf_dir_open_bare(struct hf_dir *dir, const char *path, struct hf_why *why)
{
    int err;

    *dir = (struct hf_dir){.fd = -1};
    err = open_directory(dir, path, why);
    if (!err)
        err = check_modes(dir, why);
    if (err)
        hf_dir_close(dir);
    return err;
}

int hf_dir_open(struct hf_dir *dir, const char *path, struct hf_why *why)
{
    int err = hf_dir_open_bare(dir, path, why);

    if (!err)
        err = find_journal(dir, why);
    if (err)
        hf_dir_close(dir);
    return err;
}

void hf_dir_close(struct hf_dir *dir)
{
    hf_close(&dir->fd);
}

int hf_dir_copy(const struct hf_dir *dir, struct hf_dir *out)
{
    *out = *dir;
    out->fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
    return out->fd < 0 ? HF_EIO : 0;
}

int hf_dir_file(const struct hf_dir *dir, const char *name, char *out,
                size_t cap)
{
    int len = snprintf(out, cap, "%s/%s", dir->path, name);

    return len < 0 || (size_t)len >= cap ? HF_ELIMIT : 0;
}

int hf_dir_open_file(const struct hf_dir *dir, const char *name)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(dir->fd, name, flags);

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return HF_EIO;
    fd = openat(dir->fd, name, flags | O_CREAT | O_EXCL, dir->file_mode);
    if (fd < 0 && errno == EEXIST) /* somebody else made it just now */
        fd = openat(dir->fd, name, flags);
    else if (fd >= 0 && fchmod(fd, dir->file_mode) < 0) /* the umask */
        hf_close(&fd);
    return fd < 0 ? HF_EIO : fd;
}

/* --- init ---------------------------------------------------------------- */

struct init {
    struct hf_dir dir;
    const char *group;
    gid_t gid;
    bool existed; /* a journal was there */
    struct hf_why *why;
};

static int find_group(struct init *init)
{
    struct group *entry;

    if (!init->group)
        return 0;
    errno = 0;
    entry = getgrnam(init->group);
    if (!entry)
        return hf_explain(init->why, HF_EINVAL, "no group \"%s\" on this host",
                          init->group);
    init->gid = entry->gr_gid;
    return 0;
}

static int make_directory(struct init *init, const char *path)
{
    int made = mkdir(path, 0700);

    if (made < 0 && errno == ENOENT)
        return hf_explain(init->why, HF_ENOTFOUND,
                          "%s: the directory above it does not exist", path);
    if (made < 0 && errno != EEXIST)
        return from_errno(init->why, path);
    if (made == 0 && chmod(path, 0700) < 0) /* the umask */
        return from_errno(init->why, path);
    return open_directory(&init->dir, path, init->why);
}

/* Somebody's directory with other things in it is not ours to make private. */
static bool is_foreign(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !hf_files_is_ours(name);
}

static int check_contents(struct init *init)
{
    const struct dirent *entry;
    DIR *list;
    int fd = openat(init->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return from_errno(init->why, init->dir.path);
    list = fdopendir(fd);
    if (!list) {
        hf_close(&fd);
        return hf_explain(init->why, HF_ENOMEM, "%s", strerror(errno));
    }
    while (!init->existed && (entry = readdir(list)) != NULL) {
        init->existed = strcmp(entry->d_name, HF_FILE_JOURNAL) == 0;
        if (!err && is_foreign(entry->d_name))
            err = hf_explain(init->why, HF_EEXIST,
                             "%s holds other files (%s); give the journal a "
                             "directory of its own",
                             init->dir.path, entry->d_name);
    }
    (void)closedir(list); /* read only */
    if (init->existed)    /* its other files are the owner's business */
        return 0;
    return err;
}

static int set_modes(struct init *init)
{
    if (init->existed)
        return check_modes(&init->dir, init->why);
    if (init->group && fchown(init->dir.fd, (uid_t)-1, init->gid) < 0)
        return hf_explain(init->why, HF_EDENIED,
                          "%s cannot be given to group %s: %s; you must be a "
                          "member of it",
                          init->dir.path, init->group, strerror(errno));
    if (fchmod(init->dir.fd, init->group ? 02770 : 0700) < 0)
        return from_errno(init->why, init->dir.path);
    init->dir.file_mode = init->group ? 0660 : 0600;
    return 0;
}

/* The whole journal under another name, then renamed: it is there or not. */
static int build_journal(struct init *init, const char *path)
{
    struct hf_db db;
    unsigned i;
    int on = 0;
    int err;

    err = hf_db_open(&db, path, true, "FULL", init->why);
    if (err)
        return err;
    err = hf_db_run(&db, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;"
                         "BEGIN IMMEDIATE;");
    for (i = 0; !err && i < HF_SCHEMA_VERSION; i++)
        err = hf_db_run(&db, hf_schema_texts[i]);
    if (!err)
        err = hf_db_run(&db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE);");
    /* Nothing of it may stay in a WAL of the wrong name. */
    (void)sqlite3_file_control(db.handle, "main", SQLITE_FCNTL_PERSIST_WAL,
                               &on);
    if (err)
        err = hf_explain(init->why, err, "%s: %s", path,
                         sqlite3_errmsg(db.handle));
    hf_db_close(&db);
    return err;
}

static void remove_new_journal(const struct hf_dir *dir)
{
    (void)unlinkat(dir->fd, FILE_NEW_JOURNAL, 0); /* usually not there */
    (void)unlinkat(dir->fd, FILE_NEW_JOURNAL "-wal", 0);
    (void)unlinkat(dir->fd, FILE_NEW_JOURNAL "-shm", 0);
}

/* That the directory is there must survive a power cut as well. Who may not
 * read the one above syncs all of the file system. */
static int sync_above(const struct init *init)
{
    int fd = openat(init->dir.fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int done = fd < 0 ? syncfs(init->dir.fd) : fsync(fd);

    hf_close(&fd);
    return done;
}

static int place_journal(struct init *init)
{
    int dir = init->dir.fd;

    if (fchmodat(dir, FILE_NEW_JOURNAL, init->dir.file_mode, 0) < 0)
        return from_errno(init->why, FILE_NEW_JOURNAL);
    /* link and not rename: never over a journal that is there. */
    if (linkat(dir, FILE_NEW_JOURNAL, dir, HF_FILE_JOURNAL, 0) < 0 ||
        fsync(dir) < 0 || sync_above(init) < 0)
        return from_errno(init->why, init->dir.path);
    return 0;
}

static int make_journal(struct init *init)
{
    char path[PATH_MAX];
    int err;

    if (init->existed)
        return 0;
    err = hf_dir_file(&init->dir, FILE_NEW_JOURNAL, path, sizeof(path));
    if (err)
        return hf_explain(init->why, err, "%s: the path is too long",
                          init->dir.path);
    remove_new_journal(&init->dir); /* of an init that was interrupted */
    err = build_journal(init, path);
    if (!err)
        err = place_journal(init);
    remove_new_journal(&init->dir);
    return err;
}

static int write_missing(struct init *init, const char *name,
                         struct hf_str contents, mode_t mode)
{
    if (faccessat(init->dir.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (hf_file_replace(init->dir.fd, name, mode, contents, true))
        return hf_explain(init->why, HF_EIO, "%s/%s: %s", init->dir.path, name,
                          strerror(errno));
    return 0;
}

static int make_secret(struct init *init)
{
    char secret[SECRET_BYTES];

    if (hf_random(secret, sizeof(secret)))
        return hf_explain(init->why, HF_EIO, "no random bytes for the secret");
    /* A group reads it, or its processes could not sign; none changes it. */
    return write_missing(init, HF_FILE_SECRET, hf_str(secret, sizeof(secret)),
                         init->dir.file_mode & 0640);
}

/* As text, so that whatever the application is written in can read it: the
 * key is the 64 digits. */
static int make_hook_secret(struct init *init)
{
    unsigned char bytes[SECRET_BYTES];
    char text[2 * SECRET_BYTES + 2];
    size_t i;

    if (hf_random(bytes, sizeof(bytes)))
        return hf_explain(init->why, HF_EIO, "no random bytes for the secret");
    for (i = 0; i < sizeof(bytes); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * SECRET_BYTES] = '\n';
    return write_missing(init, HF_FILE_HOOK_SECRET,
                         hf_str(text, 2 * SECRET_BYTES + 1),
                         init->dir.file_mode & 0640);
}

/* One to begin with, named by the day of its birth. */
static int make_keys(struct init *init)
{
    char id[HF_JWK_NAME_MAX];
    struct hf_buf text;
    int err;

    hf_buf_init(&text, 1024);
    (void)hf_buf_add_str(&text, HF_STR("{\"keys\":[\n  "));
    err = hf_jwk_name(id);
    if (err == 0)
        err = hf_jwk_make(HF_JWK_HS256, hf_str_of(id), &text);
    (void)hf_buf_add_str(&text, HF_STR("\n]}\n"));
    if (err)
        (void)hf_explain(init->why, err, "no random bytes for a key");
    else
        err = write_missing(init, HF_FILE_KEYS, hf_buf_str(&text),
                            init->dir.file_mode & 0640);
    if (text.at)
        explicit_bzero(text.at, text.len);
    hf_buf_release(&text);
    return err;
}

static int make_small_files(struct init *init)
{
    static const char *const names[] = {HF_FILE_BELLS, HF_FILE_HOLDS,
                                        HF_FILE_WATCHER, HF_FILE_WRITERS};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = hf_dir_open_file(&init->dir, names[i]);

        if (fd < 0)
            return hf_explain(init->why, HF_EIO, "%s/%s: %s", init->dir.path,
                              names[i], strerror(errno));
        hf_close(&fd);
    }
    if (hf_space_make_ballast(&init->dir, HF_SPACE_BALLAST, HF_SPACE_GROWING) ==
        HF_EFULL)
        return hf_explain(init->why, HF_EFULL,
                          "there is too little room for a journal in %s: %lld "
                          "MiB are needed to begin with",
                          init->dir.path,
                          (long long)(HF_SPACE_BALLAST + HF_SPACE_GROWING) >>
                              20);
    return write_missing(init, HF_FILE_SETTINGS,
                         hf_str_of(hf_settings_template), init->dir.file_mode);
}

/* As every process does, so that what init made has been opened once. */
static int open_once(struct init *init)
{
    struct hf_settings settings;
    struct hf_journal *journal;
    struct hf_live *live;
    int err;

    err = hf_settings_read(&init->dir, &settings, init->why);
    if (err)
        return err;
    err = hf_journal_open(&init->dir, &settings, HF_JOURNAL_WRITE, &journal,
                          init->why);
    if (err)
        return err;
    hf_journal_close(journal);
    err = hf_live_open(&init->dir, &live, init->why);
    if (!err)
        hf_live_close(live);
    return err;
}

static void warn_of_web_server(const struct init *init)
{
    static const char *const web[] = {"www-data", "apache",   "nginx", "http",
                                      "httpd",    "lighttpd", NULL};
    size_t i;

    for (i = 0; init->group && web[i]; i++) {
        if (strcmp(init->group, web[i]) == 0)
            (void)hf_explain(
                init->why, 0,
                "group %s is the web server's: every site and script it runs "
                "can read and write this journal and sign in as anybody; "
                "prefer a group of its own",
                init->group);
    }
}

static int fill(struct init *init, const char *path)
{
    int err;

    err = find_group(init);
    if (!err)
        err = make_directory(init, path);
    if (!err)
        err = check_contents(init);
    if (!err && hf_moved(&init->dir, init->why)) /* not two of its epoch */
        err = HF_EEXIST;
    if (!err)
        err = set_modes(init);
    if (!err)
        err = make_small_files(init);
    if (!err)
        err = make_secret(init);
    if (!err)
        err = make_hook_secret(init);
    if (!err)
        err = make_keys(init);
    if (!err)
        err = make_journal(init);
    if (!err)
        err = open_once(init);
    return err;
}

int hf_dir_init(const char *path, const char *group, bool *out_existed,
                struct hf_why *why)
{
    struct init init = {.dir = {.fd = -1}, .group = group, .why = why};
    int err;

    err = fill(&init, path);
    hf_dir_close(&init.dir);
    if (err)
        return err;
    *out_existed = init.existed;
    if (!init.existed)
        warn_of_web_server(&init);
    return 0;
}
