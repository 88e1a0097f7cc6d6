/*
 * inspect_locks.c - do locks lock here? Tried with a second process.
 *
 * Some file systems grant every lock, some grant none, and then two writers
 * damage the journal or nobody can write. So each kind that we rely on is taken
 * here and asked for in a child: flock (the watcher), locks of open file
 * descriptions (bells, the writers' queue), POSIX locks (SQLite's), and then
 * SQLite itself, whose shared memory must be the same in both.
 */
#include "schema/inspect_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/sys.h"
#include "schema/db.h"

#define PATIENCE_MS 5000 /* a lock server that does not answer */

enum verdict {
    LOCKED = 0,   /* refused to the child, as it must be */
    NOT_LOCKED,   /* granted to both */
    NOT_POSSIBLE, /* an error */
    NOT_VISIBLE,  /* SQLite: what one wrote the other does not see */
    NO_ANSWER,
};

enum kind { BY_FLOCK, BY_OFD, BY_POSIX };

/* --- one lock in two processes ------------------------------------------- */

/* 0: got it; 1: another has it; -1: an error. */
static int take(int fd, enum kind kind)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int got = kind == BY_FLOCK ? flock(fd, LOCK_EX | LOCK_NB)
              : kind == BY_OFD ? fcntl(fd, F_OFD_SETLK, &lock)
                               : fcntl(fd, F_SETLK, &lock);

    if (got == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? 1 : -1;
}

static enum verdict ask_in_child(const char *path, enum kind kind)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int got = fd < 0 ? -1 : take(fd, kind);

    return got == 1 ? LOCKED : got == 0 ? NOT_LOCKED : NOT_POSSIBLE;
}

/* The child's exit code, or NO_ANSWER when it takes too long. */
static enum verdict wait_for(pid_t child)
{
    int64_t deadline_ms = hf_boot_ms() + PATIENCE_MS;
    struct timespec pause = {.tv_nsec = 2000000};
    int status;

    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);

        if (ended == child)
            return WIFEXITED(status) ? (enum verdict)WEXITSTATUS(status)
                                     : NOT_POSSIBLE;
        if (ended < 0 && errno != EINTR)
            return NOT_POSSIBLE;
        if (hf_boot_ms() > deadline_ms) {
            (void)kill(child, SIGKILL); /* it is ours, and not waited for */
            (void)waitpid(child, &status, 0);
            return NO_ANSWER;
        }
        (void)nanosleep(&pause, NULL); /* cut short is fine */
    }
}

static enum verdict try_lock(const char *path, mode_t mode, enum kind kind)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    enum verdict verdict = NOT_POSSIBLE;
    pid_t child;

    if (fd >= 0 && take(fd, kind) == 0) {
        child = fork();
        if (child == 0)
            _exit((int)ask_in_child(path, kind));
        if (child > 0)
            verdict = wait_for(child);
    }
    hf_close(&fd);
    return verdict;
}

/* --- SQLite in two processes --------------------------------------------- */

/* Wait for a byte; false when none comes. */
static bool wait_turn(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&ready, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) == 1;
}

static void give_turn(int fd)
{
    ssize_t wrote = write(fd, "x", 1);

    (void)wrote; /* the other side is gone: its exit code says so */
}

static enum verdict use_in_child(const char *path, int turn, int answer)
{
    struct hf_db db;
    int64_t rows = 0;
    enum verdict verdict = NOT_POSSIBLE;
    int err;

    if (!wait_turn(turn) || hf_db_open(&db, path, false, "OFF", NULL))
        return NOT_POSSIBLE;
    hf_db_wait(&db, 0);
    err = hf_db_run(&db, "BEGIN IMMEDIATE");
    if (err == HF_EBUSY)
        verdict = LOCKED;
    else if (!err)
        verdict = NOT_LOCKED;
    give_turn(answer);
    if (verdict == LOCKED && wait_turn(turn) &&
        (hf_db_number(&db, "SELECT count(*) FROM t", &rows) || rows != 1))
        verdict = NOT_VISIBLE;
    hf_db_close(&db);
    return verdict;
}

/* Parent: holds the write lock while the child asks, then commits. */
static void use_in_parent(const char *path, int turn, int answer)
{
    struct hf_db db;

    if (hf_db_open(&db, path, true, "OFF", NULL))
        return;
    if (hf_db_run(&db, "PRAGMA journal_mode = WAL; CREATE TABLE t (x);"
                       "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)") == 0) {
        give_turn(turn);
        if (wait_turn(answer) && hf_db_run(&db, "COMMIT") == 0)
            give_turn(turn);
    }
    hf_db_close(&db);
}

static enum verdict try_sqlite(const char *path)
{
    enum verdict verdict = NOT_POSSIBLE;
    int turn[2] = {-1, -1}, answer[2] = {-1, -1};
    pid_t child;

    if (pipe2(turn, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0) {
        child = fork(); /* before any connection is open */
        if (child == 0) {
            hf_close(&turn[1]); /* so that our own end does not keep it open */
            _exit((int)use_in_child(path, turn[0], answer[1]));
        }
        if (child > 0) {
            use_in_parent(path, turn[1], answer[0]);
            hf_close(&turn[1]);
            verdict = wait_for(child);
        }
    }
    hf_close(&turn[0]);
    hf_close(&turn[1]);
    hf_close(&answer[0]);
    hf_close(&answer[1]);
    return verdict;
}

/* --- what it means ------------------------------------------------------- */

static const char *words(enum verdict verdict)
{
    switch (verdict) {
    case LOCKED:
        return "hold";
    case NOT_LOCKED:
        return "are granted to two processes at once";
    case NOT_POSSIBLE:
        return "are not possible";
    case NOT_VISIBLE:
        return "hold, but one process does not see what another wrote";
    case NO_ANSWER:
        return "are not answered within 5 s";
    }
    return "?";
}

static void remove_trial(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_MAX + 16];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        (void)unlink(name); /* mostly not there */
    }
}

void hf_inspect_locks(struct hf_look *look)
{
    static const char *const names[] = {"flock", "OFD", "POSIX", "SQLite's"};
    enum verdict verdicts[4];
    char name[48], path[PATH_MAX];
    uint64_t random = 0;
    bool good = true;

    (void)signal(SIGPIPE, SIG_IGN);
    if (hf_random(&random, sizeof(random)))
        random = (uint64_t)getpid();
    (void)snprintf(name, sizeof(name), HF_FILE_JOURNAL ".check-%016" PRIx64,
                   random);
    if (hf_dir_file(&look->dir, name, path, sizeof(path)))
        return; /* too long a path: the rest says so */
    for (int kind = BY_FLOCK; kind <= BY_POSIX; kind++)
        verdicts[kind] = try_lock(path, look->dir.file_mode, (enum kind)kind);
    remove_trial(path);
    verdicts[3] = try_sqlite(path);
    remove_trial(path);
    for (size_t i = 0; i < 4; i++) {
        if (verdicts[i] == LOCKED)
            continue;
        good = false;
        hf_found(look, HF_FINDING_PROBLEM, "locks",
                 "%s locks %s on this file system: two writers would damage "
                 "the journal or none could write. Move the directory to a "
                 "local disk (ext4, xfs, btrfs, zfs, tmpfs)",
                 names[i], words(verdicts[i]));
    }
    if (good)
        hf_found(look, HF_FINDING_OK, "locks",
                 "flock, OFD, POSIX and SQLite's hold between two processes");
}
