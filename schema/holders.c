#include "schema/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

/* Bytes that SQLite locks: sqlite.org/walformat.html section 2.4, and
 * "Lock bytes" of os.h. */
#define SHM_WRITE      120
#define SHM_READ_FIRST 123
#define SHM_READ_LAST  127
#define FILE_SHARED    0x40000002

/* One line of /proc/locks:
 * "3: POSIX  ADVISORY  READ 4711 fe:00:123456 124 124" */
struct lock {
    char type[8];
    long pid;
    unsigned long long inode, first, last;
};

static bool parse(const char *line, struct lock *lock)
{
    char last[24];

    if (sscanf(line, "%*d: POSIX %*s %7s %ld %*x:%*x:%llu %llu %23s",
               lock->type, &lock->pid, &lock->inode, &lock->first, last) != 5)
        return false; /* a waiter "->", or no POSIX lock */
    if (sscanf(last, "%llu", &lock->last) != 1)
        lock->last = ~0ULL; /* "EOF" */
    return lock->pid > 0;
}

static bool covers(const struct lock *lock, unsigned long long first,
                   unsigned long long last)
{
    return lock->first <= last && lock->last >= first;
}

static bool is_it(const struct lock *lock, enum hf_hold hold)
{
    switch (hold) {
    case HF_HOLD_READ:
        return strcmp(lock->type, "READ") == 0 &&
               covers(lock, SHM_READ_FIRST, SHM_READ_LAST);
    case HF_HOLD_WRITE:
        return strcmp(lock->type, "WRITE") == 0 &&
               covers(lock, SHM_WRITE, SHM_WRITE);
    case HF_HOLD_EXCLUSIVE:
        return strcmp(lock->type, "WRITE") == 0 &&
               covers(lock, FILE_SHARED, FILE_SHARED);
    }
    return false;
}

static void name_of(long pid, char out[17])
{
    char path[40];
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    if (hf_file_read(AT_FDCWD, path, out, 16, &len))
        len = 0; /* of another user, or gone */
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static void add(long pid, char *out, size_t cap)
{
    size_t len = strlen(out);
    char name[17];

    name_of(pid, name);
    (void)snprintf(out + len, cap - len, "%s%ld%s%s", len ? ", " : "", pid,
                   name[0] ? " " : "", name);
}

static size_t collect(FILE *locks, unsigned long long inode, enum hf_hold hold,
                      char *out, size_t cap)
{
    long seen[HF_HOLDERS];
    size_t count = 0, i;
    struct lock lock;
    char line[160];

    while (count < HF_HOLDERS && fgets(line, sizeof(line), locks)) {
        if (!parse(line, &lock) || lock.inode != inode || !is_it(&lock, hold) ||
            lock.pid == (long)getpid())
            continue;
        for (i = 0; i < count && seen[i] != lock.pid; i++)
            continue;
        if (i < count)
            continue; /* several locks of one process */
        seen[count++] = lock.pid;
        add(lock.pid, out, cap);
    }
    return count;
}

size_t hf_holders(const struct hf_dir *dir, enum hf_hold hold, char *out,
                  size_t cap)
{
    const char *name =
        hold == HF_HOLD_EXCLUSIVE ? HF_FILE_JOURNAL : HF_FILE_JOURNAL "-shm";
    struct stat st;
    size_t count;
    FILE *locks;

    out[0] = '\0';
    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    locks = fopen("/proc/locks", "re");
    if (!locks)
        return 0;
    count = collect(locks, st.st_ino, hold, out, cap);
    (void)fclose(locks); /* read only */
    return count;
}
