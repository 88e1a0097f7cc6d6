/*
 * dir.h - the journal directory and the files in it
 *
 *     journal.db (+ -wal, -shm)  the journal: messages, policies, sessions
 *     journal.db.<why>-<time>    an older one, kept by rescue or restore (alone.h)
 *     journal.db.vN-backup       one as it was before its tables were brought
 *                                from version N to a later one (migrate.h)
 *     *.part                     a file of these that is being made (fresh.h)
 *     live.db (+ -wal, -shm)     what is not history: leases, waiting replies;
 *                                live-1.db and so on after damage (live.h)
 *     holdfast.conf              settings of our processes
 *     secret                     key that signs poll tokens, 0600
 *     hook_secret                key that signs requests to the application, in
 *                                hex, for it to be copied there
 *     keys.json                  keys that clients' tokens are verified with, a
 *                                JWK set; read again when it changes
 *     bells                      waiter slots, one mapped file (bell.h)
 *     bell.2.N                   datagram sockets of resident processes
 *     holds                      polls held, and how many may be, one mapped
 *                                file (holds.h)
 *     watcher                    flock: who watches for foreign commits
 *     writers                    OFD locks: our writers queue here, one makes
 *                                live.db, one migrates or does retention; in
 *                                it the pid of the last writer, how emptying
 *                                a long log went, and who was stranded
 *                                (journal_impl.h)
 *     head                       highest id ever seen, renamed into place
 *     upkeep                     how far retention is (upkeep.h)
 *     ask.PID.N                  sockets of resident processes, to be asked what
 *                                they know (inquiry.h)
 *     posts                      OFD locks: POSTs of a session take turns
 *                                (session_lock.h)
 *     ballast                    room to give up when the disk is full (space.h)
 *     sidecar.run                which side-car serves (running.h)
 *     sidecar.start              when it may be started next (starts.h)
 *     sidecar.log                what one says that was not started by a service
 *                                manager, and sidecar.log.1 before it
 *     holdfast.conf.before       as it was before the doctor changed it
 *                                (settings_change.h)
 *     survivor                   does a background process live here?
 *                                (survivor.h)
 *     moved                      where the journal was moved to (move.h)
 *     failed                     there since a sync failed: nothing is published
 *     owner                      hash of the key that opens the owner's pages,
 *                                and until when (channel/ownership.h)
 *     .htaccess                  tells Apache to show nothing of all this; made
 *                                by a set-up from the web
 *
 * The directory is 0700 and every file 0600; with a group 2770 and 0660, the
 * secrets and keys.json 0640. SQLite gives -wal and -shm the mode of their
 * database; the group comes from the directory, hence its set-group-id bit.
 */
#ifndef HF_SCHEMA_DIR_H
#define HF_SCHEMA_DIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define HF_FILE_JOURNAL     "journal.db"
#define HF_FILE_LIVE        "live.db"
#define HF_FILE_SETTINGS    "holdfast.conf"
#define HF_FILE_SECRET      "secret"
#define HF_FILE_KEYS        "keys.json"
#define HF_FILE_BELLS       "bells"
#define HF_FILE_HOLDS       "holds"
#define HF_FILE_WATCHER     "watcher"
#define HF_FILE_WRITERS     "writers"
#define HF_FILE_HEAD        "head"
#define HF_FILE_UPKEEP      "upkeep"
#define HF_FILE_BALLAST     "ballast"
#define HF_FILE_POSTS       "posts"
#define HF_FILE_FAILED      "failed"
#define HF_FILE_RUNNING     "sidecar.run"
#define HF_FILE_MOVED    "moved"
#define HF_FILE_STARTS      "sidecar.start"
#define HF_FILE_LOG         "sidecar.log"
#define HF_FILE_OLD_LOG     "sidecar.log.1"
#define HF_FILE_HOOK_SECRET "hook_secret"
#define HF_FILE_OWNER    "owner"
#define HF_FILE_DENY     ".htaccess"

struct hf_dir {
    int fd;              /* -1 = not open */
    mode_t file_mode;    /* 0600, or 0660 with a group */
    char path[PATH_MAX]; /* absolute */
};

/*
 * Open an existing journal directory. Refuses network file systems (NFS, SMB,
 * FUSE, 9p ...), where SQLite's locks do not hold across hosts, unless the
 * environment says HOLDFAST_ALLOW_NETWORK_FS=all-processes-on-this-host.
 * 0; HF_ENOTFOUND, HF_EDENIED, HF_EINVAL, HF_EIO with *why filled.
 */
int hf_dir_open(struct hf_dir *dir, const char *path, struct hf_why *why);
/* The same for one that is to get a journal (move.h). */
int hf_dir_open_bare(struct hf_dir *dir, const char *path, struct hf_why *why);
void hf_dir_close(struct hf_dir *dir); /* accepts the closed one */
/* Another descriptor for it, so that each may be closed alone. 0 or HF_EIO. */
int hf_dir_copy(const struct hf_dir *dir, struct hf_dir *out);

/* What network file system a descriptor is on; NULL: on none. 0 or HF_EIO. */
int hf_dir_network_fs(int fd, const char **out_name);

/* Absolute path of one of its files. 0 or HF_ELIMIT. */
int hf_dir_file(const struct hf_dir *dir, const char *name, char *out,
                size_t cap);

/* Open (create with the directory's file mode) a lock or map file. The
 * descriptor, or HF_EIO. */
int hf_dir_open_file(const struct hf_dir *dir, const char *name);

/*
 * `holdfast init`: create the directory (its parent must exist), the journal,
 * live.db, the secret and a commented holdfast.conf, with their modes. Running
 * it again on a whole directory changes nothing and succeeds with
 * *out_existed = true; what is missing beside a good journal is put back.
 * `group` NULL for one user only, else a group name (D21); on success *why is
 * empty or a warning. A directory that holds other files is refused
 * (HF_EEXIST): it would be made private and is none of ours. Else as open.
 */
int hf_dir_init(const char *path, const char *group, bool *out_existed,
                struct hf_why *why);

#endif
